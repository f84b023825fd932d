//! The command line: clap structs, no logic.

mod pki;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use pki::{
    CaPassphrase, NewKey, Passphrase, PkiArgs, PkiCaArgs, PkiCommand, PkiConvertArgs, PkiCrlArgs,
    PkiCsrArgs, PkiInspectArgs, PkiIssueArgs, PkiListArgs, PkiP12Args, PkiRevokeArgs, PkiSignArgs,
    SigningCa, Wanted,
};
pub use verify::{Afterwards, ConnectTo, ProbeArgs, VerifyArgs};

/// Turn a short YAML file into a working mutual-TLS front door on AWS
#[derive(Debug, Parser)]
#[command(
    name = "mtlsgw",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Use the embedded AWS, its state in DIR
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ".mtlsgw/sandbox"
    )]
    pub sandbox: Option<PathBuf>,
    /// Send every AWS call to this endpoint
    #[arg(long, global = true, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Use this profile of the AWS configuration
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Print results for people or as JSON
    #[arg(long, global = true, value_enum, default_value_t = Output::Human)]
    pub output: Output,
    /// Print results as JSON; short for --output json
    #[arg(long, global = true)]
    pub json: bool,
    /// Print without colours
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Change at most this many resources at a time, across all stacks
    #[arg(long, global = true, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub parallelism: u16,
    /// Wait at most this long for anything, such as 90s, 10m or 1h
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Log more: calls that change something, then all calls, then what the AWS SDK does
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what apply would change
    Plan(PlanArgs),
    /// Make AWS as the stack files say
    Apply(ApplyArgs),
    /// Delete a stack's resources
    Destroy(DestroyArgs),
    /// Prove by connections that a gateway does what its stack says
    Verify(VerifyArgs),
    /// Say how stacks stand, and what ends by itself
    Status(StatusArgs),
    /// Say which link between clients and what answers them is broken, and what to do about it
    Doctor(DoctorArgs),
    /// Keep the CRLs of URLs up to date
    #[command(subcommand)]
    Crl(CrlCommand),
    /// List the stacks of the account and region by their tags
    List(ListArgs),
    /// Write a stack file for what exists, made by hand or by another tool
    Export(ExportArgs),
    /// Print names, ARNs, DNS names and addresses of a stack
    Output(OutputArgs),
    /// Say who connected, who was refused and why, by the connection logs
    Logs(LogsArgs),
    /// Say what a code of AWS or of this tool means and what to do about it
    Explain(ExplainArgs),
    /// Check stack files without calling AWS
    Validate(ValidateArgs),
    /// Print the resources that a stack file stands for, without calling AWS
    Render(Paths),
    /// Print the JSON Schema of the stack file
    Schema(SchemaArgs),
    /// Judge certificates and CRLs as the load balancer would
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Make a CA, issue and revoke client certificates, write CRLs and PKCS#12 files
    Pki(PkiArgs),
    /// Print a shell's completion script
    Completion(CompletionArgs),
    /// Write a complete stack, apply it to the embedded AWS, plan it again and verify it
    #[cfg(feature = "sandbox")]
    Quickstart(QuickstartArgs),
    /// Run and inspect the embedded AWS
    #[cfg(feature = "sandbox")]
    #[command(subcommand)]
    Sandbox(SandboxCommand),
}

/// Stack files.
#[derive(Debug, Clone, Args)]
pub struct Paths {
    /// Stack files or directories of them; ./stack.yaml, else stacks/*.yaml
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Which stacks.
    #[command(flatten)]
    pub paths: Paths,
    /// A backend to look at.
    #[command(flatten)]
    pub backend: BackendArgs,
}

/// A backend of API Gateway to look at.
#[derive(Debug, Clone, Default, Args)]
pub struct BackendArgs {
    /// Fetch the backend's certificate there, and judge it as API Gateway does
    #[arg(long, value_name = "HOST:PORT")]
    pub probe_backend: Option<HostAndPort>,
}

/// A host, by name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAndPort {
    /// The host; an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::str::FromStr for HostAndPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let split = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let parsed = split.and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = parsed.ok_or_else(|| format!("`{text}` is not HOST:PORT"))?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Ok(Self { host, port })
    }
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Which stacks.
    #[command(flatten)]
    pub paths: Paths,
    /// Exit with 2 when there are changes
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Show what `apply --adopt` would take over, and what it would leave as it is
    #[arg(long, conflicts_with = "out")]
    pub adopt: bool,
    /// Save the plan, for `mtlsgw apply FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What ends too soon.
    #[command(flatten)]
    pub expiry: ExpiryArgs,
    /// Who gets in.
    #[command(flatten)]
    pub clients: ClientsArgs,
    /// A backend to look at.
    #[command(flatten)]
    pub backend: BackendArgs,
}

/// Clients that the user knows.
#[derive(Debug, Clone, Default, Args)]
pub struct ClientsArgs {
    /// Say who of these clients would be locked out: certificate files, or directories of them
    #[arg(long, value_name = "DIR|FILE")]
    pub clients: Vec<PathBuf>,
    /// Say it of those, too, who came within this time by the connection logs, such as 30d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub clients_from_logs: Option<Duration>,
    /// The CAs among whose certificates the clients of the logs are looked for; the stack's pki/
    #[arg(long, value_name = "DIR", requires = "clients_from_logs")]
    pub clients_pki: Option<PathBuf>,
}

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The stack file; ./stack.yaml
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// From when on: so long ago, such as 1h or 30d, or a moment, such as 2026-11-28T10:00:00Z
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = ago_or_moment)]
    pub since: Moment,
    /// Up to when; now
    #[arg(long, value_name = "TIME", value_parser = ago_or_moment)]
    pub until: Option<Moment>,
    /// List only clients that were refused
    #[arg(long)]
    pub failed: bool,
}

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(OffsetDateTime),
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A code, or a message that has one in it; all codes are listed without
    #[arg(value_name = "CODE")]
    pub code: Vec<String>,
    /// Print everything as Markdown instead
    #[arg(long, conflicts_with = "code")]
    pub markdown: bool,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Which stacks.
    #[command(flatten)]
    pub paths: Paths,
    /// What ends too soon.
    #[command(flatten)]
    pub expiry: ExpiryArgs,
}

/// How soon certificates and CRLs may end.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ExpiryArgs {
    /// Fail when a certificate or CRL ends within this time, such as 14d or 12h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub fail_if_expires_within: Option<Duration>,
}

/// What has to be allowed in so many words.
#[derive(Debug, Clone, Copy, Args)]
pub struct Allowances {
    /// Do not ask
    #[arg(short, long, visible_alias = "auto-approve")]
    pub yes: bool,
    /// Delete or replace what others depend on
    #[arg(long)]
    pub with_foreign: bool,
}

/// Arguments of `apply`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub struct ApplyArgs {
    /// Stack files, directories of them, or a saved plan; ./stack.yaml
    #[arg(value_name = "PATH|PLAN")]
    pub paths: Vec<PathBuf>,
    /// Permissions.
    #[command(flatten)]
    pub allow: Allowances,
    /// Take over what stands in the stack's place and is nobody's, by tags, and change nothing else
    #[arg(long)]
    pub adopt: bool,
    /// Let more clients in, or with less proof, than before
    #[arg(long)]
    pub allow_widening: bool,
    /// Replace what cannot exist twice, and be down meanwhile
    #[arg(long)]
    pub allow_downtime: bool,
    /// Who gets in.
    #[command(flatten)]
    pub clients: ClientsArgs,
    /// Lock out clients of --clients and --clients-from-logs that get in now
    #[arg(long)]
    pub allow_lockout: bool,
    /// Quotas.
    #[command(flatten)]
    pub quotas: CrlQuotas,
    /// What is proved afterwards.
    #[command(flatten)]
    pub afterwards: Afterwards,
}

/// What is known of the account's quotas, which AWS does not tell.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct CrlQuotas {
    /// Try a swap of CRLs that exceeds AWS's default quotas, because yours are higher
    #[arg(long)]
    pub quota_raised: bool,
}

/// Arguments of `destroy`.
#[derive(Debug, Args)]
pub struct DestroyArgs {
    /// The stack file, of which only name, region, account and bucket are read; ./stack.yaml
    #[arg(value_name = "PATH", conflicts_with = "stack")]
    pub path: Option<PathBuf>,
    /// The stack's name, where its file is gone
    #[arg(long, value_name = "NAME", requires = "region")]
    pub stack: Option<String>,
    /// The stack's region
    #[arg(long, value_name = "REGION", requires = "stack")]
    pub region: Option<String>,
    /// The stack's bucket, where its file named one and is gone
    #[arg(long, value_name = "NAME", requires = "stack")]
    pub bucket: Option<String>,
    /// Delete the stack's own log bucket with all logs in it
    #[arg(long)]
    pub delete_logs: bool,
    /// Permissions.
    #[command(flatten)]
    pub allow: Allowances,
}

/// The verbs of `crl`.
#[derive(Debug, Subcommand)]
pub enum CrlCommand {
    /// Fetch the CRLs of URLs and put newer ones in place of those that are live
    Refresh(RefreshArgs),
}

/// Arguments of `crl refresh`.
#[derive(Debug, Args)]
pub struct RefreshArgs {
    /// Which stacks.
    #[command(flatten)]
    pub paths: Paths,
    /// Remove an old CRL even where it revokes what the new one does not
    #[arg(long)]
    pub allow_widening: bool,
    /// Quotas.
    #[command(flatten)]
    pub quotas: CrlQuotas,
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The region; else that of the AWS environment
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// What is exported.
    #[command(flatten)]
    pub source: ExportSource,
    /// The stack's name; after the load balancer's
    #[arg(long, value_name = "STACK")]
    pub name: Option<String>,
    /// Where to write stack.yaml and its files; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
    /// The region; else that of the ARN, or of the AWS environment
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
}

/// What `export` begins with.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ExportSource {
    /// The load balancer, by ARN or name
    #[arg(long, value_name = "ARN|NAME")]
    pub load_balancer: Option<String>,
    /// The domain that leads to it
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The stack file; ./stack.yaml
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// What connections present, ask and expect.
    #[command(flatten)]
    pub probes: ProbeArgs,
}

/// Arguments of `output`.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// The stack file; ./stack.yaml
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Print only this output, such as `load_balancer.dns_name`
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// The verbs of `trust`.
#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Say whether the load balancer would let a client in, and why not
    Check(TrustCheckArgs),
    /// Say what ALB would refuse or trip over in CA bundles, CRLs and client certificates
    Lint(TrustLintArgs),
}

/// Arguments of `trust check`.
#[derive(Debug, Args)]
pub struct TrustCheckArgs {
    /// The client's certificate, PEM or DER; further ones in the file are sent along
    #[arg(value_name = "CERT")]
    pub certificate: PathBuf,
    /// The stack file with the trust store; ./stack.yaml
    #[arg(value_name = "STACK", conflicts_with = "ca_bundle")]
    pub stack: Option<PathBuf>,
    /// Certificates that the client sends along
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub chain: Vec<PathBuf>,
    /// Judge as of this time, such as 2027-01-31 or 2027-01-31T12:00:00Z; now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<OffsetDateTime>,
    /// What the certificate has to be good for
    #[arg(long, value_enum, default_value_t = Purpose::Client)]
    pub purpose: Purpose,
    /// Judge by these CA certificates in place of a stack's
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub ca_bundle: Vec<PathBuf>,
    /// The CRLs that go with --ca-bundle
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "ca_bundle")]
    pub crl: Vec<PathBuf>,
    /// Judge by what the trust store holds in AWS now, and tell what the files say beside it
    #[arg(long, conflicts_with = "ca_bundle")]
    pub live: bool,
}

/// What a client's certificate has to be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    /// TLS clients, as load balancers demand.
    Client,
    /// Anything.
    Any,
}

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Print the reference of all keys as Markdown instead
    #[arg(long)]
    pub markdown: bool,
}

/// Arguments of `completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Arguments of `quickstart`.
#[cfg(feature = "sandbox")]
#[derive(Debug, Args)]
pub struct QuickstartArgs {
    /// Where to write the stack; made if it does not exist
    #[arg(value_name = "DIR", default_value = "quickstart")]
    pub directory: PathBuf,
}

/// Arguments of `trust lint`.
#[derive(Debug, Args)]
pub struct TrustLintArgs {
    /// What would go into a trust store: CA certificates and CRLs, PEM or DER
    #[arg(value_name = "FILE", required_unless_present_any = ["client", "rules"])]
    pub files: Vec<PathBuf>,
    /// A client's certificate, with the intermediates that it sends after its own; may be repeated
    #[arg(long, value_name = "FILE")]
    pub client: Vec<PathBuf>,
    /// The CRLs that are live now, for the rules about their numbers; may be repeated
    #[arg(long, value_name = "FILE")]
    pub previous: Vec<PathBuf>,
    /// Exit with 4 for warnings too
    #[arg(long)]
    pub deny_warnings: bool,
    /// Judge dates as of this time, such as 2026-11-28 or 2026-11-28T12:00:00Z; else now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<OffsetDateTime>,
    /// Print all rules as Markdown, or as JSON, instead
    #[arg(long, conflicts_with_all = ["files", "client", "previous"])]
    pub rules: bool,
}

/// The verbs of `sandbox`.
#[cfg(feature = "sandbox")]
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Serve the embedded AWS until Ctrl-C
    Serve(ServeArgs),
    /// Forget everything the sandbox holds
    Reset,
    /// Print what the sandbox holds as JSON
    Show(ShowArgs),
    /// Raise or show quotas, as a support case would
    Quota(QuotaArgs),
    /// Let a loopback server stand for what is at an address, an instance or a name
    Host(HostArgs),
}

/// Arguments of `sandbox serve`.
#[cfg(feature = "sandbox")]
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 4599)]
    pub port: u16,
    /// Add so many milliseconds to every call
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency: u64,
    /// How fast time passes: instant, xN or realistic
    #[arg(long, default_value = "instant")]
    pub timing: String,
    /// Misbehave, such as `CreateListener#2=throttle`; may be repeated
    #[arg(long, value_name = "RULE")]
    pub fault: Vec<String>,
    /// Enforce AWS's documented request rates
    #[arg(long)]
    pub rates: bool,
    /// The address that clients of the gateway seem to come from
    #[arg(long, default_value = "198.51.100.10")]
    pub client_address: std::net::IpAddr,
}

/// Arguments of `sandbox show`.
#[cfg(feature = "sandbox")]
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Print how often each operation was called instead
    #[arg(long)]
    pub calls: bool,
}

/// Arguments of `sandbox quota`.
#[cfg(feature = "sandbox")]
#[derive(Debug, Args)]
pub struct QuotaArgs {
    /// The quota's code, such as L-A8F7060B
    pub code: String,
    /// The new value
    pub value: u64,
}

/// Arguments of `sandbox host`.
#[cfg(feature = "sandbox")]
#[derive(Debug, Args)]
pub struct HostArgs {
    /// Where it is: 10.0.1.5:443, i-0123456789abcdef0:80 or backend.example.com:443
    #[arg(value_name = "ADDRESS:PORT")]
    pub place: String,
    /// The loopback server, such as 127.0.0.1:8443
    #[arg(
        value_name = "SERVER",
        required_unless_present = "remove",
        conflicts_with = "remove"
    )]
    pub server: Option<std::net::SocketAddr>,
    /// Let nothing stand there any more
    #[arg(long)]
    pub remove: bool,
}

/// Reads `90s`, `10m`, `1h`, `14d`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let number: u64 = number
        .parse()
        .map_err(|_| format!("`{text}` does not begin with a number"))?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err("write a number and s, m, h or d".to_owned()),
    };
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

/// Reads `2026-11-28`, which is its first moment in UTC, or a moment of RFC 3339.
fn moment(text: &str) -> Result<OffsetDateTime, String> {
    let whole = if text.contains(['T', 't', ' ']) {
        text.to_owned()
    } else {
        format!("{text}T00:00:00Z")
    };
    OffsetDateTime::parse(&whole, &Rfc3339)
        .map_err(|_| "write a day, 2027-01-31, or a moment, 2027-01-31T12:00:00Z".to_owned())
}

/// Reads a length of time, which is so long ago, or a moment.
fn ago_or_moment(text: &str) -> Result<Moment, String> {
    let is_duration = text.ends_with(|c: char| c.is_ascii_lowercase()) && !text.contains('-');
    if is_duration {
        duration(text).map(Moment::Ago)
    } else {
        moment(text).map(Moment::At)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn moments_are_days_or_rfc_3339() {
        let midnight = time::macros::datetime!(2027-01-31 0:00 UTC);
        assert_eq!(moment("2027-01-31"), Ok(midnight));
        assert_eq!(moment("2027-01-31T01:00:00+01:00"), Ok(midnight));
        assert_eq!(
            moment("2027-01-31T00:00:01Z"),
            Ok(midnight + Duration::from_secs(1))
        );
        assert!(moment("31.1.2027").is_err());
        assert!(moment("2027-01-31T12").is_err());
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(duration("14d"), Ok(Duration::from_hours(14 * 24)));
        assert!(duration("10").is_err());
        assert!(duration("m").is_err());
    }
}
