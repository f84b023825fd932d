//! The `aws-chunked` framing that SDKs put around uploads, with its trailing headers.

use super::wire::Request;

/// Takes the framing off a request's body, and adds the trailing headers to the others.
///
/// The error says what is wrong with the framing. Signatures of single chunks are not verified,
/// as that of the request is not.
pub(super) fn unframe(request: &mut Request) -> Result<(), &'static str> {
    let encoding = request.header("content-encoding").unwrap_or_default();
    let streaming = request
        .header("x-amz-content-sha256")
        .is_some_and(|hash| hash.starts_with("STREAMING-"));
    if !streaming && !encoding.contains("aws-chunked") {
        return Ok(());
    }
    let others: Vec<&str> = encoding
        .split(',')
        .map(str::trim)
        .filter(|name| *name != "aws-chunked")
        .collect();
    let others = others.join(",");
    if others.is_empty() {
        request.headers.remove("content-encoding");
    } else {
        request
            .headers
            .insert("content-encoding".to_owned(), others);
    }
    let (body, trailers) = split(&request.body)?;
    let announced = request
        .header("x-amz-decoded-content-length")
        .and_then(|length| length.parse().ok());
    if announced.is_some_and(|length: usize| length != body.len()) {
        return Err("the decoded length is not the one that was announced");
    }
    request.body = body;
    request.headers.extend(trailers);
    Ok(())
}

/// A body without its framing, and its trailing headers.
type Parts = (Vec<u8>, Vec<(String, String)>);

/// The content of all chunks, and the trailing headers.
fn split(framed: &[u8]) -> Result<Parts, &'static str> {
    let mut body = Vec::with_capacity(framed.len());
    let mut rest = framed;
    loop {
        let (head, behind) = line(rest)?;
        let size = head.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| "a chunk has no size")?;
        if size == 0 {
            return Ok((body, trailers(behind)));
        }
        body.extend_from_slice(behind.get(..size).ok_or("a chunk is cut short")?);
        rest = behind[size..]
            .strip_prefix(b"\r\n")
            .ok_or("a chunk does not end where it should")?;
    }
}

/// The first line, without its end, and what is behind it.
fn line(text: &[u8]) -> Result<(&str, &[u8]), &'static str> {
    let end = text
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .ok_or("the last chunk is missing")?;
    let head = std::str::from_utf8(&text[..end]).map_err(|_| "a chunk's head is no text")?;
    Ok((head, &text[end + 2..]))
}

fn trailers(text: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(text);
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .filter(|(name, _)| name != "x-amz-trailer-signature")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Request, unframe};

    fn framed(body: &[u8]) -> Request {
        let mut request = Request {
            body: body.to_vec(),
            ..Request::default()
        };
        let headers = [
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "5"),
        ];
        request
            .headers
            .extend(headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
        request
    }

    #[test]
    fn chunks_are_joined_and_trailers_become_headers() {
        let mut request = framed(
            b"3;chunk-signature=ab\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32:h/QRWg==\r\n\r\n",
        );
        unframe(&mut request).expect("well framed");
        assert_eq!(request.body, b"abcde");
        assert_eq!(request.header("x-amz-checksum-crc32"), Some("h/QRWg=="));
        assert_eq!(request.header("content-encoding"), None);
    }

    #[test]
    fn broken_frames_are_refused() {
        for body in [
            &b"3\r\nab"[..],
            b"3\r\nabcde\r\n0\r\n\r\n",
            b"z\r\n",
            b"",
            b"3\r\nabc\r\n0\r\n\r\n",
        ] {
            assert!(unframe(&mut framed(body)).is_err());
        }
    }
}
