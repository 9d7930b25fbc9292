//! What separators join: identifiers, versions, dates, addresses, hyphenated words.

use std::net::Ipv6Addr;

use super::{COMPOUND_JOINER, JOINER};
use crate::fold::{CharClass, class, fold, push};
use crate::forms::Forms;

fn is_separator(c: char) -> bool {
    matches!(c, '.' | '-' | '_' | '&') || is_outer_separator(c)
}

/// Between the parts of a path, an address with a port or an e-mail address, which may be
/// compounds themselves.
fn is_outer_separator(c: char) -> bool {
    matches!(c, '/' | ':' | '@')
}

/// Calls `each` with what separators join.
pub(super) fn for_each(text: &str, forms: &Forms, each: &mut impl FnMut(&str)) {
    let is_inside = |c: char| class(c) == CharClass::Word || is_separator(c);
    let mut compound = String::new();
    for run in text.split(|c| !is_inside(c)) {
        if let Some(address) = ipv6(run) {
            each(&address);
            continue;
        }
        // Separators in a row end a compound: `https://a.b` is not one.
        let mut start = 0;
        let mut previous_is_separator = true;
        for (at, c) in run.char_indices() {
            let is_separator = is_separator(c);
            if is_separator && previous_is_separator {
                for_each_of_chain(&run[start..at], &mut compound, forms, each);
                start = at + 1;
            }
            previous_is_separator = is_separator;
        }
        for_each_of_chain(&run[start..], &mut compound, forms, each);
    }
}

/// An address of version 6 as it is written in short, with the joiner for colons.
fn ipv6(run: &str) -> Option<String> {
    // Two in a row, or seven.
    if !run.contains("::") && run.bytes().filter(|byte| *byte == b':').count() < 7 {
        return None;
    }
    let run = run.trim_end_matches(['.', ':']);
    // What closes brackets: `[::1]:80`.
    let address: Ipv6Addr = run.parse().ok()?;
    let short = address.to_string().replace([':', '.'], JOINER);
    // Such as `::`, which is an operator.
    short
        .contains(|c: char| c.is_ascii_digit())
        .then_some(short)
}

/// The compounds of parts with single separators between them.
fn for_each_of_chain(
    chain: &str,
    compound: &mut String,
    forms: &Forms,
    each: &mut impl FnMut(&str),
) {
    let chain = chain.trim_matches(is_separator);
    if !chain.contains(is_separator) {
        return;
    }
    let whole = [
        Some(chain),
        version_without_letter(chain),
        date_before_time(chain),
    ];
    for chain in whole.into_iter().flatten() {
        join(chain, compound);
        each(compound);
    }
    if !chain.contains(is_outer_separator) {
        add_word(chain, forms, each);
        return;
    }
    for part in chain.split(is_outer_separator) {
        if part.contains(is_separator) && date_before_time(part).is_none() {
            join(part, compound);
            each(compound);
            add_word(part, forms, each);
        }
    }
}

/// Replaces `compound` by the parts of a chain in lower case. The parts of a date or a
/// time have no leading zeros, except the minutes of a time: 10:05 is not 10:5, nor 10.5. A
/// number such as 1.05 is no date.
fn join(chain: &str, compound: &mut String) {
    compound.clear();
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = chain.split(is_separator);
    let is_date = parts.clone().all(|part| part.len() <= 4 && is_digits(part))
        && (parts.clone().count() > 2 || chain.contains([':', '/']));
    let is_time = is_date && chain.contains(':') && parts.clone().count() == 2;
    for (index, part) in parts.enumerate() {
        if index > 0 {
            push(compound, COMPOUND_JOINER);
        }
        let part = if is_date && part.len() == 2 && !(is_time && index > 0) {
            part.strip_prefix('0').unwrap_or(part)
        } else {
            part
        };
        part.chars().for_each(|c| fold(c, |c| push(compound, c)));
    }
}

/// `1.2.3` of `v1.2.3`.
fn version_without_letter(chain: &str) -> Option<&str> {
    let version = chain.strip_prefix(['v', 'V'])?;
    let is_digit = |c: char| c.is_ascii_digit() || c == '.';
    (version.starts_with(|c: char| c.is_ascii_digit()) && version.chars().all(is_digit))
        .then_some(version)
}

/// `2026-03-01` of `2026-03-01T09:30`.
fn date_before_time(chain: &str) -> Option<&str> {
    const DATE: usize = "2026-03-01".len();
    let (date, time) = chain.split_at_checked(DATE)?;
    let is_date = date.bytes().enumerate().all(|(index, byte)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let mut time = time.bytes();
    let is_time = matches!(time.next(), Some(b'T' | b't'))
        && time.next().is_some_and(|it| it.is_ascii_digit());
    (is_date && is_time).then_some(date)
}

/// Adds what is also written as one word, as that: `e-mail`, `node.js`, `U.S.A.`, `foo_bar`,
/// `COVID-19`.
fn add_word(chain: &str, forms: &Forms, each: &mut impl FnMut(&str)) {
    /// Maximum number of parts: more are mostly a sentence.
    const MAX_PARTS: usize = 4;
    /// Maximum number of bytes of the word.
    const MAX_BYTES: usize = 40;
    let Some(separator) = chain.chars().find(|c| is_separator(*c)) else {
        return;
    };
    let parts = chain.split(separator);
    let count = parts.clone().count();
    let is_letters = |part: &str| part.chars().all(char::is_alphabetic);
    let is_word = match separator {
        '-' if count <= 3 => {
            chain.starts_with(char::is_alphabetic)
                && parts
                    .clone()
                    .all(|it| it.chars().all(char::is_alphanumeric))
        }
        '-' | '_' => parts.clone().all(is_letters),
        // Names in domains are no words together.
        '.' => {
            parts.clone().all(is_letters)
                && (count == 2 || parts.clone().all(|part| part.chars().nth(1).is_none()))
        }
        _ => false,
    };
    if is_word && count <= MAX_PARTS && chain.len() <= MAX_BYTES {
        forms.with_base_of(&parts.collect::<String>(), each);
    }
}

/// Calls `each` with words that apostrophes join and that are also written without them,
/// such as `O'Brien`; not with those that omit a vowel.
pub(super) fn for_each_over_apostrophes(text: &str, forms: &Forms, each: &mut impl FnMut(&str)) {
    let is_inside = |c: char| class(c) == CharClass::Word || c == '\'';
    for run in text.split(|c| !is_inside(c)) {
        let run = run.trim_matches('\'');
        let run = run.strip_suffix("'s").unwrap_or(run);
        let mut parts = run.split('\'');
        let (Some(first), Some(second)) = (parts.next(), parts.next()) else {
            continue;
        };
        let is_latin = run.chars().all(|c| c == '\'' || is_latin_letter(c));
        if is_latin && !is_elided(first) && !is_contracted(second) && parts.next().is_none() {
            forms.with_base_of(&[first, second].concat(), &mut *each);
        }
    }
}

fn is_latin_letter(c: char) -> bool {
    c.is_alphabetic()
        && matches!(c, 'A'..='Z' | 'a'..='z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

/// Whether a word in French, Italian or Catalan has lost its last vowel: `l'homme`.
fn is_elided(word: &str) -> bool {
    let word = word.to_lowercase();
    matches!(
        &*word,
        "l" | "d"
            | "j"
            | "m"
            | "n"
            | "s"
            | "t"
            | "c"
            | "y"
            | "qu"
            | "jusqu"
            | "lorsqu"
            | "puisqu"
            | "quelqu"
            | "presqu"
            | "un"
            | "dell"
            | "nell"
            | "all"
            | "dall"
            | "sull"
            | "coll"
            | "quell"
            | "quest"
            | "bell"
            | "gl"
            | "dov"
            | "com"
            | "anch"
            | "tutt"
            | "sant"
            | "c'"
    )
}

/// Whether a word is what a contraction leaves: `she'd`, `we've`, `o'clock`.
fn is_contracted(word: &str) -> bool {
    let word = word.to_lowercase();
    matches!(
        &*word,
        "s" | "t" | "d" | "m" | "n" | "ll" | "re" | "ve" | "em" | "clock" | "all" | ""
    )
}
