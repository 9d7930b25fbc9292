//! Ranking of memories for eviction.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use chrono::{DateTime, Utc};
use memory_core::{Memory, MemoryId};

/// A memory's position in the eviction order: lower current importance first,
/// then older, then the smaller id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct EvictionRank {
    pub(crate) importance: f32,
    timestamp: DateTime<Utc>,
    pub(crate) id: MemoryId,
}

impl EvictionRank {
    pub(crate) fn new(memory: &Memory, now: DateTime<Utc>) -> Self {
        Self {
            importance: memory.current_importance(now),
            timestamp: memory.timestamp,
            id: memory.id,
        }
    }
}

impl Eq for EvictionRank {}

impl Ord for EvictionRank {
    fn cmp(&self, other: &Self) -> Ordering {
        self.importance
            .total_cmp(&other.importance)
            .then_with(|| self.timestamp.cmp(&other.timestamp))
            .then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for EvictionRank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `k` lowest ranks of a stream, in O(k) memory.
pub(crate) struct BottomK {
    k: usize,
    heap: BinaryHeap<EvictionRank>,
}

impl BottomK {
    /// Keeps up to `k`.
    pub(crate) fn new(k: usize) -> Self {
        Self {
            k,
            heap: BinaryHeap::new(),
        }
    }

    pub(crate) fn push(&mut self, rank: EvictionRank) {
        self.heap.push(rank);
        if self.heap.len() > self.k {
            self.heap.pop();
        }
    }

    /// The ids, lowest rank first.
    pub(crate) fn into_ids(self) -> Vec<MemoryId> {
        let ranks = self.into_ranks();
        ranks.into_iter().map(|rank| rank.id).collect()
    }

    /// Lowest first.
    pub(crate) fn into_ranks(self) -> Vec<EvictionRank> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use memory_core::{MemoryBatchItem, MemoryKind};

    use super::*;

    #[test]
    fn faded_memories_are_evicted_first_and_ties_by_age() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let memory = |importance, days| {
            MemoryBatchItem::new("mira", MemoryKind::Observation, "x")
                .with_importance(importance)
                .with_timestamp(now - TimeDelta::days(days))
                .into_memory(now)
                .unwrap()
        };
        let memories = [
            memory(0.5, 0),
            memory(0.9, 200),
            memory(0.1, 0),
            memory(0.0, 1),
            memory(0.0, 2),
        ];
        let mut lowest = BottomK::new(4);
        for memory in &memories {
            lowest.push(EvictionRank::new(memory, now));
        }
        let expected = [4, 3, 1, 2].map(|n: usize| memories[n].id);
        assert_eq!(lowest.into_ids(), expected);
    }
}
