//! Nanoseconds per operation.
//!
//! An operation takes about as long as reading the clock does, so operations
//! are timed [`BATCH`] at a time: p50 and p99 are of such batches, each divided
//! by its length. A cache that puts work off, and does a lot of it at once, shows
//! that in its p99.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use memory_core::{ByteSize, Cache, CacheBackend, CachePolicy};
use memory_testkit::SeededRng;

use super::patterns::Zipf;

/// Operations between two looks at the clock.
pub const BATCH: usize = 32;

/// Entries that the cache is for.
pub const ENTRIES: u64 = 10_000;

/// What an operation took, over all threads.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Nanoseconds that half of all batches do not exceed.
    pub p50: f64,
    /// Nanoseconds that 99 of 100 batches do not exceed.
    pub p99: f64,
}

/// The cost of one look at the clock, in nanoseconds: the median of many.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
pub fn clock_nanos() -> f64 {
    const LOOKS: u32 = 100;
    let samples = (0..1_000).map(|_| {
        let start = Instant::now();
        for _ in 0..LOOKS {
            std::hint::black_box(Instant::now());
        }
        start.elapsed().as_nanos() as f64 / f64::from(LOOKS)
    });
    percentile(samples.collect(), 0.5)
}

/// Look-ups that hit: a full cache, keys by Zipf 0.9.
#[must_use]
pub fn gets(backend: &impl CacheBackend, threads: usize, batches: usize) -> Pace {
    // Twice the room, so that no shard is too small for its part of the keys.
    let cache = backend.build(policy(2 * ENTRIES));
    for key in 0..ENTRIES {
        cache.insert(key, Arc::new(key));
    }
    cache.run_pending_tasks();
    let keys = keys_by_law();
    run(threads, batches, &keys, |key| {
        std::hint::black_box(cache.get(&key));
    })
}

/// Inserts into a full cache, each of a key that it does not hold: one comes,
/// one goes.
#[must_use]
pub fn inserts(backend: &impl CacheBackend, threads: usize, batches: usize) -> Pace {
    let cache = backend.build(policy(ENTRIES));
    for key in 0..ENTRIES {
        cache.insert(key, Arc::new(key));
    }
    cache.run_pending_tasks();
    let value = Arc::new(0);
    // Threads begin far apart, and none meets a key again before it is gone.
    let mut keys: Vec<u64> = (ENTRIES..ENTRIES * 20).collect();
    SeededRng::new(7).shuffle(&mut keys);
    run(threads, batches, &keys, |key| {
        cache.insert(key, Arc::clone(&value));
    })
}

fn keys_by_law() -> Vec<u64> {
    const ENTRY_COUNT: usize = 10_000;
    let mut law = Zipf::new(ENTRY_COUNT, 0.9);
    (0..1 << 16).map(|_| law.draw()).collect()
}

/// One byte an entry: both bounds are the same, for caches that know but one.
fn policy(entries: u64) -> CachePolicy<u64, Arc<u64>> {
    CachePolicy::new(entries, ByteSize(entries), |_, _| 1)
}

/// Each thread goes through all keys, over and over, from a place of its own.
#[expect(clippy::cast_precision_loss, reason = "a batch takes less than months")]
fn run(threads: usize, batches: usize, keys: &[u64], operate: impl Fn(u64) + Sync) -> Pace {
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
    Pace {
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
    fn every_thread_is_counted() {
        let pace = gets(&MapBackend, 2, 20);
        assert!(pace.p50 > 0.0 && pace.p50 <= pace.p99, "{pace:?}");
        assert!(clock_nanos() > 0.0);
    }

    #[test]
    fn percentiles_are_of_what_was_gathered() {
        let samples: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(samples.clone(), 0.5), 50.0);
        assert_eq!(percentile(samples, 0.99), 99.0);
    }
}
