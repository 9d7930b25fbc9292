//! The inverted index of a snapshot, scored by BM25.

use std::collections::BTreeMap;
use std::sync::Arc;

use rpds::HashTrieMapSync;

use memory_text::{bm25, for_each_stem};

/// The postings of each stem. Persistent: cloning shares everything, a change
/// copies the lists of the stems it updates.
#[derive(Clone, Default)]
pub(super) struct InvertedIndex {
    postings: HashTrieMapSync<Arc<str>, Arc<Vec<Posting>>>,
    /// Number of stems of each slot's memory; 0 for an empty slot.
    lengths: Vec<u32>,
    documents: u32,
    total_length: u64,
    bytes: usize,
}

#[derive(Clone, Copy)]
struct Posting {
    slot: u32,
    count: u32,
}

/// Bytes of a stem in addition to its text and postings: its nodes in the map,
/// the reference counts of its text and list, the list's header. Measured:
/// `tests/size.rs`.
const STEM_BYTES: usize = 160;

impl InvertedIndex {
    /// Indexes a memory's text under its slot.
    pub(super) fn push(&mut self, slot: u32, text: &str) {
        let (counts, length) = count(text);
        for (stem, count) in counts {
            let posting = Posting { slot, count };
            if let Some(list) = self.postings.get_mut(stem.as_str()) {
                self.bytes -= postings_bytes(list);
                let list = Arc::make_mut(list);
                list.push(posting);
                self.bytes += postings_bytes(list);
            } else {
                let list = vec![posting];
                self.bytes += STEM_BYTES + stem.len() + postings_bytes(&list);
                self.postings.insert_mut(stem.into(), Arc::new(list));
            }
        }
        let index = slot as usize;
        if self.lengths.len() <= index {
            self.lengths.resize(index + 1, 0);
        }
        self.lengths[index] = length;
        self.documents += 1;
        self.total_length += u64::from(length);
    }

    /// Removes what [`push`](Self::push) added for this slot and text.
    pub(super) fn remove(&mut self, slot: u32, text: &str) {
        let (counts, length) = count(text);
        for stem in counts.into_keys() {
            let Some(list) = self.postings.get_mut(stem.as_str()) else {
                continue;
            };
            let before = postings_bytes(list);
            let list = Arc::make_mut(list);
            list.retain(|posting| posting.slot != slot);
            if list.is_empty() {
                self.postings.remove_mut(stem.as_str());
                self.bytes -= before + STEM_BYTES + stem.len();
            } else {
                list.shrink_to(list.len() * 2);
                self.bytes = self.bytes - before + postings_bytes(list);
            }
        }
        self.lengths[slot as usize] = 0;
        self.documents -= 1;
        self.total_length -= u64::from(length);
    }

    /// Adds the BM25 of the query's stems to the score of each admitted slot.
    /// IDF and mean length are those of the whole entity, so that a memory has
    /// the same score under every filter.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a mean length and a score need 24 bits"
    )]
    pub(super) fn score(&self, stems: &[String], admitted: &[bool], scores: &mut [f32]) {
        let mean = self.total_length as f64 / f64::from(self.documents.max(1));
        for (index, stem) in stems.iter().enumerate() {
            if stems[..index].contains(stem) {
                continue;
            }
            let Some(list) = self.postings.get(stem.as_str()) else {
                continue;
            };
            let idf = bm25::idf(self.documents.into(), list.len() as u64);
            for posting in list.iter() {
                let slot = posting.slot as usize;
                if admitted[slot] {
                    let weight = bm25::term_weight(posting.count, self.lengths[slot], mean);
                    scores[slot] += (idf * weight) as f32;
                }
            }
        }
    }

    /// The same postings with the slots renumbered in their order, without
    /// tokenizing any text. Slots without a new number have no postings.
    pub(super) fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> Self {
        let mut next = Self {
            documents: self.documents,
            total_length: self.total_length,
            ..Self::default()
        };
        for (slot, length) in (0u32..).zip(&self.lengths) {
            if to(slot).is_some() {
                next.lengths.push(*length);
            }
        }
        for (stem, list) in &self.postings {
            let list: Vec<Posting> = list
                .iter()
                .filter_map(|posting| {
                    let slot = to(posting.slot)?;
                    Some(Posting { slot, ..*posting })
                })
                .collect();
            next.bytes += STEM_BYTES + stem.len() + postings_bytes(&list);
            next.postings.insert_mut(Arc::clone(stem), Arc::new(list));
        }
        next
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes + self.lengths.capacity() * size_of::<u32>()
    }
}

fn postings_bytes(list: &Vec<Posting>) -> usize {
    list.capacity() * size_of::<Posting>()
}

fn count(text: &str) -> (BTreeMap<String, u32>, u32) {
    let mut counts = BTreeMap::new();
    let mut length = 0;
    for_each_stem(text, |stem| {
        *counts.entry(stem.to_owned()).or_insert(0) += 1;
        length += 1;
    });
    (counts, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(index: &InvertedIndex, query: &str, slots: usize) -> Vec<f32> {
        let mut scores = vec![0.0; slots];
        index.score(&memory_text::stems(query), &vec![true; slots], &mut scores);
        scores
    }

    #[test]
    fn rare_terms_weigh_more_than_common_ones() {
        let mut index = InvertedIndex::default();
        for slot in 0..20 {
            index.push(slot, "the horse walked to market");
        }
        index.push(20, "ticket INC-90312 about the horse");
        let scores = scores(&index, "horse INC-90312", 21);
        assert!(scores[20] > 5.0 * scores[0], "{scores:?}");
        assert_eq!(scores[0], scores[19]);
    }

    #[test]
    fn removing_a_memory_restores_the_previous_scores() {
        let mut index = InvertedIndex::default();
        index.push(0, "the mill by the river");
        let (before, bytes) = (scores(&index, "mill river horse", 2), index.bytes);
        let mut changed = index.clone();
        changed.push(1, "a horse at the mill");
        assert!(scores(&changed, "mill river horse", 2)[1] > 0.0);
        changed.remove(1, "a horse at the mill");
        assert_eq!(scores(&changed, "mill river horse", 2), before);
        // The lists that were copied have capacity for another posting.
        assert!(changed.bytes - bytes <= 2 * size_of::<Posting>());
        changed.remove(0, "the mill by the river");
        assert_eq!(changed.bytes, 0);
        assert_eq!(
            scores(&index, "mill river horse", 2),
            before,
            "versions are independent"
        );
    }

    #[test]
    fn a_repeated_query_term_counts_once() {
        let mut index = InvertedIndex::default();
        index.push(0, "the mill");
        assert_eq!(scores(&index, "mill mill", 1), scores(&index, "mill", 1));
    }
}
