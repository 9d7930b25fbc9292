//! [`SnapshotPages::count`](memory_core::SnapshotPages::count).

use memory_core::{EntityId, Fingerprint, MemoryResult};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connections::connection::Scope;
use crate::connections::database::{Database, ReadTarget};
use crate::rows;
use crate::rows::sql::SqlBuilder;

const OPERATION: &str = "count_snapshot_pages";

pub(super) async fn count(
    database: &Database,
    entity: &EntityId,
    fingerprint: &Fingerprint,
    format: u64,
) -> MemoryResult<u64> {
    database.check_open(OPERATION)?;
    let mut sql = SqlBuilder::new();
    let entity_param = sql.value(entity.as_str(), "text");
    let model = sql.value(fingerprint.as_str(), "text");
    let format = sql.value(format.cast_signed(), "bigint");
    sql.push(format!(
        "SELECT count(*) AS pages FROM snapshot_page p \
         WHERE p.entity_id = {entity_param} AND p.model = {model} AND p.format = {format} \
         AND EXISTS (SELECT FROM entity e \
           WHERE e.entity_id = {entity_param} AND e.paged_at = e.generation)"
    ));
    let decode = |rows: &[PgRow]| match rows.first() {
        Some(row) => rows::unsigned("pages", row.try_get("pages")?),
        None => Ok(0),
    };
    let entities = [entity];
    let target = ReadTarget::new(Scope::Entities(&entities));
    database.read_target(OPERATION, target, sql, decode).await
}
