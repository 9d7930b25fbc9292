//! Bootstrap intervals of means.

use memory_testkit::SeededRng;
use serde::Serialize;

/// A mean and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// Resamples of the questions: the ends of a 95 % interval move by less than a
/// twentieth of its width between seeds.
const RESAMPLES: usize = 1_000;

/// The seed, so that equal scores have equal intervals.
const SEED: u64 = 17;

/// The mean of values and its interval, by the percentile bootstrap (Efron and
/// Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13): the means of
/// resamples, drawn with replacement and of the same size, without the lowest
/// and the highest 2.5 %. 0 without values.
pub(super) fn estimate(values: &[f64]) -> Estimate {
    let mut random = SeededRng::new(SEED);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| mean((0..values.len()).map(|_| values[random.below(values.len())])))
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let cut = RESAMPLES / 40;
    Estimate {
        mean: mean(values.iter().copied()),
        low: means[cut],
        high: means[RESAMPLES - 1 - cut],
    }
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1);
    values.sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_share_is_that_of_theory() {
        let values: Vec<f64> = (0..400).map(|n| f64::from(u8::from(n % 2 == 0))).collect();
        let estimate = estimate(&values);
        assert_eq!(estimate.mean, 0.5);
        // 1.96 standard errors of sqrt(0.25 / 400).
        assert!((estimate.low - 0.451).abs() < 0.006, "{estimate:?}");
        assert!((estimate.high - 0.549).abs() < 0.006, "{estimate:?}");
    }

    #[test]
    fn equal_values_have_no_interval_and_none_are_zero() {
        let of = |mean| Estimate {
            mean,
            low: mean,
            high: mean,
        };
        assert_eq!(estimate(&[3.0; 7]), of(3.0));
        assert_eq!(estimate(&[]), of(0.0));
    }
}
