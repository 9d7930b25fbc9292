//! Folding of characters: what searching must not distinguish.
//!
//! Compatibility forms and width (NFKC), case in full (ß is ss), accents of Latin and
//! Greek letters, vowel marks of Arabic and Hebrew, the stretching of Arabic letters,
//! invisible characters, digits of every script. The marks of other scripts belong to
//! their letters.

use std::borrow::Cow;

use unicode_normalization::char::decompose_canonical;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// A text in the form that [`class`] and [`fold`] expect: NFKC, with signs and digits that
/// are written in several ways in one of them.
pub(crate) fn normalize(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let is_normalized = is_nfkc_quick(text.chars()) == IsNormalized::Yes;
    let normalized = if !is_normalized {
        // What is between two characters may keep them from being composed.
        let edited = text.chars().filter_map(edit);
        // NFKC makes digits of the same number of them.
        let mut previous = ' ';
        let divided = edited.flat_map(|c| {
            let gap = previous.is_ascii_digit() && is_raised_or_fraction(c);
            previous = c;
            gap.then_some(' ').into_iter().chain([c])
        });
        Cow::Owned(divided.nfkc().filter_map(edit).collect())
    } else if text.chars().any(|c| edit(c) != Some(c)) {
        Cow::Owned(text.chars().filter_map(edit).collect())
    } else {
        Cow::Borrowed(text)
    };
    let has_sequences = normalized.contains(['\u{b7}', '\u{e4d}', '\u{ecd}', ZERO_WIDTH_SPACE])
        || normalized.contains(TWO_SARA_E);
    if has_sequences {
        Cow::Owned(replace_sequences(normalized.into_owned()))
    } else {
        normalized
    }
}

/// What a character is read as, whatever is around it; `None` if as nothing.
fn edit(c: char) -> Option<char> {
    Some(match c {
        '\0'..='\u{7f}' | '\u{3041}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => c,
        // Raised letters of ordinals, which NFKC makes letters of the word: 1º is 1.
        '\u{aa}' | '\u{ba}' => return None,
        // Apostrophes: ´ ʼ ՚ ׳ ‘ ’ ‛ ′. NFKC makes a space and a mark of the first.
        '\u{b4}' | '\u{2bc}' | '\u{55a}' | '\u{5f3}' | '\u{1ffd}' | '\u{2018}' | '\u{2019}'
        | '\u{201b}' | '\u{2032}' => '\'',
        // Signs of transcriptions, which are mostly omitted: Hawaiʻi, Qurʾan.
        '\u{2bb}' | '\u{2bd}'..='\u{2bf}' => return None,
        // Gershayim.
        '\u{5f4}' => '"',
        // Arabic decimal and thousands separators.
        '\u{66b}' => '.',
        '\u{66c}' => ',',
        // Hyphens, figure dash, en dash and minus.
        '\u{2010}'..='\u{2013}' | '\u{2212}' => '-',
        // № ℠ ™, of which NFKC makes letters: "No" negates.
        '\u{2116}' | '\u{2120}' | '\u{2122}' => ' ',
        '\u{266f}' => '#',
        _ if class(c) == CharClass::Ignored => return None,
        _ => decimal_digit(c).unwrap_or(c),
    })
}

/// Digits that are no digits of the number before them: 10² is not 102, and 3½ not 31/2.
fn is_raised_or_fraction(c: char) -> bool {
    matches!(c, '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{bc}'..='\u{be}' | '\u{2070}'..='\u{2089}'
        | '\u{2150}'..='\u{215f}')
}

/// Divides words, which a dictionary does in scripts without spaces.
const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// The Thai vowel E twice, which looks like the vowel AE.
const TWO_SARA_E: &str = "\u{e40}\u{e40}";

/// Replaces sequences of characters that are other ways to write a word.
fn replace_sequences(mut text: String) -> String {
    if text.contains(ZERO_WIDTH_SPACE) {
        let mut parts = text.split(ZERO_WIDTH_SPACE);
        let mut joined = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_within =
                joined.ends_with(is_unspaced_script) && part.starts_with(is_unspaced_script);
            if !is_within {
                joined.push(ZERO_WIDTH_SPACE);
            }
            joined.push_str(part);
        }
        text = joined;
    }
    // Catalan, as in "col·lega".
    if text.contains('\u{b7}') {
        for (written, read) in [("l·l", "ll"), ("L·L", "LL"), ("L·l", "Ll")] {
            text = text.replace(written, read);
        }
    }
    text = text.replace(TWO_SARA_E, "\u{e41}");
    // NFKC divides the Thai and Lao vowel AM, which their dictionaries have whole and after
    // the tone; people type it before the tone as well.
    for (nikhahit, aa, am, tones) in [
        ('\u{e4d}', '\u{e32}', '\u{e33}', '\u{e48}'..='\u{e4b}'),
        ('\u{ecd}', '\u{eb2}', '\u{eb3}', '\u{ec8}'..='\u{ecb}'),
    ] {
        if !text.contains(nikhahit) {
            continue;
        }
        text = text.replace(
            &*String::from_iter([nikhahit, aa]),
            am.encode_utf8(&mut [0; 4]),
        );
        for tone in tones {
            let read = String::from_iter([tone, am]);
            text = text.replace(&*String::from_iter([nikhahit, tone, aa]), &read);
            text = text.replace(&*String::from_iter([am, tone]), &read);
        }
    }
    text
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
        // Marks around symbols: of a keycap, the digit remains.
        | '\u{20d0}'..='\u{20f0}'
        // Armenian marks of emphasis, exclamation, question and abbreviation, within words.
        | '\u{55b}' | '\u{55c}' | '\u{55e}' | '\u{55f}'
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

/// Combining marks of Latin, Greek and Cyrillic letters and the Devanagari nukta, which
/// people omit when they search, and hamza and madda.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{93c}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}')
        || is_composing(c)
}

/// Letters with a stroke, ligatures, variants of letters, digits.
fn fold_letter(c: char, each: &mut impl FnMut(char)) {
    let folded = match c {
        'ø' => 'o',
        'ł' => 'l',
        'đ' | 'ð' | 'ɗ' => 'd',
        'ɓ' => 'b',
        'ƙ' => 'k',
        'ƴ' => 'y',
        'ŋ' => 'n',
        'ə' | 'ɛ' | 'ǝ' => 'e',
        'ɔ' => 'o',
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
        // Alef wasla, forms of yeh, of heh and teh marbuta, of kaf and gaf.
        'ٱ' => 'ا',
        'ى' | 'ی' | 'ے' | 'ې' | 'ۍ' => 'ي',
        'ة' | 'ہ' | 'ھ' | 'ە' | 'ۃ' => 'ه',
        'ک' | 'ڪ' => 'ك',
        'ګ' => 'گ',
        // Chandrabindu is anusvara; candra o and au are the vowel aa.
        'ँ' => 'ं',
        'ऑ' => 'आ',
        'ॉ' => 'ा',
        // Malayalam chillus are consonants with a virama.
        'ൺ'..='ൿ' => {
            each(match c {
                'ൺ' => 'ണ',
                'ൻ' => 'ന',
                'ർ' => 'ര',
                'ൽ' => 'ല',
                'ൾ' => 'ള',
                _ => 'ക',
            });
            '്'
        }
        'ሀ'..='ፗ' => fold_ethiopic(c),
        _ => decimal_digit(c).unwrap_or(c),
    };
    each(folded);
}

/// Amharic has several letters for h, s, glottal stop and ts, which are spoken alike and
/// written for each other.
fn fold_ethiopic(c: char) -> char {
    let of_series = |first: char| char::from_u32(u32::from(first) + u32::from(c) % 8);
    let folded = match c {
        // With the vowel of the first or the fourth order.
        'ሃ' | 'ሐ' | 'ሓ' | 'ኀ' | 'ኃ' => Some('ሀ'),
        'ኣ' | 'ዐ' | 'ዓ' => Some('አ'),
        'ሑ'..='ሗ' | 'ኁ'..='ኇ' => of_series('ሀ'),
        'ሠ'..='ሧ' => of_series('ሰ'),
        'ዑ'..='ዖ' => of_series('አ'),
        'ፀ'..='ፇ' => of_series('ጸ'),
        _ => None,
    };
    folded.unwrap_or(c)
}

/// Hiragana for katakana: a word is written in either.
pub(crate) fn fold_kana(c: char) -> char {
    match c {
        '\u{30a1}'..='\u{30f6}' | '\u{30fd}' | '\u{30fe}' => {
            char::from_u32(u32::from(c) - 0x60).unwrap_or(c)
        }
        _ => c,
    }
}

/// Replaces what is written in several ways in a folded word of Devanagari or Armenian
/// letters, by what is around a letter.
pub(crate) fn fold_sequences(word: &mut String) {
    const VIRAMA: char = '\u{94d}';
    match word.chars().next() {
        // A nasal before a consonant of its series is anusvara: हिन्दी is हिंदी.
        Some('\u{900}'..='\u{97f}') if word.contains(VIRAMA) => {
            let mut folded = String::with_capacity(word.len());
            let mut rest = word.chars();
            while let Some(c) = rest.next() {
                let mut after = rest.clone();
                let is_nasal = matches!(c, 'ङ' | 'ञ' | 'ण' | 'न' | 'म');
                if is_nasal
                    && after.next() == Some(VIRAMA)
                    && after.next().is_some_and(|next| {
                        (1..=4).contains(&u32::from(c).wrapping_sub(u32::from(next)))
                    })
                {
                    folded.push('ं');
                    rest.next();
                } else {
                    folded.push(c);
                }
            }
            *word = folded;
        }
        // The upper case of the ligature և is ԵՒ in Unicode, and ԵՎ to those who write it.
        Some('\u{561}'..='\u{587}') if word.contains("եւ") => *word = word.replace("եւ", "եվ"),
        _ => {}
    }
}

/// The first digits of the scripts that have their own and are in use.
#[rustfmt::skip]
const ZEROS: [char; 33] = [
    '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}',
    '\u{be6}', '\u{c66}', '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}',
    '\u{1040}', '\u{1090}', '\u{17e0}', '\u{1810}', '\u{1946}', '\u{19d0}', '\u{1b50}',
    '\u{1bb0}', '\u{1c40}', '\u{1c50}', '\u{a620}', '\u{a8d0}', '\u{a900}', '\u{a9d0}',
    '\u{aa50}', '\u{abf0}', '\u{1e950}',
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

/// Maximum number of bytes of a token; the rest of a longer one is ignored.
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
