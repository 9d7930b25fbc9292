//! Durations of single operations, collected within a timed loop.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::records::Record;

/// Durations of one operation. A benchmark loop that reports only a mean can
/// collect them for percentiles.
#[derive(Debug, Default)]
pub struct Samples(Mutex<Vec<Duration>>);

impl Samples {
    /// Runs an operation that returns the duration of its timed part; returns
    /// the sum.
    pub async fn collect(
        &self,
        iterations: u64,
        mut operation: impl AsyncFnMut() -> Duration,
    ) -> Duration {
        let mut sum = Duration::ZERO;
        for _ in 0..iterations {
            let duration = operation().await;
            self.push(duration);
            sum += duration;
        }
        sum
    }

    /// Runs an operation that is too short for the clock; one sample is the mean
    /// over all iterations. Returns the sum.
    pub async fn collect_mean(
        &self,
        iterations: u64,
        mut operation: impl AsyncFnMut(),
    ) -> Duration {
        let start = Instant::now();
        for _ in 0..iterations {
            operation().await;
        }
        let sum = start.elapsed();
        self.push(sum / u32::try_from(iterations.max(1)).unwrap_or(u32::MAX));
        sum
    }

    /// Adds a duration.
    pub fn push(&self, duration: Duration) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.push(duration);
    }

    /// The median, the 95th percentile and the number of samples; `None`
    /// without samples, such as for a benchmark that a filter excludes.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "durations for a table")]
    pub fn record(&self, subject: &str, operation: &str, size: u64) -> Option<Record> {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.sort_unstable();
        let last = samples.len().checked_sub(1)?;
        // Nearest rank.
        let at = |percent: usize| samples[(last * percent + 50) / 100].as_nanos() as f64;
        let record = Record::new(subject, operation, size)
            .with(Record::P50, at(50))
            .with(Record::P95, at(95))
            .with(Record::SAMPLES, samples.len() as f64);
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_pushed_durations() {
        let samples = Samples::default();
        assert_eq!(samples.record("a", "b", 1), None);
        (1..=101)
            .rev()
            .for_each(|nanos| samples.push(Duration::from_nanos(nanos)));
        let record = samples.record("a", "b", 1).unwrap();
        assert_eq!(record.get(Record::P50), Some(51.0));
        assert_eq!(record.get(Record::P95), Some(96.0));
        assert_eq!(record.get(Record::SAMPLES), Some(101.0));
    }
}
