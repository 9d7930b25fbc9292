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
/// the lexical retriever indexes and searches for; then its compounds, such as
/// `v1.2.3` or `INC-90312`, whole and joined by `·`. English; words of other
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
    for_each_compound(text, &mut each);
}

/// Joins the parts of a compound. Not alphanumeric, so that no token equals a
/// compound, and not ASCII, so that an index that separates at ASCII punctuation
/// keeps the compound whole.
const COMPOUND_JOINER: char = '·';

/// Calls `each` with every compound of a text: an identifier, a version, a date
/// or a hyphenated word, whose parts are tokens as well. `v1.2.3` and `v1.3.2`
/// have the same parts and are different compounds.
pub(crate) fn for_each_compound(text: &str, each: &mut impl FnMut(&str)) {
    let is_separator = |c: char| matches!(c, '.' | '-' | '_' | '/' | ':' | '@');
    // Most texts have none within a word.
    let separates = |[before, separator, after]: &[u8; 3]| {
        is_separator(char::from(*separator))
            && before.is_ascii_alphanumeric()
            && after.is_ascii_alphanumeric()
    };
    if !text.as_bytes().array_windows().any(separates) {
        return;
    }
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut compound = String::new();
    for run in text.split(|c: char| !c.is_alphanumeric() && !is_separator(c)) {
        // Separators in a row end a compound: `https://a.b` is not one.
        let mut parts = 0;
        for part in run.split(is_separator) {
            if is_part(part) {
                if parts > 0 {
                    push(&mut compound, COMPOUND_JOINER);
                }
                part.chars()
                    .for_each(|c| push(&mut compound, c.to_ascii_lowercase()));
                parts += 1;
                continue;
            }
            if parts > 1 {
                each(&compound);
            }
            compound.clear();
            parts = 0;
        }
        if parts > 1 {
            each(&compound);
        }
        compound.clear();
    }
}

/// Calls `each` with every token of a text: see [`tokenize`].
pub(crate) fn for_each_token(text: &str, mut each: impl FnMut(&str)) {
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

/// Whether a character is of a script without spaces between words: Thai and
/// Lao, Burmese, Khmer, kana and ideographs.
#[must_use]
pub fn is_unspaced_script(c: char) -> bool {
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
            ["ticket", "inc", "90312", "tam", "hors", "inc·90312"]
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

    #[test]
    fn compounds_keep_the_order_of_their_parts() {
        let compounds = |text| {
            let stems = stems(text).into_iter();
            stems.filter(|stem| stem.contains('·')).collect::<Vec<_>>()
        };
        for (text, expected) in [
            ("release v1.2.3.", vec!["v1·2·3"]),
            ("release V1.3.2, not v1.2.3", vec!["v1·3·2", "v1·2·3"]),
            ("on 2026-03-01 at 09:30", vec!["2026·03·01", "09·30"]),
            (
                "a well-known snake_case name",
                vec!["well·known", "snake·case"],
            ),
            ("see https://a.example/b", vec!["a·example·b"]),
            ("mail a@b.example", vec!["a·b·example"]),
            ("wait... no -5 - 6 x", vec![]),
            ("версия-2 水-3", vec![]),
        ] {
            assert_eq!(compounds(text), expected, "{text}");
        }
    }
}
