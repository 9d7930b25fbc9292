//! The entity row: every write locks it, updates its counts and raises its
//! generation.

use std::collections::BTreeMap;

use memory_core::{EntityId, Generation};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};

use crate::connection::Connection;
use crate::error::Failure;
use crate::rows::EntityRow;

/// The notification channel, as an SQL expression: one for each schema, since a
/// database may hold several.
pub(crate) const CHANNEL: &str = "'memory_' || current_schema()::regnamespace::oid";

/// The statement of [`raise`]. Rows are locked in the order of the names.
const RAISE: &str = "INSERT INTO entity AS e \
     (entity_id, generation, memory_count, archived_count, word_count, tombstone_count) \
     SELECT u.entity_id, 1, u.memories, u.archived, u.words, u.tombstones \
     FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
     AS u(entity_id, memories, archived, words, tombstones) \
     ON CONFLICT (entity_id) DO UPDATE SET generation = e.generation + 1, \
     memory_count = e.memory_count + excluded.memory_count, \
     archived_count = e.archived_count + excluded.archived_count, \
     word_count = e.word_count + excluded.word_count, \
     tombstone_count = e.tombstone_count + excluded.tombstone_count \
     RETURNING e.entity_id, e.generation, e.memory_count, e.archived_count, e.tombstone_count";

/// What a write adds to the counts of an entity; negative numbers subtract.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CountDelta {
    /// Live memories.
    pub(crate) memories: i64,
    /// Archived memories.
    pub(crate) archived: i64,
    /// Words in live memories.
    pub(crate) words: i64,
    pub(crate) tombstones: i64,
}

impl CountDelta {
    /// Adds a live memory.
    pub(crate) fn add(&mut self, words: i32) {
        self.memories += 1;
        self.words += i64::from(words);
    }

    /// Subtracts a live memory.
    pub(crate) fn subtract(&mut self, words: i32) {
        self.memories -= 1;
        self.words -= i64::from(words);
    }
}

/// The delta of each entity, in the order in which all writers lock.
pub(crate) type CountDeltas = BTreeMap<EntityId, CountDelta>;

/// Locks an entity against other writers; `None` where nothing was ever
/// written to it.
pub(crate) async fn lock(
    connection: &mut Connection,
    entity: &EntityId,
) -> Result<Option<EntityRow>, Failure> {
    let query = sqlx::query(
        "SELECT e.entity_id, e.generation, e.memory_count, e.archived_count, e.tombstone_count \
         FROM entity e WHERE e.entity_id = $1::text FOR NO KEY UPDATE",
    );
    let rows = connection.fetch_all(query.bind(entity.as_str())).await?;
    Ok(rows.first().map(EntityRow::decode).transpose()?)
}

/// Locks entities against other writers, in the order of their names. Inserts a
/// row for each that has none: without a row there is nothing to lock.
pub(crate) async fn lock_all(
    connection: &mut Connection,
    entities: impl IntoIterator<Item = &EntityId>,
) -> Result<BTreeMap<EntityId, EntityRow>, Failure> {
    let mut names: Vec<&str> = entities.into_iter().map(EntityId::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let make = sqlx::query(
        "INSERT INTO entity (entity_id, generation, memory_count, word_count) \
         SELECT u.entity_id, 0, 0, 0 FROM unnest($1::text[]) AS u(entity_id) \
         ON CONFLICT (entity_id) DO NOTHING",
    );
    connection.execute(make.bind(&names)).await?;
    let lock = sqlx::query(
        "SELECT e.entity_id, e.generation, e.memory_count, e.archived_count, e.tombstone_count \
         FROM entity e WHERE e.entity_id = ANY ($1::text[]) ORDER BY e.entity_id FOR NO KEY UPDATE",
    );
    let rows = connection.fetch_all(lock.bind(&names)).await?;
    entity_rows(&rows)
}

/// Raises the generation of each entity by one, adds its delta to its counts and
/// notifies listeners. Returns the rows as they are then.
pub(crate) async fn raise(
    connection: &mut Connection,
    deltas: &CountDeltas,
) -> Result<BTreeMap<EntityId, EntityRow>, Failure> {
    let names: Vec<&str> = deltas.keys().map(EntityId::as_str).collect();
    let column = |count: fn(&CountDelta) -> i64| deltas.values().map(count).collect::<Vec<i64>>();
    let text = if connection.notifies() {
        format!(
            "WITH r AS ({RAISE}) SELECT r.*, \
             pg_notify({CHANNEL}, r.generation || ' ' || r.entity_id) FROM r"
        )
    } else {
        RAISE.to_owned()
    };
    let query = sqlx::query(AssertSqlSafe(text));
    let query = query
        .bind(names)
        .bind(column(|delta| delta.memories))
        .bind(column(|delta| delta.archived))
        .bind(column(|delta| delta.words))
        .bind(column(|delta| delta.tombstones));
    entity_rows(&connection.fetch_all(query).await?)
}

/// As [`raise`], for one entity. Returns its new generation.
pub(crate) async fn raise_one(
    connection: &mut Connection,
    entity: &EntityId,
    delta: CountDelta,
) -> Result<Generation, Failure> {
    let raised = raise(connection, &CountDeltas::from([(entity.clone(), delta)])).await?;
    Ok(raised
        .values()
        .next()
        .map_or(Generation::ZERO, |it| it.generation))
}

fn entity_rows(rows: &[PgRow]) -> Result<BTreeMap<EntityId, EntityRow>, Failure> {
    let mut entity_rows = BTreeMap::new();
    for row in rows {
        let entity = EntityId::from(row.try_get::<&str, _>("entity_id")?);
        entity_rows.insert(entity, EntityRow::decode(row)?);
    }
    Ok(entity_rows)
}
