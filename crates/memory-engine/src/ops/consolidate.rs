//! Consolidating: one summary in place of many near-duplicates.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use memory_core::{
    ChangeSet, EmbeddedMemory, EntityId, ErrorKind, Fingerprint, Generation, InvalidInput,
    ListRequest, ListScope, MemoryError, MemoryId, MemoryResult, SummaryGroup,
};

use crate::consolidation::{
    ClusterItem, ConsolidateRequest, ConsolidatedSummary, ConsolidationReport, Group,
    extractive_summary, group_near_duplicates, is_summary, jittered_backoff, sanitize_completion,
    source_generation, summary_prompt,
};
use crate::engine::{Engine, EngineInner};
use crate::snapshot::Delta;
use crate::store_scan::stored_memory;
use crate::tiers::CommittedWrite;

/// How often an entity is read again where its memories changed meanwhile.
const MAX_TRIES: u32 = 5;

/// Concurrent calls of the language model.
const CALLS_AT_ONCE: usize = 4;

/// Summaries by the ids and contents of their sources: another try asks the
/// model only for those whose sources changed.
type Drafts = HashMap<Vec<(MemoryId, String)>, String>;

impl Engine {
    /// Groups near-duplicates among all live memories, writes one summary for
    /// each group and archives its sources, in one transaction.
    pub async fn consolidate(
        &self,
        entity: &EntityId,
        request: &ConsolidateRequest,
    ) -> MemoryResult<ConsolidationReport> {
        entity.validate()?;
        request.validate()?;
        let mut drafts = Drafts::new();
        let mut tries = 0;
        loop {
            let (found, generation) = self.inner.near_duplicates(entity, request).await?;
            let outcome = self
                .inner
                .consolidate_groups(entity, found, generation, &mut drafts)
                .await;
            match outcome {
                Err(MemoryError::Changed { .. }) if tries < MAX_TRIES => {
                    tries += 1;
                    jittered_backoff(tries).await;
                }
                Err(error) => return Err(error),
                Ok(consolidated) => {
                    if *request == ConsolidateRequest::default() {
                        self.inner.watermarks.set(entity, generation);
                    }
                    return Ok(consolidated);
                }
            }
        }
    }

    /// Consolidates an entity that has as many live memories since its last
    /// consolidation as the configuration asks for.
    ///
    /// When that was, this process remembers; after a restart the summaries
    /// themselves say it.
    pub async fn auto_consolidate_if_needed(
        &self,
        entity: &EntityId,
    ) -> MemoryResult<Option<ConsolidationReport>> {
        entity.validate()?;
        let inner = &self.inner;
        let threshold = inner.config.consolidation_threshold;
        let stats = inner.store.entity_stats(entity).await?;
        if stats.memory_count < threshold {
            return Ok(None);
        }
        let since = match inner.watermarks.get(entity) {
            Some(generation) => generation,
            None => inner.last_consolidation(entity).await?,
        };
        let written = inner.changes_without_vectors(entity, since).await?.written;
        let fresh = written.iter().filter(|item| !is_summary(&item.memory));
        if (fresh.count() as u64) < threshold {
            return Ok(None);
        }
        let request = ConsolidateRequest::default();
        self.consolidate(entity, &request).await.map(Some)
    }

    /// Removes a summary and makes its sources live again, as they were.
    /// Returns their ids.
    pub async fn undo_consolidation(
        &self,
        entity: &EntityId,
        summary: &MemoryId,
    ) -> MemoryResult<Vec<MemoryId>> {
        let store = &*self.inner.store;
        let memory = stored_memory(store, entity, summary).await?;
        if let Some(above) = memory.archived_by {
            return Err(MemoryError::Archived {
                entity: entity.clone(),
                id: *summary,
                summary: above,
            });
        }
        let sources = ListRequest::new(1).scope(ListScope::SourcesOf(*summary));
        if store.list(entity, &sources).await?.memories.is_empty() {
            return Err(InvalidInput::NoSources.into());
        }
        let removed = self.inner.remove(entity, vec![*summary], vec![memory]);
        Ok(removed.await?.restored)
    }
}

impl EngineInner {
    /// Reads the whole live state with its vectors, past the tiers, and groups
    /// it on a blocking thread.
    async fn near_duplicates(
        &self,
        entity: &EntityId,
        request: &ConsolidateRequest,
    ) -> MemoryResult<(Vec<Group>, Generation)> {
        let fingerprint = &self.embedder.embedder.profile().fingerprint;
        let changes = self
            .store
            .changes_since(entity, Generation::ZERO, fingerprint)
            .await?;
        let (generation, written, request) = (changes.generation, changes.written, request.clone());
        let group = move || {
            let mut candidates: Vec<ClusterItem> = written
                .into_iter()
                .filter_map(|item| ClusterItem::new(item, &request.filter))
                .collect();
            let least = request.min_sources.max(2);
            let found = group_near_duplicates(&mut candidates, request.min_similarity, least);
            let sources = |group: Vec<usize>| {
                let memories = group.iter().map(|&at| Arc::clone(&candidates[at].memory));
                Group {
                    sources: memories.collect(),
                }
            };
            found.into_iter().map(sources).collect()
        };
        let found = tokio::task::spawn_blocking(group).await.map_err(|ended| {
            let message = "the grouping's task ended early";
            MemoryError::store(ErrorKind::Other, "consolidate", message).with_source(ended)
        })?;
        Ok((found, generation))
    }

    async fn consolidate_groups(
        &self,
        entity: &EntityId,
        found: Vec<Group>,
        generation: Generation,
        drafts: &mut Drafts,
    ) -> MemoryResult<ConsolidationReport> {
        if found.is_empty() {
            return Ok(ConsolidationReport::default());
        }
        let contents = self.contents(&found, drafts).await?;
        let now = self.clock.now();
        let texts: Vec<&str> = contents.iter().map(String::as_str).collect();
        let embeddings = self.embedder.embed_contents(&texts).await?;
        let mut writes = Vec::with_capacity(found.len());
        let mut report = ConsolidationReport::default();
        for ((group, content), embedding) in found.iter().zip(&contents).zip(embeddings) {
            let memory = group.summary(entity, content.clone(), generation, now);
            let sources = group.ids();
            report.summaries.push(ConsolidatedSummary {
                id: memory.id,
                sources: sources.clone(),
            });
            writes.push(SummaryGroup {
                summary: EmbeddedMemory { memory, embedding },
                sources,
            });
        }
        self.archive(entity, writes.into(), generation).await?;
        Ok(report)
    }

    /// Writes summaries and archives their sources, in one transaction.
    pub(super) async fn archive(
        &self,
        entity: &EntityId,
        groups: Arc<[SummaryGroup]>,
        read_at: Generation,
    ) -> MemoryResult<()> {
        let ids: Vec<MemoryId> = groups
            .iter()
            .flat_map(|group| group.sources.iter().chain([&group.summary.memory.id]))
            .copied()
            .collect();
        let targets = vec![(entity.clone(), ids.clone())];
        let (store, owner) = (Arc::clone(&self.store), entity.clone());
        let write = async move {
            let outcome = store.consolidate(&owner, &groups, read_at).await?;
            let write = CommittedWrite {
                entity: owner,
                generation: outcome.generation,
                delta: Arc::new(Delta::unknown(ids)),
                began: None,
            };
            Ok(((), vec![write]))
        };
        let committed = self.writer.commit(targets, Vec::new(), write).await?;
        committed.finish().await;
        Ok(())
    }

    /// One content for each group, in order.
    async fn contents(&self, found: &[Group], drafts: &mut Drafts) -> MemoryResult<Vec<String>> {
        let key = |group: &Group| -> Vec<(MemoryId, String)> {
            let sources = group.sources.iter();
            sources.map(|m| (m.id, m.content.clone())).collect()
        };
        let missing = found
            .iter()
            .filter(|group| !drafts.contains_key(&key(group)));
        // Boxed one by one: a closure's future over borrowed groups is not
        // general enough for the compiler otherwise.
        let calls: Vec<_> = missing.map(|group| self.draft(group, key(group))).collect();
        let fresh: Vec<_> = stream::iter(calls)
            .buffered(CALLS_AT_ONCE)
            .try_collect()
            .await?;
        drafts.extend(fresh);
        let contents = found
            .iter()
            .filter_map(|group| drafts.get(&key(group)).cloned());
        Ok(contents.collect())
    }

    /// A summary by the language model, where there is one and it returns
    /// something; otherwise an extractive one.
    async fn draft(
        &self,
        group: &Group,
        key: Vec<(MemoryId, String)>,
    ) -> MemoryResult<(Vec<(MemoryId, String)>, String)> {
        let completion = match &self.language_model {
            Some(model) => {
                sanitize_completion(&model.complete(&summary_prompt(&group.sources)).await?)
            }
            None => None,
        };
        let content = completion.unwrap_or_else(|| extractive_summary(&group.contents()));
        Ok((key, content))
    }

    /// The latest generation at which sources of a live summary were read.
    async fn last_consolidation(&self, entity: &EntityId) -> MemoryResult<Generation> {
        let all = self
            .changes_without_vectors(entity, Generation::ZERO)
            .await?;
        let read = all
            .written
            .iter()
            .filter_map(|item| source_generation(&item.memory));
        Ok(read.max().unwrap_or(Generation::ZERO))
    }

    /// What changed, without vectors: none has an empty fingerprint.
    async fn changes_without_vectors(
        &self,
        entity: &EntityId,
        since: Generation,
    ) -> MemoryResult<ChangeSet> {
        let none = Fingerprint::from("");
        self.store.changes_since(entity, since, &none).await
    }
}
