//! Expiry of entries by time to live and time to idle.

use std::time::Duration;

use crate::clock::Clock;

/// A lifetime that never ends.
const NEVER: u64 = u64::MAX;

/// The recorded time of the last read may be out of date by one part in this
/// many of the TTI.
const READ_FRACTION: u64 = 256;

/// The policy's TTL and TTI, and a clock to measure them by.
#[derive(Debug)]
pub(crate) struct Expiry {
    /// `None` if nothing expires: reading the clock is the most expensive part
    /// of a lookup.
    clock: Option<Clock>,
    ttl: u64,
    tti: u64,
}

impl Expiry {
    pub(crate) fn new(ttl: Option<Duration>, tti: Option<Duration>) -> Self {
        let shortest = ttl.into_iter().chain(tti).min();
        let clock = shortest.map(Clock::for_lifetime);
        let measure = |lifetime: Option<Duration>| match (&clock, lifetime) {
            (Some(clock), Some(lifetime)) => clock.measure(lifetime),
            _ => NEVER,
        };
        let (ttl, tti) = (measure(ttl), measure(tti));
        Self { clock, ttl, tti }
    }

    /// Whether entries expire at all.
    pub(crate) const fn is_limited(&self) -> bool {
        self.clock.is_some()
    }

    /// The current time in the clock's nanoseconds; always 0 if nothing expires.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.clock.as_ref().map_or(0, Clock::now)
    }

    /// Whether an entry that was inserted and last read at these times has
    /// expired at `now`.
    #[inline]
    pub(crate) const fn is_expired(&self, inserted: u64, read: u64, now: u64) -> bool {
        now.saturating_sub(inserted) >= self.ttl || now.saturating_sub(read) >= self.tti
    }

    /// Whether a read at `now` should replace the recorded read at `read`.
    ///
    /// If every read were recorded, threads that read one hot entry would
    /// contend for its cache line. Recording a read up to 1/256 of the TTI too
    /// early makes the entry expire that much too early, which the trait
    /// allows; it never expires too late.
    #[inline]
    pub(crate) const fn should_record_read(&self, read: u64, now: u64) -> bool {
        self.tti != NEVER && now.saturating_sub(read) > self.tti / READ_FRACTION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry(ttl: Option<u64>, tti: Option<u64>) -> Expiry {
        Expiry::new(ttl.map(Duration::from_nanos), tti.map(Duration::from_nanos))
    }

    #[test]
    fn an_entry_expires_when_it_is_as_old_as_its_lifetime() {
        let ttl = expiry(Some(1_000), None);
        assert!(!ttl.is_expired(500, 500, 1_499));
        assert!(ttl.is_expired(500, 1_499, 1_500));
        let tti = expiry(None, Some(1_000));
        assert!(!tti.is_expired(0, 9_000, 9_999));
        assert!(tti.is_expired(0, 9_000, 10_000));
        // A lookup that began before the insert.
        assert!(!tti.is_expired(500, 500, 400));
    }

    #[test]
    fn the_shorter_lifetime_decides_the_clock() {
        let (short, long) = (Duration::from_secs(2), Duration::from_secs(512));
        for expiry in [
            Expiry::new(Some(short), Some(long)),
            Expiry::new(Some(long), Some(short)),
        ] {
            // Exact for the short one, and so for both.
            assert!(matches!(expiry.clock, Some(Clock::Exact(_))));
            assert_eq!(expiry.ttl.max(expiry.tti), 512_000_000_000);
        }
    }

    #[test]
    fn without_lifetimes_nothing_expires_and_no_clock_is_read() {
        let none = expiry(None, None);
        assert!(!none.is_limited());
        assert_eq!(none.now(), 0);
        assert!(!none.is_expired(0, 0, none.now()));
        assert!(!none.should_record_read(0, none.now()));
    }

    #[test]
    fn reads_are_recorded_a_256th_of_the_tti_apart() {
        let tti = expiry(Some(1), Some(256_000));
        assert!(!tti.should_record_read(5_000, 6_000));
        assert!(tti.should_record_read(5_000, 6_001));
        assert!(!expiry(Some(1), None).should_record_read(0, 1 << 40));
    }

    #[test]
    fn a_lifetime_beyond_the_clock_never_ends() {
        let long = Expiry::new(Some(Duration::MAX), None);
        assert!(!long.is_expired(0, 0, NEVER - 1));
    }
}
