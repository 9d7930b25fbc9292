//! [`Store::insert`](memory_core::Store::insert).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use memory_core::{
    EntityId, Generation, InsertOutcome, MemoryError, MemoryId, MemoryResult, PreparedMemory,
};
use sqlx::Row;
use uuid::Uuid;

use crate::columns::{AccessColumns, EmbeddingColumns, InvolvedColumns, MemoryColumns};
use crate::database::{Database, Link};
use crate::error::Failure;
use crate::options::Precision;
use crate::row;
use crate::words;
use crate::write::{End, Write, write};

const OPERATION: &str = "insert";

type Generations = BTreeMap<EntityId, Generation>;

pub(crate) async fn insert(
    database: &Arc<Database>,
    batch: &[PreparedMemory],
    max_dimensions: usize,
) -> MemoryResult<InsertOutcome> {
    database.open(OPERATION)?;
    PreparedMemory::validate_batch(batch, max_dimensions)?;
    if batch.is_empty() {
        return Ok(InsertOutcome::default());
    }
    let precision = database.options.precision;
    for (index, item) in batch.iter().enumerate() {
        EmbeddingColumns::new([item], precision)
            .map_err(|problem| MemoryError::from(problem).at_item(index))?;
    }
    let batch = batch.to_vec();
    write(database, Insert { batch, precision }).await
}

struct Insert {
    batch: Vec<PreparedMemory>,
    precision: Precision,
}

impl Write for Insert {
    const OPERATION: &'static str = OPERATION;
    type Outcome = InsertOutcome;

    /// Bets that every id is new, as nearly always; where one is not, begins
    /// again and looks first.
    async fn attempt(&self, link: &mut Link) -> Result<End<InsertOutcome>, Failure> {
        let all: Vec<&PreparedMemory> = self.batch.iter().collect();
        if let Some(generations) = self.put(link, &all).await? {
            return Ok(End::Commit(InsertOutcome {
                inserted: vec![true; all.len()],
                generations,
            }));
        }
        link.script("ROLLBACK").await?;
        link.script("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        self.put_what_is_new(link).await
    }
}

impl Insert {
    async fn put_what_is_new(&self, link: &mut Link) -> Result<End<InsertOutcome>, Failure> {
        let mut generations = self.lock(link).await?;
        let known = self.known(link).await?;
        let mut new = Vec::new();
        let mut inserted = Vec::with_capacity(self.batch.len());
        for (index, item) in self.batch.iter().enumerate() {
            match known.get(&index) {
                Some(content) if *content != item.memory.content => {
                    return Err(Failure::Memory(MemoryError::Conflict {
                        entity: item.memory.entity_id.clone(),
                        id: item.memory.id,
                    }));
                }
                Some(_) => inserted.push(false),
                None => {
                    inserted.push(true);
                    new.push(item);
                }
            }
        }
        if new.is_empty() {
            return Ok(End::Rollback(InsertOutcome {
                inserted,
                generations,
            }));
        }
        // The lock is held and the others are not there: every row goes in.
        let raised = self.put(link, &new).await?.unwrap_or_default();
        generations.extend(raised);
        Ok(End::Commit(InsertOutcome {
            inserted,
            generations,
        }))
    }

    /// Writes these rows and raises their entities; `None` where an id was
    /// there already, and nothing of it may then be committed.
    async fn put(
        &self,
        link: &mut Link,
        items: &[&PreparedMemory],
    ) -> Result<Option<Generations>, Failure> {
        let generations = raise(link, items).await?;
        let memories = MemoryColumns::new(items, &generations);
        if memories.insert(link).await? < items.len() as u64 {
            return Ok(None);
        }
        EmbeddingColumns::new(items.iter().copied(), self.precision)
            .map_err(MemoryError::from)?
            .insert(link)
            .await?;
        InvolvedColumns::new(items.iter().map(|item| &item.memory))
            .insert(link)
            .await?;
        AccessColumns::new(items).insert(link).await?;
        bury_tombstones(link, items).await?;
        Ok(Some(generations))
    }

    /// Locks every entity of the batch that there is, in the order in which
    /// all writers do.
    async fn lock(&self, link: &mut Link) -> Result<Generations, Failure> {
        let entities: BTreeSet<&EntityId> = self
            .batch
            .iter()
            .map(|item| &item.memory.entity_id)
            .collect();
        let names: Vec<&str> = entities.iter().map(|entity| entity.as_str()).collect();
        let query = sqlx::query(
            "SELECT e.entity_id, e.generation FROM entity e WHERE e.entity_id = ANY ($1::text[]) \
             ORDER BY e.entity_id FOR NO KEY UPDATE",
        );
        let rows = link.rows(query.bind(names)).await?;
        let mut generations: Generations = entities
            .into_iter()
            .map(|entity| (entity.clone(), Generation::ZERO))
            .collect();
        for row in &rows {
            let entity = EntityId::from(row.try_get::<&str, _>("entity_id")?);
            generations.insert(entity, row::generation(row)?);
        }
        Ok(generations)
    }

    /// The contents of those items of the batch whose ids are there already.
    async fn known(&self, link: &mut Link) -> Result<BTreeMap<usize, String>, Failure> {
        let (entities, ids) = keys(self.batch.iter());
        let query = sqlx::query(
            "SELECT u.place, m.content FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY \
             AS u(entity_id, memory_id, place) JOIN memory m \
             ON m.entity_id = u.entity_id AND m.memory_id = u.memory_id",
        );
        let rows = link.rows(query.bind(entities).bind(ids)).await?;
        let mut known = BTreeMap::new();
        for row in &rows {
            let place = row::unsigned("place", row.try_get("place")?)?;
            let index = usize::try_from(place).unwrap_or(usize::MAX);
            known.insert(index.saturating_sub(1), row.try_get("content")?);
        }
        Ok(known)
    }
}

/// Raises the generation of each entity of these items by one and counts them
/// in. The order of the names is the order of the locks.
async fn raise(link: &mut Link, items: &[&PreparedMemory]) -> Result<Generations, Failure> {
    let mut entities: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for item in items {
        let (memories, counted) = entities.entry(item.memory.entity_id.as_str()).or_default();
        *memories += 1;
        *counted += i64::from(words::count(&item.memory.content));
    }
    let names: Vec<&str> = entities.keys().copied().collect();
    let (memories, counted): (Vec<i64>, Vec<i64>) = entities.into_values().unzip();
    let query = sqlx::query(
        "INSERT INTO entity AS e (entity_id, generation, memory_count, word_count) \
         SELECT u.entity_id, 1, u.memories, u.words \
         FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS u(entity_id, memories, words) \
         ON CONFLICT (entity_id) DO UPDATE SET generation = e.generation + 1, \
         memory_count = e.memory_count + excluded.memory_count, \
         word_count = e.word_count + excluded.word_count \
         RETURNING e.entity_id, e.generation",
    );
    let rows = link
        .rows(query.bind(names).bind(memories).bind(counted))
        .await?;
    let mut generations = Generations::new();
    for row in &rows {
        let entity = EntityId::from(row.try_get::<&str, _>("entity_id")?);
        generations.insert(entity, row::generation(row)?);
    }
    Ok(generations)
}

/// An id that was removed before is there again.
async fn bury_tombstones(link: &mut Link, items: &[&PreparedMemory]) -> Result<(), Failure> {
    let (entities, ids) = keys(items.iter().copied());
    let query = sqlx::query(
        "DELETE FROM memory_tombstone t USING \
         (SELECT unnest($1::text[]) AS entity_id, unnest($2::uuid[]) AS memory_id) u \
         WHERE t.entity_id = u.entity_id AND t.memory_id = u.memory_id",
    );
    link.run(query.bind(entities).bind(ids)).await?;
    Ok(())
}

fn keys<'a>(items: impl Iterator<Item = &'a PreparedMemory>) -> (Vec<&'a str>, Vec<Uuid>) {
    let key = |item: &'a PreparedMemory| {
        let id: MemoryId = item.memory.id;
        (item.memory.entity_id.as_str(), *id.as_uuid())
    };
    items.map(key).unzip()
}
