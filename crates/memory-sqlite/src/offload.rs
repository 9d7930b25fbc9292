//! Keeping long computation off the threads that run tasks.

use std::mem;

use futures_util::{Stream, TryStreamExt};
use sqlx::sqlite::SqliteRow;
use tokio::task::{self, JoinHandle};

use crate::error::Failure;

/// Rows that are worked on in one go: under a millisecond's worth.
const BLOCK: usize = 512;

/// Computes something about `size` rows: at once where they are few, on a
/// thread of its own where they are many.
pub(crate) async fn offload<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    if size <= BLOCK {
        return Ok(work());
    }
    task::spawn_blocking(work).await.map_err(stopped)
}

/// Hands every row of a stream to `step`, in order.
///
/// Few rows are worked on at once. Many are gathered in blocks, and while one
/// block is worked on by another thread the next is read; memory holds two
/// blocks at most, however many rows there are.
pub(crate) async fn fold<S, F>(
    mut rows: impl Stream<Item = sqlx::Result<SqliteRow>> + Unpin,
    state: S,
    step: F,
) -> Result<S, Failure>
where
    S: Send + 'static,
    F: Fn(&mut S, &SqliteRow) -> Result<(), Failure> + Copy + Send + 'static,
{
    let mut under_way = Work::Done(state);
    let mut block = Vec::new();
    while let Some(row) = rows.try_next().await? {
        block.push(row);
        if block.len() == BLOCK {
            let mut state = under_way.state().await?;
            let block = mem::take(&mut block);
            under_way = Work::UnderWay(task::spawn_blocking(move || {
                block.iter().try_for_each(|row| step(&mut state, row))?;
                Ok(state)
            }));
        }
    }
    let mut state = under_way.state().await?;
    block.iter().try_for_each(|row| step(&mut state, row))?;
    Ok(state)
}

/// The state of a fold, here or in the hands of another thread.
enum Work<S> {
    Done(S),
    UnderWay(JoinHandle<Result<S, Failure>>),
}

impl<S> Work<S> {
    async fn state(self) -> Result<S, Failure> {
        match self {
            Self::Done(state) => Ok(state),
            Self::UnderWay(task) => task.await.map_err(stopped)?,
        }
    }
}

fn stopped(error: task::JoinError) -> Failure {
    sqlx::Error::Io(std::io::Error::other(error)).into()
}
