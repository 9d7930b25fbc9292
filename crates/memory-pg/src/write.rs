//! Writes: one transaction each, carried through whatever becomes of the
//! caller's future.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use memory_core::{EntityId, ErrorKind, MemoryError, MemoryResult};

use crate::database::{Database, Link};
use crate::error::Failure;

/// How often a transaction is tried that others were in the way of.
const ATTEMPTS: u32 = 6;
/// The longest first pause between two attempts; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// What is done in one transaction. It owns what it needs, and may be asked to
/// do it again.
pub(crate) trait Write: Send + Sync + 'static {
    /// What it is called in errors.
    const OPERATION: &'static str;
    /// What it comes to.
    type Outcome: Send + 'static;

    /// Whom it is about.
    fn entities(&self) -> Vec<&EntityId>;

    /// Does it, inside a transaction that has begun.
    fn attempt(
        &self,
        link: &mut Link,
    ) -> impl Future<Output = Result<End<Self::Outcome>, Failure>> + Send;
}

/// How a transaction ends when nothing failed.
pub(crate) enum End<T> {
    /// What was written stays.
    Commit(T),
    /// There was nothing to write: as if it had never begun.
    Rollback(T),
}

/// Carries a write out in a task of its own: a caller that goes away leaves it
/// whole, and its connection clean.
pub(crate) async fn write<W: Write>(
    database: &Arc<Database>,
    write: W,
) -> MemoryResult<W::Outcome> {
    let database = Arc::clone(database);
    let task = tokio::spawn(async move { persist(&database, &write).await });
    task.await.unwrap_or_else(|_| {
        let message = "the task of the write ended before it did; \
                       repeating it with the same ids is safe";
        Err(MemoryError::store(
            ErrorKind::OutcomeUnknown,
            W::OPERATION,
            message,
        ))
    })
}

async fn persist<W: Write>(database: &Database, write: &W) -> MemoryResult<W::Outcome> {
    let mut attempt = 1;
    loop {
        match once(database, write).await {
            Ok(Ok(outcome)) => return Ok(outcome),
            Err(failure) if failure.is_transient() && attempt < ATTEMPTS => {
                tracing::debug!(operation = W::OPERATION, attempt, "trying again");
                tokio::time::sleep(pause(attempt)).await;
                attempt += 1;
            }
            Err(failure) => return Err(failure.told(W::OPERATION)),
            Ok(Err(unknown)) => return Err(unknown),
        }
    }
}

/// One attempt; the inner error is that of a commit without an answer.
async fn once<W: Write>(
    database: &Database,
    write: &W,
) -> Result<MemoryResult<W::Outcome>, Failure> {
    let mut link = database.link().await?;
    link.begin(&write.entities()).await?;
    match write.attempt(&mut link).await {
        Ok(End::Commit(outcome)) => match link.script("COMMIT").await {
            Ok(()) => {
                link.release();
                Ok(Ok(outcome))
            }
            Err(failure) if failure.is_refusal() => Err(failure),
            Err(failure) => Ok(Err(failure.told_of_commit(W::OPERATION))),
        },
        Ok(End::Rollback(outcome)) => {
            undo(link).await;
            Ok(Ok(outcome))
        }
        Err(failure) => {
            undo(link).await;
            Err(failure)
        }
    }
}

/// Ends the transaction without a trace. Where that fails the connection is
/// cut, and the server does the same.
async fn undo(mut link: Link) {
    if link.script("ROLLBACK").await.is_ok() {
        link.release();
    }
}

/// A random pause, so that those who met do not meet again.
pub(crate) fn pause(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE * 2u32.saturating_pow(attempt - 1);
    let chance = RandomState::new().hash_one(attempt);
    let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(chance % micros.max(1))
}
