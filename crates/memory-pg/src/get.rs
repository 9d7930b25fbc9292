//! [`Store::get`](memory_core::Store::get).

use std::collections::HashMap;

use memory_core::{EntityId, Generation, GetOutcome, Memory, MemoryId, MemoryResult};
use uuid::Uuid;

use crate::database::Database;
use crate::read::read;
use crate::row;
use crate::sql::Sql;

const OPERATION: &str = "get";

pub(crate) async fn get(
    database: &Database,
    entity: &EntityId,
    ids: &[MemoryId],
) -> MemoryResult<GetOutcome> {
    database.open(OPERATION)?;
    let mut sql = Sql::new();
    let of = sql.value(entity.as_str(), "text");
    let uuids: Vec<Uuid> = ids.iter().map(|id| *id.as_uuid()).collect();
    let uuids = sql.value(uuids, "uuid[]");
    sql.push(format!(
        "SELECT g.generation, {} FROM {} LEFT JOIN ({}) \
         ON m.entity_id = {of} AND m.memory_id = ANY ({uuids})",
        row::COLUMNS,
        row::generation_of(&of),
        row::TABLES,
    ));
    read(database, OPERATION, entity, sql, |rows| {
        let mut generation = Generation::ZERO;
        let mut found: HashMap<MemoryId, Memory> = HashMap::with_capacity(rows.len());
        for row in rows {
            generation = row::generation(row)?;
            found.extend(row::memory(row, entity)?.map(|memory| (memory.id, memory)));
        }
        Ok(GetOutcome {
            generation,
            memories: ids.iter().map(|id| found.get(id).cloned()).collect(),
        })
    })
    .await
}
