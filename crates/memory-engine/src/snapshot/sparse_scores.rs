//! The scores of a retriever that finds few of many memories.

use memory_core::{ScoreStats, ScoreStatsBuilder};

/// A score by slot, and which slots have one.
pub(super) struct SparseScores {
    values: Vec<f32>,
    found: Vec<u32>,
}

impl SparseScores {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            values: vec![0.0; slots],
            found: Vec::new(),
        }
    }

    /// From a score by slot and the slots that have one, each once.
    pub(super) fn from_parts(values: Vec<f32>, found: Vec<u32>) -> Self {
        Self { values, found }
    }

    /// Raises the score of a slot to `score`, which is above 0.
    pub(super) fn raise(&mut self, slot: u32, score: f32) {
        let value = &mut self.values[slot as usize];
        if *value == 0.0 {
            self.found.push(slot);
        }
        *value = value.max(score);
    }

    /// Adds to the score of a slot.
    pub(super) fn add(&mut self, slot: u32, score: f32) {
        let value = &mut self.values[slot as usize];
        if *value == 0.0 {
            self.found.push(slot);
        }
        *value += score;
    }

    /// The score of a slot; 0 where nothing was found.
    pub(super) fn of(&self, slot: u32) -> f32 {
        self.values.get(slot as usize).copied().unwrap_or(0.0)
    }

    /// The scores of all slots; 0 where nothing was found.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    /// The slots with a score, each once.
    pub(super) fn found(&self) -> &[u32] {
        &self.found
    }

    pub(super) fn max(&self) -> f32 {
        let scores = self.found.iter().map(|slot| self.of(*slot));
        scores.fold(0.0, f32::max)
    }

    /// Keeps the scores of admitted slots only.
    pub(super) fn retain(&mut self, admitted: &[bool]) {
        let values = &mut self.values;
        self.found.retain(|slot| {
            let is_admitted = admitted[*slot as usize];
            if !is_admitted {
                values[*slot as usize] = 0.0;
            }
            is_admitted
        });
    }

    /// The statistics over `memories`, of which all others have the score 0.
    pub(super) fn stats(&self, memories: usize) -> ScoreStats {
        let mut builder = ScoreStatsBuilder::default();
        self.found
            .iter()
            .for_each(|slot| builder.add(self.of(*slot)));
        builder.add_zeros(memories.saturating_sub(self.found.len()) as u64);
        builder.summary()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_admitted_slots_and_their_statistics() {
        let mut scores = SparseScores::new(4);
        scores.raise(2, 3.0);
        scores.raise(2, 1.0);
        scores.add(1, 2.0);
        scores.add(1, 2.0);
        scores.raise(0, 9.0);
        scores.retain(&[false, true, true, true]);
        assert_eq!(scores.found(), [2, 1]);
        assert_eq!(
            [0, 1, 2, 3].map(|slot| scores.of(slot)),
            [0.0, 4.0, 3.0, 0.0]
        );
        assert_eq!(scores.max(), 4.0);
        let expected = ScoreStats::of([4.0, 3.0, 0.0].into_iter());
        assert_eq!(scores.stats(3), expected);
    }
}
