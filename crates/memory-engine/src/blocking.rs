//! Work that takes too long for an async worker.

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use tokio::task::spawn_blocking;

/// Runs `compute` on a blocking thread, as a part of `operation`.
pub(crate) async fn run_blocking<T: Send + 'static>(
    operation: &'static str,
    compute: impl FnOnce() -> T + Send + 'static,
) -> MemoryResult<T> {
    spawn_blocking(compute).await.map_err(|ended| {
        let message = "a task on a blocking thread ended early";
        MemoryError::store(ErrorKind::Other, operation, message).with_source(ended)
    })
}
