//! Reading what is archived, and what searches say of it all, brokenly.

use memory_core::{
    ArmSummary, Candidate, Candidates, Changes, EntityId, ListPage, ListRequest, ListScope, Memory,
    MemoryFilter, MemoryResult, PageCursor, SearchRequest, Store, Touch, bounds,
};

use super::{BrokenStore, StoreFault as Fault};

impl BrokenStore {
    /// What a get gives of an entity's memories.
    pub(super) fn spoil_archived(&self, entity: &EntityId, memories: &mut [Option<Memory>]) {
        for memory in memories {
            let Some(found) = memory else { continue };
            if self.has(Fault::TakesArchivedIn) {
                let key = (entity.clone(), found.id);
                found.archived_by = self.notes().arrived_archived.get(&key).copied();
            }
            if found.archived_by.is_none() {
                continue;
            }
            match self.fault {
                Fault::LosesArchived => *memory = None,
                Fault::AltersWhatItArchives => found.access_count = 0,
                _ => {}
            }
        }
    }

    pub(super) async fn list_scope_brokenly(
        &self,
        entity: &EntityId,
        request: &ListRequest,
    ) -> MemoryResult<ListPage> {
        let mut request = request.clone();
        if let (Fault::ListsAllForOneSummary, ListScope::SourcesOf(_)) = (self.fault, request.scope)
        {
            request.scope = ListScope::Archived;
        }
        let mut page = self.list_brokenly(entity, &request).await?;
        if self.has(Fault::ListsArchivedAsLive) && request.scope == ListScope::Live {
            let archived = request.clone().scope(ListScope::Archived);
            let archived = self.list_brokenly(entity, &archived).await?;
            page.memories.extend(archived.memories);
            let place = |memory: &Memory| (memory.timestamp, memory.id);
            page.memories
                .sort_by_key(|memory| std::cmp::Reverse(place(memory)));
            let more = page.next.is_some() || archived.next.is_some();
            let more = more || page.memories.len() > request.limit;
            page.memories.truncate(request.limit);
            page.next = page.memories.last().filter(|_| more).map(PageCursor::from);
        }
        Ok(page)
    }

    pub(super) async fn count_brokenly(
        &self,
        entity: &EntityId,
        filter: &MemoryFilter,
    ) -> MemoryResult<u64> {
        if self.has(Fault::CountsWhatIsFilteredOut) {
            return self.inner.count(entity, &MemoryFilter::new()).await;
        }
        let filter = self.misread(filter);
        let mut count = self.inner.count(entity, &filter).await?;
        if self.has(Fault::CountsArchivedAsLive) {
            count += self.archived(entity, &filter).await?.len() as u64;
        }
        Ok(count)
    }

    pub(super) async fn search_archive_brokenly(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<Candidates> {
        let mut found = self.search_brokenly(entity, request).await?;
        let archived = self.archived(entity, &request.filter).await?;
        match self.fault {
            Fault::SearchesArchived => {
                found
                    .candidates
                    .extend(
                        archived
                            .into_iter()
                            .take(request.limit)
                            .map(|memory| Candidate {
                                memory,
                                similarity: request.dense.as_ref().map(|_| 0.5),
                                lexical: request.lexical.as_ref().map(|_| 0.5),
                            }),
                    )
            }
            Fault::FiltersArchivedAfterTheLimit if !archived.is_empty() => {
                found.candidates.truncate(request.limit / 2);
            }
            Fault::SummarisesTheFoundOnly if found.dense.is_some() => {
                let values = found.candidates.iter().filter_map(|it| it.similarity);
                found.dense = Some(ArmSummary::of(values));
            }
            Fault::SummarisesMatchesOnly if found.lexical.is_some() => {
                let all = SearchRequest {
                    limit: bounds::MAX_LIMIT,
                    ..request.clone()
                };
                let all = self.inner.search(entity, &all).await?.candidates;
                let values = all.iter().filter_map(|it| it.lexical);
                found.lexical = Some(ArmSummary::of(values));
            }
            Fault::SummarisesWithoutTheFilter => {
                let all = SearchRequest {
                    filter: MemoryFilter::new(),
                    ..request.clone()
                };
                let all = self.inner.search(entity, &all).await?;
                (found.dense, found.lexical) = (all.dense, all.lexical);
            }
            Fault::SummarisesOneArmAtATime if found.dense.is_some() => found.lexical = None,
            Fault::SummarisesUnaskedArms => {
                found.dense = found.dense.or(Some(ArmSummary::default()));
                found.lexical = found.lexical.or(Some(ArmSummary::default()));
            }
            _ => {}
        }
        Ok(found)
    }

    pub(super) async fn spoil_changes(
        &self,
        entity: &EntityId,
        changes: &mut Changes,
    ) -> MemoryResult<()> {
        match self.fault {
            Fault::TellsNothingOfArchiving => {
                let archived = self.archived_among(entity, &changes.removed).await?;
                changes.removed.retain(|id| !archived.contains(id));
            }
            Fault::RestoresWithoutVectors => {
                let notes = self.notes();
                for item in &mut changes.written {
                    if notes.restored.contains(&(entity.clone(), item.memory.id)) {
                        item.embedding.vectors.clear();
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The touches that are carried out.
    pub(super) async fn touchable(
        &self,
        entity: &EntityId,
        touches: &[Touch],
    ) -> MemoryResult<Vec<Touch>> {
        let mut touches = touches.to_vec();
        if self.has(Fault::TouchesNothingArchived) {
            let ids: Vec<_> = touches.iter().map(|touch| touch.id).collect();
            let archived = self.archived_among(entity, &ids).await?;
            touches.retain(|touch| !archived.contains(&touch.id));
        }
        Ok(touches)
    }

    /// The archived memories that a filter admits.
    async fn archived(
        &self,
        entity: &EntityId,
        filter: &MemoryFilter,
    ) -> MemoryResult<Vec<Memory>> {
        let request = ListRequest::new(bounds::MAX_LIMIT)
            .filter(filter.clone())
            .scope(ListScope::Archived);
        Ok(self.inner.list(entity, &request).await?.memories)
    }
}
