//! Paths to keys of the stack file, such as `load_balancer.subnets[1]`.

use std::fmt;

/// The way from the top of a file to one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyPath(Vec<Segment>);

/// One step of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Segment {
    /// Into the entry of a mapping.
    Key(String),
    /// Into an element of a sequence, from 0.
    Index(usize),
}

impl KeyPath {
    /// The path of a key at the top of the file.
    pub(super) fn top(key: &str) -> Self {
        Self::default().key(key)
    }

    /// The path of an entry of the mapping here.
    pub(super) fn key(&self, key: &str) -> Self {
        self.then(Segment::Key(key.to_owned()))
    }

    /// The path of an element of the sequence here.
    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Segment::Index(index))
    }

    /// The path with further steps.
    pub(super) fn join(&self, segments: &[Segment]) -> Self {
        Self([self.0.as_slice(), segments].concat())
    }

    /// The path of what this is in.
    pub(super) fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    /// Whether this is the file as a whole.
    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The steps from the top.
    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }

    fn then(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if !is_plain(key) => write!(f, "[{key:?}]")?,
                Segment::Key(key) if position == 0 => write!(f, "{key}")?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// Reads what `Display` writes; text that is no path yields the longest part that is one.
impl From<&str> for KeyPath {
    fn from(text: &str) -> Self {
        let mut path = Self::default();
        let mut rest = text;
        while let Some((segment, tail)) = next_segment(rest) {
            path.0.push(segment);
            rest = tail;
        }
        path
    }
}

fn next_segment(text: &str) -> Option<(Segment, &str)> {
    let text = text.strip_prefix('.').unwrap_or(text);
    if let Some(quoted) = text.strip_prefix("[\"") {
        let (key, tail) = quoted.split_once("\"]")?;
        return Some((Segment::Key(key.to_owned()), tail));
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        let (index, tail) = bracketed.split_once(']')?;
        return Some((Segment::Index(index.parse().ok()?), tail));
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    (end > 0).then(|| (Segment::Key(text[..end].to_owned()), &text[end..]))
}

fn is_plain(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !key.is_empty() && key.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_back_as_written() {
        let path = KeyPath::top("load_balancer")
            .key("tags")
            .key("a.b c")
            .index(3)
            .key("x");
        assert_eq!(path.to_string(), r#"load_balancer.tags["a.b c"][3].x"#);
        assert_eq!(KeyPath::from(path.to_string().as_str()), path);
    }

    #[test]
    fn text_that_is_no_path_yields_its_sound_part() {
        assert_eq!(KeyPath::from("a.b[x]"), KeyPath::top("a").key("b"));
        assert_eq!(KeyPath::from(""), KeyPath::default());
    }
}
