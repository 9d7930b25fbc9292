//! The BM25 weights of one term's occurrences, by the passage's length.

use memory_text::bm25;

/// What each occurrence of a term adds to a passage's BM25 weight of it. Most passages are
/// short and have a term few times: where there are many passages, these weights are
/// computed once, when they are needed first.
pub(super) struct TermWeights {
    idf: f64,
    mean: f64,
    /// By count and length; 0 where it is not computed yet. Empty where passages are few:
    /// computing a weight for each takes less time than clearing the list.
    known: Vec<f32>,
}

impl TermWeights {
    const LENGTHS: u32 = 128;
    const COUNTS: u32 = 8;
    /// From so many passages on, weights are kept.
    const MANY_PASSAGES: usize = 1_000;

    pub(super) fn new(idf: f64, mean: f64, passages: usize) -> Self {
        let known = if passages < Self::MANY_PASSAGES {
            0
        } else {
            Self::LENGTHS * Self::COUNTS
        };
        Self {
            idf,
            mean,
            known: vec![0.0; known as usize],
        }
    }

    /// What the occurrence of this number, from 1 on, adds in a passage of this length.
    pub(super) fn of(&mut self, count: u32, length: u32) -> f32 {
        if count >= Self::COUNTS || length >= Self::LENGTHS || self.known.is_empty() {
            return self.compute(count, length);
        }
        let index = (count * Self::LENGTHS + length) as usize;
        if self.known[index] == 0.0 {
            self.known[index] = self.compute(count, length);
        }
        self.known[index]
    }

    #[expect(clippy::cast_possible_truncation, reason = "a score needs 24 bits")]
    fn compute(&self, count: u32, length: u32) -> f32 {
        let weight = |count| bm25::term_weight(count, length, self.mean);
        (self.idf * (weight(count) - weight(count.saturating_sub(1)))) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_the_same_each_time() {
        let mut weights = TermWeights::new(2.0, 20.0, TermWeights::MANY_PASSAGES);
        let mut few = TermWeights::new(2.0, 20.0, 1);
        for _ in 0..2 {
            for (count, length) in [(1, 20), (1, 0), (7, 127), (8, 127), (7, 128), (900, 9_000)] {
                let expected = weights.compute(count, length);
                assert_eq!(weights.of(count, length), expected, "{count} {length}");
                assert_eq!(few.of(count, length), expected, "{count} {length}");
            }
        }
    }

    #[test]
    fn the_weights_of_occurrences_add_up() {
        let mut weights = TermWeights::new(2.0, 20.0, TermWeights::MANY_PASSAGES);
        let sum: f32 = (1..=20).map(|count| weights.of(count, 30)).sum();
        let expected = 2.0 * bm25::term_weight(20, 30, 20.0);
        assert!((f64::from(sum) - expected).abs() < 1e-5, "{sum} {expected}");
    }
}
