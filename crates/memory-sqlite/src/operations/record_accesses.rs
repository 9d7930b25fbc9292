//! [`Store::record_accesses`](memory_core::Store::record_accesses).

use std::time::Duration;

use memory_core::{AccessUpdate, limits};
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::rows::{self, to_json};

pub(crate) struct RecordAccesses {
    pub(crate) updates: Vec<AccessUpdate>,
}

impl Transaction for RecordAccesses {
    type Output = ();
    const OPERATION: &'static str = "record_accesses";
    /// Counts can be written later: nobody should wait for them.
    const MAX_BUSY_TIMEOUT: Option<Duration> = Some(Duration::from_millis(100));

    /// Counts are written some seconds after they were made, so a crash loses some anyway.
    const SURVIVES_POWER_FAILURE: bool = false;

    async fn run(self, conn: &mut SqliteConnection) -> Result<(), Failure> {
        let updates: Vec<_> = self
            .updates
            .iter()
            .map(|update| {
                let at = limits::to_micros(update.last_accessed).timestamp_micros();
                (
                    update.entity.as_str(),
                    rows::encode_id(&update.id),
                    rows::encode_count(update.accesses),
                    at,
                )
            })
            .collect();
        // SQLite turns a sum that overflows into a rounded fraction, so the
        // largest count stays what it is.
        query(
            "INSERT INTO memory_access (memory_key, access_count, last_accessed)
             SELECT m.memory_key, one.value ->> 2, one.value ->> 3
             FROM jsonb_each(?1) AS one
             CROSS JOIN entity AS e ON e.entity_id = one.value ->> 0
             CROSS JOIN memory AS m
                 ON m.entity_key = e.entity_key AND m.memory_id = unhex(one.value ->> 1)
             WHERE true
             ON CONFLICT (memory_key) DO UPDATE SET
                 access_count = CASE
                     WHEN access_count > 9223372036854775807 - excluded.access_count
                     THEN 9223372036854775807
                     ELSE access_count + excluded.access_count END,
                 last_accessed = max(
                     coalesce(last_accessed, excluded.last_accessed), excluded.last_accessed)",
        )
        .bind(to_json(&updates)?)
        .execute(conn)
        .await?;
        Ok(())
    }
}
