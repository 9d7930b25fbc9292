//! How long entries live.

use std::time::{Duration, Instant};

/// A time that never comes, in nanoseconds since the cache was made.
const NEVER: u64 = u64::MAX;

/// The TTI is divided by this to give how stale the time of a last read may be.
const READ_GRAINS: u64 = 256;

/// The policy's TTL and TTI, and the clock they are measured by: nanoseconds
/// since the cache was made, which fill 64 bits after 584 years.
#[derive(Debug)]
pub(crate) struct Lifetimes {
    made: Instant,
    ttl: u64,
    tti: u64,
}

impl Lifetimes {
    pub(crate) fn new(ttl: Option<Duration>, tti: Option<Duration>) -> Self {
        Self {
            made: Instant::now(),
            ttl: ttl.map_or(NEVER, nanos),
            tti: tti.map_or(NEVER, nanos),
        }
    }

    /// Whether entries expire at all.
    #[inline]
    pub(crate) const fn limited(&self) -> bool {
        self.ttl != NEVER || self.tti != NEVER
    }

    /// Now. A cache without lifetimes has no use for a clock, which costs as
    /// much as the look-up; there it is always 0.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        if self.limited() {
            nanos(self.made.elapsed())
        } else {
            0
        }
    }

    /// Whether an entry inserted and last read at these times has expired.
    #[inline]
    pub(crate) const fn passed(&self, inserted: u64, read: u64, now: u64) -> bool {
        now.saturating_sub(inserted) >= self.ttl || now.saturating_sub(read) >= self.tti
    }

    /// Whether a read `now` is worth noting over one at `read`.
    ///
    /// Threads that read one hot entry would otherwise write to it each time
    /// and take its cache line from each other. An entry whose last read is
    /// noted up to a 256th of the TTI too early expires that much too early,
    /// which the contract allows; too late it does not.
    #[inline]
    pub(crate) const fn worth_noting(&self, read: u64, now: u64) -> bool {
        self.tti != NEVER && now.saturating_sub(read) > self.tti / READ_GRAINS
    }
}

#[inline]
fn nanos(duration: Duration) -> u64 {
    const NANOS_PER_SECOND: u64 = 1_000_000_000;
    duration
        .as_secs()
        .saturating_mul(NANOS_PER_SECOND)
        .saturating_add(u64::from(duration.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetimes(ttl: Option<u64>, tti: Option<u64>) -> Lifetimes {
        Lifetimes::new(ttl.map(Duration::from_nanos), tti.map(Duration::from_nanos))
    }

    #[test]
    fn an_entry_passes_when_it_is_as_old_as_its_lifetime() {
        let ttl = lifetimes(Some(1_000), None);
        assert!(!ttl.passed(500, 500, 1_499));
        assert!(ttl.passed(500, 1_499, 1_500));
        let tti = lifetimes(None, Some(1_000));
        assert!(!tti.passed(0, 9_000, 9_999));
        assert!(tti.passed(0, 9_000, 10_000));
        // A look-up that began before the insert.
        assert!(!tti.passed(500, 500, 400));
    }

    #[test]
    fn without_lifetimes_nothing_passes_and_no_clock_is_read() {
        let none = lifetimes(None, None);
        assert!(!none.limited());
        assert_eq!(none.now(), 0);
        assert!(!none.passed(0, 0, none.now()));
        assert!(!none.worth_noting(0, none.now()));
    }

    #[test]
    fn reads_are_noted_a_256th_of_the_tti_apart() {
        let tti = lifetimes(Some(1), Some(256_000));
        assert!(!tti.worth_noting(5_000, 6_000));
        assert!(tti.worth_noting(5_000, 6_001));
        assert!(!lifetimes(Some(1), None).worth_noting(0, 1 << 40));
    }

    #[test]
    fn a_lifetime_past_the_clock_never_ends() {
        let long = Lifetimes::new(Some(Duration::MAX), None);
        assert!(!long.passed(0, 0, NEVER - 1));
    }
}
