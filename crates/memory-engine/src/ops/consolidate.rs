//! Consolidation: one summary in place of several near-duplicates.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, stream};
use memory_core::{
    EmbeddedMemory, EntityId, EntityStats, ErrorKind, Generation, InvalidInput, ListRequest,
    ListScope, MemoryError, MemoryId, MemoryResult, SummaryGroup, limits,
};

use crate::backoff::jittered_backoff;
use crate::blocking::run_blocking;
use crate::consolidation::{
    ConsolidateRequest, ConsolidatedSummary, ConsolidationReport, Group, Grouping, SkipReason,
    SkippedGroup, Watermark, group_memories, lacks_facts, sanitize_completion, source_generation,
    summary_prompt,
};
use crate::engine::{Engine, EngineInner};
use crate::snapshot::Delta;
use crate::store_scan::{changes_without_vectors, stored_memory};
use crate::tiers::CommittedWrite;
use crate::writer::UnwrittenTexts;

/// How often an entity is read again where its memories changed meanwhile.
const MAX_TRIES: u32 = 5;

/// Concurrent calls of the language model.
const CALLS_AT_ONCE: usize = 4;

/// After so many groups in a row for which the language model was unavailable,
/// it is not called for the rest.
const MAX_UNAVAILABLE_IN_A_ROW: usize = CALLS_AT_ONCE;

/// The ids and contents of a group's sources.
type DraftKey = Arc<[(MemoryId, String)]>;

/// A summary's content, or the reason why there is none.
type Draft = Result<String, FailedDraft>;

/// Why there is no content.
#[derive(Clone, Copy)]
struct FailedDraft {
    reason: SkipReason,
    /// Whether the same group may succeed later.
    is_retryable: bool,
}

impl From<SkipReason> for FailedDraft {
    fn from(reason: SkipReason) -> Self {
        let is_retryable = reason == SkipReason::ModelUnavailable;
        Self {
            reason,
            is_retryable,
        }
    }
}

/// Drafts by what they were made from: another try drafts only what changed.
type Drafts = HashMap<DraftKey, Draft>;

/// The groups of an entity's live memories at a generation.
struct KeyedGroups {
    groups: Vec<(DraftKey, Group)>,
    skipped: Vec<SkippedGroup>,
    generation: Generation,
    /// How many live memories there are.
    memories: u64,
}

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
            let grouping = self.inner.group_live_memories(entity, request).await?;
            let (generation, memories) = (grouping.generation, grouping.memories);
            let consolidating = self.inner.consolidate_groups(entity, grouping, &mut drafts);
            match consolidating.await {
                Err(MemoryError::Changed { .. }) if tries < MAX_TRIES => {
                    tries += 1;
                    jittered_backoff(tries).await;
                }
                Err(error) => return Err(error),
                Ok(consolidated) => {
                    let is_retryable =
                        |draft: &Draft| draft.as_ref().is_err_and(|failed| failed.is_retryable);
                    let is_done = !drafts.values().any(is_retryable);
                    let watermarks = &self.inner.watermarks;
                    if *request != ConsolidateRequest::default() {
                        // It is not about all memories.
                    } else if is_done {
                        let written = consolidated.summaries.len() as u64;
                        let watermark = Watermark {
                            generation,
                            memories: Some(memories + written),
                            failed_at: None,
                        };
                        watermarks.set(entity, watermark);
                    } else {
                        // The summaries of this time do not say that nothing is left.
                        let watermark = watermarks.get(entity).unwrap_or(Watermark::NOTHING);
                        let failed_at = Some(self.inner.clock.now());
                        let watermark = Watermark {
                            failed_at,
                            ..watermark
                        };
                        watermarks.set(entity, watermark);
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
        let watermark = match inner.watermarks.get(entity) {
            Some(watermark) => watermark,
            None => match inner.last_consolidation(entity, threshold, &stats).await? {
                Some(generation) => {
                    let watermark = Watermark::derived(generation);
                    inner.watermarks.set(entity, watermark);
                    watermark
                }
                None => return self.consolidate_all(entity).await.map(Some),
            },
        };
        if watermark.failed_recently(inner.clock.now()) {
            return Ok(None);
        }
        let changes = changes_without_vectors(&*inner.store, entity, watermark.generation);
        let changes = changes.await?;
        // Dropped there as well: after an import these are very many.
        let count_new = move || {
            let live = stats.memory_count;
            let new = watermark.count_new(&changes, live);
            (new, watermark.with_memories(&changes, live, new))
        };
        let (new, counted) = run_blocking("auto_consolidate", count_new).await?;
        if new < threshold {
            // What is written again from now on is not new.
            inner.watermarks.replace(entity, &watermark, counted);
            return Ok(None);
        }
        self.consolidate_all(entity).await.map(Some)
    }

    async fn consolidate_all(&self, entity: &EntityId) -> MemoryResult<ConsolidationReport> {
        let request = ConsolidateRequest::default();
        self.consolidate(entity, &request).await
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
            return Err(InvalidInput::NotASummary { id: *summary }.into());
        }
        let removed = self.inner.remove(entity, vec![*summary], vec![memory]);
        Ok(removed.await?.restored)
    }
}

impl EngineInner {
    /// Reads the whole live state with its vectors, past the tiers, and groups
    /// it on a blocking thread.
    async fn group_live_memories(
        &self,
        entity: &EntityId,
        request: &ConsolidateRequest,
    ) -> MemoryResult<KeyedGroups> {
        let has_model = self.language_model.is_some();
        let changes = if has_model {
            let fingerprint = self.embedder.fingerprint();
            self.store
                .changes_since(entity, Generation::ZERO, fingerprint)
                .await?
        } else {
            changes_without_vectors(&*self.store, entity, Generation::ZERO).await?
        };
        let (generation, written, request) = (changes.generation, changes.written, request.clone());
        let memories = written.len() as u64;
        let group = move || {
            let Grouping { groups, skipped } = group_memories(written, &request, has_model);
            let keyed = groups.into_iter().map(|group| (draft_key(&group), group));
            KeyedGroups {
                groups: keyed.collect(),
                skipped,
                generation,
                memories,
            }
        };
        run_blocking("consolidate", group).await
    }

    async fn consolidate_groups(
        &self,
        entity: &EntityId,
        grouping: KeyedGroups,
        drafts: &mut Drafts,
    ) -> MemoryResult<ConsolidationReport> {
        let KeyedGroups {
            groups,
            mut skipped,
            generation,
            ..
        } = grouping;
        self.draft_missing(&groups, drafts).await;
        let mut drafted: Vec<(Group, String)> = Vec::with_capacity(groups.len());
        for (key, group) in groups {
            match drafts.get(&key) {
                Some(Ok(content)) => drafted.push((group, content.clone())),
                Some(Err(failed)) => skipped.push(SkippedGroup::new(group.ids(), failed.reason)),
                None => {}
            }
        }
        if drafted.is_empty() {
            return Ok(ConsolidationReport {
                summaries: Vec::new(),
                skipped,
            });
        }
        let now = self.clock.now();
        let texts: Vec<String> = drafted.iter().map(|(_, content)| content.clone()).collect();
        let unwritten = UnwrittenTexts::new(self.embedder.clone(), texts);
        let texts: Vec<&str> = drafted
            .iter()
            .map(|(_, content)| content.as_str())
            .collect();
        let embeddings = self.embedder.embed_contents(&texts).await?;
        let owner = entity.clone();
        let summarize = move || {
            let drafted = drafted.into_iter().zip(embeddings);
            let writes = drafted.map(|((group, content), embedding)| SummaryGroup {
                sources: group.ids(),
                summary: EmbeddedMemory {
                    memory: group.summary(&owner, content, generation, now),
                    embedding,
                },
            });
            writes.collect::<Vec<_>>()
        };
        let writes = run_blocking("consolidate", summarize).await?;
        let summaries = writes.iter().map(|group| ConsolidatedSummary {
            id: group.summary.memory.id,
            sources: group.sources.clone(),
        });
        let report = ConsolidationReport {
            summaries: summaries.collect(),
            skipped,
        };
        let writes: Arc<[SummaryGroup]> = writes.into();
        if let Err(error) = self.archive(entity, writes, generation).await {
            // A source may have been forgotten meanwhile, and nothing of it stays.
            unwritten.remove().await;
            return Err(error);
        }
        unwritten.keep();
        let archived = report.summaries.iter().map(|summary| summary.sources.len());
        let (groups, memories) = (report.summaries.len(), archived.sum::<usize>());
        memory_metrics::CONSOLIDATIONS_GROUPS.increment(&[], groups as u64);
        memory_metrics::CONSOLIDATIONS_MEMORIES.increment(&[], memories as u64);
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
            let write = CommittedWrite::new(owner, outcome.generation, Delta::unknown(ids));
            Ok(((), vec![write]))
        };
        let committed = self.writer.commit(targets, Vec::new(), write).await?;
        committed.finish().await;
        Ok(())
    }

    /// Adds a draft for each group that has none.
    async fn draft_missing(&self, groups: &[(DraftKey, Group)], drafts: &mut Drafts) {
        let unavailable = AtomicUsize::new(0);
        let missing = groups.iter().filter(|(key, _)| !drafts.contains_key(key));
        // Boxed one by one: a closure's future over borrowed groups is not
        // general enough for the compiler otherwise.
        let calls: Vec<_> = missing
            .map(|(key, group)| {
                let draft = self.draft(group, &unavailable);
                async move { (Arc::clone(key), draft.await) }
            })
            .collect();
        let new: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
        drafts.extend(new);
    }

    /// The content of a group's summary: what all sources state, or else what
    /// the language model writes. `unavailable` counts the groups in a row for
    /// which it was unavailable.
    async fn draft(&self, group: &Group, unavailable: &AtomicUsize) -> Draft {
        if let Some(content) = &group.content {
            return Ok(content.clone());
        }
        let Some(model) = &self.language_model else {
            return Err(SkipReason::ModelUnavailable.into());
        };
        if unavailable.load(Ordering::Relaxed) >= MAX_UNAVAILABLE_IN_A_ROW {
            return Err(SkipReason::ModelUnavailable.into());
        }
        match model.complete(&summary_prompt(&group.sources)).await {
            Err(error) => {
                if error.kind() == ErrorKind::Unavailable {
                    unavailable.fetch_add(1, Ordering::Relaxed);
                }
                tracing::warn!(kind = ?error.kind(), "the language model wrote no summary");
                Err(FailedDraft {
                    reason: SkipReason::ModelFailed,
                    is_retryable: error.is_retryable(),
                })
            }
            Ok(completion) => {
                unavailable.store(0, Ordering::Relaxed);
                let content =
                    sanitize_completion(&completion).ok_or(SkipReason::EmptyCompletion)?;
                if lacks_facts(&content, &group.sources) {
                    return Err(SkipReason::FactsMissing.into());
                }
                Ok(content)
            }
        }
    }

    /// The generation up to which an entity was consolidated, of which this
    /// process knows nothing. `None` where the newest memories are as many new
    /// ones as the threshold asks for, whenever that was.
    ///
    /// Reads no more than those, newest first: the summaries among them say it.
    async fn last_consolidation(
        &self,
        entity: &EntityId,
        threshold: u64,
        stats: &EntityStats,
    ) -> MemoryResult<Option<Generation>> {
        let page_size = usize::try_from(threshold).unwrap_or(usize::MAX);
        let mut request = ListRequest::new(page_size.clamp(1, limits::MAX_LIMIT));
        let mut new = 0;
        loop {
            let page = self.store.list(entity, &request).await?;
            let summaries = page.memories.iter().filter_map(source_generation);
            // A later one is that of another database, from which it was imported.
            let summaries = summaries.filter(|generation| *generation <= stats.generation);
            if let Some(generation) = summaries.max() {
                return Ok(Some(generation));
            }
            new += page.memories.len() as u64;
            match page.next {
                Some(next) if new < threshold => request = request.after(next),
                _ => return Ok(None),
            }
        }
    }
}

fn draft_key(group: &Group) -> DraftKey {
    let sources = group.sources.iter();
    sources
        .map(|memory| (memory.id, memory.content.clone()))
        .collect()
}
