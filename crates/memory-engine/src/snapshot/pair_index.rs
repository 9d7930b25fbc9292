//! The word pairs of a snapshot's memories, scored by BM25.

use std::sync::Arc;

use memory_text::{WordPair, bm25};

/// Entries of a block: small enough to copy on a write (32 KiB), large enough
/// that few blocks are searched.
const BLOCK_ENTRIES: usize = 4_096;

/// One entry per pair and occurrence, 8 bytes: most pairs occur once, so a list
/// for each distinct pair would cost twenty times as much.
///
/// Blocks hold the entries of consecutive slots, sorted by pair. Cloning shares
/// every block; a change copies the blocks that it updates.
#[derive(Clone, Default)]
pub(super) struct PairIndex {
    blocks: Vec<Arc<Block>>,
    /// Number of pairs of each slot's memory.
    lengths: Vec<u32>,
    documents: u32,
    total_length: u64,
}

#[derive(Clone, Default)]
struct Block {
    /// Its lowest slot; the next block's is above its highest.
    first_slot: u32,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    pair: WordPair,
    slot: u32,
}

impl PairIndex {
    pub(super) fn push(&mut self, slot: u32, pairs: &[WordPair]) {
        let mut entries: Vec<Entry> = pairs.iter().map(|&pair| Entry { pair, slot }).collect();
        entries.sort_unstable();
        if !entries.is_empty() {
            let block = self.block_for(slot);
            merge(&mut Arc::make_mut(block).entries, &entries);
        }
        let (index, length) = (slot as usize, to_u32(pairs.len()));
        if self.lengths.len() <= index {
            self.lengths.resize(index + 1, 0);
        }
        self.lengths[index] = length;
        self.documents += 1;
        self.total_length += u64::from(length);
    }

    /// Removes what [`push`](Self::push) added for this slot.
    pub(super) fn remove(&mut self, slot: u32) {
        let index = self
            .blocks
            .partition_point(|block| block.first_slot <= slot);
        let length = std::mem::take(&mut self.lengths[slot as usize]);
        if length > 0
            && let Some(block) = index.checked_sub(1).map(|index| &mut self.blocks[index])
        {
            let block = Arc::make_mut(block);
            block.entries.retain(|entry| entry.slot != slot);
            block.entries.shrink_to(block.entries.len() * 2);
        }
        self.documents -= 1;
        self.total_length -= u64::from(length);
    }

    /// The block that holds a slot's entries; a new one behind a full last block.
    fn block_for(&mut self, slot: u32) -> &mut Arc<Block> {
        let index = self
            .blocks
            .partition_point(|block| block.first_slot <= slot);
        let is_behind_all = index == self.blocks.len() && slot as usize >= self.lengths.len();
        let is_full = |block: &Arc<Block>| block.entries.len() >= BLOCK_ENTRIES;
        let needs_block = match self.blocks.last() {
            None => true,
            Some(last) => is_behind_all && is_full(last),
        };
        if needs_block {
            self.blocks.push(Arc::new(Block {
                first_slot: if self.blocks.is_empty() { 0 } else { slot },
                entries: Vec::new(),
            }));
            let last = self.blocks.len() - 1;
            return &mut self.blocks[last];
        }
        // The first block begins at slot 0.
        &mut self.blocks[index.saturating_sub(1)]
    }

    /// Adds the BM25 of the query's pairs to the score of each admitted slot, as
    /// `InvertedIndex::score` does for stems, with the whole memory as document.
    /// O(pairs of the query · blocks · log(entries of a block)).
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a mean length and a score need 24 bits"
    )]
    pub(super) fn score(&self, query: &[WordPair], admitted: &[bool], scores: &mut [f32]) {
        let mean = self.total_length as f64 / f64::from(self.documents.max(1));
        // The slots of a pair with its number of occurrences.
        let mut counts: Vec<(u32, u32)> = Vec::new();
        for (index, &pair) in query.iter().enumerate() {
            if query[..index].contains(&pair) {
                continue;
            }
            counts.clear();
            for block in &self.blocks {
                let start = block.entries.partition_point(|entry| entry.pair < pair);
                let entries = block.entries[start..].iter();
                for entry in entries.take_while(|entry| entry.pair == pair) {
                    match counts.last_mut() {
                        Some((slot, count)) if *slot == entry.slot => *count += 1,
                        _ => counts.push((entry.slot, 1)),
                    }
                }
            }
            let idf = bm25::idf(self.documents.into(), counts.len() as u64);
            for &(slot, count) in &counts {
                let slot = slot as usize;
                if admitted[slot] {
                    let weight = bm25::term_weight(count, self.lengths[slot], mean);
                    scores[slot] += (idf * weight) as f32;
                }
            }
        }
    }

    /// The same entries with the slots renumbered in their order. Slots without
    /// a new number have no entries.
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
        for block in &self.blocks {
            let entries = block.entries.iter();
            let entries: Vec<Entry> = entries
                .filter_map(|entry| {
                    let slot = to(entry.slot)?;
                    Some(Entry { slot, ..*entry })
                })
                .collect();
            let Some(lowest) = entries.iter().map(|entry| entry.slot).min() else {
                continue;
            };
            next.blocks.push(Arc::new(Block {
                first_slot: if next.blocks.is_empty() { 0 } else { lowest },
                entries,
            }));
        }
        next
    }

    pub(super) fn size_bytes(&self) -> usize {
        /// The two reference counts of a shared pointer.
        const COUNTS: usize = 2 * size_of::<usize>();
        let block = |block: &Arc<Block>| {
            COUNTS + size_of::<Block>() + block.entries.capacity() * size_of::<Entry>()
        };
        self.blocks.iter().map(block).sum::<usize>()
            + self.blocks.capacity() * size_of::<Arc<Block>>()
            + self.lengths.capacity() * size_of::<u32>()
    }
}

/// Merges sorted entries into sorted entries, from the back, in place.
fn merge(entries: &mut Vec<Entry>, new: &[Entry]) {
    let (mut old, mut added) = (entries.len(), new.len());
    entries.extend_from_slice(new);
    while added > 0 {
        let target = old + added - 1;
        if old > 0 && entries[old - 1] > new[added - 1] {
            entries[target] = entries[old - 1];
            old -= 1;
        } else {
            entries[target] = new[added - 1];
            added -= 1;
        }
    }
}

fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use memory_text::pairs;

    use super::*;

    fn scores(index: &PairIndex, query: &str, slots: usize) -> Vec<f32> {
        let mut scores = vec![0.0; slots];
        index.score(&pairs(query), &vec![true; slots], &mut scores);
        scores
    }

    fn text(slot: u32) -> String {
        format!(
            "the mill number {slot} is by the river of valley {}",
            slot % 7
        )
    }

    #[test]
    fn pairs_are_found_in_their_order_across_blocks() {
        let mut index = PairIndex::default();
        for slot in 0..1_000 {
            index.push(slot, &pairs(&text(slot)));
        }
        assert!(index.blocks.len() > 1);
        let scores = scores(&index, "mill number 678", 1_000);
        let best = (0..1_000).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        assert_eq!(best, Some(678));
        assert!(self::scores(&index, "678 number mill", 1_000)[678] == 0.0);
    }

    #[test]
    fn changes_and_remaps_score_as_a_new_index_does() {
        let mut changed = PairIndex::default();
        for slot in 0..900 {
            changed.push(slot, &pairs(&text(slot)));
        }
        let before = changed.clone();
        for slot in (0..900).step_by(3) {
            changed.remove(slot);
        }
        for slot in (0..900).step_by(9) {
            changed.push(slot, &pairs("a horse of another color"));
        }
        for slot in 900..1_000 {
            changed.push(slot, &pairs(&text(slot)));
        }
        let text_of = |slot: u32| match slot {
            0..900 if slot.is_multiple_of(9) => Some("a horse of another color".to_owned()),
            0..900 if slot.is_multiple_of(3) => None,
            _ => Some(text(slot)),
        };
        let kept: Vec<u32> = (0..1_000).filter(|slot| text_of(*slot).is_some()).collect();
        let to = |slot: u32| kept.binary_search(&slot).ok().map(to_u32);
        let mut new = PairIndex::default();
        for (slot, old) in (0..).zip(&kept) {
            new.push(slot, &pairs(&text_of(*old).unwrap()));
        }
        let remapped = changed.remap(to);
        for query in [
            "by the river of valley 3",
            "mill number 901",
            "horse of another",
        ] {
            let expected = scores(&new, query, kept.len());
            assert!(expected.iter().any(|score| *score > 0.0), "{query}");
            assert_eq!(scores(&remapped, query, kept.len()), expected, "{query}");
            let all = scores(&changed, query, 1_000);
            let of_kept: Vec<f32> = kept.iter().map(|slot| all[*slot as usize]).collect();
            assert_eq!(of_kept, expected, "{query}");
        }
        assert!(Arc::ptr_eq(&before.clone().blocks[0], &before.blocks[0]));
        assert!(
            scores(&before, "mill number 9", 900)[9] > 0.0,
            "versions are independent"
        );
    }
}
