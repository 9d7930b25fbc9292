//! A monotonic clock that is as cheap to read as the lifetimes allow.

use std::time::{Duration, Instant};

/// Lifetimes of at least this length are measured with the coarse clock.
const COARSE_FROM: Duration = Duration::from_secs(10);

/// The coarse clock may be late by one part in this many of a lifetime: 39 ms of
/// 10 s. The kernel updates it every 1 to 10 ms, and less often under overload.
const MAX_LAG_FRACTION: u32 = 256;

/// A monotonic clock in nanoseconds since an unspecified moment; 64 bits last
/// for 584 years.
#[derive(Debug)]
pub(crate) enum Clock {
    /// The precise time. Reading it makes the processor finish all pending
    /// instructions, and a lookup takes more than twice as long.
    Exact(Instant),
    /// The time of a few milliseconds ago, which is read like a variable.
    Coarse(CoarseClock),
}

impl Clock {
    /// The cheapest clock that is precise enough for a lifetime.
    pub(crate) fn for_lifetime(lifetime: Duration) -> Self {
        match CoarseClock::new() {
            Some(coarse) if lifetime >= COARSE_FROM => Self::Coarse(coarse),
            _ => Self::Exact(Instant::now()),
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Exact(start) => nanos(start.elapsed()),
            Self::Coarse(coarse) => coarse.now(),
        }
    }

    /// A lifetime in nanoseconds, reduced by the lag of this clock: an entry may
    /// expire early, never late.
    pub(crate) fn measure(&self, lifetime: Duration) -> u64 {
        match self {
            Self::Exact(_) => nanos(lifetime),
            Self::Coarse(_) => nanos(lifetime - lifetime / MAX_LAG_FRACTION),
        }
    }
}

/// The kernel's time at its last tick (`CLOCK_MONOTONIC_COARSE`).
#[derive(Debug)]
#[cfg(target_os = "linux")]
pub(crate) struct CoarseClock;

#[cfg(target_os = "linux")]
impl CoarseClock {
    const fn new() -> Option<Self> {
        Some(Self)
    }

    #[inline]
    fn now(&self) -> u64 {
        use rustix::time::{ClockId, clock_gettime};
        let time = clock_gettime(ClockId::MonotonicCoarse);
        let since_boot = Duration::try_from(time);
        since_boot.map_or(0, nanos)
    }
}

/// There is no coarse clock for this platform.
#[derive(Debug)]
#[cfg(not(target_os = "linux"))]
pub(crate) enum CoarseClock {}

#[cfg(not(target_os = "linux"))]
impl CoarseClock {
    const fn new() -> Option<Self> {
        None
    }

    const fn now(&self) -> u64 {
        match *self {}
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

    #[test]
    fn short_lifetimes_are_measured_exactly() {
        let clock = Clock::for_lifetime(Duration::from_secs(9));
        assert!(matches!(clock, Clock::Exact(_)));
        assert_eq!(clock.measure(Duration::from_nanos(7)), 7);
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now() - before >= 2_000_000);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn long_lifetimes_are_measured_by_a_coarse_clock_that_is_never_ahead() {
        use rustix::time::{ClockId, clock_gettime};

        let clock = Clock::for_lifetime(Duration::from_secs(10));
        assert!(matches!(clock, Clock::Coarse(_)));
        let mut last = 0;
        for _ in 0..10_000 {
            let coarse = clock.now();
            let time = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap();
            assert!(last <= coarse && coarse <= nanos(time));
            last = coarse;
        }
        assert!(last > 0);
        assert_eq!(clock.measure(Duration::from_secs(256)), 255_000_000_000);
    }

    #[test]
    fn a_lifetime_beyond_the_clock_saturates() {
        for clock in [
            Clock::for_lifetime(Duration::ZERO),
            Clock::for_lifetime(Duration::MAX),
        ] {
            assert_eq!(clock.measure(Duration::MAX), u64::MAX);
        }
    }
}
