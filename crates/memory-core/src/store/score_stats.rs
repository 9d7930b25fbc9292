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
    /// Summarizes values. O(n), independent of their order.
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

/// Computes [`ScoreStats`] value by value. The result does not depend on the order
/// of the values, bit for bit: they are summed as whole multiples of 2⁻³⁰, cut off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScoreStatsBuilder {
    count: u64,
    sum: i128,
    squares: i128,
}

/// The value 1 as a multiple of 2⁻³⁰.
const ONE: f64 = 1_073_741_824.0;

impl ScoreStatsBuilder {
    /// How many values were added.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Adds one value.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number; values above 2^33 count as 2^33"
    )]
    pub fn add(&mut self, value: f32) {
        let value = i128::from((f64::from(value) * ONE) as i64);
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
    }

    /// Adds each value above negative infinity, as [`add`](Self::add) does, several times
    /// as fast where they are cosines.
    pub fn add_all(&mut self, values: &[f32]) {
        /// Multiples of 2⁻³⁰ up to this have 32 bits.
        const SMALL: f32 = 1.999;
        /// Few, so that one large value slows down few others.
        const CHUNK: usize = 256;
        let is_small = |value: &f32| *value == f32::NEG_INFINITY || value.abs() <= SMALL;
        for chunk in values.chunks(CHUNK) {
            if chunk.iter().all(is_small) {
                self.add_small(chunk);
            } else {
                let present = chunk.iter().filter(|value| **value > f32::NEG_INFINITY);
                present.for_each(|value| self.add(*value));
            }
        }
    }

    /// Adds values whose multiples have 32 bits. Their squares are summed by halves, since
    /// numbers of 64 bits are added many at a time.
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^31")]
    fn add_small(&mut self, values: &[f32]) {
        let (mut count, mut sum, mut low, mut high) = (0u64, 0i64, 0u64, 0u64);
        for &value in values {
            let is_present = value > f32::NEG_INFINITY;
            let value = if is_present { value } else { 0.0 };
            let multiple = (f64::from(value) * ONE) as i32;
            let size = u64::from(multiple.unsigned_abs());
            let square = size * size;
            count += u64::from(is_present);
            sum += i64::from(multiple);
            low += square & u64::from(u32::MAX);
            high += square >> u32::BITS;
        }
        self.count += count;
        self.sum += i128::from(sum);
        self.squares += (i128::from(high) << u32::BITS) + i128::from(low);
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
        let mean = self.sum as f64 / ONE / self.count as f64;
        let variance =
            (self.squares as f64 / (ONE * ONE) / self.count as f64 - mean * mean).max(0.0);
        ScoreStats {
            mean: mean as f32,
            deviation: variance.sqrt() as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_told_in_deviations_from_their_mean() {
        let summary = ScoreStats::of([1.0, 2.0, 3.0].into_iter());
        assert_eq!(summary.mean, 2.0);
        assert!((summary.z_score(3.0) - 1.5f32.sqrt()).abs() < 1e-6);
        assert_eq!(ScoreStats::of([0.3; 7].into_iter()).z_score(0.3), 0.0);
        assert_eq!(ScoreStats::of(std::iter::empty()).z_score(5.0), 0.0);
    }

    #[test]
    fn the_order_of_the_values_does_not_matter() {
        let values: Vec<f32> = (1..2_000u16).map(|n| 9.7 / f32::from(n)).collect();
        let forward = ScoreStats::of(values.iter().copied());
        let backward = ScoreStats::of(values.iter().rev().copied());
        assert_eq!(forward, backward);
        let mut builder = ScoreStatsBuilder::default();
        builder.add(f32::INFINITY);
        builder.add(f32::NAN);
        assert!(builder.summary().mean.is_finite());
    }

    proptest! {
        #[test]
        fn values_added_at_once_are_as_one_by_one(
            values in prop::collection::vec(
                prop_oneof![
                    9 => -2.0f32..2.0,
                    1 => Just(f32::NEG_INFINITY),
                    1 => prop::sample::select(vec![-2.0, -1.999, 1.999, 2.0, 1e9, -0.0]),
                ],
                0..700,
            ),
            has_large in any::<bool>(),
        ) {
            let kept = |value: &f32| has_large || value.abs() < 2.0 || *value == f32::NEG_INFINITY;
            let values: Vec<f32> = values.into_iter().filter(kept).collect();
            let (mut at_once, mut one_by_one) = (ScoreStatsBuilder::default(), ScoreStatsBuilder::default());
            at_once.add_all(&values);
            let present = values.iter().filter(|value| **value > f32::NEG_INFINITY);
            present.for_each(|value| one_by_one.add(*value));
            prop_assert_eq!(at_once, one_by_one);
        }
    }
}
