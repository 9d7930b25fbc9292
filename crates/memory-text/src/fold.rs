//! Folding of characters: what searching must not distinguish.
//!
//! Compatibility forms and width (NFKC), case in full (ß is ss), accents of Latin and
//! Greek letters, vowel marks of Arabic and Hebrew, the stretching of Arabic letters,
//! invisible characters, digits of every script. The marks of other scripts belong to
//! their letters.

use std::borrow::Cow;

use unicode_normalization::char::decompose_canonical;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// A text in the form that [`class`] and [`fold`] expect: NFKC.
pub(crate) fn normalize(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let is_normalized = is_nfkc_quick(text.chars()) == IsNormalized::Yes;
    let is_removed = |c: char| class(c) == CharClass::Ignored;
    match (is_normalized, text.contains(is_removed)) {
        (true, false) => Cow::Borrowed(text),
        (true, true) => Cow::Owned(text.replace(is_removed, "")),
        // What is between two characters may keep them from being composed.
        (false, _) => {
            let kept = text.chars().filter(|c| !is_removed(*c));
            let composed: String = kept.nfkc().filter(|c| !is_removed(*c)).collect();
            Cow::Owned(compose_am(composed))
        }
    }
}

/// NFKC divides the Thai and Lao vowel AM, which their dictionaries have whole.
fn compose_am(text: String) -> String {
    if text.contains(['\u{e4d}', '\u{ecd}']) {
        text.replace("\u{e4d}\u{e32}", "\u{e33}")
            .replace("\u{ecd}\u{eb2}", "\u{eb3}")
    } else {
        text
    }
}

/// What a character of a normalized text is to the division into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CharClass {
    /// Part of a word.
    Word,
    /// Part of a run of a script without spaces.
    Unspaced,
    /// Between words.
    Separator,
    /// Neither: as if it were not there.
    Ignored,
}

/// The class of a character.
pub(crate) fn class(c: char) -> CharClass {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => CharClass::Word,
        '\0'..='\x7f' => CharClass::Separator,
        // Soft hyphen, joiners, marks of direction and variation.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200c}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{e0000}'..='\u{e0fff}'
        // Points and accents of Hebrew; vowel marks of Arabic and its tatweel.
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}'
        | '\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'
        | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}' | '\u{6e7}' | '\u{6e8}'
        | '\u{6ea}'..='\u{6ed}' | '\u{8d3}'..='\u{8ff}' if !is_composing(c) => CharClass::Ignored,
        _ if is_unspaced_script(c) => CharClass::Unspaced,
        _ if c.is_alphanumeric() || is_mark(c) => CharClass::Word,
        _ => CharClass::Separator,
    }
}

/// Madda and hamza, which NFKC composes with the letter before them.
fn is_composing(c: char) -> bool {
    matches!(c, '\u{653}'..='\u{655}')
}

fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
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

/// Calls `each` with what a character of a word is folded to: none for an accent.
pub(crate) fn fold(c: char, mut each: impl FnMut(char)) {
    // Hangul has no case, and its decomposition is only longer.
    if matches!(c, '\u{ac00}'..='\u{d7a3}') {
        each(c);
        return;
    }
    // The lower case of the upper case is the full case folding: ß and ẞ become ss,
    // ς becomes σ, dotless ı becomes i.
    let c = if c == 'ẞ' { 'ß' } else { c };
    for c in c.to_uppercase().flat_map(char::to_lowercase) {
        if matches!(c, '\u{400}'..='\u{52f}') {
            // й and ї are letters of their own; people write е for ё.
            each(if c == 'ё' { 'е' } else { c });
        } else {
            decompose_canonical(c, |part| {
                if !is_accent(part) {
                    fold_letter(part, &mut each);
                }
            });
        }
    }
}

/// Combining marks of Latin, Greek and Cyrillic letters, which people omit when
/// they search, and hamza and madda.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}')
        || is_composing(c)
}

/// Letters with a stroke, ligatures, variants of Arabic letters, digits.
fn fold_letter(c: char, each: &mut impl FnMut(char)) {
    let folded = match c {
        'ø' => 'o',
        'ł' => 'l',
        'đ' | 'ð' => 'd',
        'ħ' => 'h',
        'ŧ' => 't',
        'æ' => {
            each('a');
            'e'
        }
        'œ' => {
            each('o');
            'e'
        }
        'þ' => {
            each('t');
            'h'
        }
        // Alef wasla, alef maksura and Persian yeh, teh marbuta, kaf, forms of heh.
        'ٱ' => 'ا',
        'ى' | 'ی' | 'ے' => 'ي',
        'ة' | 'ہ' | 'ھ' | 'ە' => 'ه',
        'ک' => 'ك',
        _ => decimal_digit(c).unwrap_or(c),
    };
    each(folded);
}

/// The first digits of the scripts that have their own and are in use.
#[rustfmt::skip]
const ZEROS: [char; 20] = [
    '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}',
    '\u{be6}', '\u{c66}', '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}',
    '\u{1040}', '\u{1090}', '\u{17e0}', '\u{1810}',
];

/// The ASCII digit of a decimal digit of another script.
fn decimal_digit(c: char) -> Option<char> {
    let index = ZEROS.partition_point(|zero| *zero <= c).checked_sub(1)?;
    let value = u32::from(c) - u32::from(ZEROS[index]);
    char::from_digit(value, 10)
}

/// Pushes a character unless the word is at its limit of bytes.
pub(crate) fn push(word: &mut String, c: char) {
    if word.len() + c.len_utf8() <= MAX_TOKEN_BYTES {
        word.push(c);
    }
}

/// Most bytes of a token; the rest of a longer one is ignored.
pub(crate) const MAX_TOKEN_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> String {
        let mut out = String::new();
        for c in normalize(text).chars() {
            match class(c) {
                CharClass::Ignored => {}
                CharClass::Word => fold(c, |c| out.push(c)),
                _ => out.push(c),
            }
        }
        out
    }

    #[test]
    fn every_character_folds_with_its_case_and_once() {
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            let once = folded(&text);
            assert_eq!(folded(&once), once, "{c:?} U+{:04x}", u32::from(c));
            if class(c) == CharClass::Word && is_nfkc_quick([c].into_iter()) == IsNormalized::Yes {
                let upper = c.to_uppercase().collect::<String>();
                assert_eq!(folded(&upper), once, "{c:?} U+{:04x}", u32::from(c));
                let lower = c.to_lowercase().collect::<String>();
                assert_eq!(folded(&lower), once, "{c:?} U+{:04x}", u32::from(c));
            }
        }
    }

    proptest! {
        #[test]
        fn canonical_equivalents_fold_alike(text in "\\PC{0,20}") {
            let nfd: String = text.nfd().collect();
            let nfc: String = text.nfc().collect();
            prop_assert_eq!(folded(&nfd), folded(&text));
            prop_assert_eq!(folded(&nfc), folded(&text));
        }
    }
}
