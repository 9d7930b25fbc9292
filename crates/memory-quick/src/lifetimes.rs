//! How long entries live.

use std::time::Duration;

use crate::clock::Clock;

/// A time that never comes.
const NEVER: u64 = u64::MAX;

/// The part of the TTI by which the time of a last read may be out of date.
const READ_PART: u64 = 256;

/// The policy's TTL and TTI, and a clock to measure them by.
#[derive(Debug)]
pub(crate) struct Lifetimes {
    /// None where nothing expires: the time is the dearest part of a look-up.
    clock: Option<Clock>,
    ttl: u64,
    tti: u64,
}

impl Lifetimes {
    pub(crate) fn new(ttl: Option<Duration>, tti: Option<Duration>) -> Self {
        let shortest = ttl.into_iter().chain(tti).min();
        let clock = shortest.map(Clock::fit_for);
        let measure = |lifetime: Option<Duration>| match (&clock, lifetime) {
            (Some(clock), Some(lifetime)) => clock.measure(lifetime),
            _ => NEVER,
        };
        let (ttl, tti) = (measure(ttl), measure(tti));
        Self { clock, ttl, tti }
    }

    /// Whether entries expire at all.
    pub(crate) const fn limited(&self) -> bool {
        self.clock.is_some()
    }

    /// Now, in the clock's nanoseconds; always 0 where nothing expires.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.clock.as_ref().map_or(0, Clock::now)
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
        self.tti != NEVER && now.saturating_sub(read) > self.tti / READ_PART
    }
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
    fn the_shorter_lifetime_chooses_the_clock() {
        let (short, long) = (Duration::from_secs(2), Duration::from_secs(512));
        for lifetimes in [
            Lifetimes::new(Some(short), Some(long)),
            Lifetimes::new(Some(long), Some(short)),
        ] {
            // Exact for the short one, and so for both.
            assert!(matches!(lifetimes.clock, Some(Clock::Exact(_))));
            assert_eq!(lifetimes.ttl.max(lifetimes.tti), 512_000_000_000);
        }
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
