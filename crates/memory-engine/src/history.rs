//! The state of an entity as of an earlier moment: which memories were live
//! then, and what was known of their accesses.
//!
//! A memory was live at a moment if it existed and no summary that existed had
//! archived it. An ordinary memory exists from its timestamp on, a summary from
//! the consolidation that wrote it, although its timestamp is that of its latest
//! source. What was deleted or altered since is not known as it was.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::limits::{self, MAX_LIMIT};
use memory_core::{
    DenseQuery, EmbeddedMemory, EntityId, Generation, ListRequest, ListScope, Memory, MemoryFilter,
    MemoryId, MemoryResult, NeighborOutcome, SearchHit, SearchOutcome, Store,
};

use crate::blocking::run_blocking;
use crate::consolidation::created_at;
use crate::engine::EngineInner;
use crate::recall_source::RecallSource;
use crate::store_scan::for_each;

/// How often what writes overtook is read again.
pub(crate) const MAX_TRIES: u32 = 5;

impl EngineInner {
    /// What a recall as of `moment` searches: the present snapshot, with the
    /// sources of later summaries in their place.
    ///
    /// The vectors of archived memories are computed again, through the
    /// embedding tier. An entity that is too large for a snapshot is searched in
    /// the store, which finds what is live today: the archived memories are
    /// candidates in addition to it. Another one that has archived memories is loaded,
    /// however long that takes, if it is not cached: such a recall has to be exact, and is
    /// rare.
    pub(crate) async fn historical_source(
        &self,
        entity: &EntityId,
        moment: DateTime<Utc>,
        filter: &MemoryFilter,
        present: RecallSource,
    ) -> MemoryResult<RecallSource> {
        let mut present = match present {
            RecallSource::Snapshot(snapshot) => snapshot,
            RecallSource::Store { memories, .. } => {
                let stats = self.store.entity_stats(entity).await?;
                if stats.archived_count == 0 || !self.can_hold(entity, memories) {
                    let archived = Some(self.read_archived(entity, moment, filter).await?);
                    return Ok(RecallSource::Store { memories, archived });
                }
                // Before the archived ones are read, so that both are of one state.
                self.reader.present_snapshot(entity).await?
            }
        };
        let mut archived = Vec::new();
        for _ in 0..MAX_TRIES {
            let stats = self.store.entity_stats(entity).await?;
            let is_of = |generation| present.generation() == generation;
            if stats.archived_count == 0 && is_of(stats.generation) {
                return Ok(RecallSource::Snapshot(present));
            }
            archived = archived_since(&*self.store, entity, moment, filter).await?;
            if is_of(self.store.entity_stats(entity).await?.generation) {
                break;
            }
            // What was archived, or is live again, since the snapshot was taken.
            let current = self.reader.present_snapshot(entity).await?;
            if is_of(current.generation()) {
                // This read may be stale.
                break;
            }
            present = current;
        }
        let restored = self.embed_again(archived).await?;
        let change = move || present.as_of(restored, |memory| created_at(memory) > moment);
        let snapshot = run_blocking("recall", change).await?;
        Ok(RecallSource::Snapshot(Arc::new(snapshot)))
    }

    /// The memories that were live at `moment` and are archived now.
    pub(crate) async fn read_archived(
        &self,
        entity: &EntityId,
        moment: DateTime<Utc>,
        filter: &MemoryFilter,
    ) -> MemoryResult<ArchivedSince> {
        let before = self.store.entity_stats(entity).await?;
        let memories = match before.archived_count {
            0 => Vec::new(),
            _ => archived_since(&*self.store, entity, moment, filter).await?,
        };
        let after = self.store.entity_stats(entity).await?.generation;
        Ok(ArchivedSince {
            generation: Some(after).filter(|after| *after == before.generation),
            moment,
            memories,
        })
    }

    /// What is different at an earlier moment from what the store searches.
    pub(crate) async fn earlier_state(
        &self,
        archived: ArchivedSince,
    ) -> MemoryResult<EarlierState> {
        Ok(EarlierState {
            moment: archived.moment,
            restored: self.embed_again(archived.memories).await?,
        })
    }

    async fn embed_again(&self, archived: Vec<Memory>) -> MemoryResult<Vec<EmbeddedMemory>> {
        let contents: Vec<&str> = archived
            .iter()
            .map(|memory| memory.content.as_str())
            .collect();
        let embeddings = self.embedder.embed_contents(&contents).await?;
        let embedded = archived.into_iter().zip(embeddings);
        let embedded = embedded.map(|(memory, embedding)| EmbeddedMemory { memory, embedding });
        Ok(embedded.collect())
    }

    fn can_hold(&self, entity: &EntityId, memories: u64) -> bool {
        let dimensions = self.embedder.profile().dimensions;
        let tier = &self.reader.tiers.entity;
        tier.can_cache(entity, memories, dimensions)
    }
}

/// Memories that were live at an earlier moment and are archived today.
pub(crate) struct ArchivedSince {
    /// The generation of which they are, where all were read at one.
    generation: Option<Generation>,
    moment: DateTime<Utc>,
    memories: Vec<Memory>,
}

impl ArchivedSince {
    /// Whether it is of the same state as what was found at this generation.
    pub(crate) fn is_of(&self, generation: Generation) -> bool {
        self.generation == Some(generation)
    }

    pub(crate) const fn moment(&self) -> DateTime<Utc> {
        self.moment
    }
}

/// How an entity at an earlier moment differs from what its store searches.
pub(crate) struct EarlierState {
    moment: DateTime<Utc>,
    /// Memories that were live at that moment and are archived today.
    restored: Vec<EmbeddedMemory>,
}

impl EarlierState {
    pub(crate) const fn moment(&self) -> DateTime<Utc> {
        self.moment
    }

    /// Replaces the summaries that were created later by the memories that they
    /// archived. Those are candidates whatever their values: the store compared
    /// none of them. Its statistics stay those of what is live today.
    pub(crate) fn restore(self, found: &mut SearchOutcome, query: &DenseQuery) {
        let was_live = |hit: &SearchHit| created_at(&hit.memory) <= self.moment;
        found.candidates.retain(was_live);
        found.sample.retain(was_live);
        // Live again, if the consolidation was undone after the archived ones were read.
        let found_ids: HashSet<MemoryId> =
            found.candidates.iter().map(|hit| hit.memory.id).collect();
        let restored = self.restored.into_iter();
        let restored = restored.filter(|item| !found_ids.contains(&item.memory.id));
        let restored: Vec<EmbeddedMemory> = restored.collect();
        let count = restored.len() as u64;
        found.matching = found.matching.map(|matching| matching + count);
        found.compared = found.compared.map(|compared| compared + count);
        let hits = restored.into_iter().map(|item| {
            let best = item.embedding.best_chunk(query);
            SearchHit::new(item.memory)
                .similarity(best.map(|(similarity, _)| similarity))
                .chunks(best.map(|(_, chunks)| chunks))
        });
        found.candidates.extend(hits);
    }
}

/// Removes the summaries that were created after `moment` from what surrounds other
/// memories.
pub(crate) fn remove_later_neighbors(found: &mut NeighborOutcome, moment: DateTime<Utc>) {
    let mut later = HashSet::new();
    found.hits.retain(|hit| {
        let was_live = created_at(&hit.memory) <= moment;
        if !was_live {
            later.insert(hit.memory.id);
        }
        was_live
    });
    if later.is_empty() {
        return;
    }
    for part in &mut found.episodes {
        let own = part.before.len() + part.after.len();
        part.before.retain(|id| !later.contains(id));
        part.after.retain(|id| !later.contains(id));
        let removed = own - part.before.len() - part.after.len();
        part.length = part.length.saturating_sub(removed as u64).max(1);
    }
}

/// Whether a filter matches only memories with a timestamp after `moment`.
pub(crate) fn is_later(filter: &MemoryFilter, moment: DateTime<Utc>) -> bool {
    let last = limits::to_micros(moment).timestamp_micros();
    let since = filter.since.map(limits::micros_rounded_up);
    since.is_some_and(|since| since > last)
}

/// The filter that excludes memories with a timestamp after `moment`, of one that is not
/// [later](is_later).
pub(crate) fn not_after(filter: &MemoryFilter, moment: DateTime<Utc>) -> MemoryFilter {
    let mut filter = filter.clone();
    // `until` excludes its moment, and time is in whole microseconds.
    let later = limits::to_micros(moment) + TimeDelta::microseconds(1);
    if limits::check_timestamp(later).is_ok() {
        filter.until = Some(filter.until.map_or(later, |until| until.min(later)));
    }
    filter
}

/// Whether accesses are known up to `moment`: no access was counted later.
/// Counts are not dated one by one, so that of an earlier moment is unknown
/// once a later access was counted.
pub(crate) fn are_accesses_known(
    last_accessed: Option<DateTime<Utc>>,
    moment: DateTime<Utc>,
) -> bool {
    last_accessed.is_none_or(|last| last <= moment)
}

/// A memory as it was at `moment`, as far as that is known: live, and without
/// accesses where a later one was counted.
pub(crate) fn as_of(mut memory: Memory, moment: DateTime<Utc>) -> Memory {
    if !are_accesses_known(memory.last_accessed, moment) {
        memory.access_count = 0;
        memory.last_accessed = None;
    }
    memory.archived_by = None;
    memory
}

/// The memories that were live at `moment` and are archived today.
async fn archived_since(
    store: &dyn Store,
    entity: &EntityId,
    moment: DateTime<Utc>,
    filter: &MemoryFilter,
) -> MemoryResult<Vec<Memory>> {
    let request = ListRequest::new(MAX_LIMIT)
        .filter(not_after(filter, moment))
        .scope(ListScope::Archived);
    let mut archived = Vec::new();
    for_each(store, entity, request, |memory| archived.push(memory)).await?;
    let mut summaries = Summaries::default();
    summaries.retain_live(store, entity, moment, archived).await
}

/// When the summaries were created that memories are archived by.
#[derive(Default)]
pub(crate) struct Summaries {
    created_at: HashMap<MemoryId, DateTime<Utc>>,
}

impl Summaries {
    /// Keeps the memories that were live at `moment`, as they were then.
    pub(crate) async fn retain_live(
        &mut self,
        store: &dyn Store,
        entity: &EntityId,
        moment: DateTime<Utc>,
        memories: Vec<Memory>,
    ) -> MemoryResult<Vec<Memory>> {
        let unknown: HashSet<MemoryId> = memories
            .iter()
            .filter_map(|memory| memory.archived_by)
            .filter(|summary| !self.created_at.contains_key(summary))
            .collect();
        let unknown: Vec<MemoryId> = unknown.into_iter().collect();
        for ids in unknown.chunks(MAX_LIMIT) {
            let found = store.get(entity, ids).await?.memories;
            let created = found.iter().flatten().map(|it| (it.id, created_at(it)));
            self.created_at.extend(created);
        }
        let was_live = |memory: &Memory| {
            created_at(memory) <= moment
                && memory.archived_by.is_none_or(|summary| {
                    let created = self.created_at.get(&summary);
                    created.is_some_and(|created| *created > moment)
                })
        };
        let live = memories.into_iter().filter(was_live);
        Ok(live.map(|memory| as_of(memory, moment)).collect())
    }
}
