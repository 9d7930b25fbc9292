//! Okapi BM25 over one entity's memories.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{MemoryId, TermStats};

use super::entity_table::EntityTable;

/// How soon repetition of a word stops to count; the customary value.
const K1: f64 = 1.2;
/// How much a long text is held back; the customary value.
const B: f64 = 0.75;

/// Scores every memory that contains a word of `query`.
///
/// Counts are taken over the whole entity_table, whatever a filter admits, so that a
/// memory scores the same under every filter.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "word counts are small, and a score needs no more than f32"
)]
pub(super) fn scores(entity_table: &EntityTable, query: &str) -> BTreeMap<MemoryId, f32> {
    let wanted: BTreeSet<String> = words(query).collect();
    let texts: Vec<(MemoryId, BTreeMap<String, usize>)> = entity_table
        .live()
        .map(|row| (row.item.memory.id, counts(&row.item.memory.content)))
        .collect();
    let total = texts.len() as f64;
    let length = |text: &BTreeMap<String, usize>| text.values().sum::<usize>() as f64;
    let mean = texts.iter().map(|(_, text)| length(text)).sum::<f64>() / total.max(1.0);

    let mut scores = BTreeMap::new();
    for word in &wanted {
        let holding = texts.iter().filter(|(_, text)| text.contains_key(word));
        let frequency = holding.clone().count() as f64;
        let rarity = (1.0 + (total - frequency + 0.5) / (frequency + 0.5)).ln();
        for (id, text) in holding {
            let count = text[word] as f64;
            let held_back = 1.0 - B + B * length(text) / mean.max(1.0);
            let score = rarity * count * (K1 + 1.0) / (count + K1 * held_back);
            *scores.entry(*id).or_insert(0.0) += score as f32;
        }
    }
    scores
}

/// How common the words of `query` are.
#[expect(clippy::cast_precision_loss, reason = "word counts are small")]
pub(super) fn term_stats(entity_table: &EntityTable, query: &str) -> TermStats {
    let texts: Vec<BTreeMap<String, usize>> = entity_table
        .live()
        .map(|row| counts(&row.item.memory.content))
        .collect();
    let length: usize = texts.iter().flat_map(BTreeMap::values).sum();
    let holding = |word: &str| texts.iter().filter(|text| text.contains_key(word)).count();
    let counts = words(query).map(|word| (word.clone(), holding(&word) as u64));
    let mean = length as f64 / (texts.len() as f64).max(1.0);
    TermStats::new(texts.len() as u64, Some(mean), counts.collect())
}

fn counts(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in words(text) {
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}

/// The words of a text, in lower case: runs of letters and digits.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_cuts_and_case_is_folded() {
        let got: Vec<String> = words("Ticket INC-90312, re: naïve Übergabe!").collect();
        assert_eq!(got, ["ticket", "inc", "90312", "re", "naïve", "übergabe"]);
        assert_eq!(words(" …!? ").count(), 0);
    }
}
