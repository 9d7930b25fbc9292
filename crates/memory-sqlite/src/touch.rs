//! [`Store::touch`](memory_core::Store::touch).

use memory_core::{EntityId, Touch, bounds};
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::database::Work;
use crate::entity;
use crate::error::Failure;
use crate::row::{self, to_json};

pub(crate) struct TouchAll {
    pub(crate) entity: EntityId,
    pub(crate) touches: Vec<Touch>,
}

impl Work for TouchAll {
    type Output = ();
    const OPERATION: &'static str = "touch";

    async fn run(self, conn: &mut SqliteConnection) -> Result<(), Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(());
        };
        let touches: Vec<_> = self
            .touches
            .iter()
            .map(|touch| {
                let at = bounds::to_micros(touch.last_accessed).timestamp_micros();
                (row::hex(&touch.id), row::count(touch.accesses), at)
            })
            .collect();
        // SQLite turns a sum that overflows into a rounded fraction, so the
        // largest count stays what it is.
        query(
            "INSERT INTO memory_access (memory_key, access_count, last_accessed)
             SELECT m.memory_key, touch.value ->> 1, touch.value ->> 2
             FROM jsonb_each(?2) AS touch
             CROSS JOIN memory AS m
                 ON m.entity_key = ?1 AND m.memory_id = unhex(touch.value ->> 0)
             WHERE true
             ON CONFLICT (memory_key) DO UPDATE SET
                 access_count = CASE
                     WHEN access_count > 9223372036854775807 - excluded.access_count
                     THEN 9223372036854775807
                     ELSE access_count + excluded.access_count END,
                 last_accessed = max(
                     coalesce(last_accessed, excluded.last_accessed), excluded.last_accessed)",
        )
        .bind(entity.key)
        .bind(to_json(&touches)?)
        .execute(conn)
        .await?;
        Ok(())
    }
}
