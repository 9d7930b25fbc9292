//! Counters that many threads can increment without contention.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// More than the number of threads that usually read at the same time.
const STRIPES: usize = 16;

/// Hits and misses, striped over cache lines.
///
/// All cores would contend for the cache line of a single pair of counters.
/// With stripes, a lookup costs one uncontended addition.
#[derive(Debug, Default)]
pub(crate) struct HitCounters([Stripe; STRIPES]);

/// Aligned to 128 bytes because processors prefetch cache lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl HitCounters {
    #[inline]
    pub(crate) fn record(&self, hit: bool) {
        let stripe = &self.0[stripe()];
        let counter = if hit { &stripe.hits } else { &stripe.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn hits(&self) -> u64 {
        self.sum(|stripe| &stripe.hits)
    }

    pub(crate) fn misses(&self) -> u64 {
        self.sum(|stripe| &stripe.misses)
    }

    fn sum(&self, counter: fn(&Stripe) -> &AtomicU64) -> u64 {
        self.0
            .iter()
            .map(counter)
            .map(|counter| counter.load(Ordering::Relaxed))
            .sum()
    }
}

/// The current thread's stripe, assigned round-robin at its first lookup.
#[inline]
fn stripe() -> usize {
    const UNASSIGNED: usize = usize::MAX;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: Cell<usize> = const { Cell::new(UNASSIGNED) };
    }
    STRIPE.with(|stripe| {
        if stripe.get() == UNASSIGNED {
            stripe.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        stripe.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrent_increments_are_all_counted() {
        let counters = HitCounters::default();
        std::thread::scope(|scope| {
            for thread in 0..40 {
                let counters = &counters;
                scope.spawn(move || (0..1_000).for_each(|n| counters.record(n % 4 == thread % 4)));
            }
        });
        assert_eq!((counters.hits(), counters.misses()), (10_000, 30_000));
    }
}
