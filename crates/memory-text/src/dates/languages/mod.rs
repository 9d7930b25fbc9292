//! The words of each language. Another language is another table here.

mod english;
mod german;

use super::words::Language;

/// Every language; where two read the same words differently, the longer
/// expression counts.
pub(super) const LANGUAGES: [&Language; 2] = [&english::ENGLISH, &german::GERMAN];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_for_binary_search_and_list_a_word_once() {
        for language in LANGUAGES {
            for pair in language.words.windows(2) {
                assert!(pair[0].0 < pair[1].0, "{} {}", pair[0].0, pair[1].0);
            }
            for (word, _) in language.words {
                assert_eq!(*word, word.to_lowercase());
                assert!(word.chars().all(char::is_alphabetic), "{word}");
            }
        }
    }
}
