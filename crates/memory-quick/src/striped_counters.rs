//! Counters that many threads can increment without contention.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use memory_core::CacheCounters;

/// Stripes per hardware thread. Threads are assigned to stripes round-robin, so
/// more stripes make it less likely that two threads share one.
const STRIPES_PER_THREAD: usize = 4;

/// More stripes than this (16 KiB) cost memory and gain no speed.
const MAX_STRIPES: usize = 128;

/// The counters of one cache, striped over cache lines.
///
/// A thread increments one stripe, which it rarely shares. With one set of
/// counters all threads contend for its cache line: with two threads, a hit
/// took seven times as long.
#[derive(Debug)]
pub(crate) struct StripedCounters {
    stripes: Box<[Stripe]>,
}

/// The counts of some threads. Aligned to 128 bytes because processors prefetch
/// cache lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
    /// Bytes inserted minus bytes removed, wrapping, because one thread may
    /// remove what another inserted. Only the sum over all stripes is
    /// meaningful.
    bytes: AtomicU64,
}

impl StripedCounters {
    pub(crate) fn new() -> Self {
        let threads = thread::available_parallelism().map_or(1, |threads| threads.get());
        let stripes = (threads * STRIPES_PER_THREAD)
            .next_power_of_two()
            .min(MAX_STRIPES);
        Self {
            stripes: (0..stripes).map(|_| Stripe::default()).collect(),
        }
    }

    #[inline]
    pub(crate) fn record_hit(&self) {
        self.stripe().hits.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn record_miss(&self) {
        self.stripe().misses.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that entries of `inserted` bytes were added and entries of
    /// `removed` bytes left, `evictions` of them by eviction. Replacing an entry
    /// by one of the same weight costs nothing.
    #[inline]
    pub(crate) fn record_change(&self, inserted: u64, removed: u64, evictions: u64) {
        let difference = inserted.wrapping_sub(removed);
        if difference != 0 {
            self.stripe().bytes.fetch_add(difference, Ordering::Relaxed);
        }
        if evictions != 0 {
            self.stripe()
                .evictions
                .fetch_add(evictions, Ordering::Relaxed);
        }
    }

    /// The bytes of all entries; exact if no write is in progress.
    pub(crate) fn bytes(&self) -> u64 {
        // During concurrent writes, a removal may be counted before its
        // insertion, which makes the sum negative.
        self.sum(|stripe| &stripe.bytes)
            .cast_signed()
            .max(0)
            .cast_unsigned()
    }

    pub(crate) fn counters(&self) -> CacheCounters {
        CacheCounters::new(
            self.sum(|stripe| &stripe.hits),
            self.sum(|stripe| &stripe.misses),
            self.sum(|stripe| &stripe.evictions),
        )
    }

    fn sum(&self, count: fn(&Stripe) -> &AtomicU64) -> u64 {
        self.stripes
            .iter()
            .map(|stripe| count(stripe).load(Ordering::Relaxed))
            .fold(0, u64::wrapping_add)
    }

    #[inline]
    fn stripe(&self) -> &Stripe {
        // The number of stripes is a power of two.
        &self.stripes[thread_number() & (self.stripes.len() - 1)]
    }
}

/// The current thread's number, in the order of the threads' first use.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrent_counts_add_up() {
        let counters = StripedCounters::new();
        thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        counters.record_hit();
                        counters.record_miss();
                        counters.record_change(3, 0, 0);
                        counters.record_change(0, 2, 1);
                        counters.record_change(7, 7, 0);
                    }
                });
            }
        });
        let totals = counters.counters();
        assert_eq!(totals.hits, 5_000);
        assert_eq!(totals.misses, 5_000);
        assert_eq!(totals.evictions, 5_000);
        assert_eq!(counters.bytes(), 5_000);
    }

    #[test]
    fn bytes_may_be_removed_through_another_stripe() {
        let counters = StripedCounters::new();
        counters.record_change(100, 0, 0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| counters.record_change(0, 50, 0));
            }
        });
        assert_eq!(counters.bytes(), 0);
    }

    #[test]
    fn bytes_are_never_negative() {
        let counters = StripedCounters::new();
        counters.record_change(0, 1, 0);
        assert_eq!(counters.bytes(), 0);
    }
}
