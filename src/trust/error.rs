//! What can be wrong with a file of certificates, CRLs or keys before any rule is applied to it.

use std::fmt;

/// What a file was expected to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// X.509 certificates.
    Certificate,
    /// Certificate revocation lists.
    Crl,
    /// One unencrypted private key.
    PrivateKey,
}

impl fmt::Display for Wanted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Certificate => "certificate",
            Self::Crl => "CRL",
            Self::PrivateKey => "private key",
        })
    }
}

/// Where in a file something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The line of the `-----BEGIN …-----`, counted from 1.
    Line(usize),
    /// The offset in a DER file, counted from 0.
    Byte(usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(formatter, "line {line}"),
            Self::Byte(offset) => write!(formatter, "byte {offset}"),
        }
    }
}

/// A file that cannot be used as what it was given for; never quotes the file's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An error in one of several named inputs.
    #[error("{name}: {error}")]
    In {
        /// The file or URL, as the caller named it.
        name: String,
        /// What is wrong with it.
        error: Box<Self>,
    },
    /// The file could not be read.
    #[error("cannot be read: {reason}")]
    Unreadable {
        /// What the operating system says.
        reason: String,
    },
    /// The input holds nothing of the wanted kind.
    #[error("holds no {wanted}")]
    Empty {
        /// What was looked for.
        wanted: Wanted,
    },
    /// A private key where only public material belongs.
    #[error("{origin}: holds a private key ({label}), where a {wanted} was expected")]
    PrivateKey {
        /// Where the key begins.
        origin: Origin,
        /// The PEM label, or the DER structure.
        label: String,
        /// What was expected instead.
        wanted: Wanted,
    },
    /// A private key that needs a passphrase.
    #[error("{origin}: the private key is encrypted ({label})")]
    EncryptedKey {
        /// Where the key begins.
        origin: Origin,
        /// The PEM label.
        label: String,
    },
    /// A private key of a kind that is not supported, or that is damaged.
    #[error("{origin}: the private key ({label}) cannot be used: {reason}")]
    UnusableKey {
        /// Where the key begins.
        origin: Origin,
        /// The PEM label.
        label: String,
        /// Why not.
        reason: &'static str,
    },
    /// More than one private key in a file that should hold one.
    #[error("{origin}: a second private key")]
    SecondKey {
        /// Where the second key begins.
        origin: Origin,
    },
    /// A PEM block, or a DER structure, of another kind.
    #[error("{origin}: holds {label}, where a {wanted} was expected")]
    Unexpected {
        /// Where it begins.
        origin: Origin,
        /// The PEM label, or the DER structure.
        label: String,
        /// What was expected instead.
        wanted: Wanted,
    },
    /// A PEM block without its end, or that is not base64.
    #[error("{origin}: the PEM block {label} is damaged: {reason}")]
    Pem {
        /// Where the block begins.
        origin: Origin,
        /// The PEM label.
        label: String,
        /// What is wrong with it.
        reason: String,
    },
    /// DER that is not what its label says.
    #[error("{origin}: the {wanted} cannot be parsed: {reason}")]
    Der {
        /// Where the structure begins.
        origin: Origin,
        /// What it should have been.
        wanted: Wanted,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither PEM nor DER.
    #[error("is neither PEM nor DER{}", looks_like.map(|kind| format!(" but {kind}")).unwrap_or_default())]
    Unrecognised {
        /// What the content looks like instead, where that can be told.
        looks_like: Option<&'static str>,
    },
}

impl Error {
    /// Adds the name of the file or URL.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self::In {
            name: name.into(),
            error: Box::new(self),
        }
    }

    /// Says what to do about it, where there is something better than looking at the file.
    pub fn fix(&self) -> Option<&'static str> {
        match self {
            Self::In { error, .. } => error.fix(),
            Self::PrivateKey { .. } => Some(
                "keep the private key out of this file: only the blocks between BEGIN and END \
                 CERTIFICATE (or X509 CRL) belong in it",
            ),
            Self::EncryptedKey { .. } => Some(
                "ACM takes unencrypted keys only: `openssl pkcs8 -topk8 -nocrypt -in KEY -out PLAIN` \
                 removes the passphrase; keep the result readable for yourself only",
            ),
            Self::Unexpected { label, wanted, .. } => fix_of_label(label, *wanted),
            Self::Unrecognised { .. } => {
                Some("give a PEM file (-----BEGIN …-----) or a DER file (.der, .cer, .crl)")
            }
            _ => None,
        }
    }
}

/// Says how to get the wanted form out of another one that is commonly mistaken for it.
fn fix_of_label(label: &str, wanted: Wanted) -> Option<&'static str> {
    match (label, wanted) {
        ("PKCS7" | "PKCS #7 SIGNED DATA" | "CMS", Wanted::Certificate) => Some(
            "extract the certificates: `openssl pkcs7 -print_certs -in FILE -out BUNDLE` \
             (add `-inform DER` for a binary file)",
        ),
        ("PKCS#12", Wanted::Certificate) => {
            Some("extract the certificates: `openssl pkcs12 -in FILE -nokeys -cacerts -out BUNDLE`")
        }
        ("TRUSTED CERTIFICATE", Wanted::Certificate) => {
            Some("write it as a plain certificate: `openssl x509 -in FILE -out CERTIFICATE`")
        }
        ("CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST", _) => {
            Some("this is a request for a certificate; give what the CA returned for it")
        }
        ("X509 CRL", _) => Some("a revocation list belongs under `crls`, not `ca_bundle`"),
        ("CERTIFICATE", Wanted::Crl) => {
            Some("a CA certificate belongs under `ca_bundle`, not `crls`")
        }
        _ => None,
    }
}
