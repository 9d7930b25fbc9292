//! When an attempt to truncate the write-ahead log waits for readers, and for how long.

use std::time::{Duration, Instant};

/// How long attempts do not wait for readers.
const MIN_PENDING: Duration = Duration::from_secs(2);

/// How long an attempt waits for readers after that, or in a large log.
/// Writes are held up for as long.
pub(crate) const MAX_WAIT: Duration = Duration::from_millis(250);

/// The time between two attempts that wait, as a multiple of the first one's wait: writes are
/// held up for at most a twentieth of it.
const WAIT_INTERVAL: u32 = 20;

/// The longest wait in proportion to that for a large log: 2 s, or half of the busy timeout if
/// that is less, since other processes wait for the lock of writers meanwhile.
pub(crate) const MAX_TIMES: u32 = 8;

/// What is known of truncating the log.
#[derive(Debug, Default)]
pub(crate) struct Truncation {
    /// Since when erased content may be in it.
    pub(crate) pending_since: Option<Instant>,
    /// Until when no attempt waits for readers.
    pub(crate) next_wait: Option<Instant>,
}

impl Truncation {
    /// How long an attempt in the background that begins now waits for readers, in a log so
    /// many times as large as a large one.
    pub(crate) fn begin_wait(&mut self, now: Instant, times: u32) -> Duration {
        let is_pending = self
            .pending_since
            .is_some_and(|since| now.saturating_duration_since(since) >= MIN_PENDING);
        let wait = MAX_WAIT * times.clamp(u32::from(is_pending), MAX_TIMES);
        if wait.is_zero() || !self.can_wait(now) {
            return Duration::ZERO;
        }
        self.next_wait = Some(now + wait * WAIT_INTERVAL);
        wait
    }

    /// Whether the interval since the last wait is over.
    pub(crate) fn can_wait(&self, now: Instant) -> bool {
        self.next_wait.is_none_or(|next| now >= next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_wait_only_after_a_time_and_at_intervals() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut truncation = Truncation::default();
        assert!(
            truncation.begin_wait(after(9_000), 0).is_zero(),
            "not pending"
        );
        truncation.pending_since = Some(start);
        let waits: Vec<u64> = (0..20_000)
            .step_by(500)
            .filter(|millis| !truncation.begin_wait(after(*millis), 0).is_zero())
            .collect();
        assert_eq!(waits, [2_000, 7_000, 12_000, 17_000]);
        // What is pending from now on is not left to waits that come sooner.
        truncation.pending_since = Some(after(18_000));
        assert!(truncation.begin_wait(after(21_000), 0).is_zero());
        assert_eq!(truncation.begin_wait(after(22_000), 0), MAX_WAIT);
    }

    #[test]
    fn attempts_wait_longer_and_less_often_for_a_larger_log() {
        let start = Instant::now();
        let mut truncation = Truncation::default();
        let mut waits = Vec::new();
        for (times, seconds) in [(1, 0), (1, 4), (4, 5), (9, 24), (9, 25), (1, 64), (1, 65)] {
            let now = start + Duration::from_secs(seconds);
            waits.push(truncation.begin_wait(now, times).as_millis());
        }
        assert_eq!(waits, [250, 0, 1_000, 0, 2_000, 0, 250]);
    }
}
