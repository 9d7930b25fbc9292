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
/// of the values, bit for bit: they are summed as whole multiples of 2⁻²⁴, which is the
/// precision of a cosine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScoreStatsBuilder {
    count: u64,
    sum: i128,
    squares: i128,
}

/// The value 1 as a multiple of 2⁻²⁴.
const ONE: f64 = 16_777_216.0;

/// The multiple of 2⁻²⁴ that is nearest to a value of less than 2²⁷.
fn multiple(value: f32) -> i64 {
    /// Numbers of this size have no fraction, so that adding it rounds, and the result's
    /// bits count on from its bits. Unlike a conversion, many are added at a time.
    const SHIFT: f64 = 1.5 * 4_503_599_627_370_496.0;
    let shifted = f64::from(value) * ONE + SHIFT;
    shifted
        .to_bits()
        .wrapping_sub(SHIFT.to_bits())
        .cast_signed()
}

impl ScoreStatsBuilder {
    /// How many values were added.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Adds one value. Values above 2²⁶ count as 2²⁶, and what is no number as 0.
    pub fn add(&mut self, value: f32) {
        const LARGEST: f32 = 67_108_864.0;
        let value = if value.is_nan() { 0.0 } else { value };
        let multiple = i128::from(multiple(value.clamp(-LARGEST, LARGEST)));
        self.count += 1;
        self.sum += multiple;
        self.squares += multiple * multiple;
    }

    /// Adds each of the values above `absent`, as [`add`](Self::add) does, in a fraction of
    /// the time: by the widest instructions of this processor. Integers, so that all have
    /// the same results.
    pub fn add_above(&mut self, absent: f32, values: &[f32]) {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                #[expect(unsafe_code, reason = "instructions that were detected")]
                // SAFETY: the processor has the features.
                return unsafe { x86::avx512(self, absent, values) };
            }
            if is_x86_feature_detected!("avx2") {
                #[expect(unsafe_code, reason = "instructions that were detected")]
                // SAFETY: the processor has the feature.
                return unsafe { x86::avx2(self, absent, values) };
            }
        }
        self.add_all_above(absent, values);
    }

    /// Compiled to the instructions that its caller may use.
    #[inline(always)]
    fn add_all_above(&mut self, absent: f32, values: &[f32]) {
        /// Values that are added at once.
        const LANES: usize = 16;
        /// Few, so that a large value slows down few others.
        const CHUNK: usize = 8 * LANES;
        /// The squares of as many multiples as a lane adds, of a value of up to this, have
        /// 64 bits.
        const LARGE: f32 = 64.0;
        let is_present = |value: &f32| *value > absent;
        let or_zero = |value: &f32| if *value > absent { *value } else { 0.0 };
        for chunk in values.chunks(CHUNK) {
            let (parts, mut rest) = chunk.as_chunks::<LANES>();
            let mut largest = [0.0f32; LANES];
            for part in parts {
                for (largest, value) in largest.iter_mut().zip(part) {
                    let size = or_zero(value).abs();
                    *largest = if size > *largest { size } else { *largest };
                }
            }
            if largest.iter().all(|largest| *largest < LARGE) {
                let mut counts = [0u32; LANES];
                let (mut sums, mut squares) = ([0i64; LANES], [0u64; LANES]);
                for part in parts {
                    let sums = counts.iter_mut().zip(&mut sums).zip(&mut squares);
                    for (((count, sum), squares), value) in sums.zip(part) {
                        let size = multiple(or_zero(value).abs()).cast_unsigned();
                        // It has 32 bits, which the compiler does not know.
                        let size = size & u64::from(u32::MAX);
                        *count += u32::from(is_present(value));
                        *sum += multiple(or_zero(value));
                        *squares += size * size;
                    }
                }
                self.count += u64::from(counts.iter().sum::<u32>());
                self.sum += i128::from(sums.iter().sum::<i64>());
                self.squares += squares.map(i128::from).iter().sum::<i128>();
            } else {
                rest = chunk;
            }
            let rest = rest.iter().filter(|value| is_present(value));
            rest.for_each(|value| self.add(*value));
        }
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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::ScoreStatsBuilder;

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(builder: &mut ScoreStatsBuilder, absent: f32, values: &[f32]) {
        builder.add_all_above(absent, values);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
    pub(super) fn avx512(builder: &mut ScoreStatsBuilder, absent: f32, values: &[f32]) {
        builder.add_all_above(absent, values);
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
                    3 => -63.0f32..63.0,
                    1 => Just(f32::NEG_INFINITY),
                    1 => prop::sample::select(vec![-64.0, 63.999, 64.0, 1e9, -0.0, 0.0]),
                ],
                0..700,
            ),
            has_large in any::<bool>(),
            absent in prop::sample::select(vec![f32::NEG_INFINITY, 0.0]),
        ) {
            let kept = |value: &f32| has_large || value.abs() < 64.0 || *value == f32::NEG_INFINITY;
            let values: Vec<f32> = values.into_iter().filter(kept).collect();
            let (mut at_once, mut one_by_one) = (ScoreStatsBuilder::default(), ScoreStatsBuilder::default());
            at_once.add_above(absent, &values);
            let mut portable = ScoreStatsBuilder::default();
            portable.add_all_above(absent, &values);
            prop_assert_eq!(at_once, portable);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                let mut avx2 = ScoreStatsBuilder::default();
                #[expect(unsafe_code, reason = "instructions that were detected")]
                // SAFETY: the processor has the feature.
                unsafe {
                    x86::avx2(&mut avx2, absent, &values);
                };
                prop_assert_eq!(at_once, avx2);
            }
            let present = values.iter().filter(|value| **value > absent);
            present.for_each(|value| one_by_one.add(*value));
            prop_assert_eq!(at_once, one_by_one);
        }
    }
}
