//! Serial numbers, small enough that half a million of them fit in 16 MB.

use std::cmp::Ordering;
use std::fmt;

/// The longest serial that is kept. RFC 5280 allows 20 octets, a sign octet may come in front,
/// and some CAs do not count well.
const MAXIMUM_OCTETS: usize = 31;

/// A certificate's serial number: the octets of its DER integer, without redundant leading ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Serial {
    length: u8,
    octets: [u8; MAXIMUM_OCTETS],
}

impl Serial {
    /// Takes the content octets of a DER integer; `None` when empty or longer than any CA issues.
    pub(crate) fn from_der_content(content: &[u8]) -> Option<Self> {
        let redundant = content
            .windows(2)
            .take_while(|pair| pair[0] == 0 && pair[1] < 0x80)
            .count();
        let significant = &content[redundant..];
        let length = u8::try_from(significant.len()).ok()?;
        let mut octets = [0; MAXIMUM_OCTETS];
        octets
            .get_mut(..significant.len())
            .filter(|target| !target.is_empty())?
            .copy_from_slice(significant);
        Some(Self { length, octets })
    }

    /// Reads hex digits, with or without colons between octets; `None` if there is anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: String = text.split(':').collect();
        let digits = digits.trim_start_matches('0');
        if text.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        // The zero in front keeps the number positive.
        let padding = if digits.len().is_multiple_of(2) {
            "00"
        } else {
            "0"
        };
        let digits = format!("{padding}{digits}");
        let octet = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
        let octets: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(octet).collect();
        Self::from_der_content(&octets?)
    }

    /// Returns the number as big-endian octets without leading zeros.
    pub fn as_bytes(&self) -> &[u8] {
        match self.content() {
            [0, rest @ ..] if !rest.is_empty() => rest,
            content => content,
        }
    }

    /// Says whether the integer is negative, which RFC 5280 forbids and ALB cannot revoke.
    pub fn is_negative(&self) -> bool {
        self.octets[0] >= 0x80
    }

    /// Writes the number as people count CRLs: in decimal, or in hex where that has over 38 digits.
    pub fn decimal(&self) -> String {
        let octets = self.as_bytes();
        if self.is_negative() || octets.len() > size_of::<u128>() {
            return format!("0x{self}");
        }
        let number = octets
            .iter()
            .fold(0_u128, |number, octet| number << 8 | u128::from(*octet));
        number.to_string()
    }

    /// Returns the DER integer's content octets.
    fn content(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }
}

/// Orders positive serials by value.
impl Ord for Serial {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.length, self.content()).cmp(&(other.length, other.content()))
    }
}

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Writes upper-case hex digits, as ALB does in its headers and OpenSSL in its output.
impl fmt::Display for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|octet| write!(formatter, "{octet:02X}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(content: &[u8]) -> Serial {
        Serial::from_der_content(content).unwrap()
    }

    #[test]
    fn the_sign_octet_is_no_part_of_the_number() {
        assert_eq!(serial(&[0, 0x80]).as_bytes(), [0x80]);
        assert_eq!(serial(&[0, 0x80]).to_string(), "80");
        assert!(!serial(&[0, 0x80]).is_negative());
        assert!(serial(&[0x80]).is_negative());
        assert_ne!(serial(&[0, 0x80]), serial(&[0x80]));
        assert_eq!(serial(&[0, 0, 1]), serial(&[1]));
        assert_eq!(serial(&[0]).to_string(), "00");
    }

    #[test]
    fn a_count_is_written_in_decimal() {
        assert_eq!(serial(&[1, 0]).decimal(), "256");
        assert_eq!(serial(&[0, 0x80]).decimal(), "128");
        assert_eq!(serial(&[0x80]).decimal(), "0x80");
        assert_eq!(serial(&[1; 17]).decimal(), format!("0x{}", "01".repeat(17)));
    }

    #[test]
    fn hex_is_read_with_and_without_colons() {
        for text in ["0a80", "A80", "0A:80", "00:00:0a:80"] {
            assert_eq!(
                Serial::from_hex(text),
                Some(serial(&[0x0a, 0x80])),
                "{text}"
            );
        }
        assert_eq!(Serial::from_hex("ff"), Some(serial(&[0, 0xff])));
        assert_eq!(Serial::from_hex("0"), Some(serial(&[0])));
        for text in ["", "-1", "0x1", "1 2", &"f".repeat(100)] {
            assert_eq!(Serial::from_hex(text), None, "{text}");
        }
    }

    #[test]
    fn serials_are_ordered_by_value() {
        let mut serials = [serial(&[1, 0]), serial(&[0, 0xff]), serial(&[9])];
        serials.sort_unstable();
        assert_eq!(
            serials.map(|serial| serial.to_string()),
            ["09", "FF", "0100"]
        );
    }

    #[test]
    fn impossible_lengths_are_refused() {
        assert_eq!(Serial::from_der_content(&[]), None);
        assert!(Serial::from_der_content(&[1; 31]).is_some());
        assert_eq!(Serial::from_der_content(&[1; 32]), None);
        assert_eq!(size_of::<Serial>(), 32);
    }
}
