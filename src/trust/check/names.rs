//! Name constraints: which names the certificates below a CA may have (RFC 5280, section 4.2.1.10).

use std::net::IpAddr;

use super::chain::refuse;
use super::{Reason, Refusal, named};
use crate::trust::certificate::Certificate;
use crate::trust::general_name::{GeneralName, NameConstraints, NameKind, Subtree};

/// How many comparisons a client may need; OpenSSL has the same limit for a chain.
const MAXIMUM_COMPARISONS: usize = 1 << 20;

/// The longest DNS name.
const MAXIMUM_DNS_NAME: usize = 253;

/// Checks all names of a chain against the constraints of all CAs above them.
///
/// `comparisons` counts on from one chain of a client to the next.
pub(super) fn check(chain: &[&Certificate], comparisons: &mut usize) -> Result<(), Refusal> {
    for (above, authority) in chain.iter().enumerate().skip(1) {
        let Some(constraints) = &authority.extensions.name_constraints else {
            continue;
        };
        let subtrees = constraints.permitted.len() + constraints.excluded.len();
        for (position, certificate) in chain[..above].iter().enumerate() {
            // A CA that renews its key goes on under its own name, which need not be permitted.
            if position > 0 && certificate.is_self_issued() {
                continue;
            }
            let names = names_of(certificate);
            *comparisons += names.len().saturating_mul(subtrees);
            if *comparisons > MAXIMUM_COMPARISONS {
                let message = "the chain has more names and name constraints than can be compared";
                return Err(refuse(Reason::Invalid, position, message));
            }
            let violation = names.iter().find_map(|name| violation(name, constraints));
            if let Some(violation) = violation {
                let message = format!(
                    "{} may not have the name {violation}, by the name constraints of {}",
                    named(certificate),
                    named(authority)
                );
                return Err(refuse(Reason::Invalid, position, message));
            }
        }
    }
    Ok(())
}

/// Returns the names that constraints apply to: those of the extension, and those of the subject.
fn names_of(certificate: &Certificate) -> Vec<GeneralName> {
    let mut names = certificate.extensions.alternative_names.clone();
    let subject = &certificate.subject;
    if !names.iter().any(|name| name.kind() == NameKind::Email) {
        let addresses = subject.email_addresses().into_iter();
        // What is no mail address must not reach a terminal either.
        let is_graphic = |address: &String| address.bytes().all(|byte| byte.is_ascii_graphic());
        names.extend(addresses.map(|address| {
            if is_graphic(&address) {
                GeneralName::Email(address)
            } else {
                GeneralName::Malformed(NameKind::Email)
            }
        }));
    }
    if !subject.as_str().is_empty() {
        names.push(GeneralName::Directory(subject.clone()));
    }
    names
}

/// Says how a name offends the constraints, if it does.
fn violation(name: &GeneralName, constraints: &NameConstraints) -> Option<String> {
    let of_kind = |subtree: &&Subtree| subtree.kind() == name.kind();
    let mut excluded = constraints.excluded.iter().filter(of_kind);
    let mut permitted = constraints.permitted.iter().filter(of_kind).peekable();
    if let Some(subtree) = excluded.find(|subtree| relation(name, subtree).touches()) {
        return Some(format!("{name} (excluded: {subtree})"));
    }
    permitted.peek()?;
    let is_permitted = permitted.any(|subtree| relation(name, subtree) == Relation::Inside);
    (!is_permitted).then(|| format!("{name} (not permitted)"))
}

/// How a name lies to a name space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    /// Whatever the name stands for lies in it.
    Inside,
    /// Some of what a wildcard stands for lies in it.
    Overlapping,
    /// Nothing of it does.
    Outside,
    /// That cannot be told: the name is malformed, or of a kind that is not looked into.
    Unknown,
}

impl Relation {
    fn touches(self) -> bool {
        self != Self::Outside
    }

    fn inside(is_inside: bool) -> Self {
        if is_inside {
            Self::Inside
        } else {
            Self::Outside
        }
    }
}

/// Compares a name with a subtree of the same kind.
fn relation(name: &GeneralName, subtree: &Subtree) -> Relation {
    match (name, subtree) {
        (GeneralName::Dns(name), Subtree::Dns(base)) => dns(name, base),
        (GeneralName::Email(name), Subtree::Email(base)) => email(name, base),
        (GeneralName::Uri(name), Subtree::Uri(base)) => uri(name, base),
        (GeneralName::Ip(name), Subtree::Ip { address, prefix }) => {
            Relation::inside(ip(*name, *address, *prefix))
        }
        (GeneralName::Directory(name), Subtree::Directory(base)) => {
            Relation::inside(name.is_within(base))
        }
        _ => Relation::Unknown,
    }
}

/// Compares DNS names, of which the first may have a wildcard.
fn dns(name: &str, base: &str) -> Relation {
    let (name, base) = (name.to_ascii_lowercase(), base.to_ascii_lowercase());
    let parent = name.strip_prefix("*.");
    if !is_host(parent.unwrap_or(&name)) {
        return Relation::Unknown;
    }
    if host_or_below(&name, &base) {
        return Relation::Inside;
    }
    // A wildcard stands for one label.
    let label = parent.and_then(|parent| base.strip_suffix(parent)?.strip_suffix('.'));
    if label.is_some_and(|label| !label.contains('.')) {
        return Relation::Overlapping;
    }
    Relation::Outside
}

/// Says whether a name is the base or lies below it; with a leading period only below it.
fn host_or_below(name: &str, base: &str) -> bool {
    if base.is_empty() {
        return true;
    }
    match name.strip_suffix(base) {
        Some("") => !base.starts_with('.'),
        Some(rest) => base.starts_with('.') || rest.ends_with('.'),
        None => false,
    }
}

/// Says whether a host is the base; with a leading period whether it lies below it.
fn host_itself(host: &str, base: &str) -> bool {
    if base.is_empty() || base.starts_with('.') {
        host_or_below(host, base)
    } else {
        host == base
    }
}

/// Compares a mail address; only in its host does case not count.
fn email(name: &str, base: &str) -> Relation {
    let Some((local, host)) = name.split_once('@') else {
        return Relation::Unknown;
    };
    let host = host.to_ascii_lowercase();
    if local.is_empty() || !is_host(&host) {
        return Relation::Unknown;
    }
    Relation::inside(match base.split_once('@') {
        Some((mailbox, of)) => local == mailbox && host == of.to_ascii_lowercase(),
        None => host_itself(&host, &base.to_ascii_lowercase()),
    })
}

/// Compares the host of a URI, which must have a name.
fn uri(name: &str, base: &str) -> Relation {
    let Some((_, rest)) = name.split_once("://") else {
        return Relation::Unknown;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let host = host.to_ascii_lowercase();
    if !is_host(&host) || host.parse::<IpAddr>().is_ok() {
        return Relation::Unknown;
    }
    Relation::inside(host_itself(&host, &base.to_ascii_lowercase()))
}

/// Says whether an address lies in a network.
fn ip(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    address.is_ipv4() == network.is_ipv4() && (bits(address) ^ bits(network)) & mask == 0
}

/// Says whether a text is the name of a host: labels of letters, digits, hyphens and underscores.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let mut characters = label.chars();
        !label.is_empty()
            && characters.all(|one| one.is_ascii_alphanumeric() || one == '-' || one == '_')
    };
    name.len() <= MAXIMUM_DNS_NAME && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names_lie_at_or_below_their_base() {
        for (name, base, expected) in [
            ("example.com", "example.com", Relation::Inside),
            ("a.b.Example.com", "eXample.com", Relation::Inside),
            ("badexample.com", "example.com", Relation::Outside),
            ("example.com", ".example.com", Relation::Outside),
            ("a.example.com", ".example.com", Relation::Inside),
            ("anything", "", Relation::Inside),
            ("*.example.com", "example.com", Relation::Inside),
            ("*.example.com", "a.example.com", Relation::Overlapping),
            ("*.example.com", "b.a.example.com", Relation::Outside),
            ("*.example.com", "aexample.com", Relation::Outside),
            (".example.com", "example.com", Relation::Unknown),
            ("a..example.com", "example.com", Relation::Unknown),
        ] {
            assert_eq!(dns(name, base), expected, "{name} {base}");
        }
    }

    #[test]
    fn mail_addresses_and_uris_are_compared_by_their_hosts() {
        for (name, base, expected) in [
            ("one@example.com", "example.com", Relation::Inside),
            ("one@a.example.com", "example.com", Relation::Outside),
            ("one@a.example.com", ".example.com", Relation::Inside),
            ("one@EXAMPLE.com", "one@example.COM", Relation::Inside),
            ("One@example.com", "one@example.com", Relation::Outside),
            ("a@b@example.com", "example.com", Relation::Unknown),
        ] {
            assert_eq!(email(name, base), expected, "{name} {base}");
        }
        for (name, base, expected) in [
            ("https://u@example.com:1/x", "example.com", Relation::Inside),
            ("https://a.example.com?x", "example.com", Relation::Outside),
            ("https://a.example.com", ".example.com", Relation::Inside),
            ("https://192.0.2.1/", "example.com", Relation::Unknown),
            ("https://[2001:db8::1]/", "example.com", Relation::Unknown),
            ("urn:example", "example.com", Relation::Unknown),
        ] {
            assert_eq!(uri(name, base), expected, "{name} {base}");
        }
    }

    #[test]
    fn addresses_lie_in_networks_of_their_own_kind() {
        let ip = |address: &str, network: &str, prefix| {
            super::ip(address.parse().unwrap(), network.parse().unwrap(), prefix)
        };
        assert!(ip("192.0.3.255", "192.0.2.0", 23));
        assert!(!ip("192.0.4.0", "192.0.2.0", 23));
        assert!(ip("192.0.4.0", "0.0.0.0", 0));
        assert!(ip("192.0.2.1", "192.0.2.1", 32));
        assert!(!ip("192.0.2.1", "::", 0));
        assert!(ip("2001:db8::1", "2001:db8::", 128 - 1));
        assert!(!ip("2001:db8::1", "2001:db8::", 128));
    }
}
