//! Numbers, however their digits are grouped.

use super::{COMPOUND_JOINER, JOINER};

/// Numbers with separators between thousands, without them: `1,000`, `1.000`, `1 000` and
/// `1'000` are also the word 1000; and those with a decimal comma as with a point.
pub(super) fn for_each_grouped(text: &str, each: &mut impl FnMut(&str)) {
    /// Maximum number of digits: more are no number that somebody groups in two ways.
    const MAX_DIGITS: usize = 40;
    let bytes = text.as_bytes();
    let digits_at = |start: usize| {
        let rest = bytes.get(start..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut compound = String::new();
    let mut start = 0;
    while let Some(found) = bytes[start..].iter().position(u8::is_ascii_digit) {
        start += found;
        let first = digits_at(start);
        let mut end = start + first;
        let is_word = |at: usize| bytes.get(at).is_some_and(|it| it.is_ascii_alphanumeric());
        let separator = bytes.get(end).copied().unwrap_or(0);
        let begins = start == 0 || !is_word(start - 1) && bytes[start - 1] != b'.';
        if !begins || !matches!(separator, b',' | b'.' | b' ' | b'\'' | b'_') {
            start = end;
            continue;
        }
        compound.push_str(&text[start..end]);
        let (mut groups, mut last) = (1, first);
        while bytes.get(end) == Some(&separator) {
            let group = digits_at(end + 1);
            // In India, thousands have groups of two above them.
            if group != 3 && !(group == 2 && separator == b',') {
                break;
            }
            compound.push_str(&text[end + 1..=end + group]);
            end += 1 + group;
            (groups, last) = (groups + 1, group);
        }
        let goes_on =
            |at: usize| is_word(at) || bytes.get(at) == Some(&separator) && digits_at(at + 1) > 0;
        let decimal = usize::from(matches!(bytes.get(end), Some(b',' | b'.'))) * digits_at(end + 1);
        let decimals_end = end + 1 + decimal;
        if groups > 1 && last == 3 && first <= 3 && end - start < MAX_DIGITS && !goes_on(end) {
            each(&compound);
            if decimal > 0 && decimal < MAX_DIGITS && !goes_on(decimals_end) {
                compound.push(COMPOUND_JOINER);
                compound.push_str(&text[end + 1..decimals_end]);
                each(&compound);
                end = decimals_end;
            }
        } else if groups == 1 && separator == b',' && decimal > 0 && decimal != 3 {
            if first + decimal < MAX_DIGITS && !goes_on(decimals_end) {
                compound.push(COMPOUND_JOINER);
                compound.push_str(&text[end + 1..decimals_end]);
                each(&compound);
            }
            end = decimals_end;
        }
        compound.clear();
        // After a list such as 1,2,3, not in it.
        while bytes.get(end) == Some(&separator) && separator != b' ' && digits_at(end + 1) > 0 {
            end += 1 + digits_at(end + 1);
        }
        start = end.max(start + first);
    }
}

/// The fewest digits of a phone number, and the most of one or of a card: E.164 has 15 at
/// most, and ISO/IEC 7812 has 19.
pub(super) const MIN_PHONE_DIGITS: usize = 7;
const MAX_PHONE_DIGITS: usize = 15;
const MAX_CARD_DIGITS: usize = 19;

/// Digits of a number without `+`: a date has eight.
const MIN_DOMESTIC_DIGITS: usize = 9;

/// The last digits of a number, which are the same with and without the prefix of a
/// country: +49 170 1234567 is 0170 1234567 there.
const TAIL: usize = 9;

/// Phone numbers in groups, as their digits: `+49 170 1234567` is also the word
/// 491701234567. Then the last of the digits, grouped or not.
pub(super) fn for_each_phone(text: &str, each: &mut impl FnMut(&str)) {
    let is_inside =
        |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')' | '/' | '.');
    let mut number = String::new();
    for run in text.split(|c: char| !is_inside(c)) {
        if run.len() < MIN_PHONE_DIGITS || add_phone(run, &mut number, each) {
            continue;
        }
        // Several numbers after one another.
        for part in run.split(' ').filter(|part| part.len() != run.len()) {
            add_phone(part, &mut number, each);
        }
    }
}

/// Adds the number that a text of digits and separators is; `false` if it is none.
fn add_phone(run: &str, number: &mut String, each: &mut impl FnMut(&str)) -> bool {
    let run = run.trim_matches([' ', '-', '/', '.', ')']);
    let is_international = run.starts_with('+') || run.starts_with('(');
    // The prefix within a country.
    let trunk = run.find("(0)").filter(|_| is_international);
    let (before, after) = trunk.map_or((run, ""), |at| (&run[..at], &run[at + 3..]));
    number.clear();
    number.extend(before.chars().filter(char::is_ascii_digit));
    number.extend(after.chars().filter(char::is_ascii_digit));
    let groups = run.split(|c: char| !c.is_ascii_digit());
    let groups = groups.filter(|group| !group.is_empty());
    let count = groups.clone().count();
    let digits = if is_international {
        MIN_PHONE_DIGITS..=MAX_PHONE_DIGITS
    } else if groups.clone().map(str::len).eq([3, 4]) && run.as_bytes()[3] == b'-' {
        // 555-1234
        MIN_PHONE_DIGITS..=MIN_PHONE_DIGITS
    } else {
        MIN_DOMESTIC_DIGITS..=MAX_CARD_DIGITS
    };
    let is_number = digits.contains(&number.len())
        && (is_international || count < 6 && !is_address(run, groups.clone()))
        && !is_date(groups);
    if is_number && count > 1 {
        each(number);
    }
    if is_number && number.len() >= TAIL {
        number.replace_range(..number.len() - TAIL, JOINER);
        each(number);
    }
    is_number
}

/// Whether groups of digits begin as a date, and probably go on as a time: 2026-03-01 09,
/// or 01.03.2026 09.
fn is_date<'a>(groups: impl Iterator<Item = &'a str>) -> bool {
    let mut date = [0; 3];
    for (length, group) in date.iter_mut().zip(groups) {
        *length = group.len();
    }
    matches!(date, [4, 2, 2] | [2, 2, 4])
}

/// Whether groups of digits are those of an address like 10.0.0.1, which has points and
/// three digits at most; those of a French number have two each.
fn is_address<'a>(run: &str, mut groups: impl Iterator<Item = &'a str> + Clone) -> bool {
    let are_pairs = groups.clone().count() == 5 && groups.clone().all(|it| it.len() == 2);
    run.contains('.') && !are_pairs && groups.all(|group| group.len() <= 3)
}
