//! CIDR blocks, as security groups take them.

use std::net::IpAddr;

use super::common::refuse_repetition;
use super::context::Context;
use super::fault::Fault;
use super::path::KeyPath;

/// Checks a list of CIDRs.
pub(super) fn check_list(cidrs: &[String], path: &KeyPath, cx: &Context) {
    for (index, cidr) in cidrs.iter().enumerate() {
        check(cidr, &path.index(index), cx);
    }
    refuse_repetition(cidrs, path, cx);
}

/// Checks a CIDR; one with host bits would be rewritten by AWS and never compare equal.
fn check(text: &str, path: &KeyPath, cx: &Context) {
    let Some((address, length)) = parse(text) else {
        let fault = Fault::new(path, format!("`{text}` is no CIDR block"));
        let fault = fault.allowed("`203.0.113.0/24`, `2001:db8::/32`");
        cx.fault(match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => fault.hint(format!("write `{text}/32`")),
            Ok(IpAddr::V6(_)) => fault.hint(format!("write `{text}/128`")),
            Err(_) if text.starts_with("pl-") => fault.hint("prefix lists are not supported yet"),
            Err(_) => fault,
        });
        return;
    };
    let canonical = format!("{}/{length}", network(address, length));
    if canonical != text {
        let fault = Fault::new(path, format!("`{text}` is not how AWS writes this network"));
        cx.fault(fault.hint(format!("write `{canonical}`")));
    }
}

fn parse(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u8 = length.parse().ok()?;
    let maximum = if address.is_ipv4() { 32 } else { 128 };
    (length <= maximum).then_some((address, length))
}

fn network(address: IpAddr, length: u8) -> IpAddr {
    let length = u32::from(length);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_cut_off() {
        assert_eq!(
            network("10.1.2.3".parse().unwrap(), 8).to_string(),
            "10.0.0.0"
        );
        assert_eq!(
            network("10.1.2.3".parse().unwrap(), 0).to_string(),
            "0.0.0.0"
        );
        assert_eq!(
            network("10.1.2.3".parse().unwrap(), 32).to_string(),
            "10.1.2.3"
        );
        assert_eq!(
            network("2001:db8::1".parse().unwrap(), 32).to_string(),
            "2001:db8::"
        );
        assert_eq!(network("::1".parse().unwrap(), 0).to_string(), "::");
    }

    #[test]
    fn a_prefix_length_has_its_limits() {
        assert!(parse("10.0.0.0/33").is_none());
        assert!(parse("::/129").is_none());
        assert!(parse("10.0.0.0").is_none());
    }
}
