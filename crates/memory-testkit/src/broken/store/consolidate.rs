//! Consolidating, brokenly.

use std::collections::BTreeSet;

use memory_core::{
    ConsolidateOutcome, EmbeddedMemory, EntityId, Generation, ListRequest, ListScope, MemoryError,
    MemoryId, MemoryResult, Store, SummaryGroup,
};

use super::{BrokenStore, StoreFault as Fault};
use crate::patience::yield_now;

impl BrokenStore {
    pub(super) async fn consolidate_brokenly(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome> {
        let mut groups = groups.to_vec();
        let mut read_at = read_at;
        let present = self.inner.entity_stats(entity).await?.generation;
        let unchanged = Ok(ConsolidateOutcome {
            generation: present,
        });
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
            Fault::PassesOverMissingSources => {
                for group in &mut groups {
                    let there = self.inner.get(entity, &group.sources).await?.memories;
                    let there: Vec<MemoryId> = there.into_iter().flatten().map(|m| m.id).collect();
                    group.sources.retain(|id| there.contains(id));
                }
                groups.retain(|group| !group.sources.is_empty());
            }
            Fault::ConsolidatesWhatChanged => read_at = present,
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
            Fault::LetsEveryRivalWin => yield_now().await,
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
            Fault::RemembersWhatWasUndone => {
                let done = |id: &MemoryId| self.notes().deleted.contains(&(entity.clone(), *id));
                if ids.iter().all(done) {
                    return unchanged;
                }
            }
            _ => {}
        }
        let result = self.inner.consolidate(entity, &groups, read_at).await;
        match (self.fault, result) {
            (Fault::KeepsGroupsBeforeARefusal, Err(error)) => {
                for group in groups {
                    self.inner.consolidate(entity, &[group], read_at).await?;
                }
                Err(error)
            }
            (Fault::TakesOverTakenIds, Err(MemoryError::Conflict { entity, id })) => {
                self.inner.delete(&entity, &[id]).await?;
                self.inner.consolidate(&entity, &groups, read_at).await
            }
            (Fault::LetsEveryRivalWin, Err(MemoryError::Changed { .. })) => unchanged,
            (_, result) => {
                if result.is_ok() {
                    self.note_summaries(entity, summaries);
                }
                result
            }
        }
    }
}
