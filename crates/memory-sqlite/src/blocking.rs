//! Running long computations on blocking threads instead of async workers.

use std::future::Future;
use std::mem;

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
    task::spawn_blocking(compute).await.map_err(join_failure)
}

/// Drives a future on a blocking thread: a transaction that has the lock of writers
/// must not queue for a busy worker after each statement.
pub(crate) async fn drive<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Result<T, JoinError> {
    let (runtime, span) = (Handle::current(), Span::current());
    task::spawn_blocking(move || runtime.block_on(future.instrument(span))).await
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
    FoldState::Running(task::spawn_blocking(move || {
        rows.iter().try_for_each(|row| step(&mut state, row))?;
        Ok(state)
    }))
}

/// The state of a fold: here, or owned by a blocking thread.
pub(crate) enum FoldState<S> {
    Idle(S),
    Running(JoinHandle<Result<S, Failure>>),
}

impl<S> FoldState<S> {
    /// Waits until no thread works on the state.
    pub(crate) async fn finish(self) -> Result<S, Failure> {
        match self {
            Self::Idle(state) => Ok(state),
            Self::Running(task) => task.await.map_err(join_failure)?,
        }
    }
}

fn join_failure(error: task::JoinError) -> Failure {
    sqlx::Error::Io(std::io::Error::other(error)).into()
}
