//! CRLs: read, judged, written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mtlsgw_fuzz::trust::{Bundle, Crl, lint_crls, lint_succession, revocation_changes};
use time::macros::datetime;

fuzz_target!(|bytes: &[u8]| {
    let Ok(crls) = Crl::all_from_bytes(bytes) else {
        return;
    };
    let nothing: Bundle = [].into_iter().collect();
    lint_crls(&crls, &nothing, datetime!(2026-01-01 0:00 UTC));
    lint_succession(&crls[..1], &crls);
    revocation_changes(&crls[..1], &crls);
    for crl in &crls {
        assert!(crl.serials.is_sorted() && crl.serials.len() + crl.negative_serials <= crl.entries);
        let pem = crl.pem();
        assert_eq!(pem.len(), crl.pem_length());
        let again = Crl::all_from_bytes(pem.as_bytes()).expect("its own form is read");
        assert!(again.len() == 1 && again[0] == *crl);
        crl.summary();
    }
});
