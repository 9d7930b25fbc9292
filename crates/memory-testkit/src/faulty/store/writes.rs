//! Faulty inserts, updates, deletes and accesses.

use std::collections::BTreeSet;
use std::time::Duration;

use memory_core::{
    AccessOutcome, AccessUpdate, EmbeddedMemory, Embedding, EntityId, ErrorKind, InsertOptions,
    InsertOutcome, InvalidInput, MemoryError, MemoryId, MemoryPatch, MemoryResult, RemoveOutcome,
    Store, UpdateOutcome, limits, normalize,
};

use super::{FaultyStore, StoreFault as Fault};
use crate::fixtures::{at_micros, plain};
use crate::seeded_rng::SeededRng;
use crate::timing::yield_now;

impl FaultyStore {
    pub(super) async fn faulty_insert(
        &self,
        batch: &[EmbeddedMemory],
        room: &InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        let mut batch = batch.to_vec();
        batch.iter_mut().for_each(|item| self.spoil(item));
        match self.fault {
            Fault::LosesLastOfBatch if batch.len() > 1 => {
                batch.pop();
                let mut outcome = self.inner.insert_opts(&batch, room).await?;
                outcome.inserted.push(true);
                Ok(outcome)
            }
            Fault::RefusesEmptyBatches if batch.is_empty() => Err(InvalidInput::NoVector.into()),
            Fault::RefusesLargeBatches if batch.len() > 1_000 => {
                let message = "too many memories";
                Err(MemoryError::store(ErrorKind::Other, "insert", message))
            }
            Fault::WritesUpToAConflict => {
                let whole = self.inner.insert_opts(&batch, room).await;
                if let Err(MemoryError::Conflict { .. }) = whole {
                    for item in &batch {
                        self.inner
                            .insert_opts(std::slice::from_ref(item), room)
                            .await?;
                    }
                }
                whole
            }
            Fault::OverwritesOnConflict => {
                for item in &batch {
                    let one = std::slice::from_ref(item);
                    if let Err(MemoryError::Conflict { entity, id }) =
                        self.inner.insert_opts(one, room).await
                    {
                        self.inner.delete(&entity, &[id]).await?;
                    }
                }
                self.inner.insert_opts(&batch, room).await
            }
            Fault::CountsRepeatsAsWrites => {
                let outcome = self.inner.insert_opts(&batch, room).await?;
                if !outcome.inserted.contains(&true) {
                    let entities = outcome.generations.keys();
                    entities.for_each(|entity| self.shift(entity, 1));
                }
                Ok(outcome)
            }
            Fault::MergesDuplicateIds => {
                let mut seen = BTreeSet::new();
                batch.retain(|item| seen.insert((item.memory.entity_id.clone(), item.memory.id)));
                self.inner.insert_opts(&batch, room).await
            }
            Fault::ReportsALaterGeneration => {
                let mut outcome = self.inner.insert_opts(&batch, room).await?;
                yield_now().await;
                for (entity, generation) in &mut outcome.generations {
                    *generation = self.inner.entity_stats(entity).await?.generation;
                }
                Ok(outcome)
            }
            Fault::KeepsDeletedIdsTaken => {
                let taken = |item: &EmbeddedMemory| {
                    let key = (item.memory.entity_id.clone(), item.memory.id);
                    self.fault_state().deleted.contains(&key)
                };
                let inserted = batch.iter().map(|item| !taken(item)).collect();
                batch.retain(|item| !taken(item));
                let outcome = self.inner.insert_opts(&batch, room).await?;
                Ok(if batch.is_empty() {
                    InsertOutcome::new(inserted, outcome.generations)
                } else {
                    outcome
                })
            }
            Fault::QuotesContent => self.inner.insert_opts(&batch, room).await.map_err(|error| {
                let contents = batch.iter().map(|item| &*item.memory.content);
                let contents: Vec<&str> = contents.collect();
                MemoryError::store(error.kind(), "insert", contents.join(", "))
            }),
            Fault::SkipsInvalidItems => {
                let mut outcome = InsertOutcome::default();
                for item in &batch {
                    match self
                        .inner
                        .insert_opts(std::slice::from_ref(item), room)
                        .await
                    {
                        Ok(one) => {
                            outcome.inserted.extend(one.inserted);
                            outcome.generations.extend(one.generations);
                        }
                        Err(MemoryError::InvalidInput { .. }) => outcome.inserted.push(false),
                        Err(error) => return Err(error),
                    }
                }
                Ok(outcome)
            }
            Fault::InsertsOneByOne => {
                let mut outcome = InsertOutcome::default();
                for item in &batch {
                    yield_now().await;
                    let one = self
                        .inner
                        .insert_opts(std::slice::from_ref(item), room)
                        .await?;
                    outcome.inserted.extend(one.inserted);
                    outcome.generations.extend(one.generations);
                }
                Ok(outcome)
            }
            _ => self.inner.insert_opts(&batch, room).await,
        }
    }

    /// Breaks an item on its way in.
    fn spoil(&self, item: &mut EmbeddedMemory) {
        let memory = &mut item.memory;
        match self.fault {
            Fault::DropsAccessFields => (memory.access_count, memory.last_accessed) = (0, None),
            Fault::CutsLongContent => {
                if let Some((end, _)) = memory.content.char_indices().nth(4_000)
                    && memory.content.chars().count() <= limits::MAX_CONTENT_CHARS
                {
                    memory.content.truncate(end);
                }
            }
            Fault::RoundsTimes => {
                let millis = memory.timestamp.timestamp_micros().div_euclid(1_000);
                memory.timestamp = at_micros(millis * 1_000);
            }
            Fault::RoundsTimesUp => {
                memory.timestamp = at_micros(limits::micros_rounded_up(memory.timestamp));
            }
            Fault::RoundsImportance => {
                memory.importance = (memory.importance * 100.0).round() / 100.0
            }
            Fault::TrimsContent => memory.content = memory.content.trim().to_owned(),
            Fault::DropsContext => memory.context = None,
            Fault::KeepsTheFirstVectorOnly => item.embedding.vectors.truncate(1),
            Fault::RepairsVectors => fix_vectors(&mut item.embedding),
            _ => {}
        }
    }

    pub(super) async fn faulty_update(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome> {
        let (mut patch, mut embedding) = (patch.clone(), embedding.cloned());
        let key = (entity.clone(), *id);
        match self.fault {
            Fault::ClearsUnsetFields => patch.context = patch.context.or(Some(None)),
            Fault::DropsLinksToItself => {
                patch.relate.remove(id);
                patch
                    .related
                    .iter_mut()
                    .for_each(|related| drop(related.remove(id)));
            }
            Fault::KeepsOldVectors => {
                if let (Some(new), Some(old)) =
                    (&mut embedding, self.fault_state().embeddings.get(&key))
                {
                    new.vectors.extend(old.vectors.clone());
                }
            }
            Fault::InventsVectors if patch.content.is_some() && embedding.is_none() => {
                embedding = Some(plain(entity, "invented", &mut SeededRng::new(0)).embedding);
            }
            Fault::RepairsVectors => embedding.iter_mut().for_each(fix_vectors),
            Fault::LosesConcurrentUpdates if patch.content.is_none() => {
                let read = self
                    .inner
                    .get(entity, &[*id])
                    .await?
                    .memories
                    .pop()
                    .flatten();
                yield_now().await;
                if let Some(mut memory) = read {
                    patch.apply(&mut memory);
                    patch = MemoryPatch {
                        content: None,
                        kind: Some(memory.kind),
                        timestamp: Some(memory.timestamp),
                        importance: Some(memory.importance),
                        context: Some(memory.context),
                        metadata: Some(memory.metadata),
                        related: Some(memory.related),
                        entities: Some(memory.entities),
                        tags: Some(memory.tags),
                        ..MemoryPatch::default()
                    };
                }
            }
            Fault::UpdatesInTwoSteps if patch.content.is_some() && patch.context.is_some() => {
                let context = MemoryPatch::new().context(patch.context.take().flatten());
                self.inner.update(entity, id, &context, None).await?;
                self.shift(entity, -1);
                yield_now().await;
            }
            _ => {}
        }
        let models = self.inner.count_by_model(entity).await?;
        let result = self
            .inner
            .update(entity, id, &patch, embedding.as_ref())
            .await;
        if let (Fault::KeepsVectorsOfOldContent, Some(new)) = (self.fault, &embedding) {
            let others = models.keys().filter(|model| **model != new.fingerprint);
            for model in others {
                self.add_vectors(entity, id, model).await?;
            }
        }
        if let (Ok(_), Some(new)) = (&result, embedding) {
            self.fault_state().embeddings.insert(key, new);
        }
        match (self.fault, result) {
            (Fault::UpdatesWithoutGeneration, Ok(outcome)) => {
                self.shift(entity, -1);
                Ok(outcome)
            }
            (Fault::DeniesItsUpdates, Ok(outcome)) => Ok(outcome.changed(false)),
            (Fault::AcceptsUpdatesOfUnknownIds, Err(MemoryError::NotFound { .. })) => {
                let memory = plain(entity, "nothing", &mut SeededRng::new(0)).memory;
                let generation = self.inner.entity_stats(entity).await?.generation;
                Ok(UpdateOutcome::new(generation, memory))
            }
            (_, result) => result,
        }
    }

    pub(super) async fn faulty_delete(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<RemoveOutcome> {
        if self.has(Fault::FailsOnUnknownIds) {
            let there = self.inner.get(entity, ids).await?.memories;
            if let Some((id, _)) = ids.iter().zip(there).find(|(_, row)| row.is_none()) {
                let entity = entity.clone();
                return Err(MemoryError::NotFound { entity, id: *id });
            }
        }
        if self.has(Fault::DeletesEverywhere) {
            for entity in self.everybody() {
                self.inner.delete(&entity, ids).await?;
            }
        }
        let step = match self.fault {
            Fault::DeletesOneByOne => 1,
            Fault::DeletesInTwoSteps => ids.len().div_ceil(2),
            _ => ids.len(),
        };
        let mut outcome = self.inner.delete(entity, &[]).await?;
        for ids in ids.chunks(step.max(1)) {
            let one = self.inner.delete(entity, ids).await?;
            outcome.removed.extend(one.removed);
            outcome.restored.extend(one.restored);
            outcome.unlinked.extend(one.unlinked);
            outcome.generation = one.generation;
            if self.has(Fault::DeletesInTwoSteps) {
                yield_now().await;
            }
        }
        self.note_deleted(entity, &outcome.removed);
        Ok(outcome)
    }

    pub(super) async fn faulty_record_accesses(
        &self,
        mut updates: Vec<AccessUpdate>,
        max_wait: Duration,
    ) -> MemoryResult<AccessOutcome> {
        if self.has(Fault::CountsOneAccess) {
            let known = |update: &AccessUpdate| {
                let key = (update.entity.clone(), update.id);
                self.fault_state().touched.contains_key(&key)
            };
            updates.retain(|update| !known(update));
        }
        if self.has(Fault::RecordsAccessesOfOneEntity) {
            let first = updates.first().map(|update| update.entity.clone());
            updates.retain(|update| Some(&update.entity) == first.as_ref());
        }
        if self.has(Fault::RaisesTheGenerationOnAccess)
            && let Some(update) = updates.first()
        {
            self.shift(&update.entity, 1);
        }
        let mut deferred = Vec::new();
        if self.has(Fault::LosesDeferredAccesses) && max_wait.is_zero() {
            updates.truncate(updates.len().div_ceil(2));
        }
        if self.has(Fault::RecordsDeferredAccesses) && max_wait.is_zero() {
            deferred.extend(updates.last().cloned());
        }
        let is_apart = match self.fault {
            Fault::RecordsAccessesOneByOne => true,
            Fault::RecordsUpToAnError => AccessUpdate::validate_all(&updates).is_err(),
            _ => false,
        };
        if is_apart {
            for update in &updates {
                let one = std::slice::from_ref(update);
                self.inner.record_accesses(one, max_wait).await?;
                yield_now().await;
            }
            return Ok(AccessOutcome::default());
        }
        self.note_touched(&updates);
        let mut outcome = self.inner.record_accesses(&updates, max_wait).await?;
        outcome.deferred.extend(deferred);
        Ok(outcome)
    }
}

/// Makes vectors of what are none.
pub(super) fn fix_vectors(embedding: &mut Embedding) {
    let length = embedding.vectors.first().map_or(1, Vec::len).max(1);
    embedding
        .vectors
        .resize(embedding.vectors.len().max(1), Vec::new());
    for vector in &mut embedding.vectors {
        vector.resize(length, 0.0);
        if normalize(vector).is_err() {
            vector.fill(1.0);
        }
    }
}
