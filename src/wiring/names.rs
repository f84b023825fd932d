//! Names that AWS demands and nobody compares.

use sha2::{Digest, Sha256};

use crate::resource::Address;
use crate::resource::context::hex;

/// `<stack>-<8 hexadecimal digits>`, at most 29 characters.
///
/// The digits stand for the address and for the fields that cannot be changed, so that a
/// replacement has another name and can exist beside what it replaces.
pub(super) fn derived(stack: &str, address: &Address, fixed: &[&str]) -> String {
    let digest = Sha256::digest(format!("{address}\n{}", fixed.join("\n")));
    format!("{stack}-{}", &hex(&digest)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_fixed_field_gives_another_name() {
        let address = Address::parse("load_balancer");
        let internal = derived("shop", &address, &["internal"]);
        assert_ne!(internal, derived("shop", &address, &["internet-facing"]));
        assert_eq!(internal, derived("shop", &address, &["internal"]));
        assert!(derived(&"a".repeat(20), &address, &[]).len() <= 32);
    }
}
