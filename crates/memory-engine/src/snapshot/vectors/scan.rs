//! The scan of all rows, by two threads where there are many.
//!
//! One thread that reads more than the caches hold waits for memory most of the time, so
//! two take half as long. The thread of the search waits for no other: where the second
//! one gets no processor in time, the first scans everything by itself, so that on a busy
//! machine a search takes as long as with one thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use memory_core::quantized::QuantizedQuery;

use super::{BLOCK_ROWS, Block, Vectors};
use crate::snapshot::buffer::Buffer;
use crate::snapshot::threads::processors;

/// Fewest rows of which a second thread scans some: to start it takes as long as to scan
/// some thousand rows.
const MIN_ROWS: usize = 40_000;

/// Blocks that a thread scans at a time: few, since a part that the second thread has not
/// ended when nothing else is left is scanned by the first one too.
const PART: usize = 32;

/// A scan of blocks, a part at a time.
struct BlockScan {
    query: QuantizedQuery,
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
    One {
        query: QuantizedQuery,
        blocks: Arc<Vec<Arc<Block>>>,
    },
    /// And a second one, if it gets a processor.
    Two(Arc<BlockScan>),
}

impl Vectors {
    /// Begins to scan all rows on a second thread, where there are many rows and more than
    /// one processor.
    pub(in crate::snapshot) fn start_scan(&self, query: &[f32]) -> Scan {
        let query = QuantizedQuery::new(query);
        let blocks = Arc::clone(&self.blocks);
        if self.rows < MIN_ROWS || processors() == 1 {
            return Scan(Threads::One { query, blocks });
        }
        let scan = Arc::new(BlockScan::new(query, blocks));
        start_second(&scan);
        Scan(Threads::Two(scan))
    }

    #[cfg(test)]
    pub(in crate::snapshot) fn scan(&self, query: &[f32], slots: usize) -> Similarities {
        self.start_scan(query).finish(slots)
    }
}

impl Scan {
    /// Scans the rows that no thread has begun. Returns the similarities of all slots, in
    /// 8 bits. O(rows · dimensions).
    pub(in crate::snapshot) fn finish(self, slots: usize) -> Similarities {
        let mut found = Similarities {
            values: Buffer::new(slots, Similarities::NONE),
            max_error: 0.0,
            with_chunks: Vec::new(),
        };
        match self.0 {
            Threads::One { query, blocks } => {
                let mut similarities = [0.0; BLOCK_ROWS];
                for block in blocks.iter() {
                    let similarities = &mut similarities[..block.owners.len()];
                    block.similarities(&query, similarities);
                    found.add(block, &query, similarities);
                }
            }
            Threads::Two(scan) => {
                scan.scan_parts();
                scan.add_to(&mut found);
            }
        }
        found
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
    fn new(query: QuantizedQuery, blocks: Arc<Vec<Arc<Block>>>) -> Self {
        let parts = blocks.len().div_ceil(PART);
        Self {
            query,
            blocks,
            next: AtomicUsize::new(0),
            parts: Mutex::new(vec![None; parts]),
        }
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
            block.similarities(&self.query, &mut similarities[..block.owners.len()]);
        }
        similarities
    }

    /// Adds the similarities of all rows. Scans the parts that the other thread began and
    /// has not ended.
    fn add_to(&self, found: &mut Similarities) {
        let mut parts = std::mem::take(&mut *self.parts());
        for (part, blocks) in parts.iter_mut().zip(self.blocks.chunks(PART)) {
            let similarities = part.take().unwrap_or_else(|| self.scan_part(blocks));
            for (block, similarities) in blocks.iter().zip(similarities.chunks(BLOCK_ROWS)) {
                let similarities = &similarities[..block.owners.len()];
                found.add(block, &self.query, similarities);
            }
        }
    }
}

/// Cosines of all slots, each off by `max_error` at most.
pub(in crate::snapshot) struct Similarities {
    /// By slot: the best row; [`Similarities::NONE`] without one.
    pub(in crate::snapshot) values: Buffer,
    pub(in crate::snapshot) max_error: f32,
    /// The slots of more than one row, possibly several times.
    pub(in crate::snapshot) with_chunks: Vec<u32>,
}

impl Similarities {
    /// The similarity of a slot without rows.
    pub(in crate::snapshot) const NONE: f32 = f32::NEG_INFINITY;

    /// Adds the similarities of the rows of a block.
    fn add(&mut self, block: &Block, query: &QuantizedQuery, similarities: &[f32]) {
        let (owners, rows) = (&block.owners, &block.rows);
        let error = query.max_error(rows.max_length, rows.max_error);
        self.max_error = self.max_error.max(error);
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
    use super::super::EncodedRows;
    use super::*;

    fn vectors(slots: u32) -> Vectors {
        let mut vectors = Vectors::new(8);
        for slot in 0..slots {
            let number = |n: u8| (f32::from(n) + 0.37 * (slot % 1_009) as f32).sin();
            let row: Vec<f32> = (0..8).map(number).collect();
            // Some have two rows, and some none.
            let rows = vec![row; [1, 2, 1, 0][slot as usize % 4]];
            vectors.push(slot, &EncodedRows::new(&rows, 8));
        }
        vectors
    }

    #[test]
    fn a_scan_by_two_threads_is_one_by_blocks() {
        let vectors = vectors(60_000);
        assert!(vectors.rows >= MIN_ROWS);
        let question: Vec<f32> = (0..8u8).map(|n| f32::from(n).cos()).collect();
        let found = vectors.scan(&question, 60_000);
        let query = QuantizedQuery::new(&question);
        let mut expected = vec![Similarities::NONE; 60_000];
        for block in vectors.blocks.iter() {
            let mut similarities = vec![0.0; block.owners.len()];
            block.similarities(&query, &mut similarities);
            for (owner, similarity) in block.owners.iter().zip(similarities) {
                let best = &mut expected[*owner as usize];
                *best = best.max(similarity);
            }
        }
        assert_eq!(*found.values, *expected);
        assert_eq!(found.with_chunks.len(), 15_000);
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
        let vectors = vectors(20_000);
        let question = vec![0.3; 8];
        let expected = vectors.scan(&question, 20_000);
        let scan = BlockScan::new(QuantizedQuery::new(&question), Arc::clone(&vectors.blocks));
        scan.next.fetch_add(2, Ordering::Relaxed);
        scan.scan_parts();
        let mut found = Similarities {
            values: Buffer::new(20_000, Similarities::NONE),
            max_error: 0.0,
            with_chunks: Vec::new(),
        };
        scan.add_to(&mut found);
        assert_eq!(*found.values, *expected.values);
        assert_eq!(found.with_chunks, expected.with_chunks);
    }
}
