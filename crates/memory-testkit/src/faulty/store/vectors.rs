//! Faulty vectors of several models.

use std::collections::BTreeMap;

use memory_core::{
    Embedding, EntityId, ErrorKind, Fingerprint, Generation, MemoryError, MemoryId, MemoryResult,
    ReplaceVectorsOutcome, SearchRequest, Store,
};

use super::writes::fix_vectors;
use super::{FaultyStore, StoreFault as Fault};
use crate::fixtures::{embedding, other_fingerprint};
use crate::seeded_rng::SeededRng;
use crate::timing::yield_now;

impl FaultyStore {
    pub(super) async fn faulty_count_by_model(
        &self,
        entity: &EntityId,
    ) -> MemoryResult<BTreeMap<Fingerprint, u64>> {
        if self.has(Fault::ForgetsToCountByModel) {
            let message = "count_by_model is not supported";
            return Err(MemoryError::store(
                ErrorKind::Unsupported,
                "count_by_model",
                message,
            ));
        }
        let mut counts = self.inner.count_by_model(entity).await?;
        if self.has(Fault::CountsOneModelOnly) {
            while counts.len() > 1 {
                counts.pop_last();
            }
        }
        if self.has(Fault::CountsVectorsOfDeleted) {
            let fault_state = self.fault_state();
            let deleted = fault_state.deleted.iter();
            let hers = deleted.filter(|(owner, _)| owner == entity).count() as u64;
            if hers > 0 {
                *counts.entry(other_fingerprint()).or_default() += hers;
            }
        }
        Ok(counts)
    }

    pub(super) async fn faulty_replace_vectors(
        &self,
        entity: &EntityId,
        embeddings: &[(MemoryId, Embedding)],
        mut read_at: Generation,
    ) -> MemoryResult<ReplaceVectorsOutcome> {
        if self.has(Fault::ReplacesVectorsOfChangedMemories) {
            read_at = self.inner.entity_stats(entity).await?.generation;
        }
        let mut embeddings = embeddings.to_vec();
        match self.fault {
            Fault::RepairsNewVectors => embeddings.iter_mut().for_each(|(_, it)| fix_vectors(it)),
            Fault::ReplacesVectorsOfEveryEntity => {
                let others = self.everybody().into_iter().filter(|other| other != entity);
                for other in others {
                    let present = self.inner.entity_stats(&other).await?.generation;
                    let replacing = self.inner.replace_vectors(&other, &embeddings, present);
                    if !replacing.await?.replaced.is_empty() {
                        self.shift(&other, -1);
                    }
                }
            }
            Fault::ReplacesVectorsOneByOne | Fault::ReplacesVectorsUpToAnError => {
                while embeddings.len() > 1 {
                    let one = [embeddings.remove(0)];
                    let outcome = self.inner.replace_vectors(entity, &one, read_at).await?;
                    if !outcome.replaced.is_empty() {
                        self.shift(entity, -1);
                        read_at = read_at.next();
                    }
                    yield_now().await;
                }
            }
            _ => {}
        }
        let embeddings = &embeddings[..];
        let replacing = self.inner.replace_vectors(entity, embeddings, read_at);
        let outcome = replacing.await?;
        if self.has(Fault::ReplacesVectorsOfEveryModel)
            && let Some((_, embedding)) = embeddings.first()
        {
            let (ids, model) = (&outcome.replaced, &embedding.fingerprint);
            self.inner.remove_other_vectors(entity, ids, model).await?;
        }
        Ok(outcome)
    }

    pub(super) async fn faulty_remove_other_vectors(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        fingerprint: &Fingerprint,
    ) -> MemoryResult<u64> {
        if self.has(Fault::RemovesVectorsOfEveryEntity) {
            for other in self.everybody().iter().filter(|other| *other != entity) {
                let counts = self.inner.vector_counts(other, ids, fingerprint).await?;
                for (id, _) in ids.iter().zip(counts).filter(|(_, count)| *count == 0) {
                    self.add_vectors(other, id, fingerprint).await?;
                }
                self.inner
                    .remove_other_vectors(other, ids, fingerprint)
                    .await?;
            }
        }
        let removed = match self.fault {
            Fault::KeepsVectorsOfOtherModels => return Ok(ids.len() as u64),
            _ => self.inner.remove_other_vectors(entity, ids, fingerprint),
        };
        let removed = removed.await?;
        match self.fault {
            Fault::RemovesTheOnlyVectors => {
                // What is left is a vector of nothing.
                let counts = self.inner.vector_counts(entity, ids, fingerprint).await?;
                let lacking = ids.iter().zip(counts).filter(|(_, count)| *count == 0);
                for (id, _) in lacking {
                    self.add_vectors(entity, id, fingerprint).await?;
                    let one = [*id];
                    self.inner
                        .remove_other_vectors(entity, &one, fingerprint)
                        .await?;
                }
            }
            Fault::RaisesTheGenerationOnVectorRemoval if removed > 0 => self.shift(entity, 1),
            _ => {}
        }
        Ok(removed)
    }

    /// Adds the vectors of a model to a memory, without a visible write.
    pub(super) async fn add_vectors(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<()> {
        let mut added = embedding(1, &mut SeededRng::new(0));
        added.fingerprint = fingerprint.clone();
        let present = self.inner.entity_stats(entity).await?.generation;
        let adding = [(*id, added)];
        let outcome = self.inner.replace_vectors(entity, &adding, present).await?;
        if !outcome.replaced.is_empty() {
            self.shift(entity, -1);
        }
        Ok(())
    }

    /// The request for vectors of another model, where the entity has any.
    pub(super) async fn for_another_model(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchRequest> {
        let mut request = request.clone();
        if let Some(dense) = &mut request.dense {
            let models = self.inner.count_by_model(entity).await?;
            let mut others = models.into_keys().filter(|it| *it != dense.fingerprint);
            if let Some(other) = others.next() {
                dense.fingerprint = other;
            }
        }
        Ok(request)
    }
}
