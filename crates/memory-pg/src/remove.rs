//! Removing memories, and what follows from it: the work of
//! [`Store::delete`](memory_core::Store::delete), and of an insertion that
//! others give way to.

use std::collections::BTreeMap;

use memory_core::{EntityId, Generation, MemoryId, RemoveOutcome};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::database::Link;
use crate::entity::{Standing, Tallies};
use crate::error::Failure;
use crate::row;

/// Removes memories and, upwards, the summaries that were made from them.
const MEMORIES: &str = "WITH RECURSIVE gone AS (\
       SELECT m.entity_id, m.memory_id, m.archived_by FROM memory m JOIN \
         (SELECT unnest($1::text[]) AS entity_id, unnest($2::uuid[]) AS memory_id) u \
         ON m.entity_id = u.entity_id AND m.memory_id = u.memory_id \
       UNION \
       SELECT m.entity_id, m.memory_id, m.archived_by FROM gone g JOIN memory m \
         ON m.entity_id = g.entity_id AND m.memory_id = g.archived_by) \
     DELETE FROM memory m USING gone g \
     WHERE m.entity_id = g.entity_id AND m.memory_id = g.memory_id \
     RETURNING m.entity_id, m.memory_id, m.word_count, m.archived_by IS NOT NULL AS archived";

/// Removes what belongs to removed memories, and leaves their tombstones.
const BELONGINGS: &str = "WITH u AS MATERIALIZED (SELECT unnest($1::text[]) AS entity_id, \
         unnest($2::uuid[]) AS memory_id, unnest($3::bigint[]) AS version), \
       v AS (DELETE FROM memory_embedding t USING u \
         WHERE t.entity_id = u.entity_id AND t.memory_id = u.memory_id), \
       a AS (DELETE FROM memory_access t USING u \
         WHERE t.entity_id = u.entity_id AND t.memory_id = u.memory_id), \
       i AS (DELETE FROM memory_entity t USING u \
         WHERE t.entity_id = u.entity_id AND t.memory_id = u.memory_id) \
     INSERT INTO memory_tombstone (entity_id, memory_id, version) \
     SELECT u.entity_id, u.memory_id, u.version FROM u \
     ON CONFLICT (entity_id, memory_id) DO UPDATE SET version = excluded.version";

/// Makes the sources of removed summaries live again, with their vectors.
const RESTORE: &str = "WITH r AS (UPDATE memory m SET archived_by = NULL, version = u.version \
       FROM (SELECT unnest($1::text[]) AS entity_id, unnest($2::uuid[]) AS memory_id, \
         unnest($3::bigint[]) AS version) u \
       WHERE m.entity_id = u.entity_id AND m.archived_by = u.memory_id \
       RETURNING m.entity_id, m.memory_id, m.word_count), \
     v AS (UPDATE memory_embedding v SET archived = false FROM r \
       WHERE v.entity_id = r.entity_id AND v.memory_id = r.memory_id) \
     SELECT r.* FROM r";

/// Drops links to removed memories.
const UNLINK: &str = "UPDATE memory m SET related = m.related - u.ids, version = u.version \
     FROM (SELECT w.entity_id, array_agg(w.memory_id::text) AS ids, max(w.version) AS version \
       FROM (SELECT unnest($1::text[]) AS entity_id, unnest($2::uuid[]) AS memory_id, \
         unnest($3::bigint[]) AS version) w GROUP BY w.entity_id) u \
     WHERE m.entity_id = u.entity_id AND m.related <> '{}' AND m.related ?| u.ids \
     RETURNING m.entity_id, m.memory_id";

/// What was removed of each entity, nothing where nothing was.
pub(crate) type Removed = BTreeMap<EntityId, RemoveOutcome>;

/// Removes memories of entities that are locked and stand as `standings` says;
/// what goes bears the generation after it. Takes the same number of statements
/// for any number of memories. The tallies are to be counted in by the caller.
pub(crate) async fn remove(
    link: &mut Link,
    ids: &[(&EntityId, MemoryId)],
    standings: &BTreeMap<EntityId, Standing>,
    tallies: &mut Tallies,
) -> Result<Removed, Failure> {
    let mut removed = Removed::new();
    let names: Vec<&str> = ids.iter().map(|(entity, _)| entity.as_str()).collect();
    let uuids: Vec<Uuid> = ids.iter().map(|(_, id)| *id.as_uuid()).collect();
    let rows = link
        .rows(sqlx::query(MEMORIES).bind(names).bind(uuids))
        .await?;
    if rows.is_empty() {
        return Ok(removed);
    }
    let mut gone = Gone::default();
    for row in &rows {
        let (entity, id) = key(row)?;
        let generation = after(standings, &entity);
        gone.push(&entity, id, generation);
        let tally = tallies.entry(entity.clone()).or_default();
        if row.try_get("archived")? {
            tally.archived -= 1;
        } else {
            tally.subtract(row.try_get("word_count")?);
        }
        let outcome = removed.entry(entity).or_default();
        outcome.generation = generation;
        outcome.removed.push(id);
    }
    gone.run(link, BELONGINGS).await?;
    // Where nothing is archived, no summary stands for anything.
    let archive = |entity| standings.get(entity).is_some_and(|it| it.archived > 0);
    if removed.keys().any(archive) {
        for row in &gone.run(link, RESTORE).await? {
            let (entity, id) = key(row)?;
            let tally = tallies.entry(entity.clone()).or_default();
            tally.archived -= 1;
            tally.add(row.try_get("word_count")?);
            removed.entry(entity).or_default().restored.push(id);
        }
    }
    for row in &gone.run(link, UNLINK).await? {
        let (entity, id) = key(row)?;
        removed.entry(entity).or_default().unlinked.push(id);
    }
    Ok(removed)
}

/// The generation that the write under way will have.
fn after(standings: &BTreeMap<EntityId, Standing>, entity: &EntityId) -> Generation {
    let before = standings.get(entity).map(|it| it.generation);
    before.unwrap_or_default().next()
}

fn key(row: &PgRow) -> Result<(EntityId, MemoryId), sqlx::Error> {
    let entity = EntityId::from(row.try_get::<&str, _>("entity_id")?);
    let id: Uuid = row.try_get("memory_id")?;
    Ok((entity, MemoryId::from(id)))
}

/// The keys of what is gone, as columns.
#[derive(Default)]
struct Gone {
    entities: Vec<String>,
    ids: Vec<Uuid>,
    versions: Vec<i64>,
}

impl Gone {
    fn push(&mut self, entity: &EntityId, id: MemoryId, generation: Generation) {
        self.entities.push(entity.as_str().to_owned());
        self.ids.push(*id.as_uuid());
        self.versions.push(row::signed(generation.0));
    }

    async fn run(&self, link: &mut Link, text: &'static str) -> Result<Vec<PgRow>, Failure> {
        let query = sqlx::query(text)
            .bind(&self.entities)
            .bind(&self.ids)
            .bind(&self.versions);
        link.rows(query).await
    }
}
