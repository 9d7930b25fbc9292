//! The BM25 weights of one term, by its count in a passage and the passage's length.

use memory_text::bm25;

/// The BM25 weights of one term. Most passages are short and have a term few times: their
/// weights are computed once, when they are needed first.
pub(super) struct TermWeights {
    idf: f64,
    mean: f64,
    /// By count and length; 0 where it is not computed yet.
    known: Vec<f32>,
}

impl TermWeights {
    const LENGTHS: u32 = 128;
    const COUNTS: u32 = 8;

    pub(super) fn new(idf: f64, mean: f64) -> Self {
        Self {
            idf,
            mean,
            known: vec![0.0; (Self::LENGTHS * Self::COUNTS) as usize],
        }
    }

    pub(super) fn of(&mut self, count: u32, length: u32) -> f32 {
        if count >= Self::COUNTS || length >= Self::LENGTHS {
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
        (self.idf * bm25::term_weight(count, length, self.mean)) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_the_same_each_time() {
        let mut weights = TermWeights::new(2.0, 20.0);
        for _ in 0..2 {
            for (count, length) in [(1, 20), (1, 0), (7, 127), (8, 127), (7, 128), (900, 9_000)] {
                let expected = weights.compute(count, length);
                assert_eq!(weights.of(count, length), expected, "{count} {length}");
            }
        }
    }
}
