//! Arguments -> run -> exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A certificate chain or a broken pipe must not bring a backtrace to people.
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    else {
        return ExitCode::from(mtlsgw::error::exit::FAILED);
    };
    ExitCode::from(runtime.block_on(mtlsgw::run(std::env::args_os())))
}
