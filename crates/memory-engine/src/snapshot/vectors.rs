//! The vectors of a snapshot, in blocks that versions share.

mod one_by_one;
mod scan;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use memory_core::cosine;
use memory_core::levels::LevelRows;
use memory_core::quantized::quantize;
use memory_core::refinement::{refine, refined_dot};

use super::page::Page;

pub(super) use scan::Similarities;

/// Rows of a block: few enough to copy on a write (98 KB at 384 dimensions),
/// many enough to scan sequentially.
const BLOCK_ROWS: usize = 128;

/// The owner of a row whose memory was removed.
const TOMBSTONE: u32 = u32::MAX;

/// One row of `dimensions` numbers per chunk, in 16 bits: 8 that a scan reads,
/// and 8 more for exact values. The rows of a slot are consecutive. Cloning
/// shares every block; a change copies only the blocks that it updates.
#[derive(Clone)]
pub(super) struct Vectors {
    /// Shared as a whole with the scans of this version.
    blocks: Arc<Vec<Arc<Block>>>,
    dimensions: usize,
    rows: usize,
    dead: usize,
    /// From how many rows on scans read levels.
    min_levels: usize,
}

#[derive(Default)]
struct Block {
    /// The slot of each row.
    owners: Vec<u32>,
    rows: EncodedRows,
    /// The levels of the rows, computed for the first scan that reads them.
    levels: OnceLock<LevelRows>,
}

/// Rows in 16 bits.
#[derive(Clone, Default)]
pub(super) struct EncodedRows {
    /// The codes of the rows, concatenated.
    pub(super) codes: Vec<u8>,
    /// What refines the codes to 16 bits, likewise.
    pub(super) refinements: Vec<u8>,
    /// What the codes of each row are multiplied by.
    pub(super) scales: Vec<f32>,
    /// The largest length of the difference between a row's codes and its refined
    /// codes.
    pub(super) max_error: f32,
    /// The length of the longest row.
    pub(super) max_length: f32,
}

impl EncodedRows {
    /// Encodes rows of as many dimensions. A row of another length is not comparable
    /// and is ignored; a store never returns one under the snapshot's fingerprint.
    pub(super) fn new(rows: &[Vec<f32>], dimensions: usize) -> Self {
        let mut encoded = Self::default();
        encoded.reserve(rows.len(), dimensions);
        for row in rows {
            if row.len() == dimensions && !row.is_empty() {
                encoded.push(row);
            }
        }
        encoded
    }

    fn push(&mut self, row: &[f32]) {
        let start = self.codes.len();
        let quantization = quantize(row, &mut self.codes);
        let (codes, scale) = (&self.codes[start..], quantization.scale);
        let refined = refine(row, codes, scale, &mut self.refinements);
        self.scales.push(scale);
        self.max_error = self.max_error.max(quantization.error + refined);
        self.max_length = self.max_length.max(cosine(row, row).sqrt() + refined);
    }

    /// Adds a row of others.
    fn copy(&mut self, from: &Self, row: usize, dimensions: usize) {
        let numbers = row * dimensions..(row + 1) * dimensions;
        self.codes.extend_from_slice(&from.codes[numbers.clone()]);
        self.refinements
            .extend_from_slice(&from.refinements[numbers]);
        self.scales.push(from.scales[row]);
        self.max_error = self.max_error.max(from.max_error);
        self.max_length = self.max_length.max(from.max_length);
    }

    fn reserve(&mut self, rows: usize, dimensions: usize) {
        self.codes.reserve_exact(rows * dimensions);
        self.refinements.reserve_exact(rows * dimensions);
        self.scales.reserve_exact(rows);
    }

    pub(super) fn len(&self) -> usize {
        self.scales.len()
    }

    fn size_bytes(&self) -> usize {
        self.codes.capacity()
            + self.refinements.capacity()
            + self.scales.capacity() * size_of::<f32>()
    }
}

impl Clone for Block {
    /// Without its levels: a copy is made to be changed.
    fn clone(&self) -> Self {
        Self {
            owners: self.owners.clone(),
            rows: self.rows.clone(),
            levels: OnceLock::new(),
        }
    }
}

impl Block {
    fn levels(&self, dimensions: usize) -> &LevelRows {
        if let Some(levels) = self.levels.get() {
            return levels;
        }
        // Two threads may both compute them, so that neither waits for the other.
        let levels = LevelRows::new(&self.rows.codes, &self.rows.scales, dimensions);
        self.levels.get_or_init(|| levels)
    }
}

impl Vectors {
    pub(super) fn new(dimensions: usize) -> Self {
        Self {
            blocks: Arc::default(),
            dimensions,
            rows: 0,
            dead: 0,
            min_levels: scan::MIN_LEVELS,
        }
    }

    /// Rows held, those of removed memories included until they are compacted.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The vectors of the memories of pages, in their order: as after
    /// [`push`](Self::push) of each.
    pub(super) fn from_pages(pages: &[Page<'_>], dimensions: usize) -> Self {
        let mut vectors = Self::new(dimensions);
        let mut slots = 0u32..;
        let mut missing: usize = pages.iter().map(|page| page.scales().len()).sum();
        for page in pages {
            // The slot of each row, with the largest error and length of the slot's rows.
            let owners = page.memories().zip(slots.by_ref());
            let owners = owners.flat_map(|(memory, slot)| {
                let owner = (slot, memory.max_error, memory.max_length);
                std::iter::repeat_n(owner, memory.vectors as usize)
            });
            let owners: Vec<(u32, f32, f32)> = owners.collect();
            let (mut scales, mut row) = (page.scales(), 0);
            while row < owners.len() {
                let own = vectors.rows % BLOCK_ROWS;
                if own == 0 {
                    vectors.add_block(missing.min(BLOCK_ROWS));
                }
                let count = (owners.len() - row).min(BLOCK_ROWS - own);
                let Some(block) = vectors.last_block().and_then(Arc::get_mut) else {
                    break;
                };
                let rows = &mut block.rows;
                let numbers = row * dimensions..(row + count) * dimensions;
                rows.codes.extend_from_slice(&page.codes[numbers.clone()]);
                rows.refinements
                    .extend_from_slice(&page.refinements[numbers]);
                rows.scales.extend(scales.by_ref().take(count));
                for (slot, max_error, max_length) in &owners[row..row + count] {
                    block.owners.push(*slot);
                    rows.max_error = rows.max_error.max(*max_error);
                    rows.max_length = rows.max_length.max(*max_length);
                }
                row += count;
                vectors.rows += count;
                missing -= count;
            }
        }
        vectors.prepare();
        vectors
    }

    /// Computes the levels of all rows, if scans read them: no search waits for it then.
    fn prepare(&self) {
        if self.has_levels() {
            self.blocks.iter().for_each(|block| {
                block.levels(self.dimensions);
            });
        }
    }

    /// Adds a block with room for `rows`.
    fn add_block(&mut self, rows: usize) {
        let mut block = Block::default();
        block.owners.reserve_exact(rows);
        block.rows.reserve(rows, self.dimensions);
        self.blocks_mut().push(Arc::new(block));
    }

    fn blocks_mut(&mut self) -> &mut Vec<Arc<Block>> {
        Arc::make_mut(&mut self.blocks)
    }

    fn last_block(&mut self) -> Option<&mut Arc<Block>> {
        self.blocks_mut().last_mut()
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Adds a slot's rows and returns where they are.
    pub(super) fn push(&mut self, slot: u32, rows: &EncodedRows) -> Range<u32> {
        let start = self.rows;
        for row in 0..rows.len() {
            self.copy(slot, rows, row);
        }
        to_u32(start)..to_u32(self.rows)
    }

    /// Adds a row, in a new block where the last is full.
    fn copy(&mut self, slot: u32, from: &EncodedRows, row: usize) {
        let own = self.rows % BLOCK_ROWS;
        if own == 0 {
            self.blocks_mut().push(Arc::default());
        }
        self.rows += 1;
        let dimensions = self.dimensions;
        if let Some(last) = self.last_block() {
            let block = Arc::make_mut(last);
            if block.rows.scales.capacity() == own {
                // A quarter more: a block that grows in every version is copied each time.
                let more = (own / 4).clamp(1, BLOCK_ROWS - own);
                block.rows.reserve(more, dimensions);
            }
            block.rows.copy(from, row, dimensions);
            block.owners.push(slot);
            block.levels = OnceLock::new();
        }
    }

    /// Removes rows and overwrites them with zeros.
    pub(super) fn remove(&mut self, rows: Range<u32>) {
        let dimensions = self.dimensions;
        for row in rows {
            let (index, row) = (row as usize / BLOCK_ROWS, row as usize % BLOCK_ROWS);
            let Some(block) = self.blocks_mut().get_mut(index) else {
                continue;
            };
            let block = Arc::make_mut(block);
            let numbers = row * dimensions..(row + 1) * dimensions;
            block.owners[row] = TOMBSTONE;
            block.rows.codes[numbers.clone()].fill(0);
            block.rows.refinements[numbers].fill(0);
            block.levels = OnceLock::new();
            self.dead += 1;
        }
    }

    /// The live rows in the same order, with their slots remapped, and for each
    /// row its new number.
    pub(super) fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> (Self, Vec<u32>) {
        let mut next = Self {
            min_levels: self.min_levels,
            ..Self::new(self.dimensions)
        };
        let mut numbers = Vec::with_capacity(self.rows);
        for block in self.blocks.iter() {
            for (row, owner) in block.owners.iter().enumerate() {
                numbers.push(to_u32(next.rows));
                if let Some(slot) = to(*owner) {
                    next.copy(slot, &block.rows, row);
                }
            }
        }
        next.prepare();
        (next, numbers)
    }

    /// Whether more than a quarter of the rows are tombstones.
    pub(super) fn needs_compaction(&self) -> bool {
        self.dead > BLOCK_ROWS && self.dead * 4 > self.rows
    }

    /// The cosine with the best of the slot's rows; `None` without one.
    pub(super) fn similarity(&self, query: &[f32], rows: Range<u32>) -> Option<f32> {
        rows.filter_map(|row| self.dot(query, row)).reduce(f32::max)
    }

    /// The block of a row.
    fn block_of(&self, row: u32) -> Option<&Block> {
        let block = self.blocks.get(row as usize / BLOCK_ROWS)?;
        Some(block)
    }

    fn dot(&self, query: &[f32], row: u32) -> Option<f32> {
        let block = &self.block_of(row)?.rows;
        let row = row as usize % BLOCK_ROWS;
        let numbers = row * self.dimensions..(row + 1) * self.dimensions;
        let codes = block.codes.get(numbers.clone())?;
        let refinements = block.refinements.get(numbers)?;
        Some(refined_dot(query, codes, refinements, block.scales[row]))
    }

    #[cfg(test)]
    pub(super) fn always_estimate(&mut self) {
        self.min_levels = 0;
    }

    /// Whether a scan reads levels. They count where they are not computed yet.
    fn has_levels(&self) -> bool {
        self.rows >= self.min_levels && self.dimensions >= scan::MIN_DIMENSIONS
    }

    pub(super) fn size_bytes(&self) -> usize {
        /// The two reference counts of a shared pointer.
        const COUNTS: usize = 2 * size_of::<usize>();
        let has_levels = self.has_levels();
        let block = |block: &Arc<Block>| {
            let rows = if has_levels { block.owners.len() } else { 0 };
            COUNTS
                + size_of::<Block>()
                + block.owners.capacity() * size_of::<u32>()
                + block.rows.size_bytes()
                + LevelRows::size_bytes(rows, self.dimensions)
        };
        let pointers = COUNTS
            + size_of::<Vec<Arc<Block>>>()
            + self.blocks.capacity() * size_of::<Arc<Block>>();
        pointers + self.blocks.iter().map(block).sum::<usize>()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "bounded by the memory that rows take"
)]
fn to_u32(row: usize) -> u32 {
    row as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(vectors: &mut Vectors, slot: u32, rows: &[Vec<f32>]) -> Range<u32> {
        vectors.push(slot, &EncodedRows::new(rows, 2))
    }

    fn unit(first: f32) -> Vec<f32> {
        vec![first, (1.0 - first * first).sqrt()]
    }

    #[test]
    fn versions_share_unchanged_blocks() {
        let mut first = Vectors::new(2);
        for slot in 0..300u32 {
            assert_eq!(push(&mut first, slot, &[unit(1.0)]), slot..slot + 1);
        }
        let mut second = first.clone();
        push(&mut second, 300, &[unit(0.0)]);
        second.remove(3..4);
        assert!(!Arc::ptr_eq(&first.blocks[0], &second.blocks[0]));
        assert!(Arc::ptr_eq(&first.blocks[1], &second.blocks[1]));
        assert!(!Arc::ptr_eq(&first.blocks[2], &second.blocks[2]));
        let similarity = |vectors: &Vectors| vectors.scan(&unit(1.0), 301).values[3];
        assert!((similarity(&first) - 1.0).abs() < 0.01);
        assert_eq!(similarity(&second), Similarities::NONE);
    }

    #[test]
    fn the_best_row_of_a_slot_counts() {
        let mut vectors = Vectors::new(2);
        let rows = push(&mut vectors, 0, &[unit(0.6), unit(0.9), vec![1.0]]);
        let none = push(&mut vectors, 1, &[]);
        assert_eq!((rows.clone(), none.clone()), (0..2, 2..2));
        let query = unit(0.9);
        let exact = vectors.similarity(&query, rows).unwrap();
        assert!((exact - 1.0).abs() < 1e-5);
        assert_eq!(vectors.similarity(&query, none), None);
        let found = vectors.scan(&query, 2);
        assert!((found.values[0] - exact).abs() <= found.max_error);
        assert_eq!(found.values[1], Similarities::NONE);
        assert_eq!(found.with_chunks, [0]);
    }

    #[test]
    fn rows_move_with_their_slot() {
        let mut vectors = Vectors::new(2);
        let gone = push(&mut vectors, 0, &[unit(0.1)]);
        let rows = push(&mut vectors, 1, &[unit(0.5), unit(1.0)]);
        vectors.remove(gone);
        let (moved, numbers) = vectors.remap(|slot| (slot == 1).then_some(0));
        assert_eq!(numbers, [0, 0, 1]);
        let query = unit(1.0);
        assert_eq!(
            moved.similarity(&query, 0..2),
            vectors.similarity(&query, rows)
        );
        assert_eq!(moved.scan(&query, 1).with_chunks, [0]);
    }
}
