//! The circuit breaker of the shared tier.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

/// How long after it opened the first probe is made; each further one waits for
/// twice as long.
const MIN_DELAY: Duration = Duration::from_millis(100);

/// The longest time between two probes.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// If it opens again within this time, it waits for longer than the last time: a
/// cache that answers now and then costs its callers little.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// While it is open, no caller uses the cache. One failed call opens it; a probe in
/// the background, which no caller waits for, closes it.
pub(super) struct Breaker {
    is_started: AtomicBool,
    is_open: AtomicBool,
    /// How many probes in a row failed, or so many closings did not last.
    failures: AtomicU32,
    closed_at: Mutex<Option<Instant>>,
    /// Whether nobody needs to wait for the first probe any more.
    is_past_first_probe: AtomicBool,
    first_probe: Notify,
}

impl Breaker {
    /// An open breaker: nothing is known of the cache.
    pub(super) fn new() -> Self {
        Self {
            is_started: AtomicBool::new(false),
            is_open: AtomicBool::new(true),
            failures: AtomicU32::new(0),
            closed_at: Mutex::new(None),
            is_past_first_probe: AtomicBool::new(false),
            first_probe: Notify::new(),
        }
    }

    /// Whether a task is to be started now that probes: at first, and where one was
    /// [lost](Self::task_was_lost).
    pub(super) fn start(&self) -> bool {
        !self.is_started.load(Ordering::Relaxed) && !self.is_started.swap(true, Ordering::AcqRel)
    }

    /// The task that probes was dropped before its end: without another one, nothing
    /// closes the breaker.
    pub(super) fn task_was_lost(&self) {
        self.is_started.store(false, Ordering::Release);
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Opens it. Returns when to probe, unless it was open already.
    pub(super) fn open(&self) -> Option<Duration> {
        if self.is_open.swap(true, Ordering::AcqRel) {
            return None;
        }
        let closed_at = self.closed_at.lock();
        let closed_at = *closed_at.unwrap_or_else(PoisonError::into_inner);
        if closed_at.is_none_or(|at| at.elapsed() > STABLE_AFTER) {
            self.failures.store(0, Ordering::Relaxed);
        }
        Some(self.next_delay())
    }

    /// How long to wait before the next probe.
    pub(super) fn next_delay(&self) -> Duration {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        MIN_DELAY
            .saturating_mul(2_u32.saturating_pow(failures))
            .min(MAX_DELAY)
    }

    pub(super) fn close(&self) {
        *self
            .closed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.is_open.store(false, Ordering::Release);
    }

    /// Ends the wait for the first probe.
    pub(super) fn finish_first_probe(&self) {
        self.is_past_first_probe.store(true, Ordering::Release);
        self.first_probe.notify_waiters();
    }

    /// Waits for the first probe, for at most this long, if nobody did so before.
    pub(super) async fn wait_for_first_probe(&self, limit: Duration) {
        if self.is_past_first_probe.load(Ordering::Acquire) {
            return;
        }
        let finished = self.first_probe.notified();
        if !self.is_past_first_probe.load(Ordering::Acquire) {
            timeout(limit, finished).await.ok();
            self.is_past_first_probe.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_probes_less_often_the_longer_the_cache_is_away_or_the_more_often_it_goes() {
        let breaker = Breaker::new();
        assert!(breaker.start() && !breaker.start());
        breaker.task_was_lost();
        assert!(breaker.start() && !breaker.start());
        assert!(breaker.is_open(), "until the first probe");
        assert_eq!(breaker.open(), None, "it is open already");
        breaker.close();
        assert!(!breaker.is_open());
        let delays = [breaker.open().unwrap(), breaker.next_delay()];
        assert_eq!(delays, [MIN_DELAY, 2 * MIN_DELAY]);
        breaker.close();
        assert_eq!(breaker.open(), Some(4 * MIN_DELAY), "it was not stable");
        for _ in 0..40 {
            breaker.next_delay();
        }
        assert_eq!(breaker.next_delay(), MAX_DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn only_callers_during_the_first_probe_wait_and_only_once() {
        let breaker = Breaker::new();
        let limit = Duration::from_millis(5);
        let waited = async |breaker: &Breaker| {
            let began = tokio::time::Instant::now();
            breaker.wait_for_first_probe(limit).await;
            began.elapsed()
        };
        assert!(waited(&breaker).await >= limit);
        assert_eq!(waited(&breaker).await, Duration::ZERO);
        let breaker = Breaker::new();
        breaker.finish_first_probe();
        assert_eq!(waited(&breaker).await, Duration::ZERO);
    }
}
