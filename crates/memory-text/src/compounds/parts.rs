//! Parts of words that no sign separates: the words of `getUserName`, the number and the
//! unit of `10kg`, the number of `INC90312`.

use crate::fold::{CharClass, MAX_TOKEN_BYTES, class};
use crate::forms::Forms;

pub(super) fn for_each(text: &str, forms: &Forms, each: &mut impl FnMut(&str)) {
    for word in text.split(|c: char| class(c) != CharClass::Word) {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            for_each_of_quantity(word, forms, each);
        } else if word.ends_with(|c: char| c.is_ascii_digit()) {
            for_each_of_number(word, forms, each);
        } else if word.is_ascii() {
            for_each_hump(word, forms, each);
        }
    }
}

/// The number and the unit of a word such as `10kg`; the number of `3rd` and of a number
/// with Korean letters.
fn for_each_of_quantity(word: &str, forms: &Forms, each: &mut impl FnMut(&str)) {
    /// The longest unit: "mmHg", "Mbps".
    const MAX_UNIT: usize = 4;
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_unit = !unit.is_empty()
        && unit.chars().all(char::is_alphabetic)
        && unit.chars().nth(MAX_UNIT).is_none();
    if !is_unit {
        return;
    }
    each(limited(&word[..word.len() - unit.len()]));
    let unit = unit.to_lowercase();
    let is_ending = matches!(&*unit, "st" | "nd" | "rd" | "th" | "s");
    if !is_ending && !unit.starts_with(crate::korean::is_hangul) {
        forms.with_base_of(&unit, each);
    }
}

/// The letters and the number of a word such as `INC90312` and `iPhone15`.
fn for_each_of_number(word: &str, forms: &Forms, each: &mut impl FnMut(&str)) {
    /// The fewest letters and characters: `mp3`, `h264` and `ab12` are words.
    const MIN_LETTERS: usize = 2;
    const MIN_CHARS: usize = 5;
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &word[letters.len()..];
    if word.chars().nth(MIN_CHARS - 1).is_some()
        && letters.chars().nth(MIN_LETTERS - 1).is_some()
        && letters.chars().all(char::is_alphabetic)
    {
        forms.with_base_of(letters, &mut *each);
        each(limited(digits));
    }
}

/// Digits within the limit of a token.
fn limited(digits: &str) -> &str {
    &digits[..digits.len().min(MAX_TOKEN_BYTES)]
}

/// The words of an identifier such as `getUserName`. Names such as `iPhone` and `McGee`
/// are whole words, as are those that begin with a capital: `JavaScript` is not Java.
fn for_each_hump(word: &str, forms: &Forms, each: &mut impl FnMut(&str)) {
    let bytes = word.as_bytes();
    let begins_small = bytes.iter().take_while(|byte| byte.is_ascii_lowercase());
    let begins_small = begins_small.count();
    if begins_small < 2 || begins_small == bytes.len() {
        return;
    }
    let mut start = 0;
    for end in 1..=bytes.len() {
        let is_end = end == bytes.len()
            || bytes[end].is_ascii_uppercase()
                && (!bytes[end - 1].is_ascii_uppercase()
                    || bytes.get(end + 1).is_some_and(u8::is_ascii_lowercase));
        if is_end {
            if end - start > 1 {
                forms.with_base_of(&word[start..end], &mut *each);
            }
            start = end;
        }
    }
}
