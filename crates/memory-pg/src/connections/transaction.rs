//! Write transactions: what one is, and when it is retried.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use memory_core::EntityId;

use crate::connections::connection::Connection;
use crate::error::Failure;

/// How many times a transaction, or a read, is tried that the server undid because of
/// concurrent transactions.
const MAX_ATTEMPTS: u32 = 6;
/// The longest pause after the first attempt; it doubles with each.
const INITIAL_BACKOFF: Duration = Duration::from_millis(10);

/// One write operation of the store, run within one transaction. It owns its
/// input and may be run several times.
pub(crate) trait Transaction: Send + Sync + 'static {
    /// Its name in errors.
    const OPERATION: &'static str;
    /// Whether it changes nothing more when it is run again by its caller.
    const IS_REPEATABLE: bool = true;
    /// What it returns.
    type Output: Send + 'static;

    /// The entities that it writes to.
    fn entities(&self) -> Vec<&EntityId>;

    /// Runs it, inside a transaction that has begun.
    fn run(
        &self,
        connection: &mut Connection,
    ) -> impl Future<Output = Result<TxOutcome<Self::Output>, Failure>> + Send;
}

/// How a transaction ends when nothing failed.
pub(crate) enum TxOutcome<T> {
    /// It wrote something.
    Commit(T),
    /// There was nothing to write.
    Rollback(T),
}

/// Counts the attempts at what the server may undo because of concurrent transactions.
pub(crate) struct Attempts(u32);

impl Attempts {
    pub(crate) fn new() -> Self {
        Self(1)
    }

    /// Waits for the next attempt after one that failed. Fails where there is none: it
    /// would fail again, or was the last.
    pub(crate) async fn after(&mut self, failure: Failure) -> Result<(), Failure> {
        if !failure.is_transient() {
            return Err(failure);
        }
        if self.0 >= MAX_ATTEMPTS {
            return Err(failure.after_attempts(self.0));
        }
        memory_metrics::STORE_RETRIES.increment(&[], 1);
        tracing::debug!(attempt = self.0, "retrying");
        tokio::time::sleep(backoff(self.0)).await;
        self.0 += 1;
        Ok(())
    }
}

/// A random pause, so that transactions that collided do not collide again.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let longest = INITIAL_BACKOFF * 2u32.saturating_pow(attempt - 1);
    let random = RandomState::new().hash_one(attempt);
    let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(random % micros.max(1))
}
