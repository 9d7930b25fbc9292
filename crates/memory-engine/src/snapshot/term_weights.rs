//! The BM25 weights of one term's occurrences, by the passage's length.

use memory_text::bm25;

use super::block_vec::BlockVec;

/// What each occurrence of a term adds to a passage's BM25 weight of it. Most passages are
/// short and have a term few times: where there are many passages, these weights are
/// computed once, when they are needed first.
pub(super) struct TermWeights {
    idf: f64,
    mean: f64,
    /// By count and length; 0 where it is not computed yet. Empty where passages are few:
    /// computing a weight for each takes less time than clearing the list.
    known: Vec<f32>,
    /// The passage of the last occurrence, and how many of its occurrences there were.
    last: u32,
    count: u32,
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
            last: u32::MAX,
            count: 0,
        }
    }

    /// Adds what the next occurrences weigh to the scores of their passages, which are in
    /// order and each as often as the term occurs there. `passages` has the length of each
    /// one, `scores` its score.
    ///
    /// Occurrences are added one by one: with branches where a passage begins, the processor
    /// would guess wrong at every other one.
    pub(super) fn add<P: Clone>(
        &mut self,
        occurrences: &[u32],
        passages: &BlockVec<P>,
        length: impl Fn(&P) -> u32,
        scores: &mut [f32],
    ) {
        let (mut last, mut count) = (self.last, self.count);
        let (mut first, mut block): (u32, &[P]) = (0, &[]);
        for &number in occurrences {
            count = if number == last { count + 1 } else { 1 };
            last = number;
            if number.wrapping_sub(first) as usize >= block.len() {
                (first, block) = passages.block_of(number);
            }
            let passage = block.get(number.wrapping_sub(first) as usize);
            if let (Some(passage), Some(score)) = (passage, scores.get_mut(number as usize)) {
                *score += self.of(count, length(passage));
            }
        }
        (self.last, self.count) = (last, count);
    }

    /// What the occurrence of this number, from 1 on, adds in a passage of this length.
    fn of(&mut self, count: u32, length: u32) -> f32 {
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
        // In several blocks, and those of a passage in several parts.
        let lengths: BlockVec<u32> = (0..600).map(|number| 20 + number % 200).collect();
        let counts = [(0, 3), (1, 1), (255, 9), (256, 1), (599, 30)];
        let occurrences = counts.map(|(number, count)| vec![number; count]).concat();
        for (part, passages) in [(1, 600), (2, 1_000), (7, 1_000), (100, 600)] {
            let (mut weights, mut scores) = (TermWeights::new(2.0, 20.0, passages), vec![0.0; 600]);
            for part in occurrences.chunks(part) {
                weights.add(part, &lengths, |length| *length, &mut scores);
            }
            for (number, count) in counts {
                let count = u32::try_from(count).unwrap();
                let expected = 2.0 * bm25::term_weight(count, 20 + number % 200, 20.0);
                let score = f64::from(std::mem::take(&mut scores[number as usize]));
                assert!((score - expected).abs() < 1e-5, "{score} {expected}");
            }
            assert!(scores.iter().all(|score| *score == 0.0));
        }
    }
}
