//! Which texts find which, in every kind of script: a table of pairs that must and
//! must not match. A question matches a memory if they have a term in common; it is in it
//! whole if the memory has all of its terms, those of identifiers included.

use std::collections::BTreeSet;

use memory_text::{QueryTerms, TextAnalysis, stems};

/// Language or kind, question, memory.
type Pair = (&'static str, &'static str, &'static str);

/// Words in sentences, by language.
const MATCHING: &[Pair] = &include!("pairs/matching.in");
/// Words that are written in several ways, and their forms, by language.
const SCRIPTS: &[Pair] = &include!("pairs/scripts.in");
/// English words, identifiers, numbers, addresses and signs.
const IDENTIFIERS: &[Pair] = &include!("pairs/identifiers.in");
/// Identifiers that are found by all of their terms.
const WHOLE: &[Pair] = &include!("pairs/whole.in");
const DIFFERENT: &[Pair] = &include!("pairs/different.in");

fn terms(text: &str) -> BTreeSet<String> {
    stems(text, None).into_iter().collect()
}

fn faults(pairs: &[Pair], expected: bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (language, question, memory) in pairs {
        let (asked, indexed) = (terms(question), terms(memory));
        if asked.is_disjoint(&indexed) == expected {
            faults.push(format!(
                "{language}: {question} {asked:?} – {memory} {indexed:?}"
            ));
        }
        // The other two ways to the same words.
        let counts = QueryTerms::new(question, None, false).count(memory);
        let is_found = counts.passages.iter().any(|it| !it.counts.is_empty());
        let analysis = TextAnalysis::of(memory, None);
        let is_indexed = analysis
            .passages
            .iter()
            .any(|passage| asked.iter().any(|term| passage.counts.contains_key(term)));
        if is_found != is_indexed || is_found == asked.is_disjoint(&indexed) {
            faults.push(format!(
                "{language}: {question} – {memory}: the ways differ"
            ));
        }
    }
    faults
}

#[test]
fn texts_that_must_match_have_a_common_term() {
    let faults = [MATCHING, SCRIPTS, IDENTIFIERS, WHOLE].map(|pairs| faults(pairs, true));
    let faults = faults.concat();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn identifiers_are_found_whole() {
    for (kind, question, memory) in WHOLE {
        let (asked, indexed) = (terms(question), terms(memory));
        let is_whole = asked.is_subset(&indexed);
        assert!(
            is_whole,
            "{kind}: {question} {asked:?} – {memory} {indexed:?}"
        );
    }
}

#[test]
fn texts_that_must_not_match_have_none() {
    let faults = faults(DIFFERENT, false);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_table_has_sixty_languages() {
    let pairs = MATCHING.iter().chain(SCRIPTS);
    let languages: BTreeSet<_> = pairs.map(|(language, ..)| language).collect();
    assert!(languages.len() >= 60, "{languages:?}");
}
