//! Faulty reads of archived memories and faulty statistics of searches.

use memory_core::{
    AccessUpdate, ChangeSet, EntityId, ListPage, ListRequest, ListScope, Memory, MemoryFilter,
    MemoryResult, PageCursor, ScoreStats, SearchHit, SearchOutcome, SearchRequest, Store, limits,
};

use super::{FaultyStore, StoreFault as Fault};

impl FaultyStore {
    /// What a get gives of an entity's memories.
    pub(super) fn spoil_archived(&self, entity: &EntityId, memories: &mut [Option<Memory>]) {
        for memory in memories {
            let Some(found) = memory else { continue };
            if self.has(Fault::InsertsArchived) {
                let key = (entity.clone(), found.id);
                found.archived_by = self.fault_state().arrived_archived.get(&key).copied();
            }
            if found.archived_by.is_none() {
                continue;
            }
            match self.fault {
                Fault::LosesArchived => *memory = None,
                Fault::ChangesArchived => found.access_count = 0,
                _ => {}
            }
        }
    }

    pub(super) async fn faulty_list_scope(
        &self,
        entity: &EntityId,
        request: &ListRequest,
    ) -> MemoryResult<ListPage> {
        let mut request = request.clone();
        if let (Fault::ListsSourcesOfAllSummaries, ListScope::SourcesOf(_)) =
            (self.fault, request.scope)
        {
            request.scope = ListScope::Archived;
        }
        let mut page = self.faulty_list(entity, &request).await?;
        if self.has(Fault::ListsArchivedWithoutSummary) && request.scope == ListScope::Archived {
            let memories = page.memories.iter_mut();
            memories.for_each(|memory| memory.archived_by = None);
        }
        if self.has(Fault::ListsArchivedAsLive) && request.scope == ListScope::Live {
            let archived = request.clone().scope(ListScope::Archived);
            let archived = self.faulty_list(entity, &archived).await?;
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

    pub(super) async fn faulty_count(
        &self,
        entity: &EntityId,
        filter: &MemoryFilter,
    ) -> MemoryResult<u64> {
        if self.has(Fault::CountsWithoutTheFilter) {
            return self.inner.count(entity, &MemoryFilter::new()).await;
        }
        let filter = self.misread(filter);
        let mut count = self.inner.count(entity, &filter).await?;
        if self.has(Fault::CountsArchivedAsLive) {
            count += self.archived(entity, &filter).await?.len() as u64;
        }
        Ok(count)
    }

    pub(super) async fn faulty_search_archive(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        let mut found = self.faulty_search(entity, request).await?;
        let archived = self.archived(entity, &request.filter).await?;
        match self.fault {
            Fault::SearchesArchived => {
                found
                    .candidates
                    .extend(archived.into_iter().take(request.limit).map(|memory| {
                        SearchHit::new(memory)
                            .similarity(request.dense.as_ref().map(|_| 0.5))
                            .lexical(request.lexical.as_ref().map(|_| 0.5))
                    }))
            }
            Fault::FiltersArchivedAfterTheLimit if !archived.is_empty() => {
                found.candidates.truncate(request.limit / 2);
            }
            Fault::SummarizesHitsOnly if found.dense.is_some() => {
                let values = found.candidates.iter().filter_map(|it| it.similarity);
                found.dense = Some(ScoreStats::of(values));
            }
            Fault::SummarizesLexicalMatchesOnly if found.lexical.is_some() => {
                let all = SearchRequest {
                    limit: limits::MAX_LIMIT,
                    ..request.clone()
                };
                let all = self.inner.search(entity, &all).await?.candidates;
                let values = all.iter().filter_map(|it| it.lexical);
                found.lexical = Some(ScoreStats::of(values));
            }
            Fault::SummarizesWithoutTheFilter => {
                let all = SearchRequest {
                    filter: MemoryFilter::new(),
                    ..request.clone()
                };
                let all = self.inner.search(entity, &all).await?;
                (found.dense, found.lexical) = (all.dense, all.lexical);
            }
            Fault::SummarizesOneRetrieverOnly if found.dense.is_some() => found.lexical = None,
            Fault::SummarizesAbsentRetrievers => {
                found.dense = found.dense.or(Some(ScoreStats::default()));
                found.lexical = found.lexical.or(Some(ScoreStats::default()));
            }
            _ => {}
        }
        Ok(found)
    }

    pub(super) async fn spoil_changes(
        &self,
        entity: &EntityId,
        changes: &mut ChangeSet,
    ) -> MemoryResult<()> {
        match self.fault {
            Fault::OmitsArchivedFromChanges => {
                let archived = self.archived_among(entity, &changes.removed).await?;
                changes.removed.retain(|id| !archived.contains(id));
            }
            Fault::RestoresWithoutVectors => {
                let fault_state = self.fault_state();
                for item in &mut changes.written {
                    if fault_state
                        .restored
                        .contains(&(entity.clone(), item.memory.id))
                    {
                        item.embedding.vectors.clear();
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The updates that are carried out.
    pub(super) async fn touchable(
        &self,
        updates: &[AccessUpdate],
    ) -> MemoryResult<Vec<AccessUpdate>> {
        if !self.has(Fault::IgnoresAccessesOfArchived) {
            return Ok(updates.to_vec());
        }
        let mut touchable = Vec::new();
        for update in updates {
            let archived = self.archived_among(&update.entity, &[update.id]).await?;
            touchable.extend(archived.is_empty().then(|| update.clone()));
        }
        Ok(touchable)
    }

    /// The archived memories that a filter admits.
    async fn archived(
        &self,
        entity: &EntityId,
        filter: &MemoryFilter,
    ) -> MemoryResult<Vec<Memory>> {
        let request = ListRequest::new(limits::MAX_LIMIT)
            .filter(filter.clone())
            .scope(ListScope::Archived);
        Ok(self.inner.list(entity, &request).await?.memories)
    }
}
