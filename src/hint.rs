//! "Did you mean": the nearest of the words that would have been right.

/// Finds the one of `candidates` that `word` is most likely a misspelling of.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= mistakes_in(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many mistakes still leave a word recognisable.
fn mistakes_in(word: &str) -> usize {
    (word.chars().count() / 3).clamp(1, 3)
}

/// Writes "did you mean `x`?" where one of `candidates` is near to `word`.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_neighbour() {
        assert_eq!(
            nearest("trust_stor", ["listener", "trust_store"]),
            Some("trust_store")
        );
        assert_eq!(
            nearest("Verfy", ["off", "passthrough", "verify"]),
            Some("verify")
        );
    }

    #[test]
    fn a_transposition_counts_as_one_mistake() {
        assert_eq!(nearest("polciy", ["policy", "port"]), Some("policy"));
    }

    #[test]
    fn a_word_of_its_own_finds_nothing() {
        assert_eq!(nearest("banana", ["listener", "trust_store"]), None);
        assert_eq!(did_you_mean("xy", ["ab"]), None);
    }
}
