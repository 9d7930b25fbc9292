//! The time, as cheap as it can be had.

use std::time::{Duration, Instant};

/// Lifetimes from this one on are measured by the kernel's ticks.
const TICKS_FROM: Duration = Duration::from_secs(10);

/// The part of a lifetime by which the ticks may be late. Of ten seconds it is
/// 39 ms; the kernel ticks every 1 to 10 ms, and misses some when overloaded.
const LATE_PART: u32 = 256;

/// A clock that only goes forward, in nanoseconds since some moment: 64 bits
/// last for 584 years.
#[derive(Debug)]
pub(crate) enum Clock {
    /// The time. To tell it the processor first finishes all that it has begun,
    /// and a look-up takes more than twice as long.
    Exact(Instant),
    /// The time as of a few milliseconds ago, which is read like any variable.
    Ticks(Ticks),
}

impl Clock {
    /// A clock exact enough for a lifetime.
    pub(crate) fn fit_for(lifetime: Duration) -> Self {
        match Ticks::new() {
            Some(ticks) if lifetime >= TICKS_FROM => Self::Ticks(ticks),
            _ => Self::Exact(Instant::now()),
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Exact(start) => nanos(start.elapsed()),
            Self::Ticks(ticks) => ticks.now(),
        }
    }

    /// A lifetime in nanoseconds, less what this clock may be late by: what
    /// expires may do so early, and never late.
    pub(crate) fn measure(&self, lifetime: Duration) -> u64 {
        match self {
            Self::Exact(_) => nanos(lifetime),
            Self::Ticks(_) => nanos(lifetime - lifetime / LATE_PART),
        }
    }
}

/// The kernel's time as of its last tick.
#[derive(Debug)]
#[cfg(target_os = "linux")]
pub(crate) struct Ticks;

#[cfg(target_os = "linux")]
impl Ticks {
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

/// No such thing is known of this system.
#[derive(Debug)]
#[cfg(not(target_os = "linux"))]
pub(crate) enum Ticks {}

#[cfg(not(target_os = "linux"))]
impl Ticks {
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
        let clock = Clock::fit_for(Duration::from_secs(9));
        assert!(matches!(clock, Clock::Exact(_)));
        assert_eq!(clock.measure(Duration::from_nanos(7)), 7);
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now() - before >= 2_000_000);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn long_lifetimes_are_measured_by_ticks_that_are_never_ahead() {
        use rustix::time::{ClockId, clock_gettime};

        let clock = Clock::fit_for(Duration::from_secs(10));
        assert!(matches!(clock, Clock::Ticks(_)));
        let mut last = 0;
        for _ in 0..10_000 {
            let ticks = clock.now();
            let time = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap();
            assert!(last <= ticks && ticks <= nanos(time));
            last = ticks;
        }
        assert!(last > 0);
        assert_eq!(clock.measure(Duration::from_secs(256)), 255_000_000_000);
    }

    #[test]
    fn a_lifetime_past_the_clock_is_the_longest_there_is() {
        for clock in [
            Clock::fit_for(Duration::ZERO),
            Clock::fit_for(Duration::MAX),
        ] {
            assert_eq!(clock.measure(Duration::MAX), u64::MAX);
        }
    }
}
