//! Running long computations on blocking threads instead of async workers.

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::task::spawn_blocking;

use crate::error::Failure;

/// Results with more rows are decoded on a blocking thread: an async worker would
/// be busy for too long.
const MAX_ROWS_DECODED_INLINE: usize = 256;

/// As those with more bytes are, however few rows have them: a row may have the texts and
/// metadata of a memory, or a value for all memories of an entity.
const MAX_BYTES_DECODED_INLINE: usize = 64 * 1024;

/// Decodes rows, on a blocking thread if there is much to decode.
pub(crate) async fn decode_rows<T>(
    operation: &'static str,
    rows: Vec<PgRow>,
    decode: impl FnOnce(&[PgRow]) -> Result<T, sqlx::Error> + Send + 'static,
) -> MemoryResult<T>
where
    T: Send + 'static,
{
    let is_small = are_small(&rows);
    let decode = move || decode(&rows).map_err(|error| Failure::from(error).into_error(operation));
    run_blocking(operation, is_small, decode).await?
}

/// Whether rows may be decoded inline.
fn are_small(rows: &[PgRow]) -> bool {
    let mut bytes = 0usize;
    rows.len() <= MAX_ROWS_DECODED_INLINE
        && rows.iter().all(|row| {
            bytes = bytes.saturating_add(size(row));
            bytes <= MAX_BYTES_DECODED_INLINE
        })
}

/// The bytes of a row's values.
fn size(row: &PgRow) -> usize {
    let values = (0..row.len()).filter_map(|index| row.try_get_raw(index).ok());
    // One that is NULL has none.
    let sizes = values.filter_map(|value| value.as_bytes().ok().map(<[u8]>::len));
    sizes.fold(0, usize::saturating_add)
}

/// Runs a computation: inline if it is small, otherwise on a blocking thread.
pub(crate) async fn run_blocking<T: Send + 'static>(
    operation: &'static str,
    is_small: bool,
    compute: impl FnOnce() -> T + Send + 'static,
) -> MemoryResult<T> {
    if is_small {
        return Ok(compute());
    }
    spawn_blocking(compute).await.map_err(|_| {
        let message = "a computation on a blocking thread was stopped before it finished";
        MemoryError::store(ErrorKind::Unavailable, operation, message)
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use sqlx::PgPool;

    use super::*;
    use crate::connections::connection::Scope;
    use crate::connections::database::{Database, ReadTarget};
    use crate::options::PgOptions;
    use crate::rows::sql::SqlBuilder;

    /// The thread that decodes the result of a statement.
    async fn decoding_thread(database: &Database, text: &str) -> thread::ThreadId {
        let mut sql = SqlBuilder::new();
        sql.push(text);
        let decode = |_: &[PgRow]| Ok(thread::current().id());
        let target = ReadTarget::new(Scope::EntityNames);
        let thread = database.read_target("test", target, sql, decode);
        thread.await.unwrap()
    }

    /// On a runtime of one thread, which large results must not block.
    #[tokio::test]
    async fn large_results_are_decoded_on_a_blocking_thread() {
        let server = crate::search::query_plan_tests::support::server();
        let pool = PgPool::connect(&server).await.unwrap();
        let database = Database::new(pool, Vec::new(), PgOptions::new(), true);
        let worker = thread::current().id();
        for small in [
            "SELECT * FROM generate_series(1, 1)",
            "SELECT NULL::bytea, repeat('a', 100), 7 FROM generate_series(1, 200)",
        ] {
            assert_eq!(decoding_thread(&database, small).await, worker, "{small}");
        }
        for large in [
            "SELECT * FROM generate_series(1, 1000)",
            "SELECT NULL::bytea, convert_to(repeat('a', 100000), 'UTF8')",
            "SELECT 7, repeat('a', 1000) FROM generate_series(1, 100)",
        ] {
            assert_ne!(decoding_thread(&database, large).await, worker, "{large}");
        }
        database.close().await;
    }
}
