//! Stack files with something wrong in them.

use super::random::Random;

/// What may stand where a value stood.
const VALUES: [&str; 16] = [
    "",
    "-1",
    "0",
    "1e999",
    "99999999999999999999",
    "true",
    "~",
    "[]",
    "{}",
    "[[[[",
    "{a: {b: }}",
    "*a",
    "&a [*a]",
    "!!binary x",
    "\"\\u0000\"",
    "${env:",
];

/// The text with one to three mutations.
pub(super) fn mutated(text: &str, random: &mut Random) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(3) {
        bytes = match random.below(5) {
            0 => without_some(bytes, random),
            1 => with_other_byte(bytes, random),
            2 => with_lines_swapped(&bytes, random),
            3 => with_line_again(&bytes, random),
            _ => with_other_value(&bytes, random),
        };
    }
    bytes
}

fn without_some(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let begin = random.below(bytes.len() + 1);
    let end = (begin + random.below(12)).min(bytes.len());
    bytes.drain(begin..end);
    bytes
}

fn with_other_byte(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let place = random.below(bytes.len() + 1);
    let byte = *random.of(b"\0\t\r\n\"'#&*-:?@[]{}|>%!\\\x80\xc3\xff");
    bytes.insert(place, byte);
    bytes
}

fn with_lines_swapped(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let (one, other) = (random.below(lines.len()), random.below(lines.len()));
    lines.swap(one, other);
    lines.join(&b'\n')
}

fn with_line_again(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let line = lines[random.below(lines.len())];
    lines.insert(random.below(lines.len() + 1), line);
    lines.join(&b'\n')
}

/// Replaces what follows a colon, up to the next end of a value.
fn with_other_value(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let colons = bytes.iter().enumerate().filter(|(_, byte)| **byte == b':');
    let colons: Vec<usize> = colons.map(|(place, _)| place + 1).collect();
    if colons.is_empty() {
        return bytes.to_vec();
    }
    let (head, tail) = bytes.split_at(*random.of(&colons));
    let length = tail
        .iter()
        .position(|byte| b",}\n".contains(byte))
        .unwrap_or(tail.len());
    [head, b" ", random.of(&VALUES).as_bytes(), &tail[length..]].concat()
}
