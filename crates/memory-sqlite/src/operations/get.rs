//! [`Store::get`](memory_core::Store::get).

use std::collections::HashMap;

use memory_core::{EntityId, Generation, GetOutcome, Memory, MemoryId};
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::connections::blocking::fold_rows;
use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::rows::entity;
use crate::rows::{self, MemoryRow, memory_columns};

pub(crate) struct Get {
    pub(crate) entity: EntityId,
    pub(crate) ids: Vec<MemoryId>,
}

impl Transaction for Get {
    type Output = GetOutcome;
    const OPERATION: &'static str = "get";

    async fn run(self, conn: &mut SqliteConnection) -> Result<GetOutcome, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(GetOutcome::new(
                Generation::ZERO,
                vec![None; self.ids.len()],
            ));
        };
        let rows = query(concat!(
            "SELECT ",
            memory_columns!(),
            " FROM json_each(?2) AS wanted
             CROSS JOIN memory AS m ON m.entity_key = ?1 AND m.memory_id = unhex(wanted.value)
             LEFT JOIN memory_access AS a ON a.memory_key = m.memory_key",
        ))
        .bind(entity.key)
        .bind(rows::encode_ids(&self.ids)?)
        .fetch(conn);
        let found: HashMap<MemoryId, Memory> = HashMap::new();
        let (found, _) = fold_rows(rows, (found, self.entity), |(found, entity), row| {
            let memory = MemoryRow::decode(row, entity)?.memory;
            found.insert(memory.id, memory);
            Ok(())
        })
        .await?;
        Ok(GetOutcome::new(
            entity.generation,
            self.ids.iter().map(|id| found.get(id).cloned()).collect(),
        ))
    }
}
