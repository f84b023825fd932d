//! CA bundles: what a trust store trusts, whatever files it was put together from.

use std::path::Path;

use super::certificate::Certificate;
use super::digest::Sha256Digest;
use super::error::{Error, Wanted};

/// The certificates of one or more files, each once, in the order in which they were given.
#[derive(Clone, Debug)]
pub struct Bundle {
    certificates: Vec<Certificate>,
}

impl Bundle {
    /// Reads and concatenates files, each PEM or DER.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be read or holds anything but certificates.
    pub fn from_files(paths: &[impl AsRef<Path>]) -> Result<Self, Error> {
        let parts: Result<Vec<_>, Error> = paths.iter().map(|path| read(path.as_ref())).collect();
        Self::from_bytes(&parts?)
    }

    /// Concatenates named contents, each PEM or DER.
    ///
    /// # Errors
    ///
    /// Names the content that holds anything but certificates.
    pub fn from_bytes(parts: &[(impl AsRef<str>, impl AsRef<[u8]>)]) -> Result<Self, Error> {
        let mut certificates = Vec::new();
        for (name, bytes) in parts {
            let found = Certificate::all_from_bytes(bytes.as_ref())
                .map_err(|error| error.named(name.as_ref()))?;
            certificates.extend(found);
        }
        if certificates.is_empty() {
            let wanted = Wanted::Certificate;
            return Err(Error::Empty { wanted });
        }
        Ok(certificates.into_iter().collect())
    }

    /// Returns the certificates.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Says whether it holds exactly this certificate.
    pub fn contains(&self, fingerprint: Sha256Digest) -> bool {
        let mut certificates = self.certificates.iter();
        certificates.any(|certificate| certificate.fingerprint == fingerprint)
    }

    /// Returns the canonical PEM: only blocks, LF, no blank lines, as a load balancer demands.
    ///
    /// The certificates stand in the order of their fingerprints, so that files in another order are
    /// the same object.
    pub fn pem(&self) -> String {
        let mut certificates: Vec<&Certificate> = self.certificates.iter().collect();
        certificates.sort_by_key(|certificate| certificate.fingerprint);
        certificates.into_iter().map(Certificate::pem).collect()
    }

    /// Digests the set of certificates: the same whatever their order.
    pub fn digest(&self) -> Sha256Digest {
        let mut fingerprints: Vec<_> = self.fingerprints().collect();
        fingerprints.sort_unstable();
        Sha256Digest::of_all(fingerprints)
    }

    /// Returns the certificates that could have issued the one, going by name and signature.
    pub fn issuers_of<'a>(
        &'a self,
        certificate: &'a Certificate,
    ) -> impl Iterator<Item = &'a Certificate> {
        let candidates = self.certificates.iter();
        candidates.filter(|candidate| certificate.is_issued_by(candidate))
    }

    /// Returns the fingerprints in the order of the certificates.
    fn fingerprints(&self) -> impl Iterator<Item = Sha256Digest> {
        self.certificates
            .iter()
            .map(|certificate| certificate.fingerprint)
    }
}

/// Drops repeated certificates and keeps the first of each.
impl FromIterator<Certificate> for Bundle {
    fn from_iter<I: IntoIterator<Item = Certificate>>(certificates: I) -> Self {
        let mut bundle = Self {
            certificates: Vec::new(),
        };
        for certificate in certificates {
            if !bundle.contains(certificate.fingerprint) {
                bundle.certificates.push(certificate);
            }
        }
        bundle
    }
}

/// Bundles are equal when they trust the same certificates, whatever their order.
impl PartialEq for Bundle {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for Bundle {}

/// Reads a file and keeps its name for messages.
fn read(path: &Path) -> Result<(String, Vec<u8>), Error> {
    let name = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => Ok((name, bytes)),
        Err(error) => {
            let reason = error.to_string();
            Err(Error::Unreadable { reason }.named(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::Authority;

    #[test]
    fn parts_are_concatenated_once_each_and_normalised() {
        let root = Authority::new("Root");
        let (root, below) = (
            root.certificate(),
            root.intermediate("Intermediate").certificate(),
        );
        let bundle = Bundle::from_bytes(&[
            (
                "a.pem",
                format!("# all\r\n\r\n{}", below.pem()).into_bytes(),
            ),
            ("b.der", root.der.clone()),
            ("c.pem", below.pem().into_bytes()),
        ])
        .unwrap();
        assert_eq!(bundle.certificates(), [below.clone(), root.clone()]);
        assert_eq!(bundle.pem().len(), below.pem().len() + root.pem().len());
        assert!(
            [&below, &root]
                .iter()
                .all(|one| bundle.pem().contains(&one.pem()))
        );
        assert!(!bundle.pem().contains("\n\n"));
        assert!(bundle.pem().ends_with("-----END CERTIFICATE-----\n"));
        assert_eq!(bundle.issuers_of(&below).collect::<Vec<_>>(), [&root]);
    }

    #[test]
    fn order_does_not_count() {
        let (one, two) = (
            Authority::new("1").certificate(),
            Authority::new("2").certificate(),
        );
        let forwards: Bundle = [one.clone(), two.clone()].into_iter().collect();
        let backwards: Bundle = [two, one.clone()].into_iter().collect();
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.digest(), backwards.digest());
        assert_eq!(forwards.pem(), backwards.pem());
        assert_ne!(forwards, [one].into_iter().collect());
    }

    #[test]
    fn errors_name_the_part() {
        let error = Bundle::from_bytes(&[("empty.pem", b"")]).unwrap_err();
        assert_eq!(error.to_string(), "empty.pem: holds no certificate");
        let error = Bundle::from_files(&["/nonexistent/root.pem"]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/nonexistent/root.pem: cannot be read: ")
        );
        let none: [(&str, &[u8]); 0] = [];
        assert_eq!(
            Bundle::from_bytes(&none).unwrap_err().to_string(),
            "holds no certificate"
        );
    }
}
