//! Stems by the Snowball algorithms of `rust-stemmers`, which panic at some words.

use std::borrow::Cow;
use std::panic::catch_unwind;

use rust_stemmers::Algorithm;

/// Greek words, folded, at which the algorithm panics: its steps cut a suffix off and then
/// replace a range of the longer word. They are known so that no message of a panic, which
/// has a part of the word, is written; others like them are caught.
const GREEK_PANICS: [&str; 5] = ["ισαισα", "ισαισανε", "ισαισατε", "αντιθετε", "υπονετε"];

const GREEK_VOWELS: [char; 7] = ['α', 'ε', 'η', 'ι', 'ο', 'υ', 'ω'];

/// The algorithm of one language.
pub(crate) struct Stemmer {
    algorithm: rust_stemmers::Stemmer,
    is_greek: bool,
}

impl Stemmer {
    pub(crate) fn create(algorithm: Algorithm) -> Self {
        Self {
            algorithm: rust_stemmers::Stemmer::create(algorithm),
            is_greek: matches!(algorithm, Algorithm::Greek),
        }
    }

    /// The stem of a word; of one at which the algorithm panics or of which it leaves
    /// nothing, what is left without its last vowels where it is Greek, or else the word.
    pub(crate) fn stem<'a>(&self, word: &'a str) -> Cow<'a, str> {
        if self.is_greek && GREEK_PANICS.contains(&word) {
            return Cow::Borrowed(self.fallback(word));
        }
        match catch_unwind(|| self.algorithm.stem(word)) {
            Ok(stem) if !stem.is_empty() => stem,
            _ => Cow::Borrowed(self.fallback(word)),
        }
    }

    fn fallback<'a>(&self, word: &'a str) -> &'a str {
        let stem = word.trim_end_matches(GREEK_VOWELS);
        if self.is_greek && !stem.is_empty() {
            stem
        } else {
            word
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_at_which_the_algorithm_panics_has_a_stem() {
        let greek = Stemmer::create(Algorithm::Greek);
        for word in GREEK_PANICS {
            let panics = catch_unwind(|| drop(greek.algorithm.stem(word)));
            assert!(panics.is_err(), "{word} is no exception any more");
            assert!(word.starts_with(&*greek.stem(word)));
        }
        assert_eq!(greek.stem("αντιθετε"), greek.stem("αντιθετος"));
    }

    /// Words of up to three parts that occur at the end of Greek words.
    #[test]
    fn words_of_greek_endings_have_stems() {
        const PARTS: [&str; 12] = [
            "ισε",
            "ιζα",
            "ουνταν",
            "αντιθ",
            "ετε",
            "ανε",
            "ησανε",
            "ουσα",
            "ιεμαι",
            "ματα",
            "ακια",
            "αδες",
        ];
        let greek = Stemmer::create(Algorithm::Greek);
        let mut word = String::new();
        for first in PARTS {
            for second in PARTS {
                for third in PARTS.iter().copied().chain([""]) {
                    word.clear();
                    word.extend([first, second, third]);
                    assert!(!greek.stem(&word).is_empty(), "{word}");
                }
            }
        }
    }
}
