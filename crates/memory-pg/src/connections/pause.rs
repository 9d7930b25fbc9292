//! Pauses of something that fails, which get longer while it goes on failing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When something that failed is tried again.
#[derive(Debug)]
pub(crate) struct Pause {
    /// The first pause. Each after a further failure is twice as long.
    first: Duration,
    max: Duration,
    /// Failures in a row from which on there is a pause.
    min_failures: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// When the last of them was recorded.
    failed_at: Option<Instant>,
    /// When the pause ends.
    ends: Option<Instant>,
}

impl Pause {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            min_failures: 1,
            state: Mutex::default(),
        }
    }

    /// Begins only with so many failures in a row.
    pub(crate) fn after_failures(mut self, min_failures: u32) -> Self {
        self.min_failures = min_failures;
        self
    }

    /// Whether there is none.
    pub(crate) fn is_over(&self) -> bool {
        self.state().is_over()
    }

    /// Begins a try, unless there is a pause. After one, a single caller tries first:
    /// `false` for the others, as long as another pause takes.
    pub(crate) fn begin_try(&self) -> bool {
        let mut state = self.state();
        let is_over = state.is_over();
        if is_over && state.ends.is_some() {
            self.begin(&mut state);
        }
        is_over
    }

    /// Records that a try failed that began then. Tries that ran at the same time and failed
    /// for the same reason count once. Returns whether a pause begins that follows none.
    pub(crate) fn record_failure(&self, began: Instant) -> bool {
        let mut state = self.state();
        if state.failed_at.is_some_and(|last| began < last) {
            return false;
        }
        state.failed_at = Some(Instant::now());
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.min_failures {
            self.begin(&mut state);
        }
        state.failures == self.min_failures
    }

    /// Records that a try succeeded. Returns whether that ends a pause.
    pub(crate) fn record_success(&self) -> bool {
        let state = std::mem::take(&mut *self.state());
        state.ends.is_some()
    }

    fn begin(&self, state: &mut State) {
        state.ends = Some(Instant::now() + self.length(state.failures));
    }

    /// After so many failures in a row.
    fn length(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(self.min_failures).min(16);
        let length = self.first.saturating_mul(2u32.saturating_pow(doublings));
        length.min(self.max)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.ends.is_none_or(|ends| Instant::now() >= ends)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_a_limit() {
        let pause = Pause::new(SECOND, SECOND * 5);
        let lengths = [0, 1, 2, 3, 4, u32::MAX].map(|failures| pause.length(failures).as_secs());
        assert_eq!(lengths, [1, 1, 2, 4, 5, 5]);
        let pause = pause.after_failures(3);
        let lengths = [1, 3, 4, 5, 6].map(|failures| pause.length(failures).as_secs());
        assert_eq!(lengths, [1, 1, 2, 4, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_tries_after_a_pause() {
        let pause = Pause::new(SECOND, SECOND * 60);
        assert!(pause.begin_try() && pause.begin_try());
        assert!(pause.record_failure(Instant::now()), "it begins");
        assert!(!pause.is_over() && !pause.begin_try());
        advance(SECOND).await;
        assert!(pause.is_over(), "which tries nothing");
        assert!(pause.begin_try());
        assert!(!pause.begin_try(), "another caller is trying");
        assert!(!pause.record_failure(Instant::now()), "it goes on");
        advance(SECOND).await;
        assert!(!pause.is_over(), "twice as long");
        advance(SECOND).await;
        // Another may try where that one did not end.
        assert!(pause.begin_try());
        advance(SECOND * 2).await;
        assert!(pause.begin_try());
        assert!(pause.record_success());
        assert!(pause.begin_try() && pause.begin_try());
        assert!(!pause.record_success(), "there was none");
        assert!(pause.record_failure(Instant::now()));
        advance(SECOND).await;
        assert!(pause.is_over(), "as long as the first");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_at_the_same_time_count_once() {
        let pause = Pause::new(SECOND, SECOND * 60).after_failures(3);
        let began = Instant::now();
        advance(SECOND).await;
        for _ in 0..10 {
            assert!(!pause.record_failure(began));
            assert!(pause.is_over());
        }
        let begins = [(); 3].map(|()| pause.record_failure(Instant::now()));
        assert_eq!(begins, [false, true, false]);
        assert!(!pause.is_over());
        advance(SECOND).await;
        assert!(!pause.is_over(), "of four failures");
        pause.record_success();
        assert!(!pause.record_failure(Instant::now()));
        assert!(pause.is_over(), "the first of others");
    }
}
