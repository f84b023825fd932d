//! One line of a connection log.
//!
//! Fields stand between spaces, in an order that only ever grows at the end; those that may hold
//! spaces are quoted, and `-` stands for nothing.

use std::net::IpAddr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How many fields the first version of the format had up to the status; a line with fewer is
/// broken off.
const FEWEST_FIELDS: usize = 11;

/// How many fields are read; AWS announces new ones by a `-` at the end.
const KNOWN_FIELDS: usize = 15;

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// When the connection was made, or failed.
    pub(crate) time: OffsetDateTime,
    /// From where.
    pub(crate) client_ip: IpAddr,
    /// The listener's port.
    pub(crate) listener_port: Option<u16>,
    /// `TLSv1.3`; nothing over plain HTTP.
    pub(crate) protocol: Option<&'a str>,
    /// The cipher suite.
    pub(crate) cipher: Option<&'a str>,
    /// The subject of the client's certificate.
    pub(crate) subject: Option<&'a str>,
    /// `NotBefore=…;NotAfter=…`.
    pub(crate) validity: Option<&'a str>,
    /// The serial of the client's certificate, hexadecimal.
    pub(crate) serial: Option<&'a str>,
    /// What became of it.
    pub(crate) verdict: Verdict<'a>,
    /// By which the access log names the connection.
    pub(crate) trace: Option<&'a str>,
    /// The group of the key exchange.
    pub(crate) key_exchange: Option<&'a str>,
}

/// What the load balancer made of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// The client's certificate was verified.
    Ok,
    /// The handshake failed, for the reason with this code.
    Refused(&'a str),
    /// TLS, without a verdict on the client.
    NotVerified,
    /// Not even TLS.
    PlainHttp,
}

/// What is wrong with a line that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// It has too few fields, or a quote that nothing closes.
    Fields,
    /// It does not begin with a time.
    Time,
    /// It names no address.
    Address,
}

impl<'a> Line<'a> {
    /// Reads a line.
    pub(super) fn parse(text: &'a str) -> Result<Self, Broken> {
        let mut rest = text.trim_matches(['\r', ' ']);
        let mut fields: [Option<&str>; KNOWN_FIELDS] = [None; KNOWN_FIELDS];
        let mut count = 0;
        while count < KNOWN_FIELDS && !rest.is_empty() {
            let (field, tail) = next_field(rest).ok_or(Broken::Fields)?;
            fields[count] = Some(field).filter(|field| !matches!(*field, "-" | ""));
            count += 1;
            rest = tail;
        }
        if count < FEWEST_FIELDS {
            return Err(Broken::Fields);
        }
        let time = fields[0].and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        let client_ip = fields[1].and_then(|text| text.parse().ok());
        Ok(Self {
            time: time.ok_or(Broken::Time)?,
            client_ip: client_ip.ok_or(Broken::Address)?,
            listener_port: fields[3].and_then(|text| text.parse().ok()),
            protocol: fields[4],
            cipher: fields[5],
            subject: fields[7],
            validity: fields[8],
            serial: fields[9],
            verdict: Verdict::of(fields[10], fields[4]),
            trace: fields[11],
            key_exchange: fields[12],
        })
    }

    /// The end of the client certificate's validity, as the log writes it.
    pub(crate) fn not_after(&self) -> Option<&'a str> {
        let mut parts = self.validity?.split(';');
        parts.find_map(|part| part.trim().strip_prefix("NotAfter="))
    }
}

impl<'a> Verdict<'a> {
    /// Reads the status; over plain HTTP there is neither status nor protocol.
    fn of(status: Option<&'a str>, protocol: Option<&str>) -> Self {
        match (status, protocol) {
            (Some(status), _) if status.eq_ignore_ascii_case("success") => Self::Ok,
            // What else AWS may write there one day is at least no success.
            (Some(status), _) => {
                let code = status.split_once(':').map_or(status, |(_, code)| code);
                Self::Refused(
                    Some(code.trim())
                        .filter(|code| !code.is_empty())
                        .unwrap_or(status),
                )
            }
            (None, Some(_)) => Self::NotVerified,
            (None, None) => Self::PlainHttp,
        }
    }
}

/// Takes the next field off a text that is not empty; `None` where a quote is not closed.
fn next_field(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (field, rest) = text.split_once(' ').unwrap_or((text, ""));
        return Some((field, rest.trim_start_matches(' ')));
    };
    // How AWS writes a quote within quotes is not documented: names escape it with a backslash.
    let end = closing_quote(quoted, true).or_else(|| closing_quote(quoted, false))?;
    let rest = quoted[end + 1..].trim_start_matches(' ');
    Some((&quoted[..end], rest))
}

/// Finds the quote that ends a field: a space or the end of the line follows.
fn closing_quote(text: &str, escapes: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut position = 0;
    while position < bytes.len() {
        match bytes[position] {
            b'\\' if escapes => position += 1,
            b'"' if matches!(bytes.get(position + 1), None | Some(b' ')) => return Some(position),
            _ => {}
        }
        position += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const FULL: &str = r#"2026-11-28T09:05:15.514108Z 203.0.113.1 36280 443 TLSv1.3 TLS_AES_128_GCM_SHA256 0.012 "CN=alice,O=Example Ltd,C=US" NotBefore=2026-09-21T22:43:21Z;NotAfter=2027-06-17T22:43:21Z FEF257372D5C14D4 Success TID_3180a73013c8ca4bac2f731159d4b0fe X25519MLKEM768 app/petstore/0123456789abcdef 10.0.1.5"#;

    #[test]
    fn a_line_of_fifteen_fields_is_read() {
        let line = Line::parse(FULL).unwrap();
        assert_eq!(line.time, datetime!(2026-11-28 9:05:15.514108 UTC));
        assert_eq!(line.client_ip.to_string(), "203.0.113.1");
        assert_eq!(line.listener_port, Some(443));
        assert_eq!(line.protocol, Some("TLSv1.3"));
        assert_eq!(line.subject, Some("CN=alice,O=Example Ltd,C=US"));
        assert_eq!(line.serial, Some("FEF257372D5C14D4"));
        assert_eq!(line.not_after(), Some("2027-06-17T22:43:21Z"));
        assert_eq!(line.verdict, Verdict::Ok);
        assert_eq!(line.key_exchange, Some("X25519MLKEM768"));
        assert_eq!(line.trace, Some("TID_3180a73013c8ca4bac2f731159d4b0fe"));
    }

    #[test]
    fn older_and_newer_lines_are_read() {
        let twelve = FULL.split(" X25519").next().unwrap();
        let line = Line::parse(twelve).unwrap();
        assert_eq!((line.verdict, line.key_exchange), (Verdict::Ok, None));
        let newer = format!("{FULL} - \"something new\" 7\r");
        assert_eq!(Line::parse(&newer), Line::parse(FULL));
    }

    #[test]
    fn a_quoted_status_is_the_same_status() {
        let failed = FULL.replace("Success", "\"Failed:ClientCertExpired\"");
        let verdict = Line::parse(&failed).unwrap().verdict;
        assert_eq!(verdict, Verdict::Refused("ClientCertExpired"));
        let bare = FULL.replace("Success", "Failed:");
        assert_eq!(
            Line::parse(&bare).unwrap().verdict,
            Verdict::Refused("Failed:")
        );
    }

    #[test]
    fn without_a_status_it_is_the_protocol_that_tells() {
        let http = "2026-11-28T09:05:15.514108Z 2001:db8::1 36280 80 - - - \"-\" - - - TID_1";
        let line = Line::parse(http).unwrap();
        assert_eq!((line.verdict, line.subject), (Verdict::PlainHttp, None));
        let tls = http.replace("80 - -", "443 TLSv1.3 TLS_AES_128_GCM_SHA256");
        assert_eq!(Line::parse(&tls).unwrap().verdict, Verdict::NotVerified);
    }

    #[test]
    fn quotes_within_a_subject_do_not_end_it() {
        let escaped = FULL.replace("CN=alice,O=Example", r#"CN=a \" b\\,O=\"X\" y"#);
        let line = Line::parse(&escaped).unwrap();
        assert_eq!(line.subject, Some(r#"CN=a \" b\\,O=\"X\" y Ltd,C=US"#));
        // A backslash that AWS would not have escaped.
        let bare = FULL.replace("C=US\"", "C=US\\\"");
        assert!(Line::parse(&bare).is_ok());
    }

    #[test]
    fn what_is_no_line_is_told_apart() {
        for (text, broken) in [
            ("", Broken::Fields),
            (
                "2026-11-28T09:05:15.514108Z 203.0.113.1 1 443",
                Broken::Fields,
            ),
            (&FULL.replace("C=US\"", "C=US"), Broken::Fields),
            (&FULL.replace("2026-11", "yesterday"), Broken::Time),
            (&FULL.replace("203.0.113.1", "here"), Broken::Address),
        ] {
            assert_eq!(Line::parse(text), Err(broken), "{text}");
        }
    }

    /// A field without spaces that is not `-` and begins with no quote.
    fn word() -> impl Strategy<Value = String> {
        "[!#-~][!-~]{0,20}".prop_filter("`-` is nothing", |text| text != "-")
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            Line::parse(&text).ok();
        }

        #[test]
        fn no_mutilated_line_is_too_strange(at in 0..FULL.len(), with in any::<char>()) {
            let mut text = FULL.to_owned();
            text.replace_range(at..=at, &with.to_string());
            Line::parse(&text).ok();
            Line::parse(&FULL[..at]).ok();
        }

        #[test]
        fn what_is_written_is_read_back(
            subject in "([A-Za-z0-9,= é漢]|\\\\\"|\\\\\\\\){1,60}",
            serial in "[0-9A-F]{1,40}",
            code in "[A-Za-z]{1,40}",
            protocol in word(),
            port in any::<u16>(),
            address in any::<std::net::Ipv6Addr>(),
            seconds in 0_i64..4_000_000_000,
            more in proptest::collection::vec(word(), 0..4),
        ) {
            let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let stamp = time.format(&Rfc3339).unwrap();
            let text = format!(
                "{stamp} {address} {port} {port} {protocol} - - \"{subject}\" - {serial} Failed:{code} TID_1 - - - {}",
                more.join(" ")
            );
            let line = Line::parse(&text).unwrap();
            prop_assert_eq!(line.time, time);
            prop_assert_eq!(line.client_ip, IpAddr::from(address));
            prop_assert_eq!(line.listener_port, Some(port));
            prop_assert_eq!(line.protocol, Some(protocol.as_str()));
            prop_assert_eq!(line.subject, Some(subject.as_str()));
            prop_assert_eq!(line.serial, Some(serial.as_str()));
            prop_assert_eq!(line.verdict, Verdict::Refused(code.as_str()));
        }
    }
}
