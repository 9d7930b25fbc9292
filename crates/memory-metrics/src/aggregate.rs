//! Values of frequent events, added up here and given to the recorder when metrics
//! are published.
//!
//! A recorder looks up a metric by its key and stores each value, some 100 ns for
//! each. A warm recall of a small entity takes 15 µs and has three.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Key, Recorder};

use crate::metric::{METADATA, Metric};

/// More than the buckets of any metric, and one for larger values.
const MAX_BUCKETS: usize = 24;

/// A total since the process started.
#[derive(Debug)]
pub(crate) struct Total {
    key: Key,
    value: AtomicU64,
}

impl Total {
    pub(crate) const fn new(key: Key) -> Self {
        Self {
            key,
            value: AtomicU64::new(0),
        }
    }

    pub(crate) fn increment(&self) {
        self.value.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives the recorder the total, if there was any event.
    pub(crate) fn publish(&self, recorder: &dyn Recorder) {
        let total = self.value.load(Ordering::Relaxed);
        if total > 0 {
            recorder
                .register_counter(&self.key, &METADATA)
                .absolute(total);
        }
    }
}

/// The values of a histogram since they were published last: their number and sum by
/// bucket.
///
/// A recorder gets each bucket's mean as often as the bucket has values. So the
/// number of values, the sum and the buckets are exact; what a recorder without
/// these buckets says of quantiles is as exact as the buckets are narrow.
#[derive(Debug)]
pub struct Distribution {
    key: Key,
    /// The upper limits, in the metric's unit.
    limits: &'static [f64],
    /// The metric's unit in one of a recorded value, such as 1e-9 seconds in a
    /// nanosecond.
    scale: f64,
    counts: [AtomicU64; MAX_BUCKETS],
    sums: [AtomicU64; MAX_BUCKETS],
}

impl Distribution {
    /// No values yet of this metric, whose unit is `scale` of a recorded value.
    pub(crate) const fn new(metric: &Metric, key: Key, scale: f64) -> Self {
        assert!(metric.buckets.len() < MAX_BUCKETS);
        Self {
            key,
            limits: metric.buckets,
            scale,
            counts: [const { AtomicU64::new(0) }; MAX_BUCKETS],
            sums: [const { AtomicU64::new(0) }; MAX_BUCKETS],
        }
    }

    /// Adds a value.
    pub fn record(&self, value: u64) {
        let scaled = self.scaled(value);
        let bucket = self.limits.partition_point(|limit| *limit < scaled);
        // The order matters to `publish`.
        self.sums[bucket].fetch_add(value, Ordering::Relaxed);
        self.counts[bucket].fetch_add(1, Ordering::Release);
    }

    /// Gives the recorder the values, and forgets them.
    pub(crate) fn publish(&self, recorder: &dyn Recorder) {
        for (bucket, count) in self.counts.iter().enumerate() {
            let count = count.swap(0, Ordering::Acquire);
            if count == 0 {
                continue;
            }
            // It may have that of a value which is counted next time: a mean
            // beyond the bucket's limits is moved to them.
            let sum = self.scaled(self.sums[bucket].swap(0, Ordering::Relaxed));
            #[expect(clippy::cast_precision_loss, reason = "a mean needs no more")]
            let mean = sum / count as f64;
            let above = bucket
                .checked_sub(1)
                .map_or(0.0, |n| self.limits[n].next_up());
            let below = self.limits.get(bucket).copied().unwrap_or(f64::MAX);
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            recorder
                .register_histogram(&self.key, &METADATA)
                .record_many(mean.clamp(above, below), count);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "2^53 ns are 104 days")]
    fn scaled(&self, value: u64) -> f64 {
        value as f64 * self.scale
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "durations of up to 200 s"
)]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    use proptest::prelude::*;

    use super::*;
    use crate::OPERATION_DURATION;

    /// The values that a recorder is given.
    fn published(distribution: &Distribution) -> Vec<f64> {
        let recorder = DebuggingRecorder::new();
        distribution.publish(&recorder);
        let values = recorder.snapshotter().snapshot().into_vec();
        let values = values.into_iter().flat_map(|(.., value)| match value {
            DebugValue::Histogram(values) => values,
            other => panic!("{other:?}"),
        });
        values.map(f64::from).collect()
    }

    fn bucket(value: f64) -> usize {
        let limits = OPERATION_DURATION.buckets();
        limits.iter().filter(|limit| **limit < value).count()
    }

    proptest! {
        #[test]
        fn number_sum_and_buckets_are_kept(
            nanos in prop::collection::vec(prop_oneof![
                0..200_000_000_000_u64,
                // Exactly on a limit.
                (0..OPERATION_DURATION.buckets().len())
                    .prop_map(|n| (OPERATION_DURATION.buckets()[n] * 1e9).round() as u64),
            ], 0..200),
        ) {
            let key = OPERATION_DURATION.key(&[]);
            let distribution = Distribution::new(&OPERATION_DURATION, key, 1e-9);
            nanos.iter().for_each(|nanos| distribution.record(*nanos));
            let seconds: Vec<f64> = nanos.iter().map(|nanos| *nanos as f64 * 1e-9).collect();
            let values = published(&distribution);
            let buckets = |values: &[f64]| {
                let mut buckets: Vec<_> = values.iter().map(|value| bucket(*value)).collect();
                buckets.sort_unstable();
                buckets
            };
            prop_assert_eq!(buckets(&values), buckets(&seconds));
            let (sum, expected): (f64, f64) = (values.iter().sum(), seconds.iter().sum());
            prop_assert!((sum - expected).abs() <= 1e-9 * expected, "{} {}", sum, expected);
            prop_assert!(published(&distribution).is_empty(), "published once");
        }
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let key = OPERATION_DURATION.key(&[]);
        let distribution = Distribution::new(&OPERATION_DURATION, key, 1e-9);
        let values = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| (0..10_000).for_each(|nanos| distribution.record(nanos * 100)))
                })
                .collect();
            let mut values = Vec::new();
            while !writers.iter().all(|writer| writer.is_finished()) {
                values.extend(published(&distribution));
            }
            values
        });
        let values = [values, published(&distribution)].concat();
        assert_eq!(values.len(), 40_000);
    }
}
