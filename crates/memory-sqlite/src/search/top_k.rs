//! Selecting the k highest scores.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// The highest scores offered, at most `limit` of them.
pub(crate) struct TopK {
    limit: usize,
    /// The lowest score on top.
    heap: BinaryHeap<Reverse<Scored>>,
}

/// A memory's key and score; of equal scores the older memory ranks higher.
struct Scored {
    score: f32,
    key: i64,
}

impl TopK {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            heap: BinaryHeap::new(),
        }
    }

    /// Keeps a score if it is among the highest so far.
    pub(crate) fn offer(&mut self, key: i64, score: f32) {
        let scored = Reverse(Scored { score, key });
        if self.heap.len() < self.limit {
            self.heap.push(scored);
        } else if let Some(mut lowest) = self.heap.peek_mut()
            && scored < *lowest
        {
            *lowest = scored;
        }
    }

    /// The keys kept, in no particular order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = i64> {
        self.heap.iter().map(|Reverse(scored)| scored.key)
    }
}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then(other.key.cmp(&self.key))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scored {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn top_k_agrees_with_sorting(
            scores in prop::collection::vec(-4i8..4, 0..60),
            limit in 1usize..20,
        ) {
            let mut all: Vec<(i64, f32)> = (0..).zip(scores.iter().map(|&s| f32::from(s))).collect();
            let mut top_k = TopK::new(limit);
            for (key, score) in &all {
                top_k.offer(*key, *score);
            }
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(limit);
            let got: BTreeSet<i64> = top_k.keys().collect();
            prop_assert_eq!(got, all.iter().map(|(key, _)| *key).collect());
        }
    }
}
