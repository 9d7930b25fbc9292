//! The comparison of memories one by one: of few in place of a scan of all rows, and of
//! those whose estimates do not say enough.

use std::ops::Range;

use memory_core::quantized::{self, QuantizedQuery};

use super::{BLOCK_ROWS, Similarities, Vectors};

/// The part of all rows that is compared one by one at most. The rows of a scan follow each
/// other, and of very many only the levels are read: each takes a fraction of the time.
const MAX_PART: usize = 8;

impl Vectors {
    /// How many rows are compared one by one at most: more take longer than a scan.
    pub(in crate::snapshot) fn most_one_by_one(&self) -> usize {
        (self.rows - self.dead) / MAX_PART
    }

    /// The similarities, in 8 bits, of memories that are given by their slots and rows, and
    /// of no others. O(their rows · dimensions), and the slots.
    pub(in crate::snapshot) fn similarities_of(
        &self,
        query: &[f32],
        memories: impl Iterator<Item = (u32, Range<u32>)>,
        slots: usize,
    ) -> Similarities {
        let query = QuantizedQuery::new(query);
        let mut found = Similarities::none(slots, query.clone());
        let memories: Vec<(u32, Range<u32>)> = memories.collect();
        for (slot, rows) in &memories {
            let blocks = rows.clone().filter_map(|row| self.block_of(row));
            blocks.for_each(|block| found.add_error_of(block));
            if rows.len() > 1 {
                found.with_chunks.push(*slot);
            }
        }
        self.for_each_similarity(&query, memories.into_iter(), |slot, similarity| {
            found.values[slot as usize] = similarity;
        });
        found
    }

    /// Calls `each` with the cosine of the best row of each of some memories, in 8 bits.
    pub(in crate::snapshot) fn for_each_similarity(
        &self,
        query: &QuantizedQuery,
        mut memories: impl Iterator<Item = (u32, Range<u32>)>,
        mut each: impl FnMut(u32, f32),
    ) {
        /// Few enough that the nearest caches hold their codes.
        const AHEAD: usize = 32;
        let mut some = Vec::with_capacity(AHEAD);
        loop {
            some.extend(memories.by_ref().take(AHEAD));
            if some.is_empty() {
                return;
            }
            some.iter().for_each(|(_, rows)| self.fetch(rows.clone()));
            for (slot, rows) in some.drain(..) {
                if let Some(similarity) = self.quantized_similarity(query, rows) {
                    each(slot, similarity);
                }
            }
        }
    }

    /// The cosine with the best of a memory's rows; `None` without one.
    fn quantized_similarity(&self, query: &QuantizedQuery, rows: Range<u32>) -> Option<f32> {
        let dot = |(codes, scale): (&[u8], f32)| {
            let mut dot = [0.0];
            query.dots(codes, &[scale], &mut dot);
            dot[0]
        };
        let codes = rows.filter_map(|row| self.codes(row));
        codes.map(dot).reduce(f32::max)
    }

    /// Has the codes of rows fetched into the caches.
    fn fetch(&self, rows: Range<u32>) {
        let codes = rows.filter_map(|row| self.codes(row));
        codes.for_each(|(codes, _)| quantized::fetch(codes));
    }

    /// The codes of a row, and what they are multiplied by.
    fn codes(&self, row: u32) -> Option<(&[u8], f32)> {
        let rows = &self.block_of(row)?.rows;
        let row = row as usize % BLOCK_ROWS;
        let codes = row * self.dimensions..(row + 1) * self.dimensions;
        Some((rows.codes.get(codes)?, *rows.scales.get(row)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::EncodedRows;
    use super::*;

    #[test]
    fn few_are_compared_as_by_a_scan() {
        const SLOTS: usize = 900;
        let mut vectors = Vectors::new(16);
        let question: Vec<f32> = (0..16u8).map(|n| f32::from(n).cos()).collect();
        let ranges: Vec<Range<u32>> = (0u16..900)
            .map(|slot| {
                let number = |n: u8| (f32::from(n) + 0.37 * f32::from(slot)).sin();
                let row: Vec<f32> = (0..16).map(number).collect();
                // Some have two rows, and some none.
                let rows = vec![row; [1, 2, 0][usize::from(slot) % 3]];
                vectors.push(slot.into(), &EncodedRows::new(&rows, 16))
            })
            .collect();
        let mut fewer = vectors.clone();
        fewer.remove(0..20);
        assert_eq!(
            (vectors.most_one_by_one(), fewer.most_one_by_one()),
            (112, 110)
        );
        let memories = (0u32..).zip(ranges).step_by(10);
        let few: Vec<(u32, Range<u32>)> = memories.collect();
        let found = vectors.similarities_of(&question, few.iter().cloned(), SLOTS);
        let all = vectors.scan(&question, SLOTS);
        assert!(found.max_error > 0.0 && found.max_error <= all.max_error);
        for slot in 0..SLOTS {
            let is_asked_for = slot % 10 == 0;
            let expected = if is_asked_for {
                all.values[slot]
            } else {
                Similarities::NONE
            };
            assert_eq!(found.values[slot], expected);
        }
        let mut with_chunks = all.with_chunks;
        with_chunks.retain(|slot| slot % 10 == 0);
        assert_eq!(found.with_chunks, with_chunks);
    }
}
