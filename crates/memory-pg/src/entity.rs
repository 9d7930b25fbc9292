//! The row of an entity: whoever writes to the entity locks it, counts in it,
//! and raises its generation.

use std::collections::BTreeMap;

use memory_core::{EntityId, Generation};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};

use crate::database::Link;
use crate::error::Failure;
use crate::row;

/// The channel of announcements, as an expression: one to a schema, as a
/// database may hold several.
pub(crate) const CHANNEL: &str = "'memory_' || current_schema()::regnamespace::oid";

/// The statement of [`raise`]. Rows are locked in the order of the names.
const RAISE: &str = "INSERT INTO entity AS e \
     (entity_id, generation, memory_count, archived_count, word_count) \
     SELECT u.entity_id, 1, u.memories, u.archived, u.words \
     FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) \
     AS u(entity_id, memories, archived, words) \
     ON CONFLICT (entity_id) DO UPDATE SET generation = e.generation + 1, \
     memory_count = e.memory_count + excluded.memory_count, \
     archived_count = e.archived_count + excluded.archived_count, \
     word_count = e.word_count + excluded.word_count \
     RETURNING e.entity_id, e.generation, e.memory_count, e.archived_count";

/// What a write adds to the counts of an entity.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Live memories.
    pub(crate) memories: i64,
    /// Archived memories.
    pub(crate) archived: i64,
    /// Words in live memories.
    pub(crate) words: i64,
}

impl Tally {
    /// Counts a live memory in.
    pub(crate) fn add(&mut self, words: i32) {
        self.memories += 1;
        self.words += i64::from(words);
    }

    /// Counts a live memory out.
    pub(crate) fn subtract(&mut self, words: i32) {
        self.memories -= 1;
        self.words -= i64::from(words);
    }
}

/// One tally for each entity, in the order in which all writers lock.
pub(crate) type Tallies = BTreeMap<EntityId, Tally>;

/// An entity as its row tells.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    pub(crate) generation: Generation,
    /// Live memories.
    pub(crate) memories: u64,
    pub(crate) archived: u64,
}

/// Locks an entity against other writers; `None` where nothing was ever
/// written to it.
pub(crate) async fn lock(link: &mut Link, entity: &EntityId) -> Result<Option<Standing>, Failure> {
    let query = sqlx::query(
        "SELECT e.entity_id, e.generation, e.memory_count, e.archived_count FROM entity e \
         WHERE e.entity_id = $1::text FOR NO KEY UPDATE",
    );
    let rows = link.rows(query.bind(entity.as_str())).await?;
    Ok(rows.first().map(standing).transpose()?)
}

/// Locks entities against other writers, in the order of their names, and makes
/// a row for each that has none: without it there is nothing to lock.
pub(crate) async fn lock_all(
    link: &mut Link,
    entities: impl IntoIterator<Item = &EntityId>,
) -> Result<BTreeMap<EntityId, Standing>, Failure> {
    let mut names: Vec<&str> = entities.into_iter().map(EntityId::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let make = sqlx::query(
        "INSERT INTO entity (entity_id, generation, memory_count, word_count) \
         SELECT u.entity_id, 0, 0, 0 FROM unnest($1::text[]) AS u(entity_id) \
         ON CONFLICT (entity_id) DO NOTHING",
    );
    link.run(make.bind(&names)).await?;
    let lock = sqlx::query(
        "SELECT e.entity_id, e.generation, e.memory_count, e.archived_count FROM entity e \
         WHERE e.entity_id = ANY ($1::text[]) ORDER BY e.entity_id FOR NO KEY UPDATE",
    );
    let rows = link.rows(lock.bind(&names)).await?;
    standings(&rows)
}

/// Raises the generation of each entity by one, counts in what its tally says,
/// and announces it. Tells how the entities stand afterward.
pub(crate) async fn raise(
    link: &mut Link,
    tallies: &Tallies,
) -> Result<BTreeMap<EntityId, Standing>, Failure> {
    let names: Vec<&str> = tallies.keys().map(EntityId::as_str).collect();
    let of = |count: fn(&Tally) -> i64| tallies.values().map(count).collect::<Vec<i64>>();
    let text = if link.announces() {
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
        .bind(of(|tally| tally.memories))
        .bind(of(|tally| tally.archived))
        .bind(of(|tally| tally.words));
    standings(&link.rows(query).await?)
}

/// The same for one entity.
pub(crate) async fn raise_one(
    link: &mut Link,
    entity: &EntityId,
    tally: Tally,
) -> Result<Generation, Failure> {
    let raised = raise(link, &Tallies::from([(entity.clone(), tally)])).await?;
    Ok(raised
        .values()
        .next()
        .map_or(Generation::ZERO, |it| it.generation))
}

fn standings(rows: &[PgRow]) -> Result<BTreeMap<EntityId, Standing>, Failure> {
    let mut standings = BTreeMap::new();
    for row in rows {
        let entity = EntityId::from(row.try_get::<&str, _>("entity_id")?);
        standings.insert(entity, standing(row)?);
    }
    Ok(standings)
}

fn standing(row: &PgRow) -> Result<Standing, sqlx::Error> {
    Ok(Standing {
        generation: row::generation(row)?,
        memories: row::unsigned("memory_count", row.try_get("memory_count")?)?,
        archived: row::unsigned("archived_count", row.try_get("archived_count")?)?,
    })
}
