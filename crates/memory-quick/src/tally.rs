//! Counts that threads do not fight over.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use memory_core::CacheCounters;

/// Lanes for each thread that can run at once. Threads take lanes in turn and
/// may meet in one; the more lanes, the seldomer.
const LANES_PER_THREAD: usize = 4;

/// Lanes beyond this many (16 KiB) add memory and no speed.
const MAX_LANES: usize = 128;

/// Counts of one cache, kept in several lanes for each thread that can run at
/// once.
///
/// A thread counts in one lane, which it seldom shares. A count that all share
/// is a cache line that all wait for: it made a hit seven times dearer for two
/// threads at once.
#[derive(Debug)]
pub(crate) struct Tally {
    lanes: Box<[Lane]>,
}

/// What some threads counted. Aligned so that no two lanes share a cache line,
/// nor a pair of lines, which processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane {
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
    /// Bytes in less bytes out, wrapping: what one thread inserts another
    /// may remove. Only the sum over all lanes has a meaning.
    bytes: AtomicU64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let threads = thread::available_parallelism().map_or(1, |threads| threads.get());
        let lanes = (threads * LANES_PER_THREAD)
            .next_power_of_two()
            .min(MAX_LANES);
        Self {
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
        }
    }

    #[inline]
    pub(crate) fn hit(&self) {
        self.lane().hits.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn miss(&self) {
        self.lane().misses.fetch_add(1, Ordering::Relaxed);
    }

    /// Entries came and went: so many bytes of each, and some of those that
    /// went were evicted. Replacing like by like costs nothing here.
    #[inline]
    pub(crate) fn moved(&self, bytes_in: u64, bytes_out: u64, evictions: u64) {
        let gain = bytes_in.wrapping_sub(bytes_out);
        if gain != 0 {
            self.lane().bytes.fetch_add(gain, Ordering::Relaxed);
        }
        if evictions != 0 {
            self.lane()
                .evictions
                .fetch_add(evictions, Ordering::Relaxed);
        }
    }

    /// Bytes held; exact when nobody writes.
    pub(crate) fn bytes(&self) -> u64 {
        // While entries come and go, one may be counted out before it is
        // counted in, and the sum fall below nothing.
        self.sum(|lane| &lane.bytes)
            .cast_signed()
            .max(0)
            .cast_unsigned()
    }

    pub(crate) fn counters(&self) -> CacheCounters {
        CacheCounters {
            hits: self.sum(|lane| &lane.hits),
            misses: self.sum(|lane| &lane.misses),
            evictions: self.sum(|lane| &lane.evictions),
        }
    }

    fn sum(&self, count: fn(&Lane) -> &AtomicU64) -> u64 {
        self.lanes
            .iter()
            .map(|lane| count(lane).load(Ordering::Relaxed))
            .fold(0, u64::wrapping_add)
    }

    #[inline]
    fn lane(&self) -> &Lane {
        // The number of lanes is a power of two.
        &self.lanes[thread_number() & (self.lanes.len() - 1)]
    }
}

/// This thread's number, in the order in which threads first counted.
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
    fn threads_count_apart_and_the_sum_is_right() {
        let tally = Tally::new();
        thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        tally.hit();
                        tally.miss();
                        tally.moved(3, 0, 0);
                        tally.moved(0, 2, 1);
                        tally.moved(7, 7, 0);
                    }
                });
            }
        });
        let counters = tally.counters();
        assert_eq!(counters.hits, 5_000);
        assert_eq!(counters.misses, 5_000);
        assert_eq!(counters.evictions, 5_000);
        assert_eq!(tally.bytes(), 5_000);
    }

    #[test]
    fn bytes_may_leave_through_another_lane() {
        let tally = Tally::new();
        tally.moved(100, 0, 0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| tally.moved(0, 50, 0));
            }
        });
        assert_eq!(tally.bytes(), 0);
    }

    #[test]
    fn bytes_are_never_below_nothing() {
        let tally = Tally::new();
        tally.moved(0, 1, 0);
        assert_eq!(tally.bytes(), 0);
    }
}
