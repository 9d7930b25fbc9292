//! What may be consolidated.

use std::sync::Arc;

use memory_core::{EmbeddedMemory, Memory, MemoryFilter, MemoryKind, normalize};

/// A memory that may stand in a group, and where its meaning points.
pub(crate) struct ClusterItem {
    pub(crate) memory: Arc<Memory>,
    /// The mean of its vectors, at length 1: two long memories are near when
    /// they are near as a whole, and not when one passage resembles another.
    pub(crate) vector: Vec<f32>,
}

impl ClusterItem {
    /// The candidate that this memory makes: an experience or an observation
    /// that the filter admits and that has vectors of the present model.
    pub(crate) fn of(prepared: EmbeddedMemory, filter: &MemoryFilter) -> Option<Self> {
        let EmbeddedMemory { memory, embedding } = prepared;
        let kind = matches!(
            memory.kind,
            MemoryKind::Experience | MemoryKind::Observation
        );
        if !kind || !filter.matches(&memory) {
            return None;
        }
        Some(Self {
            memory: Arc::new(memory),
            vector: mean(embedding.vectors)?,
        })
    }
}

fn mean(vectors: Vec<Vec<f32>>) -> Option<Vec<f32>> {
    let mut vectors = vectors.into_iter();
    let mut sum = vectors.next()?;
    for vector in vectors {
        sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
    }
    normalize(&mut sum).ok()?;
    Some(sum)
}
