//! Whether the model works, by real calls that are rare enough to be cheap.

use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use memory::MemoryResult;

/// How long a success stands for later checks. Supervisors ask each second or every ten
/// seconds, and a hosted model is paid by the call: this makes at most 2,880 calls of one
/// word a day.
const SUCCESS_AGE: Duration = Duration::from_secs(30);

/// How long a failure stands for later checks: shorter, so that a model that works again
/// is soon used again.
const FAILURE_AGE: Duration = Duration::from_secs(5);

/// Remembers how the last call of the model ended. Checks at the same time share a call.
pub(crate) struct ModelCheck {
    success_age: Duration,
    failure_age: Duration,
    last: Mutex<Option<Call>>,
}

/// A call of the model, in progress or ended.
struct Call {
    started: Instant,
    outcome: Shared<BoxFuture<'static, MemoryResult<()>>>,
}

impl ModelCheck {
    pub(crate) fn new() -> Self {
        Self {
            success_age: SUCCESS_AGE,
            failure_age: FAILURE_AGE,
            last: Mutex::default(),
        }
    }

    /// The outcome of the last call of the model, or of a new one where that is too long
    /// ago. A check that is dropped abandons nothing: the next one continues its call.
    pub(crate) async fn run<F>(&self, call: impl FnOnce() -> F) -> MemoryResult<()>
    where
        F: Future<Output = MemoryResult<()>> + Send + 'static,
    {
        let outcome = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            match last.as_ref().filter(|call| self.is_current(call)) {
                Some(call) => call.outcome.clone(),
                None => {
                    let outcome = call().boxed().shared();
                    *last = Some(Call {
                        started: Instant::now(),
                        outcome: outcome.clone(),
                    });
                    outcome
                }
            }
        };
        outcome.await
    }

    fn is_current(&self, call: &Call) -> bool {
        let max_age = match call.outcome.peek() {
            None => return true,
            Some(Ok(())) => self.success_age,
            Some(Err(_)) => self.failure_age,
        };
        call.started.elapsed() < max_age
    }
}

impl fmt::Debug for ModelCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelCheck").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use memory::{ErrorKind, MemoryError};

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
}
