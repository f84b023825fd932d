//! From what somebody pastes to entries.

use super::entry::{Entry, Kind};
use crate::hint;

/// What a text led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The entries that it is about; never empty.
    Entries(Vec<Entry>),
    /// Nothing, but this code is near.
    Near(&'static str),
    /// Nothing.
    Nothing,
}

/// Finds an entry by its code, in any case, with or without `Failed:` and `Exception`.
pub fn find(code: &str) -> Option<Entry> {
    let entries = super::entries();
    let found = by_code(&entries, code);
    found.into_iter().next()
}

/// Finds what is known of an error: of what its message says, where its code stands for many things,
/// else of its code.
pub(crate) fn of_error(code: &str, message: &str) -> Option<Entry> {
    let entries = super::entries();
    let of_code = by_code(&entries, code);
    let kinds: Vec<Kind> = of_code.iter().map(|entry| entry.kind).collect();
    let mut told = by_message(&entries, message);
    told.retain(|entry| kinds.contains(&entry.kind));
    told.into_iter().chain(of_code).next()
}

/// Finds what a text is about: a code, a message, or both within more text.
pub fn look_up(text: &str) -> Found {
    let entries = super::entries();
    let text = text.trim();
    let found = [by_code, by_message, by_words]
        .into_iter()
        .map(|look| look(&entries, text))
        .find(|found| !found.is_empty());
    if let Some(found) = found {
        return Found::Entries(found);
    }
    let wanted = bare(text);
    let codes: Vec<String> = entries.iter().map(|entry| bare(entry.code)).collect();
    let near = hint::nearest(&wanted, codes.iter().map(String::as_str));
    let near = near.and_then(|near| codes.iter().position(|code| code == near));
    near.map_or(Found::Nothing, |near| Found::Near(entries[near].code))
}

/// The code without what stands around it in logs, answers and messages.
fn bare(text: &str) -> String {
    let text = text.trim_matches(|c: char| c.is_whitespace() || "\"'`.,:;()".contains(c));
    let text = text.to_lowercase();
    let text = text.strip_prefix("failed:").unwrap_or(&text).trim();
    let text = text.strip_prefix("http ").unwrap_or(text);
    // An exception by that name alone would be left with nothing.
    match text.strip_suffix("exception") {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => text.to_owned(),
    }
}

/// What stands between parts of messages of which all have to be there.
const PARTS: &str = " … ";

fn by_code(entries: &[Entry], text: &str) -> Vec<Entry> {
    let wanted = bare(text);
    let is_it = |entry: &&Entry| bare(entry.code) == wanted;
    entries.iter().filter(is_it).copied().collect()
}

/// What a message is about: what it is most precise about, and all that is as precise.
fn by_message(entries: &[Entry], text: &str) -> Vec<Entry> {
    let text = text.to_lowercase();
    let precision = |entry: &Entry| {
        let told = entry
            .messages
            .iter()
            .filter(|message| message.split(PARTS).all(|part| text.contains(part)));
        told.map(|message| message.len()).max().unwrap_or(0)
    };
    let best = entries.iter().map(precision).max().unwrap_or(0);
    let is_best = |entry: &&Entry| best > 0 && precision(entry) == best;
    entries.iter().filter(is_best).copied().collect()
}

/// The codes that stand in a longer text as words of their own.
fn by_words(entries: &[Entry], text: &str) -> Vec<Entry> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let words = text
        .split(|c: char| !is_part(c))
        .map(|word| word.trim_matches('.'));
    // Words that are codes only by chance have no capital inside and no dot.
    let is_coded = |word: &&str| {
        word.len() > 2 && word[1..].contains(|c: char| c.is_ascii_uppercase() || "._-".contains(c))
            || word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut found: Vec<Entry> = Vec::new();
    for word in words.filter(is_coded) {
        for entry in by_code(entries, word) {
            let is_status = entry.kind == Kind::Status;
            if !found.contains(&entry) && (!is_status || text.len() <= 40) {
                found.push(entry);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<&'static str> {
        match look_up(text) {
            Found::Entries(entries) => entries.iter().map(|entry| entry.code).collect(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_code_is_found_however_it_is_written() {
        for text in [
            "ClientCertCrlHit",
            "clientcertcrlhit",
            "Failed:ClientCertCrlHit",
            "\"Failed:ClientCertCrlHit\"",
        ] {
            assert_eq!(codes(text), ["ClientCertCrlHit"], "{text}");
        }
        assert_eq!(codes("TooManyRequests"), ["TooManyRequestsException"]);
        assert_eq!(codes("TrustStoreNotReadyException"), ["TrustStoreNotReady"]);
        assert_eq!(codes("HTTP 502"), ["502"]);
    }

    #[test]
    fn a_message_is_found_by_what_it_says() {
        for (text, code) in [
            (r#"{"message":"Forbidden"}"#, "Forbidden"),
            (
                "curl: (56) error:0A000414:SSL routines::sslv3 alert certificate revoked",
                "ClientCertCrlHit",
            ),
            (
                r#"{"message":"Missing Authentication Token"}"#,
                "Missing Authentication Token",
            ),
            (
                "User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:ap-northeast-1:********9012:abc/dev/GET/pets",
                "User: anonymous is not authorized",
            ),
            (
                "User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:x with an explicit deny",
                "with an explicit deny",
            ),
            (
                "error: `listener`: elbv2:CreateListener failed: UnsupportedCertificate: The certificate must be issued",
                "UnsupportedCertificate",
            ),
        ] {
            assert_eq!(codes(text), [code], "{text}");
        }
    }

    #[test]
    fn a_misspelt_code_is_near_another_and_nonsense_is_not() {
        assert_eq!(
            look_up("ClientCertExpird"),
            Found::Near("ClientCertExpired")
        );
        assert_eq!(look_up("TrustStoreInUsed"), Found::Near("TrustStoreInUse"));
        assert_eq!(look_up("bananas"), Found::Nothing);
        assert_eq!(look_up(""), Found::Nothing);
    }
}
