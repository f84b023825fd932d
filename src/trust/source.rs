//! Files of certificates and CRLs, told apart by content, with the place of each.

use std::path::Path;

use super::certificate::Certificate;
use super::crl::Crl;
use super::digest::Sha256Digest;
use super::error::{Error, Origin, Wanted};
use super::pem;

/// A file and what it holds.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The name, as the caller gave it.
    pub name: String,
    /// Its certificates and CRLs in their order; at least one.
    pub entries: Vec<SourceEntry>,
    /// What a person who uploads the file as it is would have to know; `None` for canonical PEM.
    pub form: Option<String>,
}

/// A certificate or CRL, and where it stands.
#[derive(Clone, Debug)]
pub struct SourceEntry {
    /// The line of its BEGIN, or its offset in a DER file.
    pub origin: Origin,
    /// What it is.
    pub content: SourceContent,
}

/// What a file may hold.
#[derive(Clone, Debug)]
pub enum SourceContent {
    /// A certificate.
    Certificate(Box<Certificate>),
    /// A CRL.
    Crl(Box<Crl>),
}

impl SourceContent {
    /// Returns the digest of its DER: a certificate's fingerprint, a CRL's digest.
    pub fn digest(&self) -> Sha256Digest {
        match self {
            Self::Certificate(certificate) => certificate.fingerprint,
            Self::Crl(crl) => crl.digest,
        }
    }
}

impl SourceFile {
    /// Reads a file of certificates and CRLs, PEM or DER; with `wanted` one kind of them only.
    ///
    /// # Errors
    ///
    /// Names the file and the place of what cannot be read, or is not wanted.
    pub fn read(path: &Path, wanted: Option<Wanted>) -> Result<Self, Error> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| {
            let reason = error.to_string();
            Error::Unreadable { reason }.named(&name)
        })?;
        let file = Self::from_bytes(&name, &bytes);
        let file = file.and_then(|file| match wanted {
            Some(wanted) => file.only(wanted),
            None => Ok(file),
        });
        file.map_err(|error| error.named(&name))
    }

    /// Takes the content of a file apart.
    ///
    /// # Errors
    ///
    /// Names the place of what is neither a certificate nor a CRL, or is damaged.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let form = form(bytes);
        let blocks = pem::blocks(bytes, Wanted::Certificate)?;
        let entries = blocks.into_iter().map(|block| {
            let origin = block.origin;
            let content = if block.label == Crl::LABEL {
                SourceContent::Crl(Box::new(Crl::from_block(block)?))
            } else {
                SourceContent::Certificate(Box::new(Certificate::from_block(block)?))
            };
            Ok(SourceEntry { origin, content })
        });
        Ok(Self {
            name: name.to_owned(),
            entries: entries.collect::<Result<_, Error>>()?,
            form,
        })
    }

    /// Refuses a file that holds something else.
    fn only(self, wanted: Wanted) -> Result<Self, Error> {
        let kind = |entry: &SourceEntry| match entry.content {
            SourceContent::Certificate(_) => (Wanted::Certificate, Certificate::LABEL),
            SourceContent::Crl(_) => (Wanted::Crl, Crl::LABEL),
        };
        match self.entries.iter().find(|entry| kind(entry).0 != wanted) {
            None => Ok(self),
            Some(entry) => Err(Error::Unexpected {
                origin: entry.origin,
                label: kind(entry).1.to_owned(),
                wanted,
            }),
        }
    }

    /// Returns its certificates in their order.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.entries
            .iter()
            .filter_map(|entry| match &entry.content {
                SourceContent::Certificate(certificate) => Some(certificate.as_ref()),
                SourceContent::Crl(_) => None,
            })
    }

    /// Returns its CRLs in their order.
    pub fn crls(&self) -> impl Iterator<Item = &Crl> {
        self.entries
            .iter()
            .filter_map(|entry| match &entry.content {
                SourceContent::Certificate(_) => None,
                SourceContent::Crl(crl) => Some(crl.as_ref()),
            })
    }
}

/// Says in what a file differs from the form that a trust store takes.
///
/// AWS: "Mutual authentication with TLS": only the blocks and comments without a hyphen, no blank
/// lines.
fn form(bytes: &[u8]) -> Option<String> {
    let mut inside = false;
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"-----BEGIN ") {
            inside = true;
        } else if line.starts_with(b"-----END ") {
            inside = false;
        } else if line.trim_ascii().is_empty() {
            return Some(format!("line {number} is blank"));
        } else if line.starts_with(b"#") && line.contains(&b'-') {
            return Some(format!("line {number} is a comment with a hyphen in it"));
        } else if !inside && !line.starts_with(b"#") {
            return Some(match bytes.first() {
                Some(0x30) => "it is DER, not PEM".to_owned(),
                _ => format!("line {number} is text outside of a block"),
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::Authority;

    #[test]
    fn certificates_and_crls_are_told_apart_by_content() {
        let root = Authority::new("Root");
        let (certificate, crl) = (root.certificate(), root.crl(&[1]));
        let both = format!("# both\n{}{}", crl.pem(), certificate.pem());
        let file = SourceFile::from_bytes("both.pem", both.as_bytes()).unwrap();
        assert_eq!(file.certificates().collect::<Vec<_>>(), [&certificate]);
        assert_eq!(file.crls().collect::<Vec<_>>(), [&crl]);
        let origins: Vec<Origin> = file.entries.iter().map(|entry| entry.origin).collect();
        let below = crl.pem().lines().count() + 2;
        assert_eq!(origins, [Origin::Line(2), Origin::Line(below)]);
        assert_eq!(file.entries[0].content.digest(), crl.digest);

        let der = [certificate.der.clone(), crl.der.clone()].concat();
        let file = SourceFile::from_bytes("both.der", &der).unwrap();
        assert_eq!((file.certificates().count(), file.crls().count()), (1, 1));
        assert_eq!(file.entries[1].origin, Origin::Byte(certificate.der.len()));
        let key = root.key_pem();
        assert!(SourceFile::from_bytes("key.pem", key.as_bytes()).is_err());
    }

    #[test]
    fn what_a_trust_store_would_not_take_as_it_is_is_named() {
        let root = Authority::new("Root").certificate();
        let pem = root.pem();
        let form = |text: &str| form(text.as_bytes());
        assert_eq!(form(&pem), None);
        assert_eq!(form(&format!("# all of them\n{pem}{pem}")), None);
        let blank = form(&format!("{pem}\n{pem}"));
        let line = pem.lines().count() + 1;
        assert_eq!(blank, Some(format!("line {line} is blank")));
        assert_eq!(form(&format!("{pem}\n")).as_deref(), blank.as_deref());
        assert_eq!(
            form(&format!("# not - so\n{pem}")).as_deref(),
            Some("line 1 is a comment with a hyphen in it")
        );
        assert_eq!(
            form(&format!("Certificate:\n{pem}")).as_deref(),
            Some("line 1 is text outside of a block")
        );
        assert_eq!(
            super::form(&root.der).as_deref(),
            Some("it is DER, not PEM")
        );
    }
}
