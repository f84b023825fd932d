//! How long linting takes, and how much memory: a CRL of half a million entries, a full bundle.
//!
//! Prints figures and judges nothing: machines are noisy. Run with `cargo bench --profile dev --bench trust`,
//! which uses the build that the tests use; `MTLSGW_BINARY` names another binary to measure.

#[path = "../support/measure.rs"]
mod measure;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use measure::{Program, report, succeeded};
use mtlsgw::trust::{Bundle, Crl, lint_bundle};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;

/// How many entries the CRL has: the default quota of a trust store.
const ENTRIES: u64 = 500_000;
/// How many CAs the bundle has: the default quota of a trust store.
const AUTHORITIES: usize = 25;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let der = write(directory.path());
    let program = Program::in_directory(directory.path());
    report("the program", program.path());

    println("\ntrust lint of a CRL of 500,000 entries with reason codes");
    for crl in ["big.pem", "big.der"] {
        let arguments = ["trust", "lint", "ca.pem", crl];
        report(
            &format!("{crl}: time"),
            &program.times(&arguments).to_string(),
        );
        report(
            &format!("{crl}: peak memory"),
            &program.peak_memory(&arguments),
        );
    }
    let arguments = ["trust", "lint", "bundle.pem"];
    report(
        "a bundle of 25 CAs: time",
        &program.times(&arguments).to_string(),
    );

    println("\nof that, in this process");
    let (crl, read) = timed(|| Crl::all_from_bytes(&der).expect("is a CRL"));
    report("reading the DER", &format!("{read:.1?}"));
    report(
        "writing it as PEM",
        &format!("{:.1?}", timed(|| crl[0].pem()).1),
    );
    let bundle = fs::read(directory.path().join("bundle.pem")).expect("is there");
    let (bundle, read) = timed(|| Bundle::from_bytes(&[("bundle", bundle)]).expect("is one"));
    report("reading the bundle", &format!("{read:.1?}"));
    let (_, lint) = timed(|| lint_bundle(&bundle, OffsetDateTime::now_utc()));
    report("linting the bundle", &format!("{lint:.1?}"));

    println("\nbeside it");
    report("openssl crl -noout -text: time", &openssl(directory.path()));
}

/// Runs something and says how long it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

/// Times openssl on the same file.
fn openssl(directory: &Path) -> String {
    if Command::new("openssl")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        return "skipped: openssl is not here".to_owned();
    }
    let mut command = Command::new("openssl");
    command.args(["crl", "-in", "big.pem", "-noout", "-text", "-out", "text"]);
    command.current_dir(directory);
    format!("{:.1?}", timed(|| succeeded(command)).1)
}

/// What an ordinary CA certificate says.
fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Writes a CA with its CRL, and a bundle; gives the CRL's DER.
fn write(directory: &Path) -> Vec<u8> {
    let key = KeyPair::generate().expect("there is randomness");
    let params = authority("Big CA");
    let certificate = params.self_signed(&key).expect("can be signed");
    let now = OffsetDateTime::now_utc();
    let revoked = |number: u64| {
        // Sixteen octets, as CAs choose them, in no order.
        let high = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1;
        let serial = [high.to_be_bytes(), number.to_be_bytes()].concat();
        RevokedCertParams {
            serial_number: SerialNumber::from_slice(&serial),
            revocation_time: now,
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        }
    };
    let crl = CertificateRevocationListParams {
        this_update: now,
        next_update: now + time::Duration::days(30),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: (1..=ENTRIES).map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let crl = crl.signed_by(&Issuer::from_params(&params, &key));
    let crl = crl.expect("can be signed");
    let bundle = (0..AUTHORITIES).map(|number| {
        let key = KeyPair::generate().expect("there is randomness");
        let params = authority(&format!("CA {number}"));
        params.self_signed(&key).expect("can be signed").pem()
    });
    let file = |name: &str, content: &[u8]| {
        fs::write(directory.join(name), content).expect("can be written");
    };
    file("ca.pem", certificate.pem().as_bytes());
    file("big.pem", crl.pem().expect("is PEM").as_bytes());
    file("big.der", crl.der());
    file("bundle.pem", bundle.collect::<String>().as_bytes());
    crl.der().to_vec()
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn println(line: &str) {
    println!("{line}");
}
