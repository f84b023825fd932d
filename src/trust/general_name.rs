//! The names beside the subject that certificates carry, and the name spaces that CAs are held to.

use std::fmt;
use std::net::IpAddr;

use super::der::{Element, Malformed, Reader, tag};
use super::name::DistinguishedName;

/// The kinds of name of RFC 5280, section 4.2.1.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameKind {
    /// A name of any kind, told by an object identifier.
    Other,
    /// A mail address.
    Email,
    /// A DNS name.
    Dns,
    /// An X.400 address.
    X400,
    /// A distinguished name.
    Directory,
    /// An EDI party.
    EdiParty,
    /// A URI.
    Uri,
    /// An IPv4 or IPv6 address.
    Ip,
    /// An object identifier.
    RegisteredId,
}

impl NameKind {
    /// Determines the kind by the context-specific tag; `None` for a tag that no kind has.
    fn of_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            0xa0 => Self::Other,
            0x81 => Self::Email,
            0x82 => Self::Dns,
            0xa3 => Self::X400,
            0xa4 => Self::Directory,
            0xa5 => Self::EdiParty,
            0x86 => Self::Uri,
            0x87 => Self::Ip,
            0x88 => Self::RegisteredId,
            _ => return None,
        })
    }
}

/// Writes the name that RFC 5280 gives the kind.
impl fmt::Display for NameKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Other => "otherName",
            Self::Email => "rfc822Name",
            Self::Dns => "dNSName",
            Self::X400 => "x400Address",
            Self::Directory => "directoryName",
            Self::EdiParty => "ediPartyName",
            Self::Uri => "uniformResourceIdentifier",
            Self::Ip => "iPAddress",
            Self::RegisteredId => "registeredID",
        })
    }
}

/// One subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GeneralName {
    /// A DNS name, possibly with a wildcard; graphic ASCII only.
    Dns(String),
    /// A mail address; graphic ASCII only.
    Email(String),
    /// A URI; graphic ASCII only.
    Uri(String),
    /// An address.
    Ip(IpAddr),
    /// A distinguished name.
    Directory(DistinguishedName),
    /// A kind that nothing here looks into.
    Unsupported(NameKind),
    /// A name whose content is not what its kind demands.
    Malformed(NameKind),
}

impl GeneralName {
    /// Returns the kind.
    pub fn kind(&self) -> NameKind {
        match self {
            Self::Dns(_) => NameKind::Dns,
            Self::Email(_) => NameKind::Email,
            Self::Uri(_) => NameKind::Uri,
            Self::Ip(_) => NameKind::Ip,
            Self::Directory(_) => NameKind::Directory,
            Self::Unsupported(kind) | Self::Malformed(kind) => *kind,
        }
    }

    /// Reads the names of a `GeneralNames` sequence.
    pub(super) fn all_from_der(der: &[u8]) -> Result<Vec<Self>, Malformed> {
        let mut file = Reader::new(der);
        let mut list = file.expect(tag::SEQUENCE)?.reader();
        file.end()?;
        let mut names = Vec::new();
        while !list.is_empty() {
            names.push(Self::from_element(list.next()?)?);
        }
        Ok(names)
    }

    /// Reads one name.
    fn from_element(element: Element<'_>) -> Result<Self, Malformed> {
        let kind = NameKind::of_tag(element.tag).ok_or(Malformed::Content("kind of name"))?;
        let name = match kind {
            NameKind::Dns => graphic(element.content).map(Self::Dns),
            NameKind::Email => graphic(element.content).map(Self::Email),
            NameKind::Uri => graphic(element.content).map(Self::Uri),
            NameKind::Ip => ip_address(element.content).map(Self::Ip),
            NameKind::Directory => {
                DistinguishedName::from_der(element.content).map(Self::Directory)
            }
            _ => Some(Self::Unsupported(kind)),
        };
        Ok(name.unwrap_or(Self::Malformed(kind)))
    }
}

impl fmt::Display for GeneralName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Email(name) | Self::Uri(name) => formatter.write_str(name),
            Self::Ip(address) => write!(formatter, "{address}"),
            Self::Directory(name) => write!(formatter, "{name}"),
            Self::Unsupported(kind) => write!(formatter, "a name of the kind {kind}"),
            Self::Malformed(kind) => write!(formatter, "a malformed {kind}"),
        }
    }
}

/// The names that a CA may certify: those in a permitted subtree and in no excluded one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameConstraints {
    /// Names of a kind that is listed here must lie in one of its subtrees.
    pub permitted: Vec<Subtree>,
    /// Names must lie in none of these.
    pub excluded: Vec<Subtree>,
    /// Whether the extension is marked critical, as RFC 5280 demands.
    pub critical: bool,
}

impl NameConstraints {
    /// Reads the value of the extension (RFC 5280, section 4.2.1.10).
    pub(super) fn from_der(der: &[u8], critical: bool) -> Result<Self, Malformed> {
        const PERMITTED: u8 = 0xa0;
        const EXCLUDED: u8 = 0xa1;
        let mut file = Reader::new(der);
        let mut fields = file.expect(tag::SEQUENCE)?.reader();
        file.end()?;
        let permitted = fields.optional(PERMITTED)?;
        let excluded = fields.optional(EXCLUDED)?;
        fields.end()?;
        if permitted.is_none() && excluded.is_none() {
            return Err(Malformed::Content("name constraints"));
        }
        Ok(Self {
            permitted: permitted.map_or(Ok(Vec::new()), Subtree::all)?,
            excluded: excluded.map_or(Ok(Vec::new()), Subtree::all)?,
            critical,
        })
    }
}

/// A name space: everything at or below a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subtree {
    /// A DNS name and all below it; below it only when it begins with a period; all when empty.
    Dns(String),
    /// A mailbox, all mailboxes of a host, or with a leading period those of all hosts below it.
    Email(String),
    /// The URIs of a host, or with a leading period of all hosts below it.
    Uri(String),
    /// The addresses that agree with this one where the mask has ones.
    Ip {
        /// The first address.
        address: IpAddr,
        /// As many leading bits count.
        prefix: u8,
    },
    /// The names that begin with this one's attributes.
    Directory(DistinguishedName),
    /// A kind that nothing here looks into: who has a name of it cannot be judged.
    Unsupported(NameKind),
}

impl Subtree {
    /// Returns the kind of the names that it restricts.
    pub fn kind(&self) -> NameKind {
        match self {
            Self::Dns(_) => NameKind::Dns,
            Self::Email(_) => NameKind::Email,
            Self::Uri(_) => NameKind::Uri,
            Self::Ip { .. } => NameKind::Ip,
            Self::Directory(_) => NameKind::Directory,
            Self::Unsupported(kind) => *kind,
        }
    }

    /// Reads a list of subtrees, which has at least one.
    fn all(list: Element<'_>) -> Result<Vec<Self>, Malformed> {
        let mut reader = list.reader();
        let mut subtrees = Vec::new();
        while !reader.is_empty() {
            let mut fields = reader.expect(tag::SEQUENCE)?.reader();
            let base = fields.next()?;
            // RFC 5280 forbids the fields minimum and maximum, which would follow.
            fields.end()?;
            subtrees.push(Self::from_element(base)?);
        }
        if subtrees.is_empty() {
            return Err(Malformed::Content("list of subtrees"));
        }
        Ok(subtrees)
    }

    /// Reads the base of a subtree.
    fn from_element(element: Element<'_>) -> Result<Self, Malformed> {
        let invalid = Malformed::Content("name constraint");
        let kind = NameKind::of_tag(element.tag).ok_or(invalid)?;
        let text = || graphic(element.content).ok_or(invalid);
        Ok(match kind {
            NameKind::Dns => Self::Dns(text().and_then(|name| host(name, invalid))?),
            NameKind::Uri => Self::Uri(text().and_then(|name| host(name, invalid))?),
            NameKind::Email => Self::Email(text().and_then(|name| mailboxes(name, invalid))?),
            NameKind::Ip => network(element.content).ok_or(invalid)?,
            NameKind::Directory => {
                Self::Directory(DistinguishedName::from_der(element.content).ok_or(invalid)?)
            }
            _ => Self::Unsupported(kind),
        })
    }
}

impl fmt::Display for Subtree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Email(name) | Self::Uri(name) => formatter.write_str(name),
            Self::Ip { address, prefix } => write!(formatter, "{address}/{prefix}"),
            Self::Directory(name) => write!(formatter, "{name}"),
            Self::Unsupported(kind) => write!(formatter, "any {kind}"),
        }
    }
}

/// Reads ASCII without spaces and control characters: nothing else can be a host's name, a mail
/// address or a URI, nor must it reach a terminal.
fn graphic(octets: &[u8]) -> Option<String> {
    let is_graphic = octets.iter().all(u8::is_ascii_graphic);
    let text = str::from_utf8(octets).ok().filter(|_| is_graphic);
    text.map(str::to_owned)
}

/// Checks the host of a constraint, which has no wildcard and no empty label but a leading one.
fn host(name: String, invalid: Malformed) -> Result<String, Malformed> {
    let labels = name.strip_prefix('.').unwrap_or(&name);
    let is_label = |label: &str| {
        let mut characters = label.chars();
        !label.is_empty()
            && characters.all(|one| one.is_ascii_alphanumeric() || one == '-' || one == '_')
    };
    let is_host = name.is_empty() || labels.split('.').all(is_label);
    is_host.then_some(name).ok_or(invalid)
}

/// Checks a constraint on mail addresses: at most one at sign, with something on both sides.
fn mailboxes(name: String, invalid: Malformed) -> Result<String, Malformed> {
    match name.split_once('@') {
        None => host(name, invalid),
        Some((local, domain)) => {
            let is_mailbox = !local.is_empty()
                && !domain.is_empty()
                && !domain.starts_with('.')
                && host(domain.to_owned(), invalid).is_ok();
            is_mailbox.then_some(name).ok_or(invalid)
        }
    }
}

/// Reads an address of 4 or 16 octets.
pub(super) fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// Reads an address and a mask of ones followed by zeros.
fn network(octets: &[u8]) -> Option<Subtree> {
    let (address, mask) = octets.split_at_checked(octets.len() / 2)?;
    let ones: u32 = mask.iter().map(|octet| octet.leading_ones()).sum();
    let bits: u32 = mask.iter().map(|octet| octet.count_ones()).sum();
    let is_run = mask
        .windows(2)
        .all(|pair| pair[0] == u8::MAX || pair[1] == 0);
    let prefix = u8::try_from(ones).ok()?;
    let address = ip_address(address).filter(|_| mask.len() == address.len())?;
    (ones == bits && is_run).then_some(Subtree::Ip { address, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::tlv;

    fn constraints(subtrees: &[(u8, &[u8])]) -> Result<NameConstraints, Malformed> {
        let each = subtrees
            .iter()
            .flat_map(|(tag, content)| tlv(0x30, &tlv(*tag, content)));
        let permitted = tlv(0xa0, &each.collect::<Vec<u8>>());
        NameConstraints::from_der(&tlv(0x30, &permitted), true)
    }

    #[test]
    fn every_kind_of_name_is_told_apart() {
        let directory = tlv(0x30, &[]);
        let names = [
            tlv(0x81, b"one@example.com"),
            tlv(0x82, b"example.com"),
            tlv(0x82, b"a\nb"),
            tlv(0x86, b"https://example.com/"),
            tlv(0x87, &[192, 0, 2, 1]),
            tlv(0x87, &[192, 0, 2]),
            tlv(0xa4, &directory),
            tlv(0xa0, &[]),
            tlv(0x88, &[0x2a]),
        ];
        let names = GeneralName::all_from_der(&tlv(0x30, &names.concat())).unwrap();
        let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "one@example.com",
                "example.com",
                "a malformed dNSName",
                "https://example.com/",
                "192.0.2.1",
                "a malformed iPAddress",
                "(empty name)",
                "a name of the kind otherName",
                "a name of the kind registeredID",
            ]
        );
        assert_eq!(names[2].kind(), NameKind::Dns);
        assert!(GeneralName::all_from_der(&tlv(0x30, &tlv(0x89, &[]))).is_err());
        assert!(GeneralName::all_from_der(b"example.com").is_err());
    }

    #[test]
    fn subtrees_are_read_with_their_kinds() {
        let read = constraints(&[
            (0x82, b"example.com"),
            (0x82, b""),
            (0x81, b"one@example.com"),
            (0x86, b".example.com"),
            (0x87, &[192, 0, 2, 0, 255, 255, 254, 0]),
            (0xa0, &[]),
        ])
        .unwrap();
        let texts: Vec<String> = read.permitted.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "example.com",
                "",
                "one@example.com",
                ".example.com",
                "192.0.2.0/23",
                "any otherName"
            ]
        );
        assert!(read.critical);
        assert_eq!(read.excluded, []);
    }

    #[test]
    fn what_is_no_name_space_is_refused() {
        for subtree in [
            (0x82, &b"*.example.com"[..]),
            (0x82, b"example..com"),
            (0x81, b"one@two@example.com"),
            (0x81, b"@example.com"),
            (0x87, &[192, 0, 2, 0]),
            (0x87, &[192, 0, 2, 0, 255, 0, 255, 0]),
            (0x87, &[192, 0, 2, 0, 255, 253, 0, 0]),
            (0xa4, &[1, 2, 3]),
        ] {
            assert!(constraints(&[subtree]).is_err(), "{subtree:?}");
        }
        assert!(constraints(&[]).is_err());
        assert!(NameConstraints::from_der(&tlv(0x30, &[]), true).is_err());
        let bounded = [tlv(0x82, b"example.com"), tlv(0x80, &[1])].concat();
        let bounded = tlv(0x30, &tlv(0xa0, &tlv(0x30, &bounded)));
        assert!(NameConstraints::from_der(&bounded, true).is_err());
    }
}
