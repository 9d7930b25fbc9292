//! Identifiers whole: versions, dates, addresses, numbers of tickets and phones.

use crate::fold::push;

/// Joins the parts of a compound. Not alphanumeric, so that no token equals a
/// compound, and not ASCII, so that an index that separates at ASCII punctuation
/// keeps the compound whole.
const COMPOUND_JOINER: char = '·';

/// Calls `each` with every compound of a normalized text: an identifier, a version, a
/// date or a hyphenated word, whose parts are tokens as well. `v1.2.3` and `v1.3.2`
/// have the same parts and are different compounds. Names such as `C#`, `C++` and
/// `.NET` and phone numbers, however they are grouped, are compounds, too.
pub(crate) fn for_each_compound(text: &str, each: &mut impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let mut compound = String::new();
    // Most texts have none within a word.
    let separates = |[before, separator, after]: &[u8; 3]| {
        is_separator(char::from(*separator))
            && before.is_ascii_alphanumeric()
            && after.is_ascii_alphanumeric()
    };
    if bytes.array_windows().any(separates) {
        for_each_joined(text, &mut compound, each);
    }
    if bytes.iter().any(|byte| matches!(byte, b'#' | b'+' | b'.')) {
        for_each_signed(text, &mut compound, each);
    }
    if bytes.iter().filter(|byte| byte.is_ascii_digit()).count() >= MIN_PHONE_DIGITS {
        for_each_phone(text, &mut compound, each);
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '.' | '-' | '_' | '/' | ':' | '@')
}

fn for_each_joined(text: &str, compound: &mut String, each: &mut impl FnMut(&str)) {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    for run in text.split(|c: char| !c.is_alphanumeric() && !is_separator(c)) {
        // Separators in a row end a compound: `https://a.b` is not one.
        let mut parts = 0;
        for part in run.split(is_separator) {
            if is_part(part) {
                if parts > 0 {
                    push(compound, COMPOUND_JOINER);
                }
                part.chars()
                    .for_each(|c| push(compound, c.to_ascii_lowercase()));
                parts += 1;
                continue;
            }
            if parts > 1 {
                each(compound);
            }
            compound.clear();
            parts = 0;
        }
        if parts > 1 {
            each(compound);
        }
        compound.clear();
    }
}

/// What `#` and `++` become in a word: not ASCII, for the same reason as the joiner.
pub(crate) const SHARP: &str = "♯";
pub(crate) const PLUS_PLUS: &str = "⁺⁺";

/// Most letters of a name that ends with signs, such as `Notepad++`.
const MAX_SIGNED: usize = 12;

/// Words that end with `#` or `++`, and those that begin with a point. With a single
/// letter, such as `C#`, they are tokens.
fn for_each_signed(text: &str, compound: &mut String, each: &mut impl FnMut(&str)) {
    for run in text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | '"' | '/')) {
        let run = run.trim_end_matches(['.', '?', '!', ':', ';', '\'']);
        let name = run.trim_end_matches(['#', '+']);
        let (name, sign) = match &run[name.len()..] {
            "#" => (name, SHARP),
            "++" => (name, PLUS_PLUS),
            "" => match name.strip_prefix('.') {
                Some(name) => (name, ""),
                None => continue,
            },
            _ => continue,
        };
        let is_letter = |byte: u8| byte.is_ascii_alphabetic();
        if !(2..=MAX_SIGNED).contains(&name.len()) || !name.bytes().all(is_letter) {
            continue;
        }
        if sign.is_empty() {
            compound.push(COMPOUND_JOINER);
        }
        compound.extend(name.chars().map(|c| c.to_ascii_lowercase()));
        compound.push_str(sign);
        each(compound);
        compound.clear();
    }
}

/// The fewest and the most digits of a phone number: E.164 has 15 at most.
const MIN_PHONE_DIGITS: usize = 7;
const MAX_PHONE_DIGITS: usize = 15;

/// Digits of a number without `+`: a date has eight.
const MIN_DOMESTIC_DIGITS: usize = 9;

/// Phone numbers in groups, as their digits: `+49 170 1234567` is also the word
/// 491701234567.
fn for_each_phone(text: &str, compound: &mut String, each: &mut impl FnMut(&str)) {
    let is_inside = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')' | '/');
    for run in text.split(|c: char| !is_inside(c) && c != '.') {
        let run = run.trim_matches([' ', '-', '/', '.', ')']);
        let groups = run.split(|c: char| !c.is_ascii_digit());
        let groups = groups.filter(|group| !group.is_empty()).count();
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        let is_international = run.starts_with('+') || run.starts_with('(');
        // One kind of separator, such as in 555-123-4567, and no address like 10.0.0.1.
        let mut separators = run.chars().filter(|c| !c.is_ascii_digit());
        let first = separators.next();
        let is_uniform = first.is_some_and(|first| first != '.' && separators.all(|c| c == first));
        let least = if is_international {
            MIN_PHONE_DIGITS
        } else {
            MIN_DOMESTIC_DIGITS
        };
        if groups > 1
            && (least..=MAX_PHONE_DIGITS).contains(&digits)
            && (is_international || is_uniform && groups < 6)
        {
            compound.extend(run.chars().filter(char::is_ascii_digit));
            each(compound);
            compound.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compounds(text: &str) -> Vec<String> {
        let mut compounds = Vec::new();
        for_each_compound(text, &mut |compound: &str| {
            compounds.push(compound.to_owned())
        });
        compounds
    }

    #[test]
    fn compounds_keep_the_order_of_their_parts() {
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

    #[test]
    fn names_with_signs_and_phone_numbers_are_compounds() {
        for (text, expected) in [
            ("Notepad++ or J#", vec!["notepad⁺⁺"]),
            ("the .NET runtime", vec!["·net"]),
            ("issue #5 + 3", vec![]),
            ("call +49 170 1234567 now", vec!["491701234567"]),
            ("(030) 123 4567", vec!["0301234567"]),
            ("555-123-4567", vec!["555·123·4567", "5551234567"]),
            ("192.168.10.254 is up", vec!["192·168·10·254"]),
        ] {
            assert_eq!(compounds(text), expected, "{text}");
        }
    }
}
