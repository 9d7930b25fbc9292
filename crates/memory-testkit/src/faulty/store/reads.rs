//! Faulty reads and change streams.

use async_trait::async_trait;
use memory_core::{
    ChangeSet, ChangeStream, EntityId, ErrorKind, Fingerprint, Generation, GetOutcome, ListPage,
    ListRequest, MemoryError, MemoryFilter, MemoryId, MemoryResult, MemoryTagMode, PageCursor,
    SearchHit, SearchOutcome, SearchRequest, Store, StoreEvent, limits,
};
use uuid::Uuid;

use super::{FaultyStore, StoreFault as Fault};
use crate::timing::yield_now;

impl FaultyStore {
    pub(super) async fn faulty_get(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<GetOutcome> {
        if self.has(Fault::RefusesManyIds) && ids.len() > 32_766 {
            let message = "too many parameters";
            return Err(MemoryError::store(ErrorKind::Other, "get", message));
        }
        let mut fetched = self.inner.get(entity, ids).await?;
        match self.fault {
            Fault::SortsResultsById => fetched
                .memories
                .sort_by_key(|memory| memory.as_ref().map(|memory| memory.id)),
            Fault::LeavesOutMissingIds => fetched.memories.retain(Option::is_some),
            Fault::ReadsOtherEntities => {
                for other in self.inner.list_entities(None, limits::MAX_LIMIT).await? {
                    let theirs = self.inner.get(&other, ids).await?.memories;
                    for (memory, theirs) in fetched.memories.iter_mut().zip(theirs) {
                        *memory = memory.take().or(theirs);
                    }
                }
            }
            Fault::MovesAccessBack => {
                let fault_state = self.fault_state();
                for memory in fetched.memories.iter_mut().flatten() {
                    let last = fault_state.touched.get(&(entity.clone(), memory.id));
                    memory.last_accessed = last.copied().or(memory.last_accessed);
                }
            }
            _ => {}
        }
        Ok(fetched)
    }

    pub(super) async fn faulty_list(
        &self,
        entity: &EntityId,
        request: &ListRequest,
    ) -> MemoryResult<ListPage> {
        let mut request = request.clone();
        request.filter = self.misread(&request.filter);
        if self.has(Fault::LosesTiesBetweenPages) {
            request.after = request.after.map(|after| PageCursor {
                id: Uuid::nil().into(),
                ..after
            });
        }
        if self.has(Fault::FloorsCursors) {
            request.after = request.after.map(|after| PageCursor {
                timestamp: limits::to_micros(after.timestamp),
                ..after
            });
        }
        if self.has(Fault::ClampsLimits) {
            request.limit = request.limit.clamp(1, limits::MAX_LIMIT);
        }
        let before = self.inner.entity_stats(entity).await?.generation;
        if self.has(Fault::TearsReads) {
            yield_now().await;
        }
        let mut page = self.inner.list(entity, &request).await?;
        match self.fault {
            Fault::TearsReads => page.generation = before,
            Fault::ListsOldestFirst => page.memories.reverse(),
            Fault::PromisesAnEmptyPage if page.memories.len() == request.limit => {
                page.next = page.memories.last().map(PageCursor::from);
            }
            _ => {}
        }
        Ok(page)
    }

    /// What becomes of a filter.
    pub(super) fn misread(&self, filter: &MemoryFilter) -> MemoryFilter {
        let mut filter = filter.clone();
        match self.fault {
            Fault::IgnoresTagStrictness => {
                filter.tag_mode = match filter.tag_mode {
                    MemoryTagMode::AnyStrict => MemoryTagMode::Any,
                    MemoryTagMode::AllStrict => MemoryTagMode::All,
                    lenient => lenient,
                }
            }
            Fault::IncludesUntil => {
                let instant = chrono::TimeDelta::microseconds(1);
                filter.until = filter.until.map(|until| until + instant);
            }
            Fault::FloorsTimeEdges => {
                filter.since = filter.since.map(limits::to_micros);
                filter.until = filter.until.map(limits::to_micros);
            }
            Fault::IgnoresMetadata => filter.metadata.clear(),
            Fault::IgnoresLinks => filter.relates_to = None,
            _ => {}
        }
        filter
    }

    pub(super) async fn faulty_search(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        let mut request = request.clone();
        request.filter = self.misread(&request.filter);
        let text = request.lexical.clone().unwrap_or_default();
        match self.fault {
            Fault::FiltersAfterTheLimit => {
                request.validate()?;
                let filter = std::mem::take(&mut request.filter);
                let mut found = self.inner.search(entity, &request).await?;
                found
                    .candidates
                    .retain(|found| filter.matches(&found.memory));
                return Ok(found);
            }
            Fault::ClampsSamples => request.sample = request.sample.min(limits::MAX_LIMIT),
            Fault::AcceptsEveryDiscount => {
                if let Some(query) = &mut request.dense
                    && !(0.0..=1.0).contains(&query.chunk_discount)
                {
                    query.chunk_discount = 0.0;
                }
            }
            Fault::ComparesEveryFingerprint => return self.compare_all(entity, &request).await,
            Fault::SearchesAnotherModel => {
                request = self.for_another_model(entity, &request).await?;
            }
            Fault::ReturnsOneValuePerHit => return self.search_apart(entity, &request).await,
            Fault::SearchesAllEntities => return self.search_everywhere(entity, &request).await,
            Fault::IndexesOnce => return self.search_first_words(entity, &request).await,
            Fault::TakesBlankQueries if request.lexical.is_some() && text.trim().is_empty() => {
                return Ok(SearchOutcome::default());
            }
            Fault::FailsOnQuotes if text.contains('"') => {
                let message = "syntax error in the query";
                return Err(MemoryError::store(ErrorKind::Other, "search", message));
            }
            _ => {}
        }
        let mut found = self.inner.search(entity, &request).await?;
        let content = |found: &SearchHit| found.memory.content.to_lowercase();
        match self.fault {
            Fault::AppliesOperators => {
                let excluded = |word: &str| word.strip_prefix('-').map(str::to_owned);
                let excluded: Vec<String> = text.split(' ').filter_map(excluded).collect();
                found.candidates.retain(|found| {
                    let content = content(found);
                    !excluded.iter().any(|word| content.contains(word))
                });
            }
            Fault::RequiresEveryWord => found
                .candidates
                .retain(|found| text.split(' ').all(|word| content(found).contains(word))),
            Fault::RanksNothing => {
                let values = found
                    .candidates
                    .iter_mut()
                    .filter_map(|it| it.lexical.as_mut());
                values.for_each(|value| *value = 1.0);
            }
            Fault::RepeatsACandidate => {
                if let [first, .., last] = found.candidates.as_mut_slice() {
                    *last = first.clone();
                }
            }
            Fault::ReturnsIncompleteMemories => {
                let memories = found.candidates.iter_mut().map(|it| &mut it.memory);
                memories.for_each(|memory| memory.metadata.clear());
            }
            _ => {}
        }
        Ok(found)
    }

    /// Searches among the vectors of every fingerprint there is.
    async fn compare_all(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        let mut found = self.inner.search(entity, request).await?;
        let known: Vec<Fingerprint> = self
            .fault_state()
            .embeddings
            .values()
            .map(|embedding| embedding.fingerprint.clone())
            .collect();
        for fingerprint in known {
            let mut request = request.clone();
            if let Some(dense) = &mut request.dense {
                dense.fingerprint = fingerprint;
            }
            for candidate in self.inner.search(entity, &request).await?.candidates {
                if !found
                    .candidates
                    .iter()
                    .any(|it| it.memory.id == candidate.memory.id)
                {
                    found.candidates.push(candidate);
                }
            }
        }
        Ok(found)
    }

    /// Searches retriever by retriever; who was found by one lacks the other's value.
    async fn search_apart(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        let (mut dense, mut lexical) = (request.clone(), request.clone());
        (dense.lexical, lexical.dense) = (None, None);
        let mut found = self.inner.search(entity, &dense).await?;
        for candidate in self.inner.search(entity, &lexical).await?.candidates {
            let id = candidate.memory.id;
            match found.candidates.iter_mut().find(|it| it.memory.id == id) {
                Some(there) => there.lexical = candidate.lexical,
                None => found.candidates.push(candidate),
            }
        }
        Ok(found)
    }

    async fn search_everywhere(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        let mut found = self.inner.search(entity, request).await?;
        for other in self.everybody().iter().filter(|other| *other != entity) {
            let theirs = self.inner.search(other, request).await?;
            found.candidates.extend(theirs.candidates);
        }
        Ok(found)
    }

    /// Finds as well what once held a word of the query.
    async fn search_first_words(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        let mut found = self.inner.search(entity, request).await?;
        let text = request.lexical.as_deref().unwrap_or_default();
        let once_held = |content: &str| text.split(' ').any(|word| content.contains(word));
        let hers: Vec<MemoryId> = self
            .fault_state()
            .contents
            .iter()
            .filter(|((owner, _), content)| owner == entity && once_held(content))
            .map(|((_, id), _)| *id)
            .collect();
        for memory in self
            .inner
            .get(entity, &hers)
            .await?
            .memories
            .into_iter()
            .flatten()
        {
            if !found.candidates.iter().any(|it| it.memory.id == memory.id) {
                found
                    .candidates
                    .push(SearchHit::new(memory).lexical(Some(0.5)));
            }
        }
        Ok(found)
    }

    pub(super) async fn faulty_changes(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<ChangeSet> {
        let mut changes = self.inner.changes_since(entity, since, fingerprint).await?;
        match self.fault {
            Fault::OmitsDeletions => changes.removed.clear(),
            Fault::DropsTombstonesSilently => changes.reset = false,
            Fault::ReturnsChangesOfAllEntities => {
                for other in self.everybody().iter().filter(|other| *other != entity) {
                    let theirs = self.inner.changes_since(other, since, fingerprint).await?;
                    changes.written.extend(theirs.written);
                    changes.removed.extend(theirs.removed);
                }
            }
            Fault::KeepsOldTombstones => {
                let fault_state = self.fault_state();
                let hers = fault_state
                    .deleted
                    .iter()
                    .filter(|(owner, _)| owner == entity);
                changes.removed = hers.map(|(_, id)| *id).collect();
            }
            Fault::AlwaysReturnsTheWholeState => {
                let whole = Generation::ZERO;
                let whole = self.inner.changes_since(entity, whole, fingerprint).await?;
                changes.written = whole.written;
            }
            Fault::NeverResets if changes.reset => {
                (changes.reset, changes.written) = (false, Vec::new());
            }
            Fault::ReturnsForeignVectors => {
                let fault_state = self.fault_state();
                for item in &mut changes.written {
                    let theirs = fault_state
                        .embeddings
                        .get(&(entity.clone(), item.memory.id));
                    if let (true, Some(theirs)) = (item.embedding.vectors.is_empty(), theirs) {
                        item.embedding.vectors = theirs.vectors.clone();
                    }
                }
            }
            _ => {}
        }
        Ok(changes)
    }

    pub(super) async fn faulty_recently_accessed_entities(
        &self,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        let all = limits::MAX_LIMIT;
        let mut entities = match self.fault {
            Fault::LimitsAccessedEntitiesFirst => {
                let mut first = self.inner.list_entities(None, all).await?;
                first.truncate(limit);
                let mut accessed = self.inner.recently_accessed_entities(limit).await?;
                accessed.retain(|entity| first.contains(entity));
                accessed
            }
            Fault::AnswersAfterClose => {
                let accessed = self.inner.recently_accessed_entities(limit).await;
                accessed.unwrap_or_default()
            }
            _ => self.inner.recently_accessed_entities(limit).await?,
        };
        if self.has(Fault::SortsAccessedEntitiesByName) {
            entities.sort();
        }
        Ok(entities)
    }

    pub(super) async fn faulty_list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        let limit = match self.fault {
            Fault::ClampsLimits => limit.clamp(1, limits::MAX_LIMIT),
            _ => limit,
        };
        let mut page = self.inner.list_entities(after, limit).await?;
        match self.fault {
            Fault::SortsNamesByLocale => page.sort_by_key(|name| name.as_str().to_lowercase()),
            Fault::RepeatsTheLastEntity => {
                page.splice(0..0, after.filter(|_| limit > 1).cloned());
                page.truncate(limit);
            }
            Fault::ListsEmptyEntities => {
                let fault_state = self.fault_state();
                let known = fault_state.entities.iter();
                let beyond = known.filter(|name| after.is_none_or(|after| *name > after));
                page = beyond.take(limit).cloned().collect();
            }
            Fault::OmitsConsolidatedEntities => {
                let mut kept = Vec::new();
                for entity in page {
                    if self.inner.entity_stats(&entity).await?.archived_count == 0 {
                        kept.push(entity);
                    }
                }
                page = kept;
            }
            _ => {}
        }
        Ok(page)
    }
}

/// A listener with a fault.
#[derive(Debug)]
pub(super) struct FaultyChangeStream {
    pub(super) inner: Box<dyn ChangeStream>,
    pub(super) fault: Fault,
}

#[async_trait]
impl ChangeStream for FaultyChangeStream {
    async fn next(&mut self) -> StoreEvent {
        let news = self.inner.next().await;
        match (self.fault, news) {
            (Fault::ReportsTheNextGeneration, StoreEvent::Changed { entity, generation }) => {
                let generation = generation.next();
                StoreEvent::Changed { entity, generation }
            }
            (Fault::LosesEventsOfDroppedWaits, news) => {
                yield_now().await;
                news
            }
            (Fault::ReportsCloseAsDisconnect, StoreEvent::Closed) => StoreEvent::Disconnected,
            (_, news) => news,
        }
    }
}
