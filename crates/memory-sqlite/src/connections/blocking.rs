//! Running long computations on blocking threads instead of async workers.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::{io, mem};

use futures_util::{Stream, TryStreamExt};
use sqlx::sqlite::SqliteRow;
use tokio::runtime::Handle;
use tokio::task::{self, JoinError, JoinHandle};
use tracing::{Instrument, Span};

use crate::error::Failure;

/// Rows that are processed in one step: under a millisecond of work.
const BLOCK: usize = 512;

/// Runs a computation over `size` rows: inline where they are few, on a
/// blocking thread where they are many.
pub(crate) async fn run_blocking<T: Send + 'static>(
    size: usize,
    compute: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    if size <= BLOCK {
        return Ok(compute());
    }
    FoldState::start(|| Ok(compute())).finish().await
}

thread_local! {
    /// Whether this thread drives a transaction.
    static DRIVES: Cell<bool> = const { Cell::new(false) };
}

/// Drives a future on a blocking thread: a transaction that has the lock of writers
/// must not queue for a busy worker after each statement. What it computes is computed on that
/// thread too: the runtime may have no other one, and waiting for it would never end.
pub(crate) async fn drive<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Result<T, JoinError> {
    let (runtime, span) = (Handle::current(), Span::current());
    let run = move || {
        DRIVES.set(true);
        // Also after a panic, as the thread is used again.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(future.instrument(span))
        }));
        DRIVES.set(false);
        ran.unwrap_or_else(|panic| resume_unwind(panic))
    };
    task::spawn_blocking(run).await
}

/// Folds the rows of a stream into a state, in order.
///
/// Few rows are processed inline. Many are gathered in blocks, and while a
/// blocking thread processes one block the next is read; memory holds two
/// blocks at most, however many rows there are.
pub(crate) async fn fold_rows<S, F>(
    rows: impl Stream<Item = sqlx::Result<SqliteRow>> + Unpin,
    state: S,
    step: F,
) -> Result<S, Failure>
where
    S: Send + 'static,
    F: Fn(&mut S, &SqliteRow) -> Result<(), Failure> + Copy + Send + 'static,
{
    let (mut state, rest) = fold_blocks(rows, state, step).await?;
    rest.iter().try_for_each(|row| step(&mut state, row))?;
    Ok(state)
}

/// As [`fold_rows`], where a single row may take long, such as one whose text is
/// analyzed: all are processed on blocking threads.
pub(crate) async fn fold_long_rows<S, F>(
    rows: impl Stream<Item = sqlx::Result<SqliteRow>> + Unpin,
    state: S,
    step: F,
) -> Result<S, Failure>
where
    S: Send + 'static,
    F: Fn(&mut S, &SqliteRow) -> Result<(), Failure> + Copy + Send + 'static,
{
    let (state, rest) = fold_blocks(rows, state, step).await?;
    run_block(rest, state, step).finish().await
}

/// Folds complete blocks of rows. Returns the rows after the last one as well.
async fn fold_blocks<S, F>(
    mut rows: impl Stream<Item = sqlx::Result<SqliteRow>> + Unpin,
    state: S,
    step: F,
) -> Result<(S, Vec<SqliteRow>), Failure>
where
    S: Send + 'static,
    F: Fn(&mut S, &SqliteRow) -> Result<(), Failure> + Copy + Send + 'static,
{
    let mut fold = FoldState::Idle(state);
    let mut block = Vec::new();
    while let Some(row) = rows.try_next().await? {
        block.push(row);
        if block.len() == BLOCK {
            let state = fold.finish().await?;
            fold = run_block(mem::take(&mut block), state, step);
        }
    }
    Ok((fold.finish().await?, block))
}

/// Folds rows on a blocking thread.
fn run_block<S, F>(rows: Vec<SqliteRow>, mut state: S, step: F) -> FoldState<S>
where
    S: Send + 'static,
    F: Fn(&mut S, &SqliteRow) -> Result<(), Failure> + Copy + Send + 'static,
{
    FoldState::start(move || {
        rows.iter().try_for_each(|row| step(&mut state, row))?;
        Ok(state)
    })
}

/// The state of a fold: here, or owned by a blocking thread.
pub(crate) enum FoldState<S> {
    Idle(S),
    Failed(Failure),
    Running(JoinHandle<Result<S, Failure>>),
}

impl<S: Send + 'static> FoldState<S> {
    /// Computes a state on a blocking thread: on this one, if it drives a transaction.
    pub(crate) fn start(compute: impl FnOnce() -> Result<S, Failure> + Send + 'static) -> Self {
        if !DRIVES.get() {
            return Self::Running(task::spawn_blocking(compute));
        }
        let panicked = |_| io_failure(io::Error::other("the computation panicked"));
        match catch_unwind(AssertUnwindSafe(compute)).map_err(panicked) {
            Ok(Ok(state)) => Self::Idle(state),
            Ok(Err(failure)) | Err(failure) => Self::Failed(failure),
        }
    }

    /// Waits until no thread works on the state.
    pub(crate) async fn finish(self) -> Result<S, Failure> {
        match self {
            Self::Idle(state) => Ok(state),
            Self::Failed(failure) => Err(failure),
            Self::Running(task) => task.await.map_err(join_failure)?,
        }
    }
}

fn join_failure(error: task::JoinError) -> Failure {
    io_failure(io::Error::other(error))
}

fn io_failure(error: io::Error) -> Failure {
    sqlx::Error::Io(error).into()
}
