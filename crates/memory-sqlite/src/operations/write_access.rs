//! Whether a database can be written to.

use std::time::Duration;

use memory_core::{ErrorKind, MemoryResult};
use sqlx::Executor;
use sqlx::sqlite::SqliteConnection;

use crate::connections::database::Database;
use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::wal::own_commits::Origin;

/// Writes nothing, in a transaction that SQLite refuses where it may not write.
struct WriteNothing;

impl Transaction for WriteNothing {
    type Output = ();
    const OPERATION: &'static str = "is_read_only";
    const MAX_BUSY_TIMEOUT: Option<Duration> = Some(Duration::from_millis(100));
    const SURVIVES_POWER_FAILURE: bool = false;

    async fn run(self, conn: &mut SqliteConnection) -> Result<(), Failure> {
        conn.execute("DELETE FROM entity WHERE 0").await?;
        Ok(())
    }
}

/// Whether a database is open for reading only, or this process may only read its file.
pub(crate) async fn is_read_only(database: &Database) -> MemoryResult<bool> {
    match database.write(WriteNothing, Origin::Upkeep).await {
        Ok(()) => Ok(false),
        Err(error) => match error.kind() {
            ErrorKind::ReadOnly => Ok(true),
            // Another process writes to it.
            ErrorKind::Unavailable => Ok(false),
            _ => Err(error),
        },
    }
}
