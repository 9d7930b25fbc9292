//! Mean and deviation of scores, so that scores of retrievers can be added.

use serde::{Deserialize, Serialize};

/// Mean and standard deviation of a retriever's raw values over all memories that
/// matched, not only those that were found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreStats {
    /// The mean.
    pub mean: f32,
    /// The standard deviation over the whole population; 0 where the retriever says
    /// the same of every memory, and so says nothing.
    pub deviation: f32,
}

impl ScoreStats {
    /// Summarizes values. O(n), in double precision.
    #[must_use]
    pub fn of(values: impl Iterator<Item = f32>) -> Self {
        let mut builder = ScoreStatsBuilder::default();
        values.for_each(|value| builder.add(value));
        builder.summary()
    }

    /// A raw value in standard deviations from the mean; 0 where there is no
    /// deviation.
    #[must_use]
    pub fn z_score(&self, raw: f32) -> f32 {
        /// Below this, differences are rounding and no opinion.
        const NOTHING: f32 = 1e-6;
        if self.deviation < NOTHING {
            0.0
        } else {
            (raw - self.mean) / self.deviation
        }
    }
}

/// Computes [`ScoreStats`] value by value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ScoreStatsBuilder {
    count: u64,
    sum: f64,
    squares: f64,
}

impl ScoreStatsBuilder {
    /// How many values were added.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Adds one value.
    pub fn add(&mut self, value: f32) {
        let value = f64::from(value);
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
    }

    /// Adds `count` values of 0, for memories in which no word matched.
    pub fn add_zeros(&mut self, count: u64) {
        self.count += count;
    }

    /// The statistics; zeros where nothing was added.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "counts of memories; f64 to f32 rounds, by design"
    )]
    pub fn summary(&self) -> ScoreStats {
        if self.count == 0 {
            return ScoreStats::default();
        }
        let mean = self.sum / self.count as f64;
        let variance = (self.squares / self.count as f64 - mean * mean).max(0.0);
        ScoreStats {
            mean: mean as f32,
            deviation: variance.sqrt() as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_in_deviations_from_their_mean() {
        let summary = ScoreStats::of([1.0, 2.0, 3.0].into_iter());
        assert_eq!(summary.mean, 2.0);
        assert!((summary.z_score(3.0) - 1.5f32.sqrt()).abs() < 1e-6);
        assert_eq!(ScoreStats::of([0.3; 7].into_iter()).z_score(0.3), 0.0);
        assert_eq!(ScoreStats::of(std::iter::empty()).z_score(5.0), 0.0);
    }
}
