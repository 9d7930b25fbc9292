//! How old what a tier shows may be.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use memory_core::Clock;

/// A moment, by two clocks: the system's, which tests can set and which goes
/// on while a machine sleeps, and the machine's ticks, which nobody can turn
/// back. Whichever says that more time has passed is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    clock: DateTime<Utc>,
    ticks: Instant,
}

impl Stamp {
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self {
            clock: clock.now(),
            ticks: Instant::now(),
        }
    }

    pub(crate) fn is_later_than(&self, other: Self) -> bool {
        self.ticks > other.ticks
    }
}

/// What a read asks of what it is shown: when that was last known to be what
/// the store holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Demand {
    /// At any time: nobody else writes.
    Any,
    /// After the read began.
    Since(Instant),
    /// No longer than so long before the read began.
    Within(Stamp, Duration),
}

impl Demand {
    /// Whether what was known to be true at `shown` will do.
    pub(crate) fn met_by(&self, shown: Stamp) -> bool {
        match self {
            Self::Any => true,
            Self::Since(began) => shown.ticks >= *began,
            Self::Within(began, bound) => {
                // A clock that was turned back tells nothing.
                let by_clock = (began.clock - shown.clock).to_std();
                shown.ticks >= began.ticks
                    || (began.ticks.duration_since(shown.ticks) <= *bound
                        && by_clock.is_ok_and(|age| age <= *bound))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use memory_core::ManualClock;

    use super::*;

    #[test]
    fn the_clock_that_says_more_is_believed() {
        let clock = ManualClock::new(Utc::now());
        let shown = Stamp::now(&clock);
        let within = |seconds| Demand::Within(Stamp::now(&clock), Duration::from_secs(seconds));
        assert!(within(5).met_by(shown));
        clock.advance(TimeDelta::seconds(5));
        assert!(within(5).met_by(shown), "as old as it may be");
        clock.advance(TimeDelta::milliseconds(1));
        assert!(!within(5).met_by(shown));
        clock.advance(TimeDelta::seconds(-9));
        assert!(!within(5).met_by(shown), "the clock was turned back");
        std::thread::sleep(Duration::from_millis(2));
        clock.set(shown.clock);
        let brief = Demand::Within(Stamp::now(&clock), Duration::from_millis(1));
        assert!(
            !brief.met_by(shown),
            "the clock stood still, the ticks did not"
        );
    }

    #[test]
    fn what_was_read_after_the_read_began_always_will_do() {
        let clock = ManualClock::new(Utc::now());
        let before = Stamp::now(&clock);
        let began = Stamp::now(&clock);
        clock.advance(TimeDelta::days(1));
        let after = Stamp::now(&clock);
        for demand in [
            Demand::Since(began.ticks),
            Demand::Within(began, Duration::from_nanos(1)),
        ] {
            assert!(demand.met_by(after));
        }
        assert_eq!(
            Demand::Since(began.ticks).met_by(before),
            before.ticks == began.ticks
        );
    }
}
