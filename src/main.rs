//! Arguments -> run -> exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(unix)]
    raise_open_files();
    // A certificate chain or a broken pipe must not bring a backtrace to people.
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    else {
        return ExitCode::from(mtlsgw::error::exit::FAILED);
    };
    ExitCode::from(runtime.block_on(mtlsgw::run(std::env::args_os())))
}

/// How many files a process may ask to have open at least wherever it runs; macOS refuses more.
#[cfg(unix)]
const OPEN_FILES: u64 = 10_240;

/// Raises the soft limit of open files towards the hard one, which shells leave low for the sake of
/// programs that use `select`: reading a hundred stacks takes more connections at a time than that.
#[cfg(unix)]
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    if current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum,
        };
        // As it was is enough for few stacks, and whoever needs more is told by the call that fails.
        _ = setrlimit(Resource::Nofile, raised);
    }
}
