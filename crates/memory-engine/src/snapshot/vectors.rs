//! The vectors of a snapshot, in blocks that versions share.

use std::sync::Arc;

use memory_core::cosine;

/// Rows of a block: small enough to copy on a write (384 KiB at 384
/// dimensions), large enough to scan sequentially.
const BLOCK_ROWS: usize = 256;

/// The owner of a row whose memory was removed.
const TOMBSTONE: u32 = u32::MAX;

/// One row of `dimensions` numbers per chunk. Cloning shares every block; a
/// change copies only the blocks that it updates.
#[derive(Clone)]
pub(super) struct Vectors {
    blocks: Vec<Arc<Block>>,
    dimensions: usize,
    rows: usize,
    dead: usize,
    /// The number of rows of each slot.
    counts: Vec<u32>,
}

#[derive(Clone, Default)]
struct Block {
    /// The slot of each row.
    owners: Vec<u32>,
    /// The rows, concatenated.
    numbers: Vec<f32>,
}

impl Vectors {
    pub(super) fn new(dimensions: usize) -> Self {
        Self {
            blocks: Vec::new(),
            dimensions,
            rows: 0,
            dead: 0,
            counts: Vec::new(),
        }
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Adds a row. A row of another length is not comparable and is ignored; a
    /// store never returns one under the snapshot's fingerprint.
    pub(super) fn push(&mut self, slot: u32, row: &[f32]) {
        if row.len() != self.dimensions {
            return;
        }
        if self.rows.is_multiple_of(BLOCK_ROWS) {
            self.blocks.push(Arc::default());
        }
        self.rows += 1;
        let index = slot as usize;
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        if let Some(last) = self.blocks.last_mut() {
            let block = Arc::make_mut(last);
            block.owners.push(slot);
            block.numbers.extend_from_slice(row);
        }
    }

    /// Removes a slot's rows and overwrites them with zeros.
    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(count) = self.counts.get_mut(slot as usize) {
            *count = 0;
        }
        for block in &mut self.blocks {
            if !block.owners.contains(&slot) {
                continue;
            }
            let block = Arc::make_mut(block);
            let rows = block.numbers.chunks_exact_mut(self.dimensions);
            for (owner, row) in block.owners.iter_mut().zip(rows) {
                if *owner == slot {
                    *owner = TOMBSTONE;
                    row.fill(0.0);
                    self.dead += 1;
                }
            }
        }
    }

    /// The live rows in the same order, with their slots remapped.
    pub(super) fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> Self {
        let mut next = Self::new(self.dimensions);
        for (owner, row) in self.rows() {
            if let Some(slot) = to(owner) {
                next.push(slot, row);
            }
        }
        next
    }

    /// Whether more than a quarter of the rows are tombstones.
    pub(super) fn needs_compaction(&self) -> bool {
        self.dead > BLOCK_ROWS && self.dead * 4 > self.rows
    }

    /// Raises each admitted slot's entry in `best` to the cosine of its best
    /// row. O(rows · dimensions).
    pub(super) fn scan(&self, query: &[f32], admitted: &[bool], best: &mut [f32]) {
        for (owner, row) in self.rows() {
            let slot = owner as usize;
            if owner != TOMBSTONE && admitted[slot] {
                best[slot] = best[slot].max(cosine(query, row));
            }
        }
    }

    /// The number of rows, and so of chunks, of each of `slots` slots.
    pub(super) fn chunk_counts(&self, slots: usize) -> Vec<u32> {
        let mut counts = self.counts.clone();
        counts.resize(slots, 0);
        counts
    }

    pub(super) fn size_bytes(&self) -> usize {
        /// The two reference counts of a shared pointer.
        const COUNTS: usize = 2 * size_of::<usize>();
        let block = |block: &Arc<Block>| {
            COUNTS
                + size_of::<Block>()
                + block.owners.capacity() * size_of::<u32>()
                + block.numbers.capacity() * size_of::<f32>()
        };
        let pointers = self.blocks.capacity() * size_of::<Arc<Block>>();
        let counts = self.counts.capacity() * size_of::<u32>();
        counts + pointers + self.blocks.iter().map(block).sum::<usize>()
    }

    fn rows(&self) -> impl Iterator<Item = (u32, &[f32])> {
        self.blocks.iter().flat_map(|block| {
            block
                .owners
                .iter()
                .copied()
                .zip(block.numbers.chunks_exact(self.dimensions))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_share_unchanged_blocks() {
        let mut first = Vectors::new(2);
        for slot in 0..600u32 {
            first.push(slot, &[1.0, 0.0]);
        }
        let mut second = first.clone();
        second.push(600, &[0.0, 1.0]);
        second.remove(3);
        assert!(!Arc::ptr_eq(&first.blocks[0], &second.blocks[0]));
        assert!(Arc::ptr_eq(&first.blocks[1], &second.blocks[1]));
        assert!(!Arc::ptr_eq(&first.blocks[2], &second.blocks[2]));
        let rows_of_3 = |vectors: &Vectors| vectors.rows().filter(|(slot, _)| *slot == 3).count();
        assert_eq!((rows_of_3(&first), rows_of_3(&second)), (1, 0));
        assert_eq!(
            second
                .remap(|slot| (slot != TOMBSTONE).then_some(slot))
                .rows,
            600
        );
    }

    #[test]
    fn the_best_row_of_an_admitted_slot_counts() {
        let mut vectors = Vectors::new(2);
        vectors.push(0, &[0.6, 0.8]);
        vectors.push(0, &[1.0, 0.0]);
        vectors.push(1, &[1.0, 0.0]);
        vectors.push(1, &[1.0]);
        let mut best = [f32::NEG_INFINITY; 2];
        vectors.scan(&[1.0, 0.0], &[true, false], &mut best);
        assert_eq!(best, [1.0, f32::NEG_INFINITY]);
    }
}
