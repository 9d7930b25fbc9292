//! The inverted index of a snapshot, scored by BM25 of the best passage.

use std::sync::Arc;

use rpds::HashTrieMapSync;

use memory_text::{PassageTerms, bm25};

/// The postings of each stem. Persistent: cloning shares everything, a change
/// copies the lists of the stems it updates.
#[derive(Clone, Default)]
pub(super) struct InvertedIndex {
    postings: HashTrieMapSync<Arc<str>, Arc<Vec<Posting>>>,
    passages: PassageLengths,
    total_length: u64,
    bytes: usize,
}

/// A stem in one passage of a memory. Passages are numbered within a memory, of
/// which the longest allowed has some hundred.
#[derive(Clone, Copy)]
struct Posting {
    slot: u32,
    passage: u16,
    count: u16,
}

/// Bytes of a stem in addition to its text and postings: its nodes in the map,
/// the reference counts of its text and list, the list's header. Measured:
/// `tests/size.rs`.
const STEM_BYTES: usize = 160;

impl InvertedIndex {
    /// Indexes the terms of a memory's passages under its slot.
    pub(super) fn push(&mut self, slot: u32, passages: &[PassageTerms]) {
        for (passage, terms) in (0u16..).zip(passages) {
            for (stem, &count) in &terms.counts {
                let count = u16::try_from(count).unwrap_or(u16::MAX);
                self.add(
                    stem,
                    Posting {
                        slot,
                        passage,
                        count,
                    },
                );
            }
            self.total_length += u64::from(terms.length);
        }
        self.passages
            .set(slot, passages.iter().map(|terms| terms.length));
    }

    fn add(&mut self, stem: &str, posting: Posting) {
        if let Some(list) = self.postings.get_mut(stem) {
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

    /// Removes what [`push`](Self::push) added for this slot and these terms.
    pub(super) fn remove(&mut self, slot: u32, passages: &[PassageTerms]) {
        for terms in passages {
            for stem in terms.counts.keys() {
                self.remove_postings(stem, slot);
            }
            self.total_length -= u64::from(terms.length);
        }
        self.passages.set(slot, std::iter::empty());
    }

    fn remove_postings(&mut self, stem: &str, slot: u32) {
        let Some(list) = self.postings.get_mut(stem) else {
            return;
        };
        let before = postings_bytes(list);
        let list = Arc::make_mut(list);
        list.retain(|posting| posting.slot != slot);
        if list.is_empty() {
            self.postings.remove_mut(stem);
            self.bytes -= before + STEM_BYTES + stem.len();
        } else {
            list.shrink_to(list.len() * 2);
            self.bytes = self.bytes - before + postings_bytes(list);
        }
    }

    /// Sets the score of each admitted slot to the BM25 of its best passage.
    /// A passage is a document: IDF and mean length are those of all passages of
    /// the entity, so that a memory has the same score under every filter.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a mean length and a score need 24 bits"
    )]
    pub(super) fn score(&self, stems: &[String], admitted: &[bool], scores: &mut [f32]) {
        let documents = self.passages.lengths.len();
        let mean = self.total_length as f64 / documents.max(1) as f64;
        let mut by_passage = vec![0.0f32; documents];
        let mut found: Vec<u32> = Vec::new();
        for (index, stem) in stems.iter().enumerate() {
            if stems[..index].contains(stem) {
                continue;
            }
            let Some(list) = self.postings.get(stem.as_str()) else {
                continue;
            };
            let idf = bm25::idf(documents as u64, list.len() as u64);
            for posting in list.iter() {
                if !admitted[posting.slot as usize] {
                    continue;
                }
                let passage = self.passages.index(posting.slot, posting.passage);
                let length = self.passages.lengths[passage];
                let weight = bm25::term_weight(posting.count.into(), length, mean);
                if by_passage[passage] == 0.0 {
                    found.push(posting.slot);
                }
                by_passage[passage] += (idf * weight) as f32;
            }
        }
        for slot in found {
            let passages = &by_passage[self.passages.range(slot)];
            scores[slot as usize] = passages.iter().copied().fold(0.0, f32::max);
        }
    }

    /// The same postings with the slots renumbered in their order, without
    /// tokenizing any text. Slots without a new number have no postings.
    pub(super) fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> Self {
        let mut next = Self {
            passages: self.passages.remap(&to),
            total_length: self.total_length,
            ..Self::default()
        };
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
        self.bytes + self.passages.size_bytes()
    }
}

fn postings_bytes(list: &Vec<Posting>) -> usize {
    list.capacity() * size_of::<Posting>()
}

/// The number of terms of every passage, one slot after the other.
#[derive(Clone, Default)]
struct PassageLengths {
    lengths: Vec<u32>,
    /// For each slot, the index after its last passage.
    ends: Vec<u32>,
}

impl PassageLengths {
    /// Sets the passages of a slot. O(slots behind it).
    fn set(&mut self, slot: u32, lengths: impl Iterator<Item = u32>) {
        let index = slot as usize;
        if self.ends.len() <= index {
            let end = self.ends.last().copied().unwrap_or(0);
            self.ends.resize(index + 1, end);
        }
        let before = self.lengths.len();
        drop(self.lengths.splice(self.range(slot), lengths));
        let after = self.lengths.len();
        let moved = |end: &u32| (*end as usize + after).saturating_sub(before);
        for end in &mut self.ends[index..] {
            *end = u32::try_from(moved(end)).unwrap_or(u32::MAX);
        }
    }

    fn range(&self, slot: u32) -> std::ops::Range<usize> {
        let index = slot as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[index] as usize
    }

    fn index(&self, slot: u32, passage: u16) -> usize {
        self.range(slot).start + usize::from(passage)
    }

    fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> Self {
        let mut next = Self::default();
        for slot in (0u32..).take(self.ends.len()) {
            if let Some(new) = to(slot) {
                next.set(new, self.lengths[self.range(slot)].iter().copied());
            }
        }
        next
    }

    fn size_bytes(&self) -> usize {
        (self.lengths.capacity() + self.ends.capacity()) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use memory_text::TextAnalysis;

    use super::*;

    fn terms(text: &str) -> Vec<PassageTerms> {
        TextAnalysis::of(text).passages
    }

    fn scores(index: &InvertedIndex, query: &str, slots: usize) -> Vec<f32> {
        let mut scores = vec![0.0; slots];
        index.score(&memory_text::stems(query), &vec![true; slots], &mut scores);
        scores
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
        index.push(0, &terms("the mill by the river"));
        let (before, bytes) = (scores(&index, "mill river horse", 2), index.bytes);
        let mut changed = index.clone();
        changed.push(1, &terms("a horse at the mill"));
        assert!(scores(&changed, "mill river horse", 2)[1] > 0.0);
        changed.remove(1, &terms("a horse at the mill"));
        assert_eq!(scores(&changed, "mill river horse", 2), before);
        // The lists that were copied have capacity for another posting.
        assert!(changed.bytes - bytes <= 2 * size_of::<Posting>());
        changed.remove(0, &terms("the mill by the river"));
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
        // Replacing a memory of several passages moves those behind it.
        let mut changed = index.clone();
        changed.remove(0, &terms(&format!("mill {} river", filler(300))));
        changed.push(0, &terms("nothing of the kind"));
        changed.remove(0, &terms("nothing of the kind"));
        changed.push(0, &terms(&format!("mill {} river", filler(300))));
        assert_eq!(self::scores(&changed, "mill river", 3), scores);
    }
}
