//! [`Store::insert_opts`](memory_core::Store::insert_opts).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, EntityId, Generation, InsertOptions, InsertOutcome, MemoryError, MemoryId,
    MemoryResult, RemoveOutcome,
};
use sqlx::Row;
use uuid::Uuid;

use crate::connections::connection::Connection;
use crate::connections::database::Database;
use crate::connections::transaction::{Transaction, TxOutcome};
use crate::error::Failure;
use crate::operations::removal;
use crate::operations::snapshot_pages;
use crate::options::Precision;
use crate::rows::batch_parts;
use crate::rows::entity::{self, CountDeltas};
use crate::rows::{
    AccessColumns, EmbeddingColumns, EntityRow, InvolvedEntityColumns, MemoryColumns,
};
use crate::search::lexical::{IndexedMemory, index_memories};

const OPERATION: &str = "insert";

/// The generation of each entity.
type Generations = BTreeMap<EntityId, Generation>;
/// What was evicted, for each entity of which something was.
type Removed = BTreeMap<EntityId, RemoveOutcome>;

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
        batch: index_memories(OPERATION, batch.to_vec(), database.options.language).await?,
        max_memories: options.max_memories,
        evict,
        precision,
    };
    database.write(insert).await
}

struct Insert {
    /// Distinct, in the order of the names.
    entities: Vec<EntityId>,
    batch: Vec<IndexedMemory>,
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
            let all: Vec<&IndexedMemory> = self.batch.iter().collect();
            let raised = entity::raise(connection, &count_deltas(&all)).await?;
            let generations = generations(&raised);
            let fits = self.check_limit(&raised).is_ok();
            if fits && insert_rows(connection, &all, &raised, self.precision).await? {
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
        for indexed in &self.batch {
            let memory = &indexed.item.memory;
            match existing.get(&(memory.entity_id.clone(), memory.id)) {
                Some(content) if *content != memory.content => {
                    return Err(Failure::Memory(MemoryError::Conflict {
                        entity: memory.entity_id.clone(),
                        id: memory.id,
                    }));
                }
                Some(_) => inserted.push(false),
                None => {
                    inserted.push(true);
                    new.push(indexed);
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
        insert_rows(connection, &new, &raised, self.precision).await?;
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
        let mut evicted = Removed::new();
        for (entity, ids) in &self.evict {
            if let (Some(row), Some(delta)) = (entity_rows.get(entity), deltas.get_mut(entity)) {
                let removed = removal::remove(connection, entity, ids, row, delta).await?;
                evicted.extend(removed.map(|removed| (entity.clone(), removed)));
            }
        }
        Ok(evicted)
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

    /// The stored contents of those items of the batch whose ids exist.
    async fn existing_contents(
        &self,
        connection: &mut Connection,
    ) -> Result<HashMap<(EntityId, MemoryId), String>, Failure> {
        let mut existing = HashMap::new();
        for entity in &self.entities {
            let ids = ids_of(entity, self.batch.iter());
            let query = sqlx::query(
                "SELECT m.memory_id, m.content FROM memory m \
                 WHERE m.entity_id = $1::text AND m.memory_id = ANY ($2::uuid[])",
            );
            let rows = connection.fetch_all(query.bind(entity.as_str()).bind(ids));
            for row in &rows.await? {
                let id: Uuid = row.try_get("memory_id")?;
                let key = (entity.clone(), MemoryId::from(id));
                existing.insert(key, row.try_get("content")?);
            }
        }
        Ok(existing)
    }
}

/// Inserts memories with all their rows, of entities that were raised before.
/// Returns `false` if an id exists; the transaction must then be rolled back.
pub(crate) async fn insert_rows(
    connection: &mut Connection,
    items: &[&IndexedMemory],
    raised: &BTreeMap<EntityId, EntityRow>,
    precision: Precision,
) -> Result<bool, Failure> {
    for part in batch_parts::of_memories(items) {
        let columns = MemoryColumns::new(part, raised);
        if columns.insert(connection).await? < part.len() {
            return Ok(false);
        }
        let memories = || part.iter().map(|it| &it.item.memory);
        EmbeddingColumns::new(part.iter().map(|it| &it.item), precision)
            .map_err(MemoryError::from)?
            .insert(connection)
            .await?;
        InvolvedEntityColumns::new(memories())
            .insert(connection)
            .await?;
        AccessColumns::new(memories()).insert(connection).await?;
    }
    for (entity, row) in raised.iter().filter(|(_, row)| row.paged_until.is_some()) {
        let ids = ids_of(entity, items.iter().copied());
        snapshot_pages::discard(connection, entity, row, &ids).await?;
    }
    delete_tombstones(connection, items, raised).await?;
    Ok(true)
}

/// Deletes the tombstones of ids that are inserted again, of those entities that
/// have tombstones.
async fn delete_tombstones(
    connection: &mut Connection,
    items: &[&IndexedMemory],
    raised: &BTreeMap<EntityId, EntityRow>,
) -> Result<(), Failure> {
    for (entity, _) in raised.iter().filter(|(_, row)| row.tombstones > 0) {
        let query = sqlx::query(
            "DELETE FROM memory_tombstone t \
             WHERE t.entity_id = $1::text AND t.memory_id = ANY ($2::uuid[])",
        );
        let ids = ids_of(entity, items.iter().copied());
        connection
            .execute(query.bind(entity.as_str()).bind(ids))
            .await?;
    }
    Ok(())
}

fn count_deltas(items: &[&IndexedMemory]) -> CountDeltas {
    let mut deltas = CountDeltas::new();
    for IndexedMemory { item, entry } in items {
        let delta = deltas.entry(item.memory.entity_id.clone()).or_default();
        delta.add(entry.word_count);
    }
    deltas
}

fn generations(entity_rows: &BTreeMap<EntityId, EntityRow>) -> Generations {
    let generation = |(entity, it): (&EntityId, &EntityRow)| (entity.clone(), it.generation);
    entity_rows.iter().map(generation).collect()
}

/// The ids of the items of an entity.
fn ids_of<'a>(entity: &EntityId, items: impl Iterator<Item = &'a IndexedMemory>) -> Vec<Uuid> {
    let memories = items.map(|it| &it.item.memory);
    let memories = memories.filter(|memory| memory.entity_id == *entity);
    memories.map(|memory| *memory.id.as_uuid()).collect()
}
