//! A raw `ClientHello` of TLS 1.1, which rustls does not speak, and what a server says to it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::tls::alert_name;

/// TLS 1.1 on the wire.
const TLS11: [u8; 2] = [3, 2];

/// ECDHE and RSA with AES-CBC and SHA-1: all that a load balancer speaks with TLS 1.1.
const SUITES: [u16; 6] = [0xc009, 0xc00a, 0xc013, 0xc014, 0x002f, 0x0035];

/// P-256, P-384, P-521 and X25519.
const GROUPS: [u16; 4] = [23, 24, 25, 29];

/// The kinds of records and of handshake messages that matter here.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;

/// What a server says to a `ClientHello`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// It takes a version; the two bytes on the wire.
    Hello([u8; 2]),
    /// It refuses.
    Alert(String),
    /// It ends the connection.
    Closed,
    /// It says something that is not TLS.
    Other,
}

/// Sends a `ClientHello` of TLS 1.1 and reads what the server says.
///
/// # Errors
///
/// The connection broke before anything was said.
pub(super) async fn greet(mut stream: TcpStream, name: &str) -> std::io::Result<Reply> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).map_err(std::io::Error::other)?;
    stream.write_all(&client_hello(name, &random)).await?;
    let mut record = Vec::new();
    // A ServerHello is far shorter than this, and an alert has seven bytes.
    while record.len() < 512 {
        let mut chunk = [0; 512];
        match stream.read(&mut chunk).await {
            Ok(0) => break,
            Ok(read) => record.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error),
        }
        if let Some(reply) = reply(&record) {
            return Ok(reply);
        }
    }
    Ok(if record.is_empty() {
        Reply::Closed
    } else {
        Reply::Other
    })
}

/// Understands the beginning of what a server sends; `None` until there is enough of it.
fn reply(bytes: &[u8]) -> Option<Reply> {
    let [kind, major, _, _, _, rest @ ..] = bytes else {
        return None;
    };
    if *major != 3 {
        return Some(Reply::Other);
    }
    match (*kind, rest) {
        (ALERT, [_, code, ..]) => Some(Reply::Alert(alert_name((*code).into()))),
        (HANDSHAKE, [SERVER_HELLO, _, _, _, major, minor, ..]) => {
            Some(Reply::Hello([*major, *minor]))
        }
        (HANDSHAKE, [other, ..]) if *other != SERVER_HELLO => Some(Reply::Other),
        (ALERT | HANDSHAKE, _) => None,
        _ => Some(Reply::Other),
    }
}

/// Whether the version is TLS 1.1.
pub(super) fn is_tls11(version: [u8; 2]) -> bool {
    version == TLS11
}

fn client_hello(name: &str, random: &[u8; 32]) -> Vec<u8> {
    let mut hello = TLS11.to_vec();
    hello.extend_from_slice(random);
    hello.push(0); // no session to resume
    hello.extend(with_length(&numbers(&SUITES)));
    hello.extend([1, 0]); // no compression
    let extensions = [
        extension(0, &server_name(name)),
        extension(10, &with_length(&numbers(&GROUPS))),
        extension(11, &[1, 0]),  // uncompressed points
        extension(0xff01, &[0]), // renegotiation is the first one
    ];
    hello.extend(with_length(&extensions.concat()));
    let length = u32::try_from(hello.len()).expect("a hello is short");
    let mut message = vec![1];
    message.extend_from_slice(&length.to_be_bytes()[1..]);
    message.extend(hello);
    // The record says TLS 1.0, as first records do.
    [&[HANDSHAKE, 3, 1][..], &with_length(&message)].concat()
}

fn server_name(name: &str) -> Vec<u8> {
    let mut entry = vec![0];
    entry.extend(with_length(name.as_bytes()));
    with_length(&entry)
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_length(content)].concat()
}

fn numbers(numbers: &[u16]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}

/// Puts the length in front, as two bytes.
fn with_length(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a part of a hello is short");
    [&length.to_be_bytes()[..], content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hello_is_one_that_rustls_reads_as_tls_1_1() {
        let hello = client_hello("api.example.com", &[7; 32]);
        let mut acceptor = rustls::server::Acceptor::default();
        acceptor.read_tls(&mut hello.as_slice()).unwrap();
        // It is understood up to the version, which alone is refused.
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                assert_eq!(
                    accepted.client_hello().server_name(),
                    Some("api.example.com")
                );
            }
            Ok(None) => panic!("it is not complete"),
            Err((error, _)) => {
                assert!(
                    matches!(error, rustls::Error::PeerIncompatible(_)),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn replies_are_told_apart() {
        let alert = [ALERT, 3, 1, 0, 2, 2, 70];
        let protocol_version = Reply::Alert("protocol_version".to_owned());
        assert_eq!(reply(&alert), Some(protocol_version));
        for cut in 0..alert.len() {
            assert_eq!(reply(&alert[..cut]), None);
        }
        let hello = [HANDSHAKE, 3, 2, 0, 60, SERVER_HELLO, 0, 0, 56, 3, 2];
        assert_eq!(reply(&hello), Some(Reply::Hello(TLS11)));
        assert_eq!(reply(b"HTTP/1.1 400"), Some(Reply::Other));
    }
}
