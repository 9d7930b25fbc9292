//! The floor: a loop over all vectors in one slice, single precision. It compares
//! every memory with the question and does nothing else.

use async_trait::async_trait;
use memory_core::MemoryBatchItem;

use super::peer::{Embedded, Peer};
use super::{LIMIT, Outcome};

#[derive(Default)]
pub(crate) struct ExactScan {
    vectors: Vec<f32>,
    dimensions: usize,
}

impl ExactScan {
    /// The numbers of the `count` best memories.
    pub(crate) fn best(&self, query: &[f32], count: usize) -> Vec<usize> {
        let vectors = self.vectors.chunks_exact(self.dimensions.max(1));
        let mut scores: Vec<(f32, usize)> = vectors
            .enumerate()
            .map(|(number, vector)| (dot(vector, query), number))
            .collect();
        let count = count.min(scores.len());
        if count < scores.len() {
            scores.select_nth_unstable_by(count, |a, b| b.0.total_cmp(&a.0));
            scores.truncate(count);
        }
        scores.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        scores.into_iter().map(|(_, number)| number).collect()
    }
}

#[async_trait]
impl Peer for ExactScan {
    fn subject(&self) -> &'static str {
        "exact scan"
    }

    async fn insert(&mut self, batch: &[Embedded<MemoryBatchItem>]) -> Outcome {
        for memory in batch {
            self.dimensions = memory.vector.len();
            self.vectors.extend(&memory.vector);
        }
        Ok(())
    }

    async fn search(&self, question: &Embedded<String>) -> Outcome<Vec<usize>> {
        self.nearest(question).await
    }

    async fn nearest(&self, question: &Embedded<String>) -> Outcome<Vec<usize>> {
        Ok(self.best(&question.vector, LIMIT))
    }

    async fn remove_last(&mut self) -> Outcome<bool> {
        self.vectors.truncate(self.vectors.len() - self.dimensions);
        Ok(true)
    }

    fn size_on_disk(&self) -> Outcome<Option<u64>> {
        Ok(None)
    }
}

/// The product of two vectors, in eight sums that the compiler vectorizes.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}
