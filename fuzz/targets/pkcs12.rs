//! What `pki inspect` and `pki p12` read: PKCS#12 archives, keys, requests, with passphrases or not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mtlsgw_fuzz::pki::{Error, KeyFile, inspect, to_pem};

/// The passphrase of the files that it begins with.
const PASSPHRASE: &str = "secret";

fuzz_target!(|bytes: &[u8]| {
    inspect(bytes, None).ok();
    inspect(bytes, Some(PASSPHRASE)).ok();
    to_pem(bytes).ok();
    if let Ok(file) = KeyFile::from_bytes(bytes)
        && let Ok(key) = file.unlock(|| Ok::<_, Error>(PASSPHRASE.to_owned().into()))
    {
        let pem = key.to_pem(None).expect("a key that was read is written");
        assert!(KeyFile::from_bytes(pem.as_bytes()).is_ok());
    }
});
