//! Subject alternative names as they are written on a command line.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use der::asn1::Ia5String;
use x509_cert::ext::pkix::name::GeneralName;

use super::Result;
use super::error::Error;

/// How to write one; the hint of all errors.
const FORM: &str = "write dns:api.example.com, ip:10.0.0.1, email:alice@example.com or uri:spiffe://example/alice; \
                    without a kind it is a DNS name or an address";

/// One name that a certificate is also for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlternativeName {
    /// A host, possibly with `*` as its first label.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// A mailbox.
    Email(String),
    /// A URI, such as a SPIFFE id.
    Uri(String),
}

impl AlternativeName {
    /// The form in certificates.
    pub(super) fn encode(&self) -> Result<GeneralName> {
        Ok(match self {
            Self::Dns(name) => GeneralName::DnsName(Ia5String::new(name)?),
            Self::Ip(address) => GeneralName::from(*address),
            Self::Email(mailbox) => GeneralName::Rfc822Name(Ia5String::new(mailbox)?),
            Self::Uri(uri) => GeneralName::UniformResourceIdentifier(Ia5String::new(uri)?),
        })
    }

    /// Reads the form in certificates; `None` for kinds that nobody here issues.
    pub(super) fn decode(name: &GeneralName) -> Option<Self> {
        match name {
            GeneralName::DnsName(name) => dns(name.as_str()).ok(),
            GeneralName::Rfc822Name(mailbox) => email(mailbox.as_str()).ok(),
            GeneralName::UniformResourceIdentifier(name) => uri(name.as_str()).ok(),
            GeneralName::IpAddress(octets) => match *octets.as_bytes() {
                [a, b, c, d] => Some(Self::Ip(IpAddr::from([a, b, c, d]))),
                ref octets => <[u8; 16]>::try_from(octets)
                    .ok()
                    .map(|octets| Self::Ip(IpAddr::from(octets))),
            },
            _ => None,
        }
    }
}

impl FromStr for AlternativeName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("dns" | "DNS", name)) => dns(name),
            Some(("ip" | "IP", address)) => address
                .parse()
                .map(Self::Ip)
                .map_err(|_| refused(text, "it is no IP address")),
            Some(("email", mailbox)) => email(mailbox),
            Some(("uri" | "URI", name)) => uri(name),
            _ => text.parse().map(Self::Ip).or_else(|_| dns(text)),
        }
    }
}

impl fmt::Display for AlternativeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(formatter, "dns:{name}"),
            Self::Ip(address) => write!(formatter, "ip:{address}"),
            Self::Email(mailbox) => write!(formatter, "email:{mailbox}"),
            Self::Uri(uri) => write!(formatter, "uri:{uri}"),
        }
    }
}

/// The error of something that is no name.
fn refused(name: &str, reason: &str) -> Error {
    Error::refused_with(format!("the name {name:?} cannot be used: {reason}"), FORM)
}

/// Reads a host, with `*` as its first label or without.
fn dns(name: &str) -> Result<AlternativeName> {
    let host = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if name.len() > 253 || !host.split('.').all(is_label) {
        return Err(refused(
            name,
            "it is no DNS name; international names are written as xn--…",
        ));
    }
    Ok(AlternativeName::Dns(name.to_owned()))
}

/// Reads a mailbox.
fn email(mailbox: &str) -> Result<AlternativeName> {
    let is_graphic = mailbox.bytes().all(|byte| byte.is_ascii_graphic());
    match mailbox.rsplit_once('@') {
        Some((local, host)) if is_graphic && !local.is_empty() && !host.is_empty() => {
            Ok(AlternativeName::Email(mailbox.to_owned()))
        }
        _ => Err(refused(mailbox, "it is no mailbox")),
    }
}

/// Reads an absolute URI.
fn uri(uri: &str) -> Result<AlternativeName> {
    let is_graphic = uri.bytes().all(|byte| byte.is_ascii_graphic());
    match uri.split_once(':') {
        Some((scheme, rest)) if is_graphic && !scheme.is_empty() && !rest.is_empty() => {
            Ok(AlternativeName::Uri(uri.to_owned()))
        }
        _ => Err(refused(uri, "it is no absolute URI")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_and_comes_back_from_a_certificate() {
        for text in [
            "dns:api.example.com",
            "dns:*.example.com",
            "ip:10.0.0.1",
            "ip:2001:db8::1",
            "email:alice@example.com",
            "uri:spiffe://example.com/alice",
        ] {
            let name: AlternativeName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
            assert_eq!(AlternativeName::decode(&name.encode().unwrap()), Some(name));
        }
    }

    #[test]
    fn without_a_kind_it_is_an_address_or_a_host() {
        let parse = |text: &str| text.parse::<AlternativeName>().unwrap().to_string();
        assert_eq!(parse("127.0.0.1"), "ip:127.0.0.1");
        assert_eq!(parse("::1"), "ip:::1");
        assert_eq!(parse("localhost"), "dns:localhost");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "dns:a b",
            "dns:例.jp",
            "dns:a..b",
            "ip:1",
            "email:alice",
            "uri:x",
            "a/b",
        ] {
            let error = text.parse::<AlternativeName>().unwrap_err();
            assert!(error.hint().unwrap().contains("dns:"), "{text}");
        }
    }
}
