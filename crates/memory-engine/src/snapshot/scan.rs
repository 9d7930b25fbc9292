//! The exact search: every row of the snapshot against the query.

use memory_core::{Memory, MemoryFilter, cosine};

use super::EntitySnapshot;

/// A memory that may be recalled, with the cosine of its best chunk.
pub(crate) struct Scanned<'a> {
    /// Which of the snapshot's memories it is.
    pub(crate) slot: usize,
    pub(crate) memory: &'a Memory,
    pub(crate) similarity: f32,
}

impl EntitySnapshot {
    /// Every memory that the filter admits and that has a vector, in the order
    /// of the slots. O(rows · dimensions).
    pub(crate) fn scan(&self, query: &[f32], filter: &MemoryFilter) -> Vec<Scanned<'_>> {
        const UNSEEN: f32 = f32::NEG_INFINITY;
        let admitted: Option<Vec<bool>> = (!filter.is_empty()).then(|| {
            self.memories
                .iter()
                .map(|memory| filter.admits(memory))
                .collect()
        });
        let mut best = vec![UNSEEN; self.memories.len()];
        for (owner, row) in self
            .owners
            .iter()
            .zip(self.matrix.chunks_exact(self.dimensions))
        {
            let slot = *owner as usize;
            if admitted.as_ref().is_none_or(|admitted| admitted[slot]) {
                best[slot] = best[slot].max(cosine(query, row));
            }
        }
        let seen = best
            .into_iter()
            .enumerate()
            .filter(|(_, similarity)| *similarity > UNSEEN);
        seen.map(|(slot, similarity)| Scanned {
            slot,
            memory: &self.memories[slot],
            similarity,
        })
        .collect()
    }
}
