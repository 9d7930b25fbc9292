//! How recent a cached value has to be for a read.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use memory_core::{ChangeMarker, Clock, Store};

/// When the store was read, by two clocks: the system's, which tests can set
/// and which continues while a machine sleeps, and the monotonic one, which
/// cannot be set back. Whichever says that more time has passed is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadInstant {
    clock: DateTime<Utc>,
    ticks: Instant,
}

impl ReadInstant {
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

/// When a value must last have been known to match the store, for a read to
/// use it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Freshness {
    /// At any time: no other process writes.
    Any,
    /// After the read began.
    After(Instant),
    /// At this instant or later: since then nothing was committed to the store.
    UnchangedSince(Instant),
    /// At most this long before the read began.
    Within(ReadInstant, Duration),
}

impl Freshness {
    /// Whether a value that was known to match the store at `verified` can be
    /// used.
    pub(crate) fn is_satisfied_by(&self, verified: ReadInstant) -> bool {
        match self {
            Self::Any => true,
            Self::After(began) | Self::UnchangedSince(began) => verified.ticks >= *began,
            Self::Within(began, limit) => {
                // A clock that was set back proves nothing.
                let by_clock = (began.clock - verified.clock).to_std();
                verified.ticks >= began.ticks
                    || (began.ticks.duration_since(verified.ticks) <= *limit
                        && by_clock.is_ok_and(|age| age <= *limit))
            }
        }
    }
}

/// Since when nothing was committed to the store, by its change marker.
///
/// A marker is never used again after a commit. So while it stays the same, a
/// value that was read after it was first seen matches the store.
#[derive(Debug, Default)]
pub(crate) struct UnchangedSince(RwLock<Option<(ChangeMarker, Instant)>>);

impl UnchangedSince {
    /// An instant at which the store had the marker that it has now; `None`
    /// where the store has none.
    #[inline]
    pub(crate) fn observe(&self, store: &dyn Store) -> Option<Instant> {
        let marker = store.change_marker()?;
        let known = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        match known {
            Some((known, since)) if known == marker => Some(since),
            _ => Some(self.replace(marker)),
        }
    }

    fn replace(&self, marker: ChangeMarker) -> Instant {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match *known {
            // Another reader was here first.
            Some((known, since)) if known == marker => since,
            _ => {
                // After the marker was read: a value read earlier may be older.
                let since = Instant::now();
                *known = Some((marker, since));
                since
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
    fn the_clock_on_which_more_time_has_passed_is_believed() {
        let clock = ManualClock::new(Utc::now());
        let verified = ReadInstant::now(&clock);
        let within =
            |seconds| Freshness::Within(ReadInstant::now(&clock), Duration::from_secs(seconds));
        assert!(within(5).is_satisfied_by(verified));
        clock.advance(TimeDelta::seconds(5));
        assert!(within(5).is_satisfied_by(verified), "exactly the limit");
        clock.advance(TimeDelta::milliseconds(1));
        assert!(!within(5).is_satisfied_by(verified));
        clock.advance(TimeDelta::seconds(-9));
        assert!(
            !within(5).is_satisfied_by(verified),
            "the clock was set back"
        );
        std::thread::sleep(Duration::from_millis(2));
        clock.set(verified.clock);
        let brief = Freshness::Within(ReadInstant::now(&clock), Duration::from_millis(1));
        assert!(
            !brief.is_satisfied_by(verified),
            "the clock stood still, the monotonic one did not"
        );
    }

    #[test]
    fn a_value_read_after_the_read_began_always_satisfies_it() {
        let clock = ManualClock::new(Utc::now());
        let before = ReadInstant::now(&clock);
        let began = ReadInstant::now(&clock);
        clock.advance(TimeDelta::days(1));
        let after = ReadInstant::now(&clock);
        for freshness in [
            Freshness::After(began.ticks),
            Freshness::Within(began, Duration::from_nanos(1)),
        ] {
            assert!(freshness.is_satisfied_by(after));
        }
        assert_eq!(
            Freshness::After(began.ticks).is_satisfied_by(before),
            before.ticks == began.ticks
        );
    }
}
