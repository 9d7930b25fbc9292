//! [`Store::insert_opts`](memory_core::Store::insert_opts).
//!
//! A batch takes the same dozen statements however large it is (per round of
//! [`ROUND`] memories): rows travel as one JSON array and vectors as one blob,
//! which SQLite takes apart. Measured on 10,000 memories, a prepared statement
//! for each row takes twelve times as long, most of it spent on handing each
//! to the connection's thread and back.

mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, EntityId, InsertOptions, InsertOutcome, MemoryError, MemoryId, RemoveOutcome,
};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query};

use self::rows::{Place, Rows};
use crate::database::Work;
use crate::entity::{self, EntityChange, EntityRow};
use crate::error::Failure;
use crate::offload::{fold, offload};
use crate::row::{self, to_json};
use crate::{keys, removal, space};

/// Memories that are turned into rows and written at once, and bytes of their
/// texts and vectors after which no more are added: these bound the memory that
/// a large batch takes beside itself, and what one statement is given.
const ROUND: usize = 4_096;
const ROUND_BYTES: usize = 64 * 1024 * 1024;

/// The rows of the entities of a batch.
pub(crate) type Entities<'b> = BTreeMap<&'b EntityId, EntityRow>;

/// A batch, within every bound.
pub(crate) struct Insert {
    pub(crate) batch: Arc<[EmbeddedMemory]>,
    pub(crate) room: InsertOptions,
}

impl Work for Insert {
    type Output = InsertOutcome;
    const OPERATION: &'static str = "insert";

    fn erases(&self) -> bool {
        !self.room.evict.is_empty()
    }

    async fn run(self, conn: &mut SqliteConnection) -> Result<InsertOutcome, Failure> {
        let names: BTreeSet<_> = self.batch.iter().map(|one| &one.memory.entity_id).collect();
        let entities = entity::find_or_make(conn, &names).await?;
        let inserted = self.lacking(conn, &entities).await?;
        let mut changes = BTreeMap::new();
        let evicted = self
            .make_room(conn, &entities, &inserted, &mut changes)
            .await?;
        self.write(conn, &entities, &inserted, &mut changes).await?;
        entity::raise(conn, &changes).await?;
        Ok(InsertOutcome {
            inserted,
            evicted,
            generations: entities
                .into_iter()
                .map(|(name, entity)| {
                    let raised = changes.contains_key(&entity.key);
                    (name.clone(), entity.generation_after(raised))
                })
                .collect(),
        })
    }
}

impl Insert {
    /// A batch that may be of any number.
    pub(crate) fn unbounded(batch: Vec<EmbeddedMemory>) -> Self {
        Self {
            batch: batch.into(),
            room: InsertOptions::unlimited(),
        }
    }

    /// Lets what is to give way go, in every entity that something is to be
    /// written of, and counts. What goes is told in `changes`.
    async fn make_room(
        &self,
        conn: &mut SqliteConnection,
        entities: &Entities<'_>,
        inserted: &[bool],
        changes: &mut BTreeMap<i64, EntityChange>,
    ) -> Result<BTreeMap<EntityId, RemoveOutcome>, Failure> {
        let mut new: BTreeMap<&EntityId, u64> = BTreeMap::new();
        for (one, _) in self.batch.iter().zip(inserted).filter(|(_, new)| **new) {
            *new.entry(&one.memory.entity_id).or_default() += 1;
        }
        let mut evicted = BTreeMap::new();
        for (name, new) in new {
            let (entity, mut left) = (entities[name], entities[name].memory_count);
            if let Some(ids) = self.room.evict.get(name)
                && let Some((gone, change)) = removal::remove(conn, name, &entity, ids).await?
            {
                left = left.saturating_add_signed(change.memories);
                changes.insert(entity.key, change);
                evicted.insert(name.clone(), gone);
            }
            let count = left + new;
            if let Some(max) = self.room.max_memories.filter(|max| count > *max) {
                let entity = name.clone();
                return Err(MemoryError::LimitReached { entity, count, max }.into());
            }
        }
        Ok(evicted)
    }

    /// Writes those of the batch that are new, and tells in `changes` what that
    /// changes in the counts of their entities, by key. The caller raises them.
    pub(crate) async fn write(
        &self,
        conn: &mut SqliteConnection,
        entities: &Entities<'_>,
        inserted: &[bool],
        changes: &mut BTreeMap<i64, EntityChange>,
    ) -> Result<(), Failure> {
        let places = self.places(conn, entities, inserted).await?;
        let mut left = places.as_slice();
        while let Some((round, rest)) = self.round(left, ROUND_BYTES) {
            left = rest;
            let (batch, round) = (Arc::clone(&self.batch), round.to_vec());
            let mut rows = offload(round.len(), move || Rows::of(&batch, &round)).await??;
            rows.write(conn).await?;
            for (entity_key, words) in rows.words {
                let change = changes.entry(entity_key).or_default();
                change.memories += 1;
                change.numbers_used += 1;
                change.words += words;
            }
        }
        Ok(())
    }

    /// Which of the batch are new; an id with other content is a conflict.
    async fn lacking(
        &self,
        conn: &mut SqliteConnection,
        entities: &Entities<'_>,
    ) -> Result<Vec<bool>, Failure> {
        let key = |one: &EmbeddedMemory| (entities[&one.memory.entity_id].key, one.memory.id);
        let wanted: Vec<_> = self
            .batch
            .iter()
            .map(|one| (key(one).0, row::hex(&one.memory.id)))
            .collect();
        let rows = query(
            "SELECT m.entity_key, m.memory_id, m.content FROM jsonb_each(?1) AS wanted
             CROSS JOIN memory AS m
                 ON m.entity_key = wanted.value ->> 0 AND m.memory_id = unhex(wanted.value ->> 1)",
        )
        .bind(to_json(&wanted)?)
        .fetch(conn);
        let known: HashMap<(i64, MemoryId), String> = HashMap::new();
        let known = fold(rows, known, |known, row| {
            let id = row::memory_id(row.try_get(1)?)?;
            known.insert((row.try_get(0)?, id), row.try_get(2)?);
            Ok(())
        })
        .await?;
        self.batch
            .iter()
            .map(|one| match known.get(&key(one)) {
                None => Ok(true),
                Some(content) if *content == one.memory.content => Ok(false),
                Some(_) => Err(Failure::Refused(MemoryError::Conflict {
                    entity: one.memory.entity_id.clone(),
                    id: one.memory.id,
                })),
            })
            .collect()
    }

    /// Parts the places into the next round and the rest; `None` at the end.
    fn round<'p>(
        &self,
        places: &'p [Place],
        most_bytes: usize,
    ) -> Option<(&'p [Place], &'p [Place])> {
        let size = |place: &Place| {
            let EmbeddedMemory { memory, embedding } = &self.batch[place.item];
            let components: usize = embedding.vectors.iter().map(Vec::len).sum();
            memory.size_bytes() + components * size_of::<f32>()
        };
        let mut bytes = 0;
        let count = places
            .iter()
            .take(ROUND)
            .take_while(|place| {
                let room = bytes < most_bytes;
                bytes += size(place);
                room
            })
            .count();
        (count > 0).then(|| places.split_at(count))
    }

    /// Where each new memory goes.
    async fn places(
        &self,
        conn: &mut SqliteConnection,
        entities: &Entities<'_>,
        inserted: &[bool],
    ) -> Result<Vec<Place>, Failure> {
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
        let spaces = space::find_or_make(conn, &wanted).await?;
        let mut next_numbers: HashMap<i64, i64> = HashMap::new();
        new()
            .map(|((item, one), _)| {
                let entity = entities[&one.memory.entity_id];
                let space = spaces[&(entity.key, &one.embedding.fingerprint)];
                space
                    .check(one.embedding.dimensions())
                    .map_err(|problem| MemoryError::from(problem).with_item(item))?;
                let next = next_numbers.entry(entity.key).or_insert(entity.next_number);
                let number = *next;
                *next += 1;
                Ok(Place {
                    item,
                    entity_key: entity.key,
                    memory_key: keys::key(entity.key, number),
                    embedding_key: keys::key(space.key, number),
                    version: entity.generation.next().0.cast_signed(),
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
    fn rounds_are_bounded_by_bytes_and_leave_nothing_out() {
        let item = MemoryBatchItem::new("mira", MemoryKind::World, "x".repeat(1_000));
        let one = EmbeddedMemory {
            memory: item.into_memory(chrono::Utc::now()).unwrap(),
            embedding: Embedding {
                fingerprint: "model".into(),
                vectors: vec![vec![1.0; 250]],
            },
        };
        let insert = Insert::unbounded(vec![one; 10]);
        let place = |item| Place {
            item,
            entity_key: 1,
            memory_key: 1,
            embedding_key: 1,
            version: 1,
        };
        let places: Vec<Place> = (0..10).map(place).collect();
        // Each takes over 2,000 bytes and under 3,000; a round ends once it is
        // over the bound, and holds at least one.
        for (most_bytes, wanted) in [
            (6_000, vec![3, 3, 3, 1]),
            (1, vec![1; 10]),
            (99_999, vec![10]),
        ] {
            let (mut left, mut sizes, mut items) = (places.as_slice(), Vec::new(), Vec::new());
            while let Some((round, rest)) = insert.round(left, most_bytes) {
                sizes.push(round.len());
                items.extend(round.iter().map(|place| place.item));
                left = rest;
            }
            assert_eq!(sizes, wanted, "{most_bytes}");
            assert_eq!(items, (0..10).collect::<Vec<_>>());
        }
    }
}
