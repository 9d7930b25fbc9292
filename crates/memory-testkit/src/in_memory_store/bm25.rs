//! Okapi BM25 over one entity's memories.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::MemoryId;

use super::shelf::Shelf;
use super::words::words;

/// How soon repetition of a word stops to count; the customary value.
const K1: f64 = 1.2;
/// How much a long text is held back; the customary value.
const B: f64 = 0.75;

/// Scores every memory in which a word of `query` stands.
///
/// Counts are taken over the whole shelf, whatever a filter admits, so that a
/// memory scores the same under every filter.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "word counts are small, and a score needs no more than f32"
)]
pub(super) fn scores(shelf: &Shelf, query: &str) -> BTreeMap<MemoryId, f32> {
    let wanted: BTreeSet<String> = words(query).collect();
    let texts: Vec<(MemoryId, BTreeMap<String, usize>)> = shelf
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

fn counts(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in words(text) {
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}
