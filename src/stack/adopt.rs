//! Section `adopt`: what stands at addresses of the stack already, made by hand or by another tool.

use std::collections::BTreeMap;

use super::context::Context;
use super::fault::Fault;
use super::path::KeyPath;

/// Checks the section; whether the addresses are the stack's is known once it is wired.
pub(super) fn read_adopt(
    adopt: BTreeMap<String, String>,
    cx: &Context,
) -> BTreeMap<String, String> {
    let path = KeyPath::top("adopt");
    let mut addresses: BTreeMap<&str, &str> = BTreeMap::new();
    for (address, id) in &adopt {
        let at = path.key(address);
        if id.trim().is_empty() {
            let fault = Fault::new(&at, format!("`{address}` has no id"));
            cx.fault(fault.hint("write AWS's id of what stands there, such as its ARN"));
        } else if let Some(other) = addresses.insert(id, address) {
            let message = format!("`{id}` cannot be both `{other}` and `{address}`");
            cx.fault(Fault::new(&at, message));
        }
    }
    adopt
}
