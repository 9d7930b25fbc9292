//! [`Store::insert_opts`](memory_core::Store::insert_opts).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, EntityId, Generation, InsertOptions, InsertOutcome, MemoryError, MemoryId,
    MemoryResult,
};
use sqlx::Row;
use uuid::Uuid;

use crate::connection::Connection;
use crate::database::Database;
use crate::entity::{self, CountDeltas};
use crate::error::Failure;
use crate::lexical::word_count;
use crate::options::Precision;
use crate::removal::{self, Removed};
use crate::rows::{
    self, AccessColumns, EmbeddingColumns, EntityRow, InvolvedEntityColumns, MemoryColumns,
};
use crate::transaction::{Transaction, TxOutcome};

const OPERATION: &str = "insert";

/// The generation of each entity.
pub(crate) type Generations = BTreeMap<EntityId, Generation>;

pub(crate) async fn insert(
    database: &Arc<Database>,
    batch: &[EmbeddedMemory],
    options: &InsertOptions,
    max_dimensions: usize,
) -> MemoryResult<InsertOutcome> {
    database.check_open(OPERATION)?;
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
    let mut evict = options.evict.clone();
    evict.retain(|entity, ids| entities.contains(entity) && !ids.is_empty());
    let insert = Insert {
        entities: entities.into_iter().cloned().collect(),
        batch: batch.to_vec(),
        max_memories: options.max_memories,
        evict,
        precision,
    };
    database.write(insert).await
}

struct Insert {
    /// Distinct, in the order of the names.
    entities: Vec<EntityId>,
    batch: Vec<EmbeddedMemory>,
    max_memories: Option<u64>,
    /// Only of entities of the batch.
    evict: BTreeMap<EntityId, Vec<MemoryId>>,
    precision: Precision,
}

impl Transaction for Insert {
    const OPERATION: &'static str = OPERATION;
    type Output = InsertOutcome;

    fn entities(&self) -> Vec<&EntityId> {
        self.entities.iter().collect()
    }

    /// Assumes that every id is new and no limit is exceeded, which is nearly
    /// always so; otherwise rolls back and looks up what exists first.
    async fn run(&self, connection: &mut Connection) -> Result<TxOutcome<InsertOutcome>, Failure> {
        if self.evict.is_empty() {
            let all: Vec<&EmbeddedMemory> = self.batch.iter().collect();
            let raised = entity::raise(connection, &count_deltas(&all)).await?;
            let generations = generations(&raised);
            let fits = self.check_limit(&raised).is_ok();
            if fits && insert_rows(connection, &all, &generations, self.precision).await? {
                return Ok(TxOutcome::Commit(
                    InsertOutcome::new(vec![true; all.len()], generations).evicted(Removed::new()),
                ));
            }
            connection.restart(&self.entities()).await?;
        }
        self.insert_missing(connection).await
    }
}

impl Insert {
    async fn insert_missing(
        &self,
        connection: &mut Connection,
    ) -> Result<TxOutcome<InsertOutcome>, Failure> {
        let entity_rows = entity::lock_all(connection, &self.entities).await?;
        let mut generations = generations(&entity_rows);
        let existing = self.existing_contents(connection).await?;
        let mut new = Vec::new();
        let mut inserted = Vec::with_capacity(self.batch.len());
        for (index, item) in self.batch.iter().enumerate() {
            match existing.get(&index) {
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
            return Ok(TxOutcome::Rollback(
                InsertOutcome::new(inserted, generations).evicted(Removed::new()),
            ));
        }
        let mut deltas = count_deltas(&new);
        let evicted = self.evict(connection, &entity_rows, &mut deltas).await?;
        let raised = entity::raise(connection, &deltas).await?;
        self.check_limit(&raised)?;
        removal::compact_tombstones(connection, &raised).await?;
        generations.extend(
            raised
                .iter()
                .map(|(entity, it)| (entity.clone(), it.generation)),
        );
        // The entities are locked and these ids do not exist: every row is inserted.
        insert_rows(connection, &new, &generations, self.precision).await?;
        Ok(TxOutcome::Commit(
            InsertOutcome::new(inserted, generations).evicted(evicted),
        ))
    }

    /// Removes the memories to evict, of those entities that are written to.
    async fn evict(
        &self,
        connection: &mut Connection,
        entity_rows: &BTreeMap<EntityId, EntityRow>,
        deltas: &mut CountDeltas,
    ) -> Result<Removed, Failure> {
        let evict = self.evict.iter();
        let ids: Vec<(&EntityId, MemoryId)> = evict
            .filter(|(entity, _)| deltas.contains_key(*entity))
            .flat_map(|(entity, ids)| ids.iter().map(move |id| (entity, *id)))
            .collect();
        if ids.is_empty() {
            return Ok(Removed::new());
        }
        removal::remove(connection, &ids, entity_rows, deltas).await
    }

    /// Checks that no entity has more memories than allowed.
    fn check_limit(&self, raised: &BTreeMap<EntityId, EntityRow>) -> Result<(), MemoryError> {
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

    /// The stored contents of those items of the batch whose ids exist, by index.
    async fn existing_contents(
        &self,
        connection: &mut Connection,
    ) -> Result<BTreeMap<usize, String>, Failure> {
        let (entities, ids) = keys(self.batch.iter());
        let query = sqlx::query(
            "SELECT u.ordinal, m.content FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY \
             AS u(entity_id, memory_id, ordinal) JOIN memory m \
             ON m.entity_id = u.entity_id AND m.memory_id = u.memory_id",
        );
        let rows = connection.fetch_all(query.bind(entities).bind(ids)).await?;
        let mut existing = BTreeMap::new();
        for row in &rows {
            let ordinal = rows::unsigned("ordinal", row.try_get("ordinal")?)?;
            let index = usize::try_from(ordinal).unwrap_or(usize::MAX);
            existing.insert(index.saturating_sub(1), row.try_get("content")?);
        }
        Ok(existing)
    }
}

/// Inserts memories with all their rows, at the new generations of their
/// entities. Returns `false` if an id exists; the transaction must then be rolled
/// back.
pub(crate) async fn insert_rows(
    connection: &mut Connection,
    items: &[&EmbeddedMemory],
    generations: &Generations,
    precision: Precision,
) -> Result<bool, Failure> {
    let memories = MemoryColumns::new(items, generations);
    if memories.insert(connection).await? < items.len() as u64 {
        return Ok(false);
    }
    EmbeddingColumns::new(items.iter().copied(), precision)
        .map_err(MemoryError::from)?
        .insert(connection)
        .await?;
    InvolvedEntityColumns::new(items.iter().map(|item| &item.memory))
        .insert(connection)
        .await?;
    AccessColumns::new(items).insert(connection).await?;
    delete_tombstones(connection, items).await?;
    Ok(true)
}

/// Deletes the tombstones of ids that are inserted again.
async fn delete_tombstones(
    connection: &mut Connection,
    items: &[&EmbeddedMemory],
) -> Result<(), Failure> {
    let (entities, ids) = keys(items.iter().copied());
    let query = sqlx::query(
        "DELETE FROM memory_tombstone t USING \
         (SELECT unnest($1::text[]) AS entity_id, unnest($2::uuid[]) AS memory_id) u \
         WHERE t.entity_id = u.entity_id AND t.memory_id = u.memory_id",
    );
    connection.execute(query.bind(entities).bind(ids)).await?;
    Ok(())
}

fn count_deltas(items: &[&EmbeddedMemory]) -> CountDeltas {
    let mut deltas = CountDeltas::new();
    for EmbeddedMemory { memory, .. } in items {
        let delta = deltas.entry(memory.entity_id.clone()).or_default();
        delta.add(word_count(&memory.content));
    }
    deltas
}

fn generations(entity_rows: &BTreeMap<EntityId, EntityRow>) -> Generations {
    let generation = |(entity, it): (&EntityId, &EntityRow)| (entity.clone(), it.generation);
    entity_rows.iter().map(generation).collect()
}

fn keys<'a>(items: impl Iterator<Item = &'a EmbeddedMemory>) -> (Vec<&'a str>, Vec<Uuid>) {
    let key = |item: &'a EmbeddedMemory| {
        let id: MemoryId = item.memory.id;
        (item.memory.entity_id.as_str(), *id.as_uuid())
    };
    items.map(key).unzip()
}
