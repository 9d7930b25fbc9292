//! Whether the model works, by real calls that are rare enough to be cheap.

use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use memory::{ErrorKind, MemoryError, MemoryResult};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a success stands for later checks. Supervisors ask each second or every ten
/// seconds, and a hosted model is paid by the call: this makes at most 2,880 calls of one
/// word a day.
const SUCCESS_AGE: Duration = Duration::from_secs(30);

/// How long a failure stands for later checks: shorter, so that a model that works again
/// is soon used again.
const FAILURE_AGE: Duration = Duration::from_secs(5);

/// The longest time that a call takes. A model that answers later does not serve questions.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Remembers how the last call of the model ended. Checks at the same time share a call.
pub(crate) struct ModelCheck {
    success_age: Duration,
    failure_age: Duration,
    last: Mutex<Option<Call>>,
}

/// A call of the model, in progress or ended: when and how it ended. Its task has the other
/// end of the channel.
type Call = watch::Receiver<Option<(Instant, MemoryResult<()>)>>;

impl ModelCheck {
    pub(crate) fn new() -> Self {
        Self {
            success_age: SUCCESS_AGE,
            failure_age: FAILURE_AGE,
            last: Mutex::default(),
        }
    }

    /// The outcome of the last call of the model, or of a new one where that is too long
    /// ago. A call ends by itself, also where every check that waits for it is dropped: it
    /// may hold what recalls wait for.
    ///
    /// To be called within a Tokio runtime.
    pub(crate) async fn run<F>(&self, call: impl FnOnce() -> F) -> MemoryResult<()>
    where
        F: Future<Output = MemoryResult<()>> + Send + 'static,
    {
        let mut current = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            match last.as_ref().filter(|call| self.is_current(call)) {
                Some(current) => current.clone(),
                None => {
                    let new = start(call());
                    *last = Some(new.clone());
                    new
                }
            }
        };
        let ended = current.wait_for(Option::is_some).await;
        let outcome = ended.ok().and_then(|ended| ended.clone());
        let (_, outcome) = outcome.ok_or_else(|| {
            MemoryError::embedder(
                ErrorKind::Other,
                "check",
                "the call of the model ended early",
            )
        })?;
        outcome
    }

    fn is_current(&self, call: &Call) -> bool {
        // Of a task that panicked, or was dropped with its runtime.
        let has_task = call.has_changed().is_ok();
        match &*call.borrow() {
            None => has_task,
            Some((ended, Ok(()))) => ended.elapsed() < self.success_age,
            Some((ended, Err(_))) => ended.elapsed() < self.failure_age,
        }
    }
}

fn start(call: impl Future<Output = MemoryResult<()>> + Send + 'static) -> Call {
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        let outcome = timeout(CALL_TIMEOUT, call).await.unwrap_or_else(|_| {
            let message = format!("the model has not answered within {CALL_TIMEOUT:?}");
            Err(MemoryError::embedder(
                ErrorKind::Unavailable,
                "check",
                message,
            ))
        });
        // Every check that waited may have been dropped.
        let _ = sender.send(Some((Instant::now(), outcome)));
    });
    receiver
}

impl fmt::Debug for ModelCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelCheck").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use tokio::sync::Semaphore;

    use super::*;

    fn failure() -> MemoryError {
        MemoryError::embedder(ErrorKind::Unavailable, "embed", "the model is gone")
    }

    fn check(success_age: Duration, failure_age: Duration) -> ModelCheck {
        ModelCheck {
            success_age,
            failure_age,
            last: Mutex::default(),
        }
    }

    #[tokio::test]
    async fn an_outcome_stands_until_it_is_too_old() {
        let calls = AtomicUsize::new(0);
        let run = async |check: &ModelCheck, outcome: MemoryResult<()>| {
            let call = || {
                calls.fetch_add(1, Ordering::Relaxed);
                async move { outcome }
            };
            check.run(call).await.is_ok()
        };
        let (never, always) = (Duration::MAX, Duration::ZERO);

        // Successes are kept, failures are not.
        let mixed = check(never, always);
        assert!(!run(&mixed, Err(failure())).await);
        assert!(!run(&mixed, Err(failure())).await);
        assert!(run(&mixed, Ok(())).await);
        assert!(run(&mixed, Err(failure())).await, "the success stands");
        assert_eq!(calls.swap(0, Ordering::Relaxed), 3);

        // The other way around.
        let mixed = check(always, never);
        assert!(run(&mixed, Ok(())).await);
        assert!(!run(&mixed, Err(failure())).await, "it died meanwhile");
        assert!(!run(&mixed, Ok(())).await, "the failure stands");
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn checks_at_the_same_time_share_a_call_that_outlives_them() {
        let check = check(Duration::MAX, Duration::ZERO);
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let slow = || async {
            finished.await.map_err(|_| failure())?;
            Ok(())
        };
        // Its caller gives up.
        assert!(check.run(slow).now_or_never().is_none());
        let never = || pending::<MemoryResult<()>>();
        let (one, two) = (check.run(never), check.run(never));
        finish.send(()).expect("the call is not dropped");
        assert!(matches!(tokio::join!(one, two), (Ok(()), Ok(()))));
    }
    #[tokio::test]
    async fn a_call_ends_without_those_that_waited_for_it() {
        let check = check(Duration::MAX, Duration::ZERO);
        let permits = Arc::new(Semaphore::new(1));
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let held = Arc::clone(&permits);
        let call = || async move {
            let _permit = held.acquire().await.map_err(|_| failure())?;
            finished.await.map_err(|_| failure())
        };
        assert!(check.run(call).now_or_never().is_none());
        tokio::task::yield_now().await;
        finish.send(()).expect("the call is not dropped");
        permits.acquire().await.expect("it is not closed").forget();
    }

    #[tokio::test]
    async fn a_call_that_panics_is_a_failure() {
        let check = check(Duration::MAX, Duration::MAX);
        let broken = || async { panic!("a broken embedder") };
        let error = check.run(broken).await.expect_err("it panicked");
        assert_eq!(error.kind(), ErrorKind::Other);
        assert!(check.run(|| async { Ok(()) }).await.is_ok(), "a new call");
    }
}
