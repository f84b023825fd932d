//! IPv4 and IPv6 networks in CIDR notation.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 network, held as its network address as EC2 holds it: `10.0.0.7/8` is `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::sandbox) struct Network {
    address: u32,
    prefix: u8,
}

/// The text is no network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a network in CIDR notation")]
pub(in crate::sandbox) struct NotANetwork;

impl Network {
    /// Says whether the address is one of the network's.
    pub(in crate::sandbox) fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask() == self.address
    }

    /// Says whether every address of the other network is one of this one's.
    pub(in crate::sandbox) fn covers(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(Ipv4Addr::from_bits(other.address))
    }

    /// Says whether the two networks share an address.
    pub(in crate::sandbox) fn overlaps(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// The length of the network's prefix.
    pub(in crate::sandbox) fn prefix(self) -> u8 {
        self.prefix
    }

    /// How many addresses the network has.
    pub(in crate::sandbox) fn size(self) -> u64 {
        1 << (32 - u32::from(self.prefix))
    }

    /// The address that many places after the network's first; modulo its size.
    pub(super) fn nth(self, offset: u64) -> Ipv4Addr {
        let offset =
            u32::try_from(offset % self.size()).expect("less than the size of an IPv4 network");
        Ipv4Addr::from_bits(self.address | offset)
    }

    fn mask(self) -> u32 {
        u32::MAX
            .checked_shl(32 - u32::from(self.prefix))
            .unwrap_or(0)
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = split::<Ipv4Addr>(text, 32)?;
        let whole = Self {
            address: address.to_bits(),
            prefix,
        };
        Ok(Self {
            address: whole.address & whole.mask(),
            prefix,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}/{}",
            Ipv4Addr::from_bits(self.address),
            self.prefix
        )
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// The IPv6 network in the form that EC2 gives it back: host bits cleared, zeros compressed.
pub(super) fn canonical_ipv6(text: &str) -> Result<String, NotANetwork> {
    let (address, prefix) = split::<Ipv6Addr>(text, 128)?;
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    Ok(format!(
        "{}/{prefix}",
        Ipv6Addr::from_bits(address.to_bits() & mask)
    ))
}

fn split<A: FromStr>(text: &str, longest: u8) -> Result<(A, u8), NotANetwork> {
    let (address, prefix) = text.split_once('/').ok_or(NotANetwork)?;
    let address = address.parse().map_err(|_| NotANetwork)?;
    let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
    match prefix.parse() {
        Ok(prefix) if digits && prefix <= longest => Ok((address, prefix)),
        _ => Err(NotANetwork),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_held_as_its_network_address() {
        let network: Network = "10.1.2.3/8".parse().unwrap();
        assert_eq!(network.to_string(), "10.0.0.0/8");
        assert!(network.contains(Ipv4Addr::new(10, 255, 0, 1)));
        assert_eq!("0.0.0.0/0".parse::<Network>().unwrap().size(), 1 << 32);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "10.0.0.0",
            "10.0.0/8",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "::/0",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
        assert_eq!(canonical_ipv6("2001:DB8::1/32").unwrap(), "2001:db8::/32");
    }
}
