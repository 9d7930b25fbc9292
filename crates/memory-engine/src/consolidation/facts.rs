//! Facts of a text that a summary must keep: numbers, identifiers, names,
//! symbols and negation.

use std::collections::BTreeSet;
use std::sync::Arc;

use memory_core::Memory;

use super::statement::is_negation;

/// The facts of one text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Numbers with their sign, identifiers, names within a sentence, symbols
    /// such as emoji.
    terms: BTreeSet<String>,
    is_negated: bool,
}

/// The facts of a text.
pub(super) fn facts_of(text: &str) -> Facts {
    let mut facts = Facts::default();
    let mut is_first = true;
    for word in text.split(|c: char| c.is_whitespace() || is_unspaced(c)) {
        if word.is_empty() {
            continue;
        }
        let term = trimmed(word);
        if is_fact(term, is_first) {
            facts.terms.insert(term.to_owned());
        }
        let symbols = word.chars().filter(|c| is_symbol(*c));
        facts.terms.extend(symbols.map(String::from));
        facts.is_negated |= is_negation(word);
        is_first = word.ends_with(['.', '!', '?', '…', ':', '"', '”']);
    }
    facts
}

/// Whether a summary lacks a fact of one of its sources. Cheap, and strict: a
/// number that was only rewritten (`1,000` as `1000`) counts as lacking.
pub(crate) fn lacks_facts(summary: &str, sources: &[Arc<Memory>]) -> bool {
    let is_negated = facts_of(summary).is_negated;
    sources.iter().any(|source| {
        let facts = facts_of(&source.content);
        (facts.is_negated && !is_negated) || facts.terms.iter().any(|term| !contains(summary, term))
    })
}

/// Whether `text` contains `term` as a word of its own: not as a part of a
/// longer number or identifier.
fn contains(text: &str, term: &str) -> bool {
    text.match_indices(term).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let mut after = text[start + term.len()..].chars();
        let (next, second) = (after.next(), after.next());
        let is_number = |c: char| c.is_ascii_digit();
        let continues = |c: char| c.is_alphanumeric() || c == '_';
        let begins_inside = before.is_some_and(|c| {
            (continues(c) && !is_unspaced(c))
                || (term.starts_with(is_number) && matches!(c, '-' | '−' | '.' | ','))
        });
        let ends_inside = match next {
            Some('.' | ',' | ':' | '-') => {
                term.ends_with(is_number) && second.is_some_and(is_number)
            }
            // A unit may follow a number: 500 and 500€ or 500 km.
            Some(c) if term.ends_with(is_number) => is_number(c) || c == '_',
            Some(c) => continues(c) && !is_unspaced(c),
            None => false,
        };
        term.chars().all(is_symbol) || (!begins_inside && !ends_inside)
    })
}

/// A word without the punctuation around it; a number keeps its sign.
fn trimmed(word: &str) -> &str {
    let word = word.trim_end_matches(|c: char| !c.is_alphanumeric() && !is_symbol(c));
    let start = word.trim_start_matches(|c: char| !c.is_alphanumeric() && !is_symbol(c));
    let possessive = start
        .strip_suffix("'s")
        .or_else(|| start.strip_suffix("’s"));
    if let Some(owner) = possessive {
        return owner;
    }
    let sign = word[..word.len() - start.len()].chars().next_back();
    match sign {
        Some(sign @ ('-' | '−' | '+')) if start.starts_with(|c: char| c.is_numeric()) => {
            &word[word.len() - start.len() - sign.len_utf8()..]
        }
        _ => start,
    }
}

/// Whether a word is a number, an identifier, or a name within a sentence.
fn is_fact(word: &str, is_first: bool) -> bool {
    let mut chars = word.chars();
    let Some(first) = chars.next() else {
        return false;
    };
    let is_identifier = word
        .contains(|c: char| c.is_numeric() || matches!(c, '_' | '@' | '/' | '\\'))
        || chars.clone().any(char::is_uppercase);
    let is_name = first.is_uppercase() && !is_first && chars.next().is_some_and(char::is_lowercase);
    is_identifier || is_name
}

/// Whether a character is a symbol such as an emoji: neither a letter nor a
/// digit nor ASCII nor punctuation.
fn is_symbol(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

/// Ideographs and kana, whose words have no boundaries.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}')
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use memory_core::{MemoryBatchItem, MemoryKind};

    use super::*;

    fn lacks(summary: &str, source: &str) -> bool {
        let item = MemoryBatchItem::new("mira", MemoryKind::Experience, source);
        lacks_facts(summary, &[Arc::new(item.into_memory(Utc::now()).unwrap())])
    }

    #[test]
    fn a_summary_must_keep_numbers_identifiers_names_symbols_and_negation() {
        for (source, summary, is_lacking) in [
            ("The rent is 500 euros.", "Rent: 500 EUR.", false),
            ("The rent is 500 euros.", "The rent is 500€.", false),
            ("The rent is 500 euros.", "The rent is 900 euros.", true),
            ("The rent is 500 euros.", "The rent is 1500 euros.", true),
            ("The rent is 500 euros.", "The rent is 500.5 euros.", true),
            ("It is -5 degrees.", "It is 5 degrees.", true),
            ("It is 5 degrees.", "It is -5 degrees.", true),
            ("It is -5 degrees.", "-5 degrees", false),
            ("flight LH123", "the flight LH123.", false),
            ("flight LH123", "the flight LH1234.", true),
            ("flight LH123", "the flight lh123.", true),
            ("release v1.2.3", "v1.2.30 was released", true),
            ("mail to a@b.example", "mail to a@b.example", false),
            ("yesterday Tam came", "Tam's visit", false),
            ("yesterday Tam came", "somebody came", true),
            ("Anna is not here", "Anna is here", true),
            ("Anna isn’t here", "Anna is not here", false),
            ("done ✅", "done", true),
            ("价格是500元", "现在价格是500元", false),
            ("价格是500元", "价格是900元", true),
            ("plain words", "others", false),
        ] {
            assert_eq!(lacks(summary, source), is_lacking, "{source:?} {summary:?}");
        }
    }
}
