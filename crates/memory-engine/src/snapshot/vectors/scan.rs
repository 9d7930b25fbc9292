//! The scan of all rows, by two threads where there are many, and of the rows' levels in
//! place of their codes where there are very many.
//!
//! One thread that reads more than the caches hold waits for memory most of the time, so
//! two take half as long. The thread of the search waits for no other: where the second
//! one gets no processor in time, the first scans everything by itself, so that on a busy
//! machine a search takes as long as with one thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use memory_core::levels::LevelQuery;
use memory_core::quantized::QuantizedQuery;

use super::{BLOCK_ROWS, Block, Vectors};
use crate::snapshot::buffer::Buffer;
use crate::snapshot::threads::processors;

/// Minimum number of rows of which a second thread scans some: to start it takes as long as to scan
/// a few thousand rows.
const MIN_ROWS: usize = 40_000;

/// Minimum number of rows of which the levels are scanned. Those of fewer rows are scanned as
/// fast by their codes, which do not have to be fetched from main memory.
pub(super) const MIN_LEVELS: usize = 200_000;

/// Minimum number of dimensions of which levels say enough.
pub(super) const MIN_DIMENSIONS: usize = 128;

/// Blocks that a thread scans at a time: few, since a part that the second thread has not
/// ended when nothing else is left is scanned by the first one too.
const PART: usize = 32;

/// A scan of blocks, a part at a time.
struct BlockScan {
    query: QuantizedQuery,
    /// What is compared with the levels of rows, in place of their codes.
    levels: Option<LevelQuery>,
    dimensions: usize,
    blocks: Arc<Vec<Arc<Block>>>,
    /// The next part.
    next: AtomicUsize,
    /// The similarities of the rows of each part that is scanned.
    parts: Mutex<Vec<Option<Vec<f32>>>>,
}

/// A scan of all rows, which has begun where there are many.
pub(in crate::snapshot) struct Scan(Threads);

enum Threads {
    /// The one that asks for the result.
    One(QuantizedQuery, Arc<Vec<Arc<Block>>>),
    /// And a second one, if it gets a processor.
    Two(Arc<BlockScan>),
}

impl Vectors {
    /// Begins to scan all rows on a second thread, where there are many rows and more than
    /// one processor. Whether they `may_estimate`, if there are very many.
    pub(in crate::snapshot) fn start_scan(&self, query: &[f32], may_estimate: bool) -> Scan {
        let reads_levels = may_estimate && self.has_levels();
        if !reads_levels && (self.rows < MIN_ROWS || processors() == 1) {
            let query = QuantizedQuery::new(query);
            return Scan(Threads::One(query, Arc::clone(&self.blocks)));
        }
        let scan = Arc::new(BlockScan::new(self, query, reads_levels));
        start_second(&scan);
        Scan(Threads::Two(scan))
    }

    #[cfg(test)]
    pub(in crate::snapshot) fn scan(&self, query: &[f32], slots: usize) -> Similarities {
        self.start_scan(query, true).finish(slots)
    }
}

impl Scan {
    /// Scans the rows that no thread has begun. Returns the similarities of all slots, in
    /// 8 bits or estimated. O(rows · dimensions).
    pub(in crate::snapshot) fn finish(self, slots: usize) -> Similarities {
        match self.0 {
            Threads::One(query, blocks) => {
                let mut found = Similarities::none(slots, query);
                let mut similarities = [0.0; BLOCK_ROWS];
                for block in blocks.iter() {
                    let similarities = &mut similarities[..block.owners.len()];
                    block.similarities(&found.query, similarities);
                    found.add(block, similarities);
                }
                found
            }
            Threads::Two(scan) => scan.finish(slots),
        }
    }
}

/// Lets a second thread take part in a scan, where there is a processor that no other scan
/// has. Where no thread can be started, the first scans everything.
fn start_second(scan: &Arc<BlockScan>) {
    let Some(second) = SecondThread::new() else {
        return;
    };
    // A thread that gets its turn too late must not keep vectors that were removed since.
    let scan = Arc::downgrade(scan);
    let _ = thread::Builder::new().spawn(move || {
        let _second = second;
        if let Some(scan) = scan.upgrade() {
            scan.scan_parts();
        }
    });
}

/// The right to scan on one more thread.
struct SecondThread;

/// How many threads have it.
static SECOND_THREADS: AtomicUsize = AtomicUsize::new(0);

impl SecondThread {
    fn new() -> Option<Self> {
        let one_more = |threads: usize| (threads + 1 < processors()).then_some(threads + 1);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        let begun = SECOND_THREADS.fetch_update(set, get, one_more);
        // Not made where there is no processor: dropping it would give one back.
        begun.ok().map(|_| Self)
    }
}

impl Drop for SecondThread {
    fn drop(&mut self) {
        SECOND_THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Block {
    fn similarities(&self, query: &QuantizedQuery, similarities: &mut [f32]) {
        query.dots(&self.rows.codes, &self.rows.scales, similarities);
    }
}

impl BlockScan {
    fn new(vectors: &Vectors, query: &[f32], reads_levels: bool) -> Self {
        let parts = vectors.blocks.len().div_ceil(PART);
        Self {
            query: QuantizedQuery::new(query),
            levels: reads_levels.then(|| LevelQuery::new(query)),
            dimensions: vectors.dimensions,
            blocks: Arc::clone(&vectors.blocks),
            next: AtomicUsize::new(0),
            parts: Mutex::new(vec![None; parts]),
        }
    }

    fn finish(&self, slots: usize) -> Similarities {
        self.scan_parts();
        let mut found = Similarities::none(slots, self.query.clone());
        found.are_estimated = self.levels.is_some();
        self.add_to(&mut found);
        found
    }

    /// Scans parts until all are begun.
    fn scan_parts(&self) {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(blocks) = self.blocks.chunks(PART).nth(part) else {
                return;
            };
            let similarities = self.scan_part(blocks);
            // None is left where the thread of the search has ended.
            if let Some(own) = self.parts().get_mut(part) {
                *own = Some(similarities);
            }
        }
    }

    fn parts(&self) -> MutexGuard<'_, Vec<Option<Vec<f32>>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scan_part(&self, blocks: &[Arc<Block>]) -> Vec<f32> {
        let mut similarities = vec![0.0; blocks.len() * BLOCK_ROWS];
        let rows = similarities.chunks_mut(BLOCK_ROWS);
        for (block, similarities) in blocks.iter().zip(rows) {
            let similarities = &mut similarities[..block.owners.len()];
            self.similarities(block, similarities);
        }
        similarities
    }

    fn similarities(&self, block: &Block, similarities: &mut [f32]) {
        match &self.levels {
            Some(query) => query.estimate(block.levels(self.dimensions), similarities),
            None => block.similarities(&self.query, similarities),
        }
    }

    /// Adds the similarities of all rows. Scans the parts that the other thread began and
    /// has not ended.
    fn add_to(&self, found: &mut Similarities) {
        let mut parts = std::mem::take(&mut *self.parts());
        for (part, blocks) in parts.iter_mut().zip(self.blocks.chunks(PART)) {
            let similarities = part.take().unwrap_or_else(|| self.scan_part(blocks));
            for (block, similarities) in blocks.iter().zip(similarities.chunks(BLOCK_ROWS)) {
                found.add(block, &similarities[..block.owners.len()]);
            }
        }
    }
}

/// Cosines of all slots.
pub(in crate::snapshot) struct Similarities {
    /// In 8 bits.
    pub(in crate::snapshot) query: QuantizedQuery,
    /// By slot: the best row; [`Similarities::NONE`] without one.
    pub(in crate::snapshot) values: Buffer,
    /// Whether the values are estimates by the levels of rows.
    pub(in crate::snapshot) are_estimated: bool,
    /// The largest error of a value in 8 bits.
    pub(in crate::snapshot) max_error: f32,
    /// The slots of more than one row, possibly several times.
    pub(in crate::snapshot) with_chunks: Vec<u32>,
}

impl Similarities {
    /// The similarity of a slot without rows.
    pub(in crate::snapshot) const NONE: f32 = f32::NEG_INFINITY;

    pub(super) fn none(slots: usize, query: QuantizedQuery) -> Self {
        Self {
            query,
            values: Buffer::new(slots, Self::NONE),
            are_estimated: false,
            max_error: 0.0,
            with_chunks: Vec::new(),
        }
    }

    /// Adds the similarities of the rows of a block.
    fn add(&mut self, block: &Block, similarities: &[f32]) {
        let owners = &block.owners;
        self.add_error_of(block);
        if let Some(values) = self.values_of_new_run(owners) {
            values.copy_from_slice(similarities);
            return;
        }
        for (&owner, &similarity) in owners.iter().zip(similarities) {
            let Some(value) = self.values.get_mut(owner as usize) else {
                // A tombstone.
                continue;
            };
            if *value != Self::NONE {
                self.with_chunks.push(owner);
            }
            *value = value.max(similarity);
        }
    }

    /// Takes the errors of the rows of a block into account.
    pub(super) fn add_error_of(&mut self, block: &Block) {
        let rows = &block.rows;
        let error = self.query.max_error(rows.max_length, rows.max_error);
        self.max_error = self.max_error.max(error);
    }

    /// The values of slots, if these are consecutive, as those of most blocks, and have
    /// no similarity yet. Only the first one can have: rows of a slot are consecutive.
    fn values_of_new_run(&mut self, owners: &[u32]) -> Option<&mut [f32]> {
        let first = *owners.first()? as usize;
        let values = self.values.get_mut(first..first + owners.len())?;
        let is_run = (first..)
            .zip(owners)
            .all(|(slot, owner)| *owner as usize == slot);
        (is_run && values[0] == Self::NONE).then_some(values)
    }
}

#[cfg(test)]
mod tests {
    use memory_core::levels::LevelRows;

    use super::super::EncodedRows;
    use super::*;

    const DIMENSIONS: usize = MIN_DIMENSIONS;

    fn vectors(slots: u32) -> Vectors {
        let mut vectors = Vectors::new(DIMENSIONS);
        for slot in 0..slots {
            let number = |n: u8| (f32::from(n) + 0.37 * (slot % 1_009) as f32).sin();
            let row: Vec<f32> = (0..128).map(number).collect();
            // Some have two rows, and some none.
            let rows = vec![row; [1, 2, 1, 0][slot as usize % 4]];
            vectors.push(slot, &EncodedRows::new(&rows, DIMENSIONS));
        }
        vectors
    }

    fn question() -> Vec<f32> {
        (0..128u8).map(|n| f32::from(n).cos()).collect()
    }

    fn with_levels(slots: u32) -> Vectors {
        let mut vectors = vectors(slots);
        vectors.always_estimate();
        vectors
    }

    #[test]
    fn a_scan_by_two_threads_is_one_by_blocks() {
        let cases = [(vectors(45_000), false), (with_levels(9_000), true)];
        for (vectors, reads_levels) in cases {
            let slots = vectors.blocks.iter().flat_map(|block| block.owners.clone());
            let slots = slots.max().unwrap() as usize + 2;
            let found = vectors.scan(&question(), slots);
            assert_eq!(found.are_estimated, reads_levels);
            let scan = BlockScan::new(&vectors, &question(), reads_levels);
            let mut expected = vec![Similarities::NONE; slots];
            for block in vectors.blocks.iter() {
                let mut similarities = vec![0.0; block.owners.len()];
                scan.similarities(block, &mut similarities);
                for (owner, similarity) in block.owners.iter().zip(similarities) {
                    let best = &mut expected[*owner as usize];
                    *best = best.max(similarity);
                }
            }
            assert_eq!(*found.values, *expected);
            assert_eq!(found.with_chunks.len(), slots / 4);
        }
    }

    /// However many are asked for and refused.
    #[test]
    fn there_are_fewer_second_threads_than_processors() {
        let threads: Vec<SecondThread> = (0..3 * processors())
            .filter_map(|_| SecondThread::new())
            .collect();
        assert!(threads.len() < processors());
        assert!(SECOND_THREADS.load(Ordering::Relaxed) < processors());
    }

    /// What the second thread began and did not end.
    #[test]
    fn parts_that_are_missing_are_scanned() {
        let vectors = with_levels(9_000);
        let expected = vectors.scan(&question(), 9_000);
        let scan = BlockScan::new(&vectors, &question(), true);
        scan.next.fetch_add(2, Ordering::Relaxed);
        let found = scan.finish(9_000);
        assert_eq!(*found.values, *expected.values);
        assert_eq!(found.with_chunks, expected.with_chunks);
    }

    /// Those of what changed are computed again.
    #[test]
    fn levels_are_those_of_the_rows() {
        let mut changed = with_levels(900);
        changed.prepare();
        let row = vec![vec![0.3; DIMENSIONS]];
        changed.push(900, &EncodedRows::new(&row, DIMENSIONS));
        changed.remove(7..9);
        let last = |vectors: &Vectors| vectors.scan(&question(), 901).values[900];
        let (mut again, _) = changed.remap(Some);
        for block in again.blocks_mut() {
            assert!(block.levels.get().is_some());
            let copy = Block::clone(block);
            assert!(copy.levels.get().is_none());
        }
        assert_eq!(last(&changed), last(&again));
        let dimensions = changed.dimensions;
        for block in changed.blocks.iter() {
            let rows = &block.rows;
            let levels = LevelRows::new(&rows.codes, &rows.scales, dimensions);
            assert!(*block.levels(dimensions) == levels);
        }
    }
}
