//! A reader of DER elements that allocates nothing, for lists too long to build in memory.

/// The tags of the elements that are read by hand.
pub(super) mod tag {
    /// A truth value.
    pub(crate) const BOOLEAN: u8 = 0x01;
    /// A whole number, such as a serial.
    pub(crate) const INTEGER: u8 = 0x02;
    /// A key or a signature.
    pub(crate) const BIT_STRING: u8 = 0x03;
    /// The value of an extension.
    pub(crate) const OCTET_STRING: u8 = 0x04;
    /// The name of an algorithm, attribute or extension.
    pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
    /// A time until 2049.
    pub(crate) const UTC_TIME: u8 = 0x17;
    /// A time from 2050 on.
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    /// A structure or a list.
    pub(crate) const SEQUENCE: u8 = 0x30;
    /// An optional field with the number 0.
    pub(crate) const CONTEXT_0: u8 = 0xa0;
}

/// Bytes that do not follow DER where an element was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// The input ends inside an element.
    #[error("it ends too early")]
    Truncated,
    /// A length that DER does not allow, or that no file has.
    #[error("it holds a length that DER does not allow")]
    Length,
    /// Another element than the structure demands.
    #[error("it holds tag {found:#04x} where {expected:#04x} was expected")]
    Tag {
        /// The tag demanded.
        expected: u8,
        /// The tag met.
        found: u8,
    },
    /// Bytes after the end of the structure.
    #[error("bytes follow its end")]
    Trailing,
    /// An element whose content makes no sense.
    #[error("its {0} is invalid")]
    Content(&'static str),
}

/// One tag-length-value element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    /// The identifier octet.
    pub(super) tag: u8,
    /// The value.
    pub(super) content: &'a [u8],
    /// Tag, length and value.
    pub(super) raw: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads the elements inside this one.
    pub(super) fn reader(&self) -> Reader<'a> {
        Reader::new(self.content)
    }
}

/// Reads one element after another.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first of the bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Says whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the tag of the next element without reading it.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Reads the next element, whatever it is.
    pub(super) fn next(&mut self) -> Result<Element<'a>, Malformed> {
        let (header, length) = read_header(self.rest)?;
        let end = header.checked_add(length).ok_or(Malformed::Length)?;
        let (raw, rest) = self
            .rest
            .split_at_checked(end)
            .ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(Element {
            tag: raw[0],
            content: &raw[header..],
            raw,
        })
    }

    /// Reads the next element, which must have the tag.
    pub(super) fn expect(&mut self, expected: u8) -> Result<Element<'a>, Malformed> {
        match self.peek() {
            None => Err(Malformed::Truncated),
            Some(found) if found != expected => Err(Malformed::Tag { expected, found }),
            Some(_) => self.next(),
        }
    }

    /// Reads the next element if it has the tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        if self.peek() == Some(tag) {
            self.next().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Demands that nothing is left.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Trailing)
        }
    }
}

/// Returns the lengths of header and content of the element that the bytes begin with.
fn read_header(bytes: &[u8]) -> Result<(usize, usize), Malformed> {
    let first = usize::from(*bytes.get(1).ok_or(Malformed::Truncated)?);
    if first < 0x80 {
        return Ok((2, first));
    }
    let octets = first & 0x7f;
    if octets == 0 || octets > 4 {
        return Err(Malformed::Length);
    }
    let length = bytes
        .get(2..2 + octets)
        .ok_or(Malformed::Truncated)?
        .iter()
        .fold(0, |length, octet| length << 8 | usize::from(*octet));
    Ok((2 + octets, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_in_order() {
        let mut reader = Reader::new(&[0x30, 0x03, 0x02, 0x01, 0x05, 0x04, 0x81, 0x01, 0xff]);
        let sequence = reader.expect(tag::SEQUENCE).unwrap();
        assert_eq!(sequence.raw.len(), 5);
        let mut inner = sequence.reader();
        assert_eq!(inner.next().unwrap().content, [5]);
        assert!(inner.is_empty());
        assert_eq!(
            reader
                .optional(tag::INTEGER)
                .unwrap()
                .map(|found| found.tag),
            None
        );
        assert_eq!(reader.next().unwrap().content, [0xff]);
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn broken_elements_are_refused() {
        for (bytes, expected) in [
            (&[0x30][..], Malformed::Truncated),
            (&[0x30, 0x05, 0x00], Malformed::Truncated),
            (&[0x30, 0x80, 0x00, 0x00], Malformed::Length),
            (&[0x30, 0x85, 0, 0, 0, 0, 1], Malformed::Length),
            (&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], Malformed::Truncated),
        ] {
            assert_eq!(Reader::new(bytes).next().unwrap_err(), expected);
        }
    }
}
