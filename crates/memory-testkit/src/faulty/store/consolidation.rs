//! Faulty consolidations, removals and links.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{
    ConsolidateOutcome, EmbeddedMemory, Embedding, EntityId, Generation, InsertOptions,
    InvalidInput, ListRequest, ListScope, MemoryError, MemoryId, MemoryPatch, MemoryResult,
    RemoveOutcome, Store, SummaryGroup, UpdateOutcome, limits,
};

use super::{FaultyStore, StoreFault as Fault};
use crate::timing::yield_now;

impl FaultyStore {
    pub(super) async fn faulty_consolidate(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome> {
        let mut groups = groups.to_vec();
        let mut read_at = read_at;
        let present = self.inner.entity_stats(entity).await?.generation;
        let unchanged = Ok(ConsolidateOutcome::new(present));
        let summaries: Vec<EmbeddedMemory> = groups.iter().map(|it| it.summary.clone()).collect();
        let ids: Vec<MemoryId> = summaries.iter().map(|it| it.memory.id).collect();
        match self.fault {
            Fault::ConsolidatesGroupByGroup => {
                let mut outcome = unchanged;
                for group in groups {
                    outcome = self.inner.consolidate(entity, &[group], read_at).await;
                }
                return outcome;
            }
            Fault::SkipsMissingSources => {
                for group in &mut groups {
                    let there = self.inner.get(entity, &group.sources).await?.memories;
                    let there: Vec<MemoryId> = there.into_iter().flatten().map(|m| m.id).collect();
                    group.sources.retain(|id| there.contains(id));
                }
                groups.retain(|group| !group.sources.is_empty());
            }
            Fault::ConsolidatesWhatChanged => read_at = present,
            Fault::CutsVectorsOfSummaries => {
                let max = self.inner.capabilities().max_dimensions;
                let summaries = groups.iter_mut().map(|group| &mut group.summary);
                let vectors = summaries.flat_map(|summary| &mut summary.embedding.vectors);
                vectors.for_each(|vector| vector.truncate(max));
            }
            Fault::RefusesRepeats => {
                let there = self.inner.get(entity, &ids).await?.memories;
                if let Some(memory) = there.into_iter().flatten().next() {
                    let (entity, id) = (entity.clone(), memory.id);
                    return Err(MemoryError::Conflict { entity, id });
                }
            }
            Fault::CountsEmptyConsolidations if groups.is_empty() => {
                self.shift(entity, 1);
                return unchanged;
            }
            Fault::ConsolidatesNoSummaries => {
                for id in groups.iter().flat_map(|group| &group.sources) {
                    let request = ListRequest::new(1).scope(ListScope::SourcesOf(*id));
                    if !self.inner.list(entity, &request).await?.memories.is_empty() {
                        let (entity, id) = (entity.clone(), *id);
                        return Err(MemoryError::Changed { entity, id });
                    }
                }
            }
            Fault::AcceptsOverlappingConsolidations => yield_now().await,
            Fault::MergesDuplicateSources => {
                let mut seen = BTreeSet::new();
                for group in &mut groups {
                    group.sources.retain(|id| seen.insert(*id));
                }
            }
            Fault::ConsolidatesInTwoSteps => {
                let outcome = self.inner.insert(&summaries).await?;
                yield_now().await;
                if outcome.inserted.contains(&true) {
                    self.inner.delete(entity, &ids).await?;
                    self.shift(entity, -2);
                }
            }
            Fault::SkipsUndoneConsolidations => {
                let done =
                    |id: &MemoryId| self.fault_state().deleted.contains(&(entity.clone(), *id));
                if ids.iter().all(done) {
                    return unchanged;
                }
            }
            _ => {}
        }
        let result = self.inner.consolidate(entity, &groups, read_at).await;
        match (self.fault, result) {
            (Fault::KeepsGroupsBeforeAnError, Err(error)) => {
                for group in groups {
                    self.inner.consolidate(entity, &[group], read_at).await?;
                }
                Err(error)
            }
            (Fault::ReplacesTakenIds, Err(MemoryError::Conflict { entity, id })) => {
                self.inner.delete(&entity, &[id]).await?;
                self.inner.consolidate(&entity, &groups, read_at).await
            }
            (Fault::AcceptsOverlappingConsolidations, Err(MemoryError::Changed { .. })) => {
                unchanged
            }
            (_, result) => {
                if result.is_ok() {
                    self.note_summaries(entity, summaries);
                }
                if self.has(Fault::ArchivesVectorsOfOneModel) {
                    for SummaryGroup { summary, sources } in &groups {
                        let model = &summary.embedding.fingerprint;
                        self.inner
                            .remove_other_vectors(entity, sources, model)
                            .await?;
                    }
                }
                result
            }
        }
    }
}

/// The links of an entity's live memories.
type Links = BTreeMap<MemoryId, BTreeMap<MemoryId, String>>;

impl FaultyStore {
    pub(super) async fn faulty_remove(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<RemoveOutcome> {
        let links = self.links_of(entity).await?;
        let there = self.inner.get(entity, ids).await?.memories;
        let archived: Vec<_> = there
            .into_iter()
            .flatten()
            .filter_map(|memory| Some((memory.id, memory.archived_by?)))
            .collect();
        let mut outcome = self.faulty_delete(entity, ids).await?;
        let along = |id: &&MemoryId| !ids.contains(id);
        let along: Vec<MemoryId> = outcome.removed.iter().filter(along).copied().collect();
        match self.fault {
            Fault::KeepsSummariesOfRemoved => self.bring_back(entity, &along, &mut outcome).await?,
            Fault::StopsAtTheFirstSummary => {
                let direct = |id: &MemoryId| archived.iter().any(|(_, by)| by == id);
                let above: Vec<MemoryId> = along.into_iter().filter(|id| !direct(id)).collect();
                self.bring_back(entity, &above, &mut outcome).await?;
            }
            Fault::RemovesSourcesWithTheirSummary if !outcome.restored.is_empty() => {
                let restored = std::mem::take(&mut outcome.restored);
                self.inner.delete(entity, &restored).await?;
                self.shift(entity, -1);
            }
            Fault::RestoresEveryLevel => {
                for id in outcome.restored.clone() {
                    if let Some(item) = self.summary(entity, id) {
                        let below = self.inner.delete(entity, &[id]).await?;
                        self.inner.insert(&[item]).await?;
                        self.shift(entity, -2);
                        outcome.restored.extend(below.restored);
                    }
                }
            }
            Fault::ReportsRemovedAsRestored => {
                outcome.restored.extend(archived.iter().map(|(id, _)| *id));
            }
            Fault::KeepsDanglingLinks => self.relink(entity, links, &mut outcome).await?,
            Fault::OmitsUnlinkedRestored => {
                let RemoveOutcome {
                    restored, unlinked, ..
                } = &mut outcome;
                unlinked.retain(|id| !restored.contains(id));
            }
            _ => {}
        }
        let mut fault_state = self.fault_state();
        let restored = outcome.restored.iter().map(|id| (entity.clone(), *id));
        fault_state.restored.extend(restored);
        drop(fault_state);
        Ok(outcome)
    }

    /// Writes removed summaries again.
    async fn bring_back(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        outcome: &mut RemoveOutcome,
    ) -> MemoryResult<()> {
        for id in ids {
            if let Some(item) = self.summary(entity, *id) {
                self.inner.insert(&[item]).await?;
                self.shift(entity, -1);
                outcome.removed.retain(|removed| removed != id);
            }
        }
        Ok(())
    }

    /// Gives live memories back the links that they lost.
    pub(super) async fn relink(
        &self,
        entity: &EntityId,
        links: Links,
        outcome: &mut RemoveOutcome,
    ) -> MemoryResult<()> {
        for id in std::mem::take(&mut outcome.unlinked) {
            if let Some(related) = links.get(&id) {
                let patch = MemoryPatch::new().related(related.clone());
                self.inner.update(entity, &id, &patch, None).await?;
                self.shift(entity, -1);
            }
        }
        Ok(())
    }

    async fn links_of(&self, entity: &EntityId) -> MemoryResult<Links> {
        let live = ListRequest::new(limits::MAX_LIMIT);
        let live = self.inner.list(entity, &live).await?.memories;
        let links = live.into_iter().map(|memory| (memory.id, memory.related));
        Ok(links.collect())
    }

    /// The links of every entity with evictions.
    pub(super) async fn links_of_all(
        &self,
        room: &InsertOptions,
    ) -> MemoryResult<Vec<(EntityId, Links)>> {
        let mut all = Vec::new();
        for entity in room.evict.keys() {
            all.push((entity.clone(), self.links_of(entity).await?));
        }
        Ok(all)
    }

    fn summary(&self, entity: &EntityId, id: MemoryId) -> Option<EmbeddedMemory> {
        self.fault_state()
            .summaries
            .get(&(entity.clone(), id))
            .cloned()
    }

    pub(super) async fn faulty_link(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome> {
        let mut patch = patch.clone();
        let links = !patch.relate.is_empty() || !patch.unrelate.is_empty();
        match self.fault {
            Fault::ReplacesAllLinks if links => {
                patch.related = Some(std::mem::take(&mut patch.relate));
            }
            Fault::LosesLinks if links => {
                let read = self.inner.get(entity, &[*id]).await?.memories;
                yield_now().await;
                for mut memory in read.into_iter().flatten() {
                    patch.apply(&mut memory);
                    patch.related = Some(memory.related);
                }
            }
            _ => {}
        }
        let result = self.faulty_update(entity, id, &patch, embedding).await;
        match (self.fault, result) {
            (Fault::IgnoresMaxLinks, Err(MemoryError::InvalidInput { problem, .. }))
                if matches!(problem, InvalidInput::TooManyLinks { .. })
                    && patch.related.is_none() =>
            {
                // One goes for the other, unasked.
                let links = self.links_of(entity).await?.remove(id).unwrap_or_default();
                patch.unrelate.extend(links.into_keys().next());
                self.inner.update(entity, id, &patch, embedding).await
            }
            (Fault::HidesArchivedFromUpdates, Err(MemoryError::Archived { entity, id, .. })) => {
                Err(MemoryError::NotFound { entity, id })
            }
            (_, result) => result,
        }
    }
}
