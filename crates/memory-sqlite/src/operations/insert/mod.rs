//! [`Store::insert_opts`](memory_core::Store::insert_opts).
//!
//! A batch of any size takes the same few statements: rows are passed as one JSON
//! array and vectors as one blob, which SQLite splits. Measured on 10,000 memories,
//! a prepared statement for each row takes twelve times as long, most of it spent on
//! passing each to the connection's thread and back.
//!
//! That is also why the statements are passed in two calls, one that reads and one
//! that writes (per chunk of [`CHUNK`] memories): see ADR 22.

pub(crate) mod lookup;
pub(crate) mod queue;
pub(crate) mod quick;
pub(crate) mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, EntityId, Fingerprint, InsertOptions, InsertOutcome, Language, MemoryError,
    MemoryId, RemoveOutcome,
};
use sqlx::sqlite::SqliteConnection;

use crate::connections::blocking::run_blocking;
use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::operations::insert::lookup::{Entities, InsertLookup, Spaces};
use crate::operations::insert::quick::KnownEntities;
use crate::operations::insert::rows::InsertRows;
use crate::operations::removal;
use crate::rows::embedding_space::{self, EmbeddingSpace};
use crate::rows::entity::{self, CountDelta};
use crate::rows::row_keys::{self, RowKeys};

/// How many memories are encoded and written at once.
const CHUNK: usize = 4_096;
/// Bytes of texts and vectors after which no more memories are added to a
/// chunk. Both limit the additional memory that a large batch takes, and the
/// size of a statement's arguments.
const CHUNK_BYTES: usize = 64 * 1024 * 1024;

/// A validated batch.
#[derive(Debug, Clone)]
pub(crate) struct Insert {
    pub(crate) batch: Arc<[EmbeddedMemory]>,
    pub(crate) options: InsertOptions,
    pub(crate) language: Option<Language>,
    /// What the inserts before it tell it, and it tells those after it. Without it, an
    /// insert runs in steps.
    pub(crate) known: Option<Arc<KnownEntities>>,
}

impl Transaction for Insert {
    type Output = InsertOutcome;
    const OPERATION: &'static str = "insert";

    fn erases_content(&self) -> bool {
        !self.options.evict.is_empty()
    }

    async fn run(self, conn: &mut SqliteConnection) -> Result<InsertOutcome, Failure> {
        let stored = InsertLookup::run(conn, &self.batch).await?;
        stored.analysis.check(Self::OPERATION)?;
        let entities = match stored.entities {
            Some(entities) => entities,
            // The first write to an entity.
            None => {
                let names: BTreeSet<_> =
                    self.batch.iter().map(|one| &one.memory.entity_id).collect();
                entity::find_or_create(conn, &names).await?
            }
        };
        let inserted = self.find_missing(&entities, &stored.contents)?;
        let mut deltas = BTreeMap::new();
        let evicted = self.evict(conn, &entities, &inserted, &mut deltas).await?;
        self.write(conn, &entities, &stored.spaces, &inserted, &mut deltas)
            .await?;
        if let Some(known) = &self.known {
            known.learn(&entities, &stored.spaces, &deltas);
        }
        Ok(InsertOutcome::new(
            inserted,
            entities
                .into_iter()
                .map(|(name, entity)| {
                    let changed = deltas.contains_key(&entity.key);
                    (name.clone(), entity.generation_after(changed))
                })
                .collect(),
        )
        .evicted(evicted))
    }
}

impl Insert {
    /// A batch without limits on the number of memories.
    pub(crate) fn unlimited(batch: Vec<EmbeddedMemory>, language: Option<Language>) -> Self {
        Self {
            batch: batch.into(),
            options: InsertOptions::unlimited(),
            language,
            known: None,
        }
    }

    /// After a failure, what is known of its entities may be wrong.
    pub(crate) fn forget_known(&self) {
        if let Some(known) = &self.known {
            known.forget(self);
        }
    }

    /// The entity of each memory, and of each that evicts some.
    pub(crate) fn entities(&self) -> impl Iterator<Item = &EntityId> {
        let batch = self.batch.iter().map(|one| &one.memory.entity_id);
        batch.chain(self.options.evict.keys())
    }

    /// Removes the memories to evict, in every entity that gets new memories,
    /// and checks the limit. Removals are counted in `deltas`.
    async fn evict(
        &self,
        conn: &mut SqliteConnection,
        entities: &Entities<'_>,
        inserted: &[bool],
        deltas: &mut BTreeMap<i64, CountDelta>,
    ) -> Result<BTreeMap<EntityId, RemoveOutcome>, Failure> {
        let mut new: BTreeMap<&EntityId, u64> = BTreeMap::new();
        for (one, _) in self.batch.iter().zip(inserted).filter(|(_, new)| **new) {
            *new.entry(&one.memory.entity_id).or_default() += 1;
        }
        let mut evicted = BTreeMap::new();
        for (name, new) in new {
            let (entity, mut remaining) = (entities[name], entities[name].memory_count);
            if let Some(ids) = self.options.evict.get(name)
                && let Some((removed, delta)) =
                    removal::remove(conn, name, &entity, ids, self.language).await?
            {
                remaining = remaining.saturating_add_signed(delta.memories);
                deltas.insert(entity.key, delta);
                evicted.insert(name.clone(), removed);
            }
            let count = remaining + new;
            if let Some(max) = self.options.max_memories.filter(|max| count > *max) {
                let entity = name.clone();
                return Err(MemoryError::LimitReached { entity, count, max }.into());
            }
        }
        Ok(evicted)
    }

    /// Writes those of the batch that are new, adds them to `deltas` by the key of
    /// their entity, and raises every entity of `deltas`. `spaces` are the embedding
    /// spaces that are known to exist.
    pub(crate) async fn write(
        &self,
        conn: &mut SqliteConnection,
        entities: &Entities<'_>,
        spaces: &Spaces,
        inserted: &[bool],
        deltas: &mut BTreeMap<i64, CountDelta>,
    ) -> Result<(), Failure> {
        let keys = self.assign_keys(conn, entities, spaces, inserted).await?;
        if keys.is_empty() {
            return entity::raise(conn, deltas).await;
        }
        let mut remaining = keys.as_slice();
        while let Some((chunk, rest)) = self.split_chunk(remaining, CHUNK_BYTES) {
            remaining = rest;
            let (batch, chunk) = (Arc::clone(&self.batch), chunk.to_vec());
            let size = chunk.len();
            let language = self.language;
            let encode = move || InsertRows::encode(&batch, &chunk, language);
            let mut rows = run_blocking(size, encode).await??;
            rows.take_deltas(deltas);
            // The last chunk completes the counts.
            let raised = rest.is_empty().then(|| entity::encode_deltas(deltas));
            rows.write(conn, raised.transpose()?).await?;
        }
        Ok(())
    }

    /// Which of the batch are new; an existing id with other content is a
    /// conflict. `contents` are those of the memories that are stored.
    fn find_missing(
        &self,
        entities: &Entities<'_>,
        contents: &HashMap<(i64, MemoryId), String>,
    ) -> Result<Vec<bool>, Failure> {
        let key = |one: &EmbeddedMemory| (entities[&one.memory.entity_id].key, one.memory.id);
        self.batch
            .iter()
            .map(|one| match contents.get(&key(one)) {
                None => Ok(true),
                Some(content) if *content == one.memory.content => Ok(false),
                Some(_) => Err(Failure::Refused(MemoryError::Conflict {
                    entity: one.memory.entity_id.clone(),
                    id: one.memory.id,
                })),
            })
            .collect()
    }

    /// Splits the keys into the next chunk and the rest; `None` at the end.
    fn split_chunk<'k>(
        &self,
        keys: &'k [RowKeys],
        max_bytes: usize,
    ) -> Option<(&'k [RowKeys], &'k [RowKeys])> {
        let size = |keys: &RowKeys| {
            let EmbeddedMemory { memory, embedding } = &self.batch[keys.item];
            let components: usize = embedding.vectors.iter().map(Vec::len).sum();
            memory.size_bytes() + components * size_of::<f32>()
        };
        let mut bytes = 0;
        let count = keys
            .iter()
            .take(CHUNK)
            .take_while(|keys| {
                let fits = bytes < max_bytes;
                bytes += size(keys);
                fits
            })
            .count();
        (count > 0).then(|| keys.split_at(count))
    }

    /// Assigns keys to the rows of each new memory, and creates embedding spaces
    /// that are missing.
    async fn assign_keys(
        &self,
        conn: &mut SqliteConnection,
        entities: &Entities<'_>,
        known: &Spaces,
        inserted: &[bool],
    ) -> Result<Vec<RowKeys>, Failure> {
        let new = || {
            (0..)
                .zip(self.batch.iter())
                .zip(inserted)
                .filter(|(_, new)| **new)
        };
        let mut wanted = BTreeMap::new();
        for ((_, one), _) in new() {
            let entity_key = entities[&one.memory.entity_id].key;
            wanted
                .entry((entity_key, &one.embedding.fingerprint))
                .or_insert(one.embedding.dimensions());
        }
        let all_known: Option<BTreeMap<(i64, &Fingerprint), EmbeddingSpace>> = wanted
            .keys()
            .map(|&(entity_key, fingerprint)| {
                let space = known.get(&(entity_key, fingerprint.clone()))?;
                Some(((entity_key, fingerprint), *space))
            })
            .collect();
        let spaces = match all_known {
            Some(spaces) => spaces,
            None => embedding_space::find_or_create(conn, &wanted).await?,
        };
        let mut next_numbers: HashMap<i64, i64> = HashMap::new();
        new()
            .map(|((item, one), _)| {
                let entity = entities[&one.memory.entity_id];
                let space = spaces[&(entity.key, &one.embedding.fingerprint)];
                space
                    .check_dimensions(one.embedding.dimensions())
                    .map_err(|problem| MemoryError::from(problem).with_item(item))?;
                let next = next_numbers.entry(entity.key).or_insert(entity.next_number);
                let number = *next;
                *next += 1;
                Ok(RowKeys {
                    item,
                    entity_key: entity.key,
                    memory_key: row_keys::key(entity.key, number),
                    embedding_key: row_keys::key(space.key, number),
                    version: entity.generation.next().0.cast_signed(),
                    may_have_tombstone: entity.tombstone_count > 0,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{Embedding, MemoryBatchItem, MemoryKind};

    use super::*;

    #[test]
    fn chunks_are_limited_by_bytes_and_complete() {
        let item = MemoryBatchItem::new("mira", MemoryKind::World, "x".repeat(1_000));
        let one = EmbeddedMemory {
            memory: item.into_memory(chrono::Utc::now()).unwrap(),
            embedding: Embedding {
                fingerprint: "model".into(),
                vectors: vec![vec![1.0; 250]],
            },
        };
        let insert = Insert::unlimited(vec![one; 10], None);
        let keys = |item| RowKeys {
            item,
            entity_key: 1,
            memory_key: 1,
            embedding_key: 1,
            version: 1,
            may_have_tombstone: false,
        };
        let keys: Vec<RowKeys> = (0..10).map(keys).collect();
        // Each takes over 2,000 bytes and under 3,000; a chunk ends once it is
        // over the limit, and holds at least one.
        for (max_bytes, wanted) in [
            (6_000, vec![3, 3, 3, 1]),
            (1, vec![1; 10]),
            (99_999, vec![10]),
        ] {
            let (mut remaining, mut sizes, mut items) = (keys.as_slice(), Vec::new(), Vec::new());
            while let Some((chunk, rest)) = insert.split_chunk(remaining, max_bytes) {
                sizes.push(chunk.len());
                items.extend(chunk.iter().map(|keys| keys.item));
                remaining = rest;
            }
            assert_eq!(sizes, wanted, "{max_bytes}");
            assert_eq!(items, (0..10).collect::<Vec<_>>());
        }
    }
}
