//! Which memories matter least.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use chrono::{DateTime, Utc};
use memory_core::{Memory, MemoryId};

/// What a memory is worth now. The lesser goes first: lower importance, then
/// older, then the smaller id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Worth {
    pub(crate) importance: f32,
    timestamp: DateTime<Utc>,
    pub(crate) id: MemoryId,
}

impl Worth {
    pub(crate) fn of(memory: &Memory, now: DateTime<Utc>) -> Self {
        Self {
            importance: memory.current_importance(now),
            timestamp: memory.timestamp,
            id: memory.id,
        }
    }
}

impl Eq for Worth {}

impl Ord for Worth {
    fn cmp(&self, other: &Self) -> Ordering {
        self.importance
            .total_cmp(&other.importance)
            .then_with(|| self.timestamp.cmp(&other.timestamp))
            .then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for Worth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The least of all that it is shown, however many those are.
pub(crate) struct Least {
    most: usize,
    heap: BinaryHeap<Worth>,
}

impl Least {
    /// Keeps up to `most`.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            heap: BinaryHeap::new(),
        }
    }

    pub(crate) fn show(&mut self, worth: Worth) {
        self.heap.push(worth);
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }

    /// The least first.
    pub(crate) fn ids(self) -> Vec<MemoryId> {
        let sorted = self.heap.into_sorted_vec();
        sorted.into_iter().map(|worth| worth.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use memory_core::{MemoryBatchItem, MemoryKind};

    use super::*;

    #[test]
    fn the_faded_go_first_and_among_equals_the_older() {
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
        let mut least = Least::new(4);
        for memory in &memories {
            least.show(Worth::of(memory, now));
        }
        let expected = [4, 3, 1, 2].map(|n: usize| memories[n].id);
        assert_eq!(least.ids(), expected);
    }
}
