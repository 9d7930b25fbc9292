//! [`Store::get`](memory_core::Store::get).

use std::collections::HashMap;

use memory_core::{EntityId, Generation, GetOutcome, Memory, MemoryId, MemoryResult};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connections::database::Database;
use crate::rows::sql::SqlBuilder;
use crate::rows::{self, MemoryRow};

const OPERATION: &str = "get";

pub(crate) async fn get(
    database: &Database,
    entity: &EntityId,
    ids: &[MemoryId],
) -> MemoryResult<GetOutcome> {
    database.check_open(OPERATION)?;
    let mut sql = SqlBuilder::new();
    let entity_param = sql.value(entity.as_str(), "text");
    let uuids: Vec<Uuid> = ids.iter().map(|id| *id.as_uuid()).collect();
    let uuids = sql.value(uuids, "uuid[]");
    sql.push(format!(
        "SELECT g.generation, {} FROM {} LEFT JOIN (unnest({uuids}) AS u(memory_id) \
         CROSS JOIN LATERAL ({}) m) ON true",
        MemoryRow::COLUMNS_BY_ID,
        rows::generation_of(&entity_param),
        MemoryRow::by_id(&entity_param, "u.memory_id"),
    ));
    let (owner, ids) = (entity.clone(), ids.to_vec());
    let decode = move |rows: &[PgRow]| {
        let mut generation = Generation::ZERO;
        let mut found: HashMap<MemoryId, Memory> = HashMap::with_capacity(rows.len());
        for row in rows {
            generation = rows::generation(row)?;
            found.extend(
                MemoryRow(row)
                    .memory(&owner)?
                    .map(|memory| (memory.id, memory)),
            );
        }
        Ok(GetOutcome::new(
            generation,
            ids.iter().map(|id| found.get(id).cloned()).collect(),
        ))
    };
    database.read(OPERATION, entity, sql, decode).await
}
