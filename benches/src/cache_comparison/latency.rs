//! Nanoseconds per cache operation.
//!
//! An operation takes about as long as reading the clock, so operations are
//! timed [`BATCH`] at a time: p50 and p99 are over batches, each divided by its
//! length. A cache that defers work and runs it in bulk shows that in its p99.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use memory_core::{ByteSize, Cache, CacheBackend, CachePolicy};
use memory_testkit::SeededRng;

use crate::corpus::Zipf;

/// Operations between two clock reads.
pub const BATCH: usize = 32;

/// The capacity of the cache in entries.
pub const ENTRIES: u64 = 10_000;

/// The time per operation, over all threads.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// The median over batches, in nanoseconds.
    pub p50: f64,
    /// The 99th percentile over batches, in nanoseconds.
    pub p99: f64,
}

/// The cost of one clock read in nanoseconds: the median of many.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
pub fn clock_nanos() -> f64 {
    const READS: u32 = 100;
    let samples = (0..1_000).map(|_| {
        let start = Instant::now();
        for _ in 0..READS {
            std::hint::black_box(Instant::now());
        }
        start.elapsed().as_nanos() as f64 / f64::from(READS)
    });
    percentile(samples.collect(), 0.5)
}

/// Lookups that hit: a full cache, Zipf-distributed keys (exponent 0.9).
#[must_use]
pub fn gets(backend: &impl CacheBackend, threads: usize, batches: usize) -> Latency {
    // Twice the capacity, so that no shard is too small for its share of the keys.
    let cache = backend.build(policy(2 * ENTRIES));
    for key in 0..ENTRIES {
        cache.insert(key, Arc::new(key));
    }
    cache.run_pending_tasks();
    let keys = zipf_keys();
    run(threads, batches, &keys, |key| {
        std::hint::black_box(cache.get(&key));
    })
}

/// Inserts into a full cache, each of a key that is not present: each insert
/// evicts an entry.
#[must_use]
pub fn inserts(backend: &impl CacheBackend, threads: usize, batches: usize) -> Latency {
    let cache = backend.build(policy(ENTRIES));
    for key in 0..ENTRIES {
        cache.insert(key, Arc::new(key));
    }
    cache.run_pending_tasks();
    let value = Arc::new(0);
    // Threads start far apart, so that no key repeats before it was evicted.
    let mut keys: Vec<u64> = (ENTRIES..ENTRIES * 20).collect();
    SeededRng::new(7).shuffle(&mut keys);
    run(threads, batches, &keys, |key| {
        cache.insert(key, Arc::clone(&value));
    })
}

fn zipf_keys() -> Vec<u64> {
    const ENTRY_COUNT: usize = 10_000;
    let mut distribution = Zipf::new(ENTRY_COUNT, 0.9);
    (0..1 << 16).map(|_| distribution.sample()).collect()
}

/// One byte per entry: both limits are equal, since some caches have only one.
fn policy(entries: u64) -> CachePolicy<u64, Arc<u64>> {
    CachePolicy::new(entries, ByteSize(entries), |_, _| 1)
}

/// Each thread cycles through all keys from its own offset.
#[expect(clippy::cast_precision_loss, reason = "a batch takes less than months")]
fn run(threads: usize, batches: usize, keys: &[u64], operate: impl Fn(u64) + Sync) -> Latency {
    let start = Barrier::new(threads);
    let worker = |number: usize| {
        let mut keys = keys.iter().cycle().skip(number * keys.len() / threads);
        let mut batch = [0; BATCH];
        start.wait();
        let samples = (0..batches).map(|_| {
            batch.fill_with(|| keys.next().copied().unwrap_or_default());
            let start = Instant::now();
            batch.iter().for_each(|key| operate(*key));
            start.elapsed().as_nanos() as f64 / BATCH as f64
        });
        samples.collect::<Vec<f64>>()
    };
    let samples = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| scope.spawn(move || worker(number)))
            .collect();
        let all = running.into_iter().filter_map(|thread| thread.join().ok());
        all.flatten().collect::<Vec<f64>>()
    });
    Latency {
        p50: percentile(samples.clone(), 0.5),
        p99: percentile(samples, 0.99),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a list of measurements"
)]
fn percentile(mut samples: Vec<f64>, share: f64) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    samples.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use memory_testkit::MapBackend;

    use super::*;

    #[test]
    fn percentiles_cover_every_thread() {
        let latency = gets(&MapBackend, 2, 20);
        assert!(
            latency.p50 > 0.0 && latency.p50 <= latency.p99,
            "{latency:?}"
        );
        assert!(clock_nanos() > 0.0);
    }

    #[test]
    fn percentiles_are_of_the_samples() {
        let samples: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(samples.clone(), 0.5), 50.0);
        assert_eq!(percentile(samples, 0.99), 99.0);
    }
}
