//! The private keys of the certificates that ACM issues.
//!
//! An RSA key takes a processor up to a second, and while the account makes one nobody is answered.
//! Where time passes, keys are therefore made on a thread of their own from the moment on that
//! certificates are requested, and a certificate is issued once there is a key for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{KeyPair, RsaKeySize};

/// Makes keys: at once, or ahead.
#[derive(Clone, Default)]
pub(in crate::sandbox) struct KeyMaker(Option<Arc<Mutex<Stock>>>);

/// RSA keys that were made ahead, any of which is as good as another.
#[derive(Default)]
struct Stock {
    made: Vec<KeyPair>,
    /// How many more are to be made.
    ordered: usize,
    /// Whether a thread is making them.
    is_working: bool,
}

impl std::fmt::Debug for KeyMaker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.0.is_some() { "ahead" } else { "at once" })
    }
}

impl KeyMaker {
    /// Makes RSA keys ahead, and gives them when they are there.
    pub(in crate::sandbox) fn ahead() -> Self {
        Self(Some(Arc::default()))
    }

    /// Tells that a key will be asked for.
    pub(super) fn order(&self, algorithm: &str) {
        if let Some(stock) = self.0.as_ref().filter(|_| is_rsa(algorithm)) {
            order(stock);
        }
    }

    /// A new key; `None` where it is still being made.
    pub(super) fn key(&self, algorithm: &str) -> Result<Option<KeyPair>, rcgen::Error> {
        let Some(stock) = self.0.as_ref().filter(|_| is_rsa(algorithm)) else {
            return new_key(algorithm).map(Some);
        };
        let (key, is_ordered) = {
            let mut stock = locked(stock);
            (stock.made.pop(), stock.ordered > 0)
        };
        // Ordered from a sandbox that has ended since, or the making of it failed.
        if key.is_none() && !is_ordered {
            order(stock);
        }
        Ok(key)
    }
}

fn order(stock: &Arc<Mutex<Stock>>) {
    let is_working = {
        let mut stock = locked(stock);
        stock.ordered += 1;
        std::mem::replace(&mut stock.is_working, true)
    };
    if !is_working {
        let stock = Arc::clone(stock);
        std::thread::spawn(move || make_all(&stock));
    }
}

fn make_all(stock: &Mutex<Stock>) {
    loop {
        let key = new_key("RSA_2048");
        let mut stock = locked(stock);
        stock.ordered -= 1;
        match key {
            Ok(key) => stock.made.push(key),
            Err(error) => tracing::error!(%error, "no key can be made"),
        }
        if stock.ordered == 0 {
            stock.is_working = false;
            return;
        }
    }
}

fn locked(stock: &Mutex<Stock>) -> MutexGuard<'_, Stock> {
    stock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_rsa(algorithm: &str) -> bool {
    !algorithm.starts_with("EC_")
}

/// A key of one of ACM's algorithms.
pub(super) fn new_key(algorithm: &str) -> Result<KeyPair, rcgen::Error> {
    match algorithm {
        "EC_prime256v1" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        "EC_secp384r1" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        "EC_secp521r1" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
        _ => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks until there is a key.
    fn waited_for(maker: &KeyMaker) -> KeyPair {
        loop {
            if let Some(key) = maker.key("RSA_2048").unwrap() {
                return key;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_rsa_key_is_made_beside_and_nobody_waits_for_it() {
        let maker = KeyMaker::ahead();
        maker.order("RSA_2048");
        maker.order("RSA_2048");
        let keys = [waited_for(&maker), waited_for(&maker)];
        assert_ne!(keys[0].serialize_der(), keys[1].serialize_der());
        // Nobody has ordered the third one.
        waited_for(&maker);
    }

    #[test]
    fn a_key_on_a_curve_is_there_at_once() {
        let key = KeyMaker::ahead().key("EC_prime256v1").unwrap();
        assert!(key.is_some());
    }

    #[test]
    fn where_no_time_passes_every_key_is_there_at_once() {
        assert!(KeyMaker::default().key("RSA_2048").unwrap().is_some());
    }
}
