//! CA bundles and client certificates: read, judged, written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mtlsgw_fuzz::trust::{
    Bundle, Certificate, Crl, SourceFile, check_chain, lint_bundle, lint_client, lint_crls,
    lint_server_certificate, lint_sources,
};
use time::macros::datetime;

fuzz_target!(|bytes: &[u8]| {
    let now = datetime!(2026-01-01 0:00 UTC);
    let Ok(file) = SourceFile::from_bytes("input", bytes) else {
        return;
    };
    let bundle: Bundle = file.certificates().cloned().collect();
    let crls: Vec<&Crl> = file.crls().collect();
    let certificates: Vec<Certificate> = bundle.certificates().to_vec();
    lint_bundle(&bundle, now);
    lint_crls(&crls, &bundle, now);
    lint_client(&certificates, &bundle, &crls, now);
    if let [first, rest @ ..] = &certificates[..] {
        check_chain(first, rest).ok();
        lint_server_certificate(first, rest, &["example.com"], now);
        let again = Bundle::from_bytes(&[("again", bundle.pem())]).expect("its own form is read");
        assert!(again == bundle && again.pem() == bundle.pem());
    }
    lint_sources(&[file]);
});
