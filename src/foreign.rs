//! Text that somebody else wrote, for terminals.

use std::fmt::Write;

/// Writes a text so that it can neither drive a terminal nor reorder what stands around it.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) {
            write!(shown, "\\u{{{:x}}}", u32::from(character))
                .expect("writing to a String cannot fail");
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether a character does more than to be seen.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_drive_a_terminal_is_written_out() {
        assert_eq!(shown("CN=a\u{1b}[2Jb\r\n"), "CN=a\\u{1b}[2Jb\\u{d}\\u{a}");
        assert_eq!(shown("CN=\u{202e}ecila"), "CN=\\u{202e}ecila");
        assert_eq!(shown("CN=Zoë 漢"), "CN=Zoë 漢");
    }
}
