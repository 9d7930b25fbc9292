//! The entity row: every write locks it, updates its counts and raises its
//! generation.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{EntityId, Generation};
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Row};

use crate::connections::connection::Connection;
use crate::error::Failure;
use crate::rows::EntityRow;
use crate::rows::sql::RowInsert;

/// The notification channel, as an SQL expression: one for each schema, since a
/// database may hold several. `regnamespace` takes its text for an identifier as it is
/// written in a statement, hence the quotes.
pub(crate) const CHANNEL: &str = "'memory_' || quote_ident(current_schema())::regnamespace::oid";

/// What [`raise`] does where the entity has a row already.
const RAISE: &str = "ON CONFLICT (entity_id) DO UPDATE SET generation = e.generation + 1, \
     memory_count = e.memory_count + excluded.memory_count, \
     archived_count = e.archived_count + excluded.archived_count, \
     word_count = e.word_count + excluded.word_count, \
     tombstone_count = e.tombstone_count + excluded.tombstone_count, \
     paged_at = e.paged_at + (e.paged_at = e.generation)::integer \
     RETURNING e.entity_id, e.generation, e.memory_count, e.archived_count, e.tombstone_count, \
       e.paged_until, e.paged_at";

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
        "SELECT e.entity_id, e.generation, e.memory_count, e.archived_count, e.tombstone_count, \
         e.paged_until, e.paged_at FROM entity e WHERE e.entity_id = $1::text FOR NO KEY UPDATE",
    );
    let rows = connection.fetch_all(query.bind(entity.as_str())).await?;
    Ok(rows.first().map(EntityRow::decode).transpose()?)
}

/// Locks entities against other writers, one after the other: all writers do it in
/// the order of the names, and a distributed server locks rows of one node only.
/// Inserts a row for each that has none: without a row there is nothing to lock.
pub(crate) async fn lock_all(
    connection: &mut Connection,
    entities: impl IntoIterator<Item = &EntityId>,
) -> Result<BTreeMap<EntityId, EntityRow>, Failure> {
    let entities: BTreeSet<&EntityId> = entities.into_iter().collect();
    let mut entity_rows = BTreeMap::new();
    for entity in entities {
        let mut row = lock(connection, entity).await?;
        if row.is_none() {
            let insert = sqlx::query(
                "INSERT INTO entity (entity_id, generation, memory_count, word_count) \
                 VALUES ($1::text, 0, 0, 0) ON CONFLICT (entity_id) DO NOTHING",
            );
            connection.execute(insert.bind(entity.as_str())).await?;
            row = lock(connection, entity).await?;
        }
        entity_rows.insert(entity.clone(), row.unwrap_or_default());
    }
    Ok(entity_rows)
}

/// Raises the generation of each entity by one, adds its delta to its counts and
/// notifies listeners. Returns the rows as they are then.
///
/// The rows are locked in the order of the names. A distributed server would lock
/// those of one statement on all nodes at once, so it gets one for each entity.
pub(crate) async fn raise(
    connection: &mut Connection,
    deltas: &CountDeltas,
) -> Result<BTreeMap<EntityId, EntityRow>, Failure> {
    let deltas: Vec<(&EntityId, &CountDelta)> = deltas.iter().collect();
    let together = match connection.is_distributed() {
        true => 1,
        false => deltas.len().max(1),
    };
    let mut raised = BTreeMap::new();
    for deltas in deltas.chunks(together) {
        let rows = connection.fetch_all(raise_query(deltas)?).await?;
        raised.extend(entity_rows(&rows)?);
    }
    if connection.notifies() {
        notify(connection, &raised).await?;
    }
    Ok(raised)
}

fn raise_query(
    deltas: &[(&EntityId, &CountDelta)],
) -> Result<Query<'static, Postgres, PgArguments>, sqlx::Error> {
    let names: Vec<&str> = deltas.iter().map(|(entity, _)| entity.as_str()).collect();
    let column = |count: fn(&CountDelta) -> i64| -> Vec<i64> {
        deltas.iter().map(|(_, delta)| count(delta)).collect()
    };
    let mut insert = RowInsert::new("entity AS e", deltas.len());
    insert
        .column("entity_id", "text", names)
        .column("generation", "bigint", column(|_| 1))
        .column("memory_count", "bigint", column(|delta| delta.memories))
        .column("archived_count", "bigint", column(|delta| delta.archived))
        .column("word_count", "bigint", column(|delta| delta.words))
        .column(
            "tombstone_count",
            "bigint",
            column(|delta| delta.tombstones),
        );
    insert.query(RAISE)
}

/// Notifies listeners of new generations, when the transaction commits. The
/// statement touches no table, so that a distributed server runs it where the
/// listeners are and not on the node that has the rows.
async fn notify(
    connection: &mut Connection,
    raised: &BTreeMap<EntityId, EntityRow>,
) -> Result<(), Failure> {
    let payload = |(entity, row): (&EntityId, &EntityRow)| {
        format!("{} {}", row.generation.0, entity.as_str())
    };
    let payloads: Vec<String> = raised.iter().map(payload).collect();
    let text = format!("SELECT pg_notify({CHANNEL}, u.payload) FROM unnest($1::text[]) u(payload)");
    let query = sqlx::query(AssertSqlSafe(text)).bind(payloads);
    connection.fetch_all(query).await.map(drop)
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
