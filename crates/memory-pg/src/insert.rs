//! [`Store::insert_opts`](memory_core::Store::insert_opts).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, EntityId, Generation, InsertOptions, InsertOutcome, MemoryError, MemoryId,
    MemoryResult,
};
use sqlx::Row;
use uuid::Uuid;

use crate::columns::{AccessColumns, EmbeddingColumns, InvolvedColumns, MemoryColumns};
use crate::database::{Database, Link};
use crate::entity::{self, Standing, Tallies};
use crate::error::Failure;
use crate::options::Precision;
use crate::remove::{self, Removed};
use crate::row;
use crate::words;
use crate::write::{End, Write, write};

const OPERATION: &str = "insert";

/// The generation of each entity.
pub(crate) type Generations = BTreeMap<EntityId, Generation>;

pub(crate) async fn insert(
    database: &Arc<Database>,
    batch: &[EmbeddedMemory],
    room: &InsertOptions,
    max_dimensions: usize,
) -> MemoryResult<InsertOutcome> {
    database.open(OPERATION)?;
    EmbeddedMemory::validate_batch(batch, max_dimensions)?;
    if batch.is_empty() {
        return Ok(InsertOutcome::default());
    }
    let precision = database.options.precision;
    for (index, item) in batch.iter().enumerate() {
        EmbeddingColumns::new([item], precision)
            .map_err(|problem| MemoryError::from(problem).with_item(index))?;
    }
    let entities: BTreeSet<&EntityId> = batch.iter().map(|it| &it.memory.entity_id).collect();
    let mut evict = room.evict.clone();
    evict.retain(|entity, ids| entities.contains(entity) && !ids.is_empty());
    let insert = Insert {
        entities: entities.into_iter().cloned().collect(),
        batch: batch.to_vec(),
        max_memories: room.max_memories,
        evict,
        precision,
    };
    write(database, insert).await
}

struct Insert {
    /// Each once, in the order of the names.
    entities: Vec<EntityId>,
    batch: Vec<EmbeddedMemory>,
    max_memories: Option<u64>,
    /// Of entities of the batch alone.
    evict: BTreeMap<EntityId, Vec<MemoryId>>,
    precision: Precision,
}

impl Write for Insert {
    const OPERATION: &'static str = OPERATION;
    type Outcome = InsertOutcome;

    fn entities(&self) -> Vec<&EntityId> {
        self.entities.iter().collect()
    }

    /// Bets that every id is new and that there is room, as nearly always;
    /// where it loses, begins again and looks first.
    async fn attempt(&self, link: &mut Link) -> Result<End<InsertOutcome>, Failure> {
        if self.evict.is_empty() {
            let all: Vec<&EmbeddedMemory> = self.batch.iter().collect();
            let raised = entity::raise(link, &tallies(&all)).await?;
            let generations = generations(&raised);
            let fits = self.check_room(&raised).is_ok();
            if fits && put(link, &all, &generations, self.precision).await? {
                return Ok(End::Commit(InsertOutcome {
                    inserted: vec![true; all.len()],
                    generations,
                    evicted: Removed::new(),
                }));
            }
            link.restart(&self.entities()).await?;
        }
        self.put_what_is_new(link).await
    }
}

impl Insert {
    async fn put_what_is_new(&self, link: &mut Link) -> Result<End<InsertOutcome>, Failure> {
        let standings = entity::lock_all(link, &self.entities).await?;
        let mut generations = generations(&standings);
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
                evicted: Removed::new(),
            }));
        }
        let mut tallies = tallies(&new);
        let evicted = self.make_room(link, &standings, &mut tallies).await?;
        let raised = entity::raise(link, &tallies).await?;
        self.check_room(&raised)?;
        generations.extend(raised.iter().map(|(who, it)| (who.clone(), it.generation)));
        // The locks are held and these ids are not there: every row goes in.
        put(link, &new, &generations, self.precision).await?;
        Ok(End::Commit(InsertOutcome {
            inserted,
            generations,
            evicted,
        }))
    }

    /// Removes what is to give way, of entities that something is written to.
    async fn make_room(
        &self,
        link: &mut Link,
        standings: &BTreeMap<EntityId, Standing>,
        tallies: &mut Tallies,
    ) -> Result<Removed, Failure> {
        let evict = self.evict.iter();
        let ids: Vec<(&EntityId, MemoryId)> = evict
            .filter(|(entity, _)| tallies.contains_key(*entity))
            .flat_map(|(entity, ids)| ids.iter().map(move |id| (entity, *id)))
            .collect();
        if ids.is_empty() {
            return Ok(Removed::new());
        }
        remove::remove(link, &ids, standings, tallies).await
    }

    /// Refuses what would leave an entity with more memories than allowed.
    fn check_room(&self, raised: &BTreeMap<EntityId, Standing>) -> Result<(), MemoryError> {
        let Some(max) = self.max_memories else {
            return Ok(());
        };
        match raised.iter().find(|(_, it)| it.memories > max) {
            Some((entity, it)) => Err(MemoryError::LimitReached {
                entity: entity.clone(),
                count: it.memories,
                max,
            }),
            None => Ok(()),
        }
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

/// Writes these rows, at generations that their entities were raised to;
/// `false` where an id was there already, and nothing of it may then be
/// committed.
pub(crate) async fn put(
    link: &mut Link,
    items: &[&EmbeddedMemory],
    generations: &Generations,
    precision: Precision,
) -> Result<bool, Failure> {
    let memories = MemoryColumns::new(items, generations);
    if memories.insert(link).await? < items.len() as u64 {
        return Ok(false);
    }
    EmbeddingColumns::new(items.iter().copied(), precision)
        .map_err(MemoryError::from)?
        .insert(link)
        .await?;
    InvolvedColumns::new(items.iter().map(|item| &item.memory))
        .insert(link)
        .await?;
    AccessColumns::new(items).insert(link).await?;
    forget_removals(link, items).await?;
    Ok(true)
}

/// An id that was removed before is there again.
async fn forget_removals(link: &mut Link, items: &[&EmbeddedMemory]) -> Result<(), Failure> {
    let (entities, ids) = keys(items.iter().copied());
    let query = sqlx::query(
        "DELETE FROM memory_tombstone t USING \
         (SELECT unnest($1::text[]) AS entity_id, unnest($2::uuid[]) AS memory_id) u \
         WHERE t.entity_id = u.entity_id AND t.memory_id = u.memory_id",
    );
    link.run(query.bind(entities).bind(ids)).await?;
    Ok(())
}

fn tallies(items: &[&EmbeddedMemory]) -> Tallies {
    let mut tallies = Tallies::new();
    for EmbeddedMemory { memory, .. } in items {
        let tally = tallies.entry(memory.entity_id.clone()).or_default();
        tally.add(words::count(&memory.content));
    }
    tallies
}

fn generations(standings: &BTreeMap<EntityId, Standing>) -> Generations {
    let generation = |(entity, it): (&EntityId, &Standing)| (entity.clone(), it.generation);
    standings.iter().map(generation).collect()
}

fn keys<'a>(items: impl Iterator<Item = &'a EmbeddedMemory>) -> (Vec<&'a str>, Vec<Uuid>) {
    let key = |item: &'a EmbeddedMemory| {
        let id: MemoryId = item.memory.id;
        (item.memory.entity_id.as_str(), *id.as_uuid())
    };
    items.map(key).unzip()
}
