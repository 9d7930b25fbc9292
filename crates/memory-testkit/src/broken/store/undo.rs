//! Removing with what follows from it, and linking, brokenly.

use std::collections::BTreeMap;

use memory_core::{
    EmbeddedMemory, Embedding, EntityId, InsertOptions, InvalidInput, ListRequest, MemoryError,
    MemoryId, MemoryPatch, MemoryResult, RemoveOutcome, Store, UpdateOutcome, limits,
};

use super::{BrokenStore, StoreFault as Fault};
use crate::patience::yield_now;

/// The links of an entity's live memories.
type Links = BTreeMap<MemoryId, BTreeMap<MemoryId, String>>;

impl BrokenStore {
    pub(super) async fn remove_brokenly(
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
        let mut outcome = self.delete_brokenly(entity, ids).await?;
        let along = |id: &&MemoryId| !ids.contains(id);
        let along: Vec<MemoryId> = outcome.removed.iter().filter(along).copied().collect();
        match self.fault {
            Fault::LeavesSummariesBehind => self.bring_back(entity, &along, &mut outcome).await?,
            Fault::StopsAtTheFirstSummary => {
                let direct = |id: &MemoryId| archived.iter().any(|(_, by)| by == id);
                let above: Vec<MemoryId> = along.into_iter().filter(|id| !direct(id)).collect();
                self.bring_back(entity, &above, &mut outcome).await?;
            }
            Fault::LosesWhatASummaryStoodFor if !outcome.restored.is_empty() => {
                let restored = std::mem::take(&mut outcome.restored);
                self.inner.delete(entity, &restored).await?;
                self.shift(entity, -1);
            }
            Fault::BringsEveryLevelBack => {
                for id in outcome.restored.clone() {
                    if let Some(item) = self.summary(entity, id) {
                        let below = self.inner.delete(entity, &[id]).await?;
                        self.inner.insert(&[item]).await?;
                        self.shift(entity, -2);
                        outcome.restored.extend(below.restored);
                    }
                }
            }
            Fault::RestoresWhatGoes => {
                outcome.restored.extend(archived.iter().map(|(id, _)| *id));
            }
            Fault::KeepsDanglingLinks => self.relink(entity, links, &mut outcome).await?,
            Fault::MissesLinksOfTheRestored => {
                let RemoveOutcome {
                    restored, unlinked, ..
                } = &mut outcome;
                unlinked.retain(|id| !restored.contains(id));
            }
            _ => {}
        }
        let mut notes = self.notes();
        let restored = outcome.restored.iter().map(|id| (entity.clone(), *id));
        notes.restored.extend(restored);
        drop(notes);
        Ok(outcome)
    }

    /// Writes removed summaries anew.
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

    /// The links of everybody of whom something is to give way.
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
        self.notes().summaries.get(&(entity.clone(), id)).cloned()
    }

    pub(super) async fn link_brokenly(
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
        let result = self.update_brokenly(entity, id, &patch, embedding).await;
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
