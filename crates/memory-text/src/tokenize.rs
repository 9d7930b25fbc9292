//! Tokenization and stemming, the same for stored text and for queries.

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

use crate::stop_words::is_stop_word;

/// Most bytes of a token; the rest of a longer one is ignored.
const MAX_TOKEN_BYTES: usize = 128;

/// The tokens of a text, in order: runs of letters and digits, in lower case
/// and without accents; a token per character in scripts without spaces.
#[must_use]
pub fn tokenize(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for_each_token(text, |token| tokens.push(token.to_owned()));
    tokens
}

/// The stems of a text's tokens, without stop words, in order: the terms that
/// the lexical retriever indexes and searches for. English; words of other
/// languages mostly stay unchanged.
///
/// A text of stop words alone has no stems: they occur in most memories, so
/// searching for them would scan everything and tell nothing.
#[must_use]
pub fn stems(text: &str) -> Vec<String> {
    let mut stems = Vec::new();
    for_each_stem(text, |stem| stems.push(stem.to_owned()));
    stems
}

/// Calls `each` with every one of a text's [`stems`].
pub fn for_each_stem(text: &str, mut each: impl FnMut(&str)) {
    let stemmer = Stemmer::create(Algorithm::English);
    for_each_token(text, |word| {
        if !is_stop_word(word) {
            each(&stemmer.stem(word));
        }
    });
}

/// Calls `each` with every token of a text: see [`tokenize`].
fn for_each_token(text: &str, mut each: impl FnMut(&str)) {
    let mut word = String::new();
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            each(word);
            word.clear();
        }
    };
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            push(&mut word, c.to_ascii_lowercase());
        } else if c.is_ascii() {
            end(&mut word);
        } else if is_unspaced_script(c) {
            end(&mut word);
            if c.is_alphanumeric() {
                word.push(c);
                end(&mut word);
            }
        } else if is_hangul(c) {
            push(&mut word, c);
        } else {
            for c in c.to_lowercase() {
                decompose_compatible(c, |part| match part {
                    _ if is_accent(part) => {}
                    _ if part.is_alphanumeric() || is_combining_mark(part) => {
                        part.to_lowercase().for_each(|part| push(&mut word, part));
                    }
                    _ => end(&mut word),
                });
            }
        }
    }
    end(&mut word);
}

fn push(word: &mut String, c: char) {
    if word.len() + c.len_utf8() <= MAX_TOKEN_BYTES {
        word.push(c);
    }
}

/// Whether a script is written without spaces between words: Thai and Lao,
/// Burmese, Khmer, kana and ideographs.
fn is_unspaced_script(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Hangul syllables, which decomposition would only make longer.
fn is_hangul(c: char) -> bool {
    matches!(c, '\u{ac00}'..='\u{d7a3}')
}

/// Combining marks of Latin, Greek and Cyrillic letters, which people omit when
/// they search; the marks of other scripts belong to the word.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_width_are_for_each_token() {
        for text in ["NAÏVE café", "nai\u{308}ve cafe\u{301}", "ｎａｉｖｅ cafe"] {
            assert_eq!(stems(text), ["naiv", "cafe"], "{text}");
        }
        assert_eq!(
            stems("İstanbul Übergabe ﬁsh"),
            ["istanbul", "ubergab", "fish"]
        );
    }

    #[test]
    fn punctuation_separates_tokens_and_numbers_are_tokens() {
        assert_eq!(
            stems("Ticket INC-90312, re: Tam's horses!"),
            ["ticket", "inc", "90312", "tam", "hors"]
        );
        assert!(stems(" …!? 🐎 \u{301}\u{200b}").is_empty());
    }

    #[test]
    fn scripts_without_spaces_have_a_token_per_character() {
        assert_eq!(stems("猫の記憶"), ["猫", "の", "記", "憶"]);
        assert_eq!(stems("แม่"), ["แ", "ม"]);
        assert_eq!(stems("한국어 기억"), ["한국어", "기억"]);
        // Vowel signs and viramas belong to their word.
        assert_eq!(stems("हिन्दी"), ["हिन्दी"]);
    }

    #[test]
    fn stop_words_are_not_indexed() {
        assert_eq!(
            stems("What did Tam say about the mill?"),
            ["tam", "say", "mill"]
        );
        assert!(stems("who is it?").is_empty());
    }

    #[test]
    fn long_tokens_are_truncated() {
        let long = stems(&"x".repeat(10_000));
        assert_eq!(long.len(), 1);
        assert_eq!(long[0].len(), MAX_TOKEN_BYTES);
    }
}
