//! The headers by which a load balancer tells its targets about the client's certificate.
//!
//! AWS: Application Load Balancer User Guide, "Mutual authentication with TLS", HTTP headers. The
//! names can be changed by listener attributes; here are the default ones.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::certificate::Certificate;

/// What a private API of API Gateway takes, in bytes: request line and headers together.
pub const HEADER_BUDGET: usize = 8_000;

/// One header line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: &'static str,
    /// The value.
    pub value: String,
}

impl Header {
    /// Returns the bytes on the wire: name, colon, space, value, CR and LF.
    pub fn wire_length(&self) -> usize {
        self.name.len() + ": ".len() + self.value.len() + "\r\n".len()
    }
}

/// Returns the five headers that mode `verify` adds.
pub fn verify_headers(leaf: &Certificate) -> Vec<Header> {
    let validity = format!(
        "NotBefore={};NotAfter={}",
        timestamp(leaf.not_before),
        timestamp(leaf.not_after)
    );
    let header = |name, value| Header { name, value };
    vec![
        header(
            "X-Amzn-Mtls-Clientcert-Serial-Number",
            leaf.serial.to_string(),
        ),
        header(
            "X-Amzn-Mtls-Clientcert-Issuer",
            leaf.issuer.as_str().to_owned(),
        ),
        header(
            "X-Amzn-Mtls-Clientcert-Subject",
            leaf.subject.as_str().to_owned(),
        ),
        header("X-Amzn-Mtls-Clientcert-Validity", validity),
        header("X-Amzn-Mtls-Clientcert-Leaf", encoded(&leaf.pem())),
    ]
}

/// Returns the header that mode `passthrough` adds: the whole chain, the client's own certificate
/// first.
pub fn passthrough_header(presented: &[Certificate]) -> Header {
    let chain: String = presented.iter().map(Certificate::pem).collect();
    Header {
        name: "X-Amzn-Mtls-Clientcert",
        value: encoded(&chain),
    }
}

/// Adds up the bytes on the wire.
pub fn wire_length(headers: &[Header]) -> usize {
    headers.iter().map(Header::wire_length).sum()
}

/// Writes a time as the validity header has it.
fn timestamp(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

/// Percent-encodes a PEM as ALB does, which leaves `+`, `=` and `/` as they are.
fn encoded(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len() + text.len() / 16);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'.'
            | b'~'
            | b'+'
            | b'='
            | b'/' => encoded.push(char::from(byte)),
            other => {
                let digits = [other >> 4, other & 15].map(|nibble| HEX[usize::from(nibble)]);
                encoded.push('%');
                encoded.extend(digits.map(char::from));
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::Authority;

    #[test]
    fn the_pem_is_encoded_but_for_the_characters_of_base64() {
        assert_eq!(
            encoded("-----BEGIN X-----\nA+/=\n-----END X-----\n"),
            "-----BEGIN%20X-----%0AA+/=%0A-----END%20X-----%0A"
        );
    }

    #[test]
    fn verify_adds_five_headers_and_passthrough_one() {
        let root = Authority::new("Root, Inc.");
        let leaf = root.client_with(0xa5, |params| {
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, "one");
        });
        let headers = verify_headers(&leaf);
        let lines: Vec<String> = headers[..4]
            .iter()
            .map(|header| format!("{}: {}", header.name, header.value))
            .collect();
        assert_eq!(
            lines,
            [
                "X-Amzn-Mtls-Clientcert-Serial-Number: A5",
                "X-Amzn-Mtls-Clientcert-Issuer: CN=Root\\, Inc.",
                "X-Amzn-Mtls-Clientcert-Subject: CN=one",
                "X-Amzn-Mtls-Clientcert-Validity: \
                 NotBefore=2025-12-31T00:00:00Z;NotAfter=2035-01-01T00:00:00Z",
            ]
        );
        // Every line break and both spaces of the boundaries grow from one byte to three.
        let pem = leaf.pem();
        let grown = pem.len() + 2 * (pem.lines().count() + 2);
        assert_eq!(headers[4].value.len(), grown);
        let written: usize = lines.iter().map(|line| line.len() + 2).sum();
        let expected = written + "X-Amzn-Mtls-Clientcert-Leaf: \r\n".len() + grown;
        assert_eq!(wire_length(&headers), expected);

        let both = [leaf.clone(), root.certificate()];
        let value = passthrough_header(&both).value;
        assert!(value.starts_with(&headers[4].value));
        assert_eq!(value.matches("BEGIN%20CERTIFICATE").count(), 2);
    }
}
