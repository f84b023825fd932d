//! SHA-256 digests, which name certificates, CRLs and contents.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};
use serde::{Serialize, Serializer};

/// How many hex digits the short form keeps: 48 bits, enough for the few dozen things of a stack.
const SHORT_DIGITS: usize = 12;

/// A SHA-256 digest; of a certificate's DER it is the fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// Digests the bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self::from_digest(&digest(&SHA256, bytes.as_ref()))
    }

    /// Digests several digests in the order given.
    pub fn of_all(digests: impl IntoIterator<Item = Self>) -> Self {
        let mut context = Context::new(&SHA256);
        for digest in digests {
            context.update(&digest.0);
        }
        Self::from_digest(&context.finish())
    }

    fn from_digest(digest: &Digest) -> Self {
        let bytes = digest.as_ref().try_into();
        Self(bytes.expect("SHA-256 has 32 bytes"))
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the form used in addresses and plans: `sha256:` and the first twelve hex digits.
    pub fn short(&self) -> String {
        let hex = self.to_string();
        format!("sha256:{}", &hex[..SHORT_DIGITS])
    }
}

/// Writes all 64 hex digits in lower case, without a prefix.
impl fmt::Display for Sha256Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.short())
    }
}

/// Text that is not 64 hex digits, with or without `sha256:` in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest: 64 hex digits are expected")]
pub struct NotADigest;

impl FromStr for Sha256Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NotADigest);
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = &hex[index * 2..index * 2 + 2];
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NotADigest)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Sha256Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn digests_are_written_and_read_as_hex() {
        let digest = Sha256Digest::of("");
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(digest.short(), "sha256:e3b0c44298fc");
        assert_eq!(EMPTY.parse(), Ok(digest));
        assert_eq!(format!("sha256:{EMPTY}").parse(), Ok(digest));
        assert_eq!("e3b0".parse::<Sha256Digest>(), Err(NotADigest));
        assert_eq!("é".repeat(32).parse::<Sha256Digest>(), Err(NotADigest));
    }
}
