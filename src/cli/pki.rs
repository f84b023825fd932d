//! The command line of `pki`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::duration;
use crate::pki::{AlternativeName, Digest, KeyKind, Reason, Subject};

/// Arguments of `pki`.
#[derive(Debug, Args)]
pub struct PkiArgs {
    /// The directory of the CAs
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "MTLSGW_PKI",
        default_value = "pki"
    )]
    pub dir: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: PkiCommand,
}

/// The verbs of `pki`.
#[derive(Debug, Subcommand)]
pub enum PkiCommand {
    /// Make a CA: a root, one below another, or one taken in from elsewhere
    Ca(PkiCaArgs),
    /// Issue a certificate with a new key, for a client or a server
    Issue(PkiIssueArgs),
    /// Make a key and a request for somebody else to sign
    Csr(PkiCsrArgs),
    /// Sign a request, whose key stays where it is
    Sign(PkiSignArgs),
    /// Revoke a certificate; the next CRL lists it
    Revoke(PkiRevokeArgs),
    /// Write a CA's CRL, as PEM and DER
    Crl(PkiCrlArgs),
    /// Put a key and its certificates into a PKCS#12 file, for Windows and browsers
    P12(PkiP12Args),
    /// Convert certificates or CRLs, DER or PEM, to the PEM that load balancers take
    Convert(PkiConvertArgs),
    /// Tell what is in files: certificates, CRLs, requests, PKCS#12, and the kind of keys
    Inspect(PkiInspectArgs),
    /// List what was issued, what is revoked, and what expires
    List(PkiListArgs),
}

/// The CA that signs, and its passphrase.
#[derive(Debug, Args)]
pub struct SigningCa {
    /// The CA; need not be said where there is only one
    #[arg(long, value_name = "NAME")]
    pub ca: Option<String>,
    /// Its passphrase.
    #[command(flatten)]
    pub passphrase: CaPassphrase,
}

/// Where the passphrase of a CA's key comes from; without either it is asked for on the terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct CaPassphrase {
    /// Read the CA's passphrase from the first line of FILE
    #[arg(long, value_name = "FILE", conflicts_with = "ca_passphrase_env")]
    pub ca_passphrase_file: Option<PathBuf>,
    /// Read the CA's passphrase from this environment variable
    #[arg(long, value_name = "VARIABLE")]
    pub ca_passphrase_env: Option<String>,
}

/// The passphrase of what is written.
#[derive(Debug, Args)]
pub struct Passphrase {
    /// Encrypt under a passphrase from the first line of FILE
    #[arg(long, value_name = "FILE", conflicts_with_all = ["passphrase_env", "ask_passphrase"])]
    pub passphrase_file: Option<PathBuf>,
    /// Encrypt under a passphrase from this environment variable
    #[arg(long, value_name = "VARIABLE", conflicts_with = "ask_passphrase")]
    pub passphrase_env: Option<String>,
    /// Encrypt under a passphrase that is asked for on the terminal
    #[arg(long)]
    pub ask_passphrase: bool,
}

/// A key that is to be made.
#[derive(Debug, Args)]
pub struct NewKey {
    /// The kind of key: p256, p384, p521, rsa2048, rsa3072, rsa4096 or rsa8192
    #[arg(long, value_name = "KIND", default_value = "p256")]
    pub key: KeyKind,
    /// Its passphrase.
    #[command(flatten)]
    pub passphrase: Passphrase,
}

/// Arguments of `pki ca`.
#[derive(Debug, Args)]
pub struct PkiCaArgs {
    /// Its name, which becomes a directory
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Its subject, such as "CN=Root CA,O=Example,C=JP"; CN=NAME
    #[arg(long, value_name = "DN")]
    pub subject: Option<Subject>,
    /// Put it below this CA, as an intermediate
    #[arg(long, value_name = "CA")]
    pub under: Option<String>,
    /// Allow so many CAs below it; no limit for a root, 0 for an intermediate
    #[arg(long, value_name = "N")]
    pub path_length: Option<u8>,
    /// Let it be valid for so many days; 3650 for a root, 1825 for an intermediate
    #[arg(long, value_name = "N")]
    pub days: Option<u32>,
    /// Sign with sha256, sha384 or sha512; RSA keys only, the others have one of their own
    #[arg(long, value_name = "HASH", conflicts_with = "under")]
    pub hash: Option<Digest>,
    /// The key.
    #[command(flatten)]
    pub key: NewKey,
    /// Take in a CA made elsewhere: its certificate (those above it after it) and its key
    #[arg(
        long,
        num_args = 2,
        value_names = ["CERT", "KEY"],
        conflicts_with_all = ["subject", "under", "path_length", "days", "hash", "key", "passphrase_file", "passphrase_env", "ask_passphrase"]
    )]
    pub import: Option<Vec<PathBuf>>,
    /// The passphrase of the CA above.
    #[command(flatten)]
    pub ca_passphrase: CaPassphrase,
}

/// What a certificate is to say.
#[derive(Debug, Args)]
pub struct Wanted {
    /// The subject, such as "CN=alice,OU=Sales,O=Example,C=JP"
    #[arg(long, value_name = "DN")]
    pub subject: Option<Subject>,
    /// Another name: dns:…, ip:…, email:… or uri:…; may be repeated
    #[arg(long, value_name = "NAME")]
    pub san: Vec<AlternativeName>,
}

/// Arguments of `pki issue`.
#[derive(Debug, Args)]
pub struct PkiIssueArgs {
    /// Whom it is for; names the files, and is the common name without --subject
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Subject and names.
    #[command(flatten)]
    pub wanted: Wanted,
    /// Issue it for a server, such as a backend; --san says its names
    #[arg(long)]
    pub server: bool,
    /// Let it be valid for so many days; 365
    #[arg(long, value_name = "N")]
    pub days: Option<u32>,
    /// Write `NAME_cert.pem` and `NAME_key.pem` into DIR
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
    /// The key.
    #[command(flatten)]
    pub key: NewKey,
    /// The CA.
    #[command(flatten)]
    pub ca: SigningCa,
}

/// Arguments of `pki csr`.
#[derive(Debug, Args)]
pub struct PkiCsrArgs {
    /// Whom it is for; names the files, and is the common name without --subject
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Subject and names.
    #[command(flatten)]
    pub wanted: Wanted,
    /// Write `NAME_csr.pem` and `NAME_key.pem` into DIR
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
    /// The key.
    #[command(flatten)]
    pub key: NewKey,
}

/// Arguments of `pki sign`.
#[derive(Debug, Args)]
pub struct PkiSignArgs {
    /// The request, PEM or DER
    #[arg(value_name = "CSR")]
    pub request: PathBuf,
    /// Instead of the request's own subject and names.
    #[command(flatten)]
    pub wanted: Wanted,
    /// Issue it for a server
    #[arg(long)]
    pub server: bool,
    /// Let it be valid for so many days; 365
    #[arg(long, value_name = "N")]
    pub days: Option<u32>,
    /// Write the certificate to FILE; beside the request
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
    /// The CA.
    #[command(flatten)]
    pub ca: SigningCa,
}

/// Arguments of `pki revoke`.
#[derive(Debug, Args)]
pub struct PkiRevokeArgs {
    /// The certificate's file
    #[arg(
        value_name = "CERT",
        required_unless_present = "serial",
        conflicts_with = "serial"
    )]
    pub certificate: Option<PathBuf>,
    /// Its serial in hex instead, with or without colons
    #[arg(long, value_name = "HEX")]
    pub serial: Option<String>,
    /// Why: keyCompromise, superseded, affiliationChanged, cessationOfOperation, hold, `CACompromise`
    #[arg(long, value_name = "REASON", default_value = "unspecified")]
    pub reason: Reason,
    /// Write the CRL right away
    #[arg(long)]
    pub crl: bool,
    /// Announce the next CRL in so many days
    #[arg(long, value_name = "N", default_value_t = 30, requires = "crl", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// The CA; need not be said where one of them has issued it.
    #[command(flatten)]
    pub ca: SigningCa,
}

/// Arguments of `pki crl`.
#[derive(Debug, Args)]
pub struct PkiCrlArgs {
    /// Announce the next CRL in so many days
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Let it begin earlier, such as 5m, for readers whose clock is slow
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub backdate: Option<Duration>,
    /// The CA.
    #[command(flatten)]
    pub ca: SigningCa,
}

/// Arguments of `pki p12`.
#[derive(Debug, Args)]
pub struct PkiP12Args {
    /// The certificate, those above it after it
    #[arg(value_name = "CERT")]
    pub certificate: PathBuf,
    /// Its private key
    #[arg(value_name = "KEY")]
    pub key: PathBuf,
    /// Add the certificates of FILE; may be repeated
    #[arg(long, value_name = "FILE")]
    pub chain: Vec<PathBuf>,
    /// What systems show it under; the common name
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Encrypt with Triple DES and SHA-1, for systems that read nothing newer
    #[arg(long)]
    pub legacy: bool,
    /// Write to FILE; beside the certificate
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
    /// The passphrase of the archive; asked for without either.
    #[command(flatten)]
    pub passphrase: Passphrase,
    /// Read the key's own passphrase from the first line of FILE
    #[arg(long, value_name = "FILE", conflicts_with = "key_passphrase_env")]
    pub key_passphrase_file: Option<PathBuf>,
    /// Read the key's own passphrase from this environment variable
    #[arg(long, value_name = "VARIABLE")]
    pub key_passphrase_env: Option<String>,
}

/// Arguments of `pki convert`.
#[derive(Debug, Args)]
pub struct PkiConvertArgs {
    /// The file, such as a CRL as its CA publishes it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write to FILE; stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `pki inspect`.
#[derive(Debug, Args)]
pub struct PkiInspectArgs {
    /// The files, PEM or DER
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Read the passphrase of a PKCS#12 file from the first line of FILE
    #[arg(long, value_name = "FILE", conflicts_with_all = ["passphrase_env", "ask_passphrase"])]
    pub passphrase_file: Option<PathBuf>,
    /// Read the passphrase of a PKCS#12 file from this environment variable
    #[arg(long, value_name = "VARIABLE", conflicts_with = "ask_passphrase")]
    pub passphrase_env: Option<String>,
    /// Ask for the passphrase of a PKCS#12 file on the terminal
    #[arg(long)]
    pub ask_passphrase: bool,
}

/// Arguments of `pki list`.
#[derive(Debug, Args)]
pub struct PkiListArgs {
    /// Only this CA
    #[arg(long, value_name = "NAME")]
    pub ca: Option<String>,
    /// Only what is valid and expires within so many days
    #[arg(long, value_name = "DAYS")]
    pub expiring: Option<u32>,
}
