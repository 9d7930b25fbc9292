//! The word pairs of a snapshot's memories, scored by BM25.

use std::ops::Range;

use memory_text::{WordPair, bm25};

use super::block_vec::BlockVec;
use super::buffer::Buffer;
use super::page::Page;
use super::posting_list::{PostingList, share};
use super::term_weights::TermWeights;

/// Cloning shares every block; a change copies the blocks that it updates.
#[derive(Clone, Default)]
pub(super) struct PairIndex {
    /// The slots of each pair, as often as it occurs there: most occur once, so a count
    /// would cost more.
    entries: PostingList,
    /// Number of pairs of each slot's memory.
    lengths: BlockVec<u32>,
    documents: u32,
    total_length: u64,
}

impl PairIndex {
    /// The index of the memories of pages, in their order: as after
    /// [`push`](Self::push) of each and [`settle`](Self::settle).
    pub(super) fn from_pages(pages: &[Page<'_>]) -> Self {
        let mut index = Self::default();
        // Both numbers of an entry in one, in the same order: it is compared faster.
        let count = pages.iter().map(|page| page.pairs().len()).sum();
        let mut entries: Vec<u64> = Vec::with_capacity(count);
        for page in pages {
            let first = to_u32(index.lengths.len());
            entries.extend(page.pairs().map(|(pair, position)| {
                let slot = first + u32::from(position);
                (u64::from(pair) << u32::BITS) | u64::from(slot)
            }));
            for memory in page.memories() {
                index.lengths.push(memory.pairs);
                index.documents += 1;
                index.total_length += u64::from(memory.pairs);
            }
        }
        entries.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the lower half is the slot"
        )]
        let entries = entries
            .iter()
            .map(|entry| (entry >> u32::BITS, *entry as u32));
        index.entries = entries.collect();
        index
    }

    /// Adds a slot's pairs, to be found after [`settle`](Self::settle).
    pub(super) fn push(&mut self, slot: u32, pairs: &[WordPair]) {
        for &pair in pairs {
            self.entries.push(pair.0, slot);
        }
        let (index, length) = (slot as usize, to_u32(pairs.len()));
        while self.lengths.len() <= index {
            self.lengths.push(0);
        }
        if let Some(own) = self.lengths.get_mut(index) {
            *own = length;
        }
        self.documents += 1;
        self.total_length += u64::from(length);
    }

    /// Puts what was added in order, all at once, without what was removed.
    pub(super) fn settle(&mut self) {
        self.entries.settle();
    }

    /// Removes what [`push`](Self::push) added for this slot and these pairs, at the next
    /// [`settle`](Self::settle).
    pub(super) fn remove(&mut self, slot: u32, pairs: &[WordPair]) {
        for &pair in pairs {
            self.entries.remove(pair.0, slot);
        }
        if let Some(length) = self.lengths.get_mut(slot as usize) {
            *length = 0;
        }
        self.documents -= 1;
        self.total_length = self.total_length.saturating_sub(pairs.len() as u64);
    }

    /// The BM25 of the query's pairs for each of `slots` slots, as
    /// `InvertedIndex::score` for stems, with the whole memory as document.
    /// O(occurrences of the query's pairs).
    #[expect(clippy::cast_precision_loss, reason = "a mean length needs 24 bits")]
    pub(super) fn score(&self, query: &[WordPair], slots: usize) -> Buffer {
        let mean = self.total_length as f64 / f64::from(self.documents.max(1));
        let mut scores = Buffer::new(slots, 0.0);
        let mut found: Vec<u32> = Vec::new();
        for (index, &pair) in query.iter().enumerate() {
            if query[..index].contains(&pair) {
                continue;
            }
            found.clear();
            self.entries
                .for_each_part(pair.0, |slots| found.extend_from_slice(slots));
            let memories = found.chunk_by(PartialEq::eq).count();
            let idf = bm25::idf(self.documents.into(), memories as u64);
            let mut weights = TermWeights::new(idf, mean, self.documents as usize);
            weights.add(&found, &self.lengths, |length| *length, &mut scores);
        }
        scores
    }

    /// The share of a query's distinct pairs that the memory in each of these slots has.
    pub(super) fn shares(&self, distinct: &[WordPair], slots: &[u32]) -> Vec<f32> {
        let slots: Vec<Range<u32>> = slots.iter().map(|slot| *slot..slot + 1).collect();
        let pairs = distinct.iter().map(|pair| pair.0);
        let found = self.entries.count_keys(pairs, &slots);
        found
            .into_iter()
            .map(|it| share(it, distinct.len()))
            .collect()
    }

    /// The same entries with the slots renumbered in their order. Slots without
    /// a new number have no entries.
    pub(super) fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> Self {
        let entries = self.entries.iter();
        let lengths = (0u32..).zip(self.lengths.iter());
        Self {
            entries: entries
                .filter_map(|(pair, slot)| Some((pair, to(slot)?)))
                .collect(),
            lengths: lengths
                .filter(|(slot, _)| to(*slot).is_some())
                .map(|(_, length)| *length)
                .collect(),
            documents: self.documents,
            total_length: self.total_length,
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.entries.size_bytes() + self.lengths.size_bytes()
    }
}

fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use memory_text::pairs;

    use super::*;

    fn scores(index: &PairIndex, query: &str, slots: u32) -> Vec<f32> {
        index.score(&pairs(query), slots as usize).to_vec()
    }

    fn text(slot: u32) -> String {
        format!(
            "the mill number {slot} is by the river of valley {}",
            slot % 7
        )
    }

    #[test]
    fn pairs_are_found_in_their_order() {
        let mut index = PairIndex::default();
        for slot in 0..1_000 {
            index.push(slot, &pairs(&text(slot)));
        }
        index.settle();
        let scores = scores(&index, "mill number 678", 1_000);
        let best = (0..1_000).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        assert_eq!(best, Some(678));
        assert!(self::scores(&index, "678 number mill", 1_000)[678] == 0.0);
    }

    #[test]
    fn changes_and_remaps_score_as_a_new_index_does() {
        let other = "a horse of another color, of another owner";
        let mut changed = PairIndex::default();
        for slot in 0..900 {
            changed.push(slot, &pairs(&text(slot)));
        }
        changed.settle();
        let before = changed.clone();
        for slot in (0..900).step_by(3) {
            changed.remove(slot, &pairs(&text(slot)));
        }
        for slot in (0..900).step_by(9) {
            changed.push(slot, &pairs(other));
        }
        for slot in 900..1_000 {
            changed.push(slot, &pairs(&text(slot)));
        }
        changed.settle();
        let text_of = |slot: u32| match slot {
            0..900 if slot.is_multiple_of(9) => Some(other.to_owned()),
            0..900 if slot.is_multiple_of(3) => None,
            _ => Some(text(slot)),
        };
        let kept: Vec<u32> = (0..1_000).filter(|slot| text_of(*slot).is_some()).collect();
        let to = |slot: u32| kept.binary_search(&slot).ok().map(to_u32);
        let mut new = PairIndex::default();
        for (slot, old) in (0..).zip(&kept) {
            new.push(slot, &pairs(&text_of(*old).unwrap()));
        }
        new.settle();
        let remapped = changed.remap(to);
        let count = to_u32(kept.len());
        for query in [
            "by the river of valley 3",
            "mill number 901",
            "horse of another",
        ] {
            let expected = scores(&new, query, count);
            assert!(expected.iter().any(|score| *score > 0.0), "{query}");
            assert_eq!(scores(&remapped, query, count), expected, "{query}");
            let all = scores(&changed, query, 1_000);
            let of_kept: Vec<f32> = kept.iter().map(|slot| all[*slot as usize]).collect();
            assert_eq!(of_kept, expected, "{query}");
        }
        assert!(
            scores(&before, "mill number 9", 900)[9] > 0.0,
            "versions are independent"
        );
    }
}
