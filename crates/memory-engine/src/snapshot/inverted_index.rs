//! The inverted index of a snapshot, scored by BM25 of the best passage.

use std::ops::Range;
use std::sync::Arc;

use memory_text::{PassageTerms, bm25};
use rpds::HashTrieMapSync;

use super::block_vec::BlockVec;
use super::sorted_blocks::SortedBlocks;
use super::sparse_scores::SparseScores;

/// The postings of each stem. Persistent: cloning shares everything, a change
/// copies the blocks that it updates.
#[derive(Clone, Default)]
pub(super) struct InvertedIndex {
    postings: HashTrieMapSync<Arc<str>, Postings>,
    /// By number. Passages of removed memories stay until the next compaction.
    passages: BlockVec<Passage>,
    /// Passages of memories that were not removed.
    live: usize,
    /// The terms of those.
    total_length: u64,
    bytes: usize,
}

/// A part of a memory's text: the document of BM25.
#[derive(Debug, Clone, Copy)]
struct Passage {
    /// [`Passage::DEAD`] where the memory was removed.
    slot: u32,
    /// Its number of terms.
    length: u32,
}

impl Passage {
    const DEAD: u32 = u32::MAX;
}

/// The passages that have a stem.
#[derive(Debug, Clone, Default)]
struct Postings {
    /// The number of a passage as often as the stem occurs in it: most stems occur
    /// once, so a count for each would cost as much as the number.
    occurrences: SortedBlocks<u32>,
    /// The number of passages.
    passages: u32,
}

impl Postings {
    fn insert(&mut self, passage: u32, count: u32) {
        (0..count).for_each(|_| self.occurrences.insert(passage));
        self.passages += 1;
    }

    fn size_bytes(&self) -> usize {
        self.occurrences.size_bytes()
    }

    /// Calls `each` with every passage and how often the stem occurs in it.
    fn for_each(&self, mut each: impl FnMut(u32, u32)) {
        let mut occurrences = self.occurrences.iter().copied();
        let Some(mut passage) = occurrences.next() else {
            return;
        };
        let mut count = 1;
        for next in occurrences {
            if next == passage {
                count += 1;
            } else {
                each(passage, count);
                (passage, count) = (next, 1);
            }
        }
        each(passage, count);
    }
}

/// Bytes of a stem in addition to its text and postings: its nodes in the map,
/// the reference counts of its text, the list's header. Measured:
/// `tests/size.rs`.
const STEM_BYTES: usize = 160;

impl InvertedIndex {
    /// Indexes the terms of a memory's passages and returns their numbers.
    pub(super) fn push(&mut self, slot: u32, passages: &[PassageTerms]) -> Range<u32> {
        let start = self.next_passage();
        for (passage, terms) in (start..).zip(passages) {
            for (stem, &count) in &terms.counts {
                self.add(stem, passage, count);
            }
            self.total_length += u64::from(terms.length);
            let length = terms.length;
            self.passages.push(Passage { slot, length });
        }
        self.live += passages.len();
        start..self.next_passage()
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded by snapshot_max_memories and the passages of a memory"
    )]
    fn next_passage(&self) -> u32 {
        self.passages.len() as u32
    }

    fn add(&mut self, stem: &str, passage: u32, count: u32) {
        if let Some(list) = self.postings.get_mut(stem) {
            self.bytes -= list.size_bytes();
            list.insert(passage, count);
            self.bytes += list.size_bytes();
        } else {
            let mut list = Postings::default();
            list.insert(passage, count);
            self.bytes += STEM_BYTES + stem.len() + list.size_bytes();
            self.postings.insert_mut(stem.into(), list);
        }
    }

    /// Removes what [`push`](Self::push) added for these terms.
    pub(super) fn remove(&mut self, numbers: Range<u32>, passages: &[PassageTerms]) {
        for (passage, terms) in numbers.zip(passages) {
            for stem in terms.counts.keys() {
                self.remove_posting(stem, passage);
            }
            if let Some(passage) = self.passages.get_mut(passage as usize) {
                passage.slot = Passage::DEAD;
            }
            self.total_length -= u64::from(terms.length);
            self.live -= 1;
        }
    }

    fn remove_posting(&mut self, stem: &str, passage: u32) {
        let Some(list) = self.postings.get_mut(stem) else {
            return;
        };
        let before = list.size_bytes();
        let occurrences = &mut list.occurrences;
        occurrences.remove_run(&passage, |other| *other == passage);
        list.passages -= 1;
        if list.occurrences.is_empty() {
            self.postings.remove_mut(stem);
            self.bytes -= before + STEM_BYTES + stem.len();
        } else {
            self.bytes = self.bytes - before + list.size_bytes();
        }
    }

    /// Whether more than a quarter of the passages are those of removed memories.
    pub(super) fn needs_compaction(&self) -> bool {
        const MIN_DEAD: usize = 256;
        let dead = self.passages.len() - self.live;
        dead > MIN_DEAD && dead * 4 > self.passages.len()
    }

    /// The BM25 of the best passage of each of `slots` slots. A passage is a
    /// document: IDF and mean length are those of all passages of the entity, so
    /// that a memory has the same score under every filter. O(postings of the
    /// query's stems).
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a mean length and a score need 24 bits"
    )]
    pub(super) fn score(&self, stems: &[String], slots: usize) -> SparseScores {
        let mean = self.total_length as f64 / self.live.max(1) as f64;
        let weights = TermWeights::new(mean);
        let mut by_passage = vec![0.0f32; self.passages.len()];
        let mut found: Vec<u32> = Vec::new();
        for (index, stem) in stems.iter().enumerate() {
            if stems[..index].contains(stem) {
                continue;
            }
            let Some(list) = self.postings.get(stem.as_str()) else {
                continue;
            };
            let idf = bm25::idf(self.live as u64, list.passages.into());
            list.for_each(|number, count| {
                let Some(passage) = self.passages.get(number as usize) else {
                    return;
                };
                let weight = weights.of(count, passage.length);
                let score = &mut by_passage[number as usize];
                if *score == 0.0 {
                    found.push(number);
                }
                *score += (idf * weight) as f32;
            });
        }
        let mut scores = SparseScores::new(slots);
        for number in found {
            if let Some(passage) = self.passages.get(number as usize) {
                scores.raise(passage.slot, by_passage[number as usize]);
            }
        }
        scores
    }

    /// The postings of each distinct stem of a query.
    pub(super) fn lookup(&self, stems: &[String]) -> StemLookup<'_> {
        let distinct = stems.iter().enumerate();
        let distinct = distinct.filter(|(index, stem)| !stems[..*index].contains(stem));
        StemLookup {
            lists: distinct
                .map(|(_, stem)| self.postings.get(stem.as_str()))
                .collect(),
        }
    }

    /// The same postings with the slots renumbered, and for each passage its new
    /// number. Slots without a new number have no passage.
    pub(super) fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> (Self, Vec<u32>) {
        let mut next = Self::default();
        let numbers: Vec<u32> = self
            .passages
            .iter()
            .map(|passage| {
                let number = next.next_passage();
                if let Some(slot) = to(passage.slot) {
                    next.passages.push(Passage { slot, ..*passage });
                }
                number
            })
            .collect();
        (next.live, next.total_length) = (self.live, self.total_length);
        for (stem, list) in &self.postings {
            let occurrences = list.occurrences.iter();
            let list = Postings {
                occurrences: occurrences
                    .map(|passage| numbers[*passage as usize])
                    .collect(),
                passages: list.passages,
            };
            next.bytes += STEM_BYTES + stem.len() + list.size_bytes();
            next.postings.insert_mut(Arc::clone(stem), list);
        }
        (next, numbers)
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes + self.passages.size_bytes()
    }
}

/// The postings of a query's distinct stems, to look up single memories.
pub(super) struct StemLookup<'a> {
    /// `None` of a stem that no memory has.
    lists: Vec<Option<&'a Postings>>,
}

impl StemLookup<'_> {
    /// The share of the stems that a memory with these passages has.
    /// O(stems · log(postings)).
    #[expect(clippy::cast_precision_loss, reason = "some thousand stems at most")]
    pub(super) fn share(&self, passages: &Range<u32>) -> f32 {
        let is_found = |list: &&Postings| {
            let first = list.occurrences.from(&passages.start).next();
            first.is_some_and(|passage| passage < passages.end)
        };
        let found = self
            .lists
            .iter()
            .flatten()
            .copied()
            .filter(is_found)
            .count();
        found as f32 / self.lists.len().max(1) as f32
    }
}

/// BM25 weights of terms for one mean length. Most terms occur once in a short
/// passage: their weights are computed once.
struct TermWeights {
    mean: f64,
    /// By the passage's length, of a term that occurs once.
    once: Vec<f64>,
}

impl TermWeights {
    const LENGTHS: u32 = 128;

    fn new(mean: f64) -> Self {
        let lengths = 0..Self::LENGTHS;
        Self {
            mean,
            once: lengths
                .map(|length| bm25::term_weight(1, length, mean))
                .collect(),
        }
    }

    fn of(&self, count: u32, length: u32) -> f64 {
        match self.once.get(length as usize) {
            Some(weight) if count == 1 => *weight,
            _ => bm25::term_weight(count, length, self.mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use memory_text::TextAnalysis;

    use super::*;

    fn terms(text: &str) -> Vec<PassageTerms> {
        TextAnalysis::of(text).passages
    }

    fn scores(index: &InvertedIndex, query: &str, slots: u32) -> Vec<f32> {
        let scores = index.score(&memory_text::stems(query), slots as usize);
        (0..slots).map(|slot| scores.of(slot)).collect()
    }

    #[test]
    fn rare_terms_weigh_more_than_common_ones() {
        let mut index = InvertedIndex::default();
        for slot in 0..20 {
            index.push(slot, &terms("the horse walked to market"));
        }
        index.push(20, &terms("ticket INC-90312 about the horse"));
        let scores = scores(&index, "horse INC-90312", 21);
        assert!(scores[20] > 5.0 * scores[0], "{scores:?}");
        assert_eq!(scores[0], scores[19]);
    }

    #[test]
    fn removing_a_memory_restores_the_previous_scores() {
        let mut index = InvertedIndex::default();
        let mill = index.push(0, &terms("the mill by the river"));
        let (before, bytes) = (scores(&index, "mill river horse", 2), index.bytes);
        let mut changed = index.clone();
        let horse = changed.push(1, &terms("a horse at the mill"));
        assert!(scores(&changed, "mill river horse", 2)[1] > 0.0);
        changed.remove(horse, &terms("a horse at the mill"));
        assert_eq!(scores(&changed, "mill river horse", 2), before);
        // The lists that were copied have capacity for another passage.
        assert!(changed.bytes - bytes <= 2 * size_of::<u32>());
        changed.remove(mill, &terms("the mill by the river"));
        assert_eq!(changed.bytes, 0);
        assert_eq!(
            scores(&index, "mill river horse", 2),
            before,
            "versions are independent"
        );
    }

    #[test]
    fn changes_and_remaps_score_as_a_new_index_does() {
        let text = |slot: u32| format!("the mill number {} of valley {}", slot % 9, slot % 5);
        let mut changed = InvertedIndex::default();
        let mut numbers = Vec::new();
        for slot in 0..700 {
            numbers.push(changed.push(slot, &terms(&text(slot))));
        }
        for slot in (0..700).step_by(2) {
            changed.remove(numbers[slot as usize].clone(), &terms(&text(slot)));
        }
        assert!(changed.needs_compaction());
        // Slot 4 is used again, its passage comes last.
        let again = changed.push(4, &terms("a horse in valley 3"));
        let kept: Vec<u32> = (0..700)
            .filter(|slot| slot % 2 == 1 || *slot == 4)
            .collect();
        let to = |slot: u32| {
            kept.binary_search(&slot)
                .ok()
                .and_then(|it| u32::try_from(it).ok())
        };
        let (remapped, numbers) = changed.remap(to);
        assert!(!remapped.needs_compaction());
        assert_eq!(numbers[again.start as usize] as usize, kept.len() - 1);
        let mut new = InvertedIndex::default();
        for (slot, old) in (0..).zip(&kept) {
            let text = if *old == 4 {
                "a horse in valley 3".into()
            } else {
                text(*old)
            };
            new.push(slot, &terms(&text));
        }
        for query in ["mill number 3", "horse valley", "number 8 of valley 2"] {
            let expected = scores(&new, query, 351);
            assert_eq!(scores(&remapped, query, 351), expected, "{query}");
            let all = scores(&changed, query, 700);
            let of_kept: Vec<f32> = kept.iter().map(|slot| all[*slot as usize]).collect();
            assert_eq!(of_kept, expected, "{query}");
        }
    }

    #[test]
    fn a_repeated_query_term_counts_once() {
        let mut index = InvertedIndex::default();
        index.push(0, &terms("the mill"));
        assert_eq!(scores(&index, "mill mill", 1), scores(&index, "mill", 1));
    }

    #[test]
    fn a_long_memory_has_the_score_of_its_best_passage() {
        let filler = |words: usize| "stone ".repeat(words);
        let mut index = InvertedIndex::default();
        index.push(0, &terms(&format!("mill {} river", filler(300))));
        index.push(1, &terms("a mill by a river"));
        index.push(2, &terms(&format!("{} mill river", filler(300))));
        let scores = scores(&index, "mill river", 3);
        assert!(scores[2] > 1.5 * scores[0], "{scores:?}");
    }
}
