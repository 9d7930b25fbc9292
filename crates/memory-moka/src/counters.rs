//! Counters that many threads can raise without waiting for one another.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// More stripes than threads that usually look up at once.
const STRIPES: usize = 16;

/// Hits and misses, striped over cache lines.
///
/// One shared pair of counters would be one cache line that every look-up of
/// every core fights for; a line per thread costs each look-up one
/// uncontended addition.
#[derive(Debug, Default)]
pub(crate) struct Lookups([Stripe; STRIPES]);

/// 128 bytes: processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Lookups {
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
        let counters = self.0.iter().map(counter);
        counters
            .map(|counter| counter.load(Ordering::Relaxed))
            .sum()
    }
}

/// This thread's stripe, dealt out in turn at its first look-up.
#[inline]
fn stripe() -> usize {
    const UNDEALT: usize = usize::MAX;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: Cell<usize> = const { Cell::new(UNDEALT) };
    }
    STRIPE.with(|stripe| {
        if stripe.get() == UNDEALT {
            stripe.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        stripe.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_among_many_threads() {
        let lookups = Lookups::default();
        std::thread::scope(|scope| {
            for thread in 0..40 {
                let lookups = &lookups;
                scope.spawn(move || (0..1_000).for_each(|n| lookups.record(n % 4 == thread % 4)));
            }
        });
        assert_eq!((lookups.hits(), lookups.misses()), (10_000, 30_000));
    }
}
