//! NIST's Public Key Interoperability Test Suite: every file of it is parsed and linted.
//!
//! `MTLSGW_PKITS` names the directory with `certs` and `crls`, as the package cryptography-vectors
//! has them; without it the test is skipped. The verdicts are written down in
//! `tests/pkits/verdicts.txt`, for people to judge; with `MTLSGW_PKITS_WRITE=1` they are written
//! anew.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::macros::datetime;

use super::{
    Bundle, Certificate, Crl, Finding, Severity, SourceContent, SourceFile, lint_bundle,
    lint_client, lint_crl,
};

/// When the suite is judged: in the middle of most of its validities.
const AT: OffsetDateTime = datetime!(2020-01-01 0:00 UTC);

/// What stands above the verdicts.
const HEAD: &str = "\
# What mtlsgw says about each file of NIST's PKITS at 2020-01-01.
#
# A CA certificate is judged within a bundle of itself and everyone above it, a CRL with all
# certificates as bundle, any other certificate as a client's with the CAs above it as bundle and
# without CRLs. `E` is an error, `W` a warning, `N` a note, `-` nothing.
";

/// A file of the suite.
struct Sample {
    name: String,
    file: Result<SourceFile, super::Error>,
}

/// The suite, or `None` where it is not there.
fn suite() -> Option<PathBuf> {
    std::env::var_os("MTLSGW_PKITS").map(PathBuf::from)
}

/// Reads the files of one kind, in the order of their names.
fn samples(directory: &Path, kind: &str) -> Vec<Sample> {
    let entries = fs::read_dir(directory.join(kind)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let sample = |path: PathBuf| Sample {
        name: format!("{kind}/{}", path.file_name().unwrap().to_str().unwrap()),
        file: SourceFile::from_bytes("", &fs::read(&path).unwrap()),
    };
    paths.into_iter().map(sample).collect()
}

/// Writes the codes of findings in their order.
fn verdict(findings: &[Finding]) -> String {
    let code = |finding: &Finding| {
        let severity = match finding.severity {
            Severity::Error => 'E',
            Severity::Warning => 'W',
            Severity::Note => 'N',
        };
        format!("{severity}:{}", finding.code)
    };
    match findings {
        [] => "-".to_owned(),
        _ => findings.iter().map(code).collect::<Vec<_>>().join(" "),
    }
}

/// Returns a certificate and everyone whose name stands above it.
fn with_issuers(certificate: &Certificate, all: &[Certificate]) -> Bundle {
    let mut above = vec![certificate.clone()];
    let mut next = 0;
    while let Some(current) = above.get(next).cloned() {
        let issuers = all.iter().filter(|ca| current.issuer.matches(&ca.subject));
        let issuers: Vec<_> = issuers.filter(|ca| !above.contains(ca)).cloned().collect();
        above.extend(issuers);
        next += 1;
    }
    above.into_iter().collect()
}

/// Judges one certificate or CRL.
fn judge(content: &SourceContent, all: &[Certificate], cas: &Bundle) -> (&'static str, String) {
    match content {
        SourceContent::Certificate(certificate) if certificate.is_ca == Some(true) => {
            let findings = lint_bundle(&with_issuers(certificate, all), AT);
            let own = |finding: &Finding| finding.fingerprint == Some(certificate.fingerprint);
            let findings: Vec<Finding> = findings.into_iter().filter(own).collect();
            ("ca", verdict(&findings))
        }
        SourceContent::Certificate(certificate) => {
            let presented = std::slice::from_ref(certificate.as_ref());
            let above = with_issuers(certificate, cas.certificates());
            let above = above.certificates().iter();
            let above = above.filter(|ca| *ca != certificate.as_ref());
            let above: Bundle = above.cloned().collect();
            // An empty bundle would stand for one that is not known.
            let above = Some(&above).filter(|above| !above.certificates().is_empty());
            let cas = above.unwrap_or(cas);
            (
                "client",
                verdict(&lint_client(presented, cas, &[] as &[Crl], AT)),
            )
        }
        SourceContent::Crl(crl) => {
            let bundle: Bundle = all.iter().cloned().collect();
            ("crl", verdict(&lint_crl(crl, &bundle, AT)))
        }
    }
}

#[test]
fn every_file_of_pkits_has_the_verdict_that_is_written_down() {
    let Some(directory) = suite() else {
        let skipped = "skipped: MTLSGW_PKITS does not name the directory of the suite";
        writeln!(std::io::stderr(), "{skipped}").unwrap();
        return;
    };
    let certificates = samples(&directory, "certs");
    let crls = samples(&directory, "crls");
    // The suite is complete: a directory that lost its files would pass all too easily.
    assert_eq!((certificates.len(), crls.len()), (405, 173));
    let readable = certificates.iter().filter_map(|one| one.file.as_ref().ok());
    let all: Vec<Certificate> = readable
        .flat_map(SourceFile::certificates)
        .cloned()
        .collect();
    let cas = all.iter().filter(|one| one.is_ca == Some(true));
    let cas: Bundle = cas.cloned().collect();

    let mut text = HEAD.to_owned();
    for sample in certificates.iter().chain(&crls) {
        let verdicts: Vec<String> = match &sample.file {
            Err(error) => vec![format!("refused: {error}")],
            Ok(file) => {
                let entries = file.entries.iter();
                let verdicts = entries.map(|entry| judge(&entry.content, &all, &cas));
                verdicts
                    .map(|(role, verdict)| format!("{role}: {verdict}"))
                    .collect()
            }
        };
        writeln!(text, "{} {}", sample.name, verdicts.join(", ")).unwrap();
    }
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pkits/verdicts.txt");
    if std::env::var_os("MTLSGW_PKITS_WRITE").is_some() {
        fs::write(&kept, &text).unwrap();
    }
    let kept = fs::read_to_string(&kept).unwrap();
    for (line, wanted) in text.lines().zip(kept.lines()) {
        assert_eq!(line, wanted);
    }
    assert_eq!(text.lines().count(), kept.lines().count());
}
