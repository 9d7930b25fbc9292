//! [`Store::get`](memory_core::Store::get).

use std::collections::HashMap;

use memory_core::{EntityId, GetOutcome, Memory, MemoryId};
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::database::Work;
use crate::entity;
use crate::error::Failure;
use crate::offload::fold;
use crate::row::{self, memory_columns};

pub(crate) struct Get {
    pub(crate) entity: EntityId,
    pub(crate) ids: Vec<MemoryId>,
}

impl Work for Get {
    type Output = GetOutcome;
    const OPERATION: &'static str = "get";

    async fn run(self, conn: &mut SqliteConnection) -> Result<GetOutcome, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(GetOutcome {
                memories: vec![None; self.ids.len()],
                ..GetOutcome::default()
            });
        };
        let rows = query(concat!(
            "SELECT ",
            memory_columns!(),
            " FROM json_each(?2) AS wanted
             CROSS JOIN memory AS m ON m.entity_key = ?1 AND m.memory_id = unhex(wanted.value)
             LEFT JOIN memory_access AS a ON a.memory_key = m.memory_key",
        ))
        .bind(entity.key)
        .bind(row::hex_list(&self.ids)?)
        .fetch(conn);
        let found: HashMap<MemoryId, Memory> = HashMap::new();
        let (found, _) = fold(rows, (found, self.entity), |(found, entity), row| {
            let memory = row::read(row, entity)?;
            found.insert(memory.id, memory);
            Ok(())
        })
        .await?;
        Ok(GetOutcome {
            generation: entity.generation,
            memories: self.ids.iter().map(|id| found.get(id).cloned()).collect(),
        })
    }
}
