//! The BM25 weights of one term, by its count in a passage and the passage's length.

use memory_text::bm25;

/// The BM25 weights of one term. Most terms occur once in a short passage: these
/// weights are computed once.
pub(super) struct TermWeights {
    idf: f64,
    mean: f64,
    /// By the passage's length, of a term that occurs once.
    once: Vec<f32>,
}

impl TermWeights {
    const LENGTHS: u32 = 128;

    pub(super) fn new(idf: f64, mean: f64) -> Self {
        let mut weights = Self {
            idf,
            mean,
            once: Vec::new(),
        };
        let lengths = 0..Self::LENGTHS;
        weights.once = lengths.map(|length| weights.compute(1, length)).collect();
        weights
    }

    pub(super) fn of(&self, count: u32, length: u32) -> f32 {
        match self.once.get(length as usize) {
            Some(weight) if count == 1 => *weight,
            _ => self.compute(count, length),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a score needs 24 bits")]
    fn compute(&self, count: u32, length: u32) -> f32 {
        (self.idf * bm25::term_weight(count, length, self.mean)) as f32
    }
}
