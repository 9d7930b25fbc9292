//! Restoring memories as they were exported.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, EntityId, ErrorKind, Memory, MemoryError, MemoryId, MemoryKind, MemoryResult,
    SummaryGroup, limits,
};

use super::retain::{NewMemory, count_retained, validated};
use crate::backoff::jittered_backoff;
use crate::engine::{Engine, EngineInner};
use crate::writer::{UnwrittenTexts, run_to_end};

/// How often a summary is written again where its sources changed meanwhile.
const MAX_TRIES: u32 = 5;

/// A memory to restore, as from an export.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreItem {
    /// The memory, with its id, times and counts.
    pub memory: Memory,
    /// The vector of its content, where it was computed elsewhere, as in
    /// [`MemoryBatchItem::with_embedding`](memory_core::MemoryBatchItem::with_embedding).
    pub embedding: Option<Vec<f32>>,
}

impl From<Memory> for RestoreItem {
    /// A memory that the embedder embeds.
    fn from(memory: Memory) -> Self {
        Self {
            memory,
            embedding: None,
        }
    }
}

impl Engine {
    /// Retains memories whole: with their access counts, decay rates and
    /// times. Those whose summary comes later in the list are archived under it; the
    /// others are live then.
    pub async fn restore_memories(&self, items: Vec<RestoreItem>) -> MemoryResult<Vec<MemoryId>> {
        self.inner.reader.check_open("restore")?;
        let mut summaries = summaries_of(&items);
        let checked = items.into_iter().map(|item| self.inner.checked(item));
        let memories = validated(checked)?;
        if summaries.is_empty() {
            return self.inner.retain_memories(memories).await;
        }
        let ids = memories.iter().map(|new| new.memory.id).collect();
        let mut by_entity: BTreeMap<EntityId, Vec<NewMemory>> = BTreeMap::new();
        for new in memories {
            let entity = new.memory.entity_id.clone();
            by_entity.entry(entity).or_default().push(new);
        }
        for (entity, memories) in by_entity {
            let own = summaries.remove(&entity).unwrap_or_default();
            self.restore_levels(&entity, memories, &own).await?;
        }
        Ok(ids)
    }

    /// Restores a summary and archives its sources, which must exist, under it.
    /// Returns whether anything was written.
    pub async fn restore_summary(
        &self,
        summary: RestoreItem,
        sources: Vec<MemoryId>,
    ) -> MemoryResult<bool> {
        let inner = &self.inner;
        let summary = inner.checked(summary)?;
        let entity = summary.memory.entity_id.clone();
        SummaryGroup::validate_sources(&summary.memory.id, &sources)?;
        if inner.is_restored(&summary.memory, &sources).await? {
            return Ok(false);
        }
        let unwritten = inner.unwritten_texts(std::iter::once(&summary));
        let summary = inner.embedded(vec![summary]).await?;
        let group: Arc<[SummaryGroup]> = summary
            .into_iter()
            .map(|summary| SummaryGroup {
                summary,
                sources: sources.clone(),
            })
            .collect();
        if let Err(error) = inner.archive_restored(&entity, group).await {
            unwritten.remove().await;
            return Err(error);
        }
        unwritten.keep();
        Ok(true)
    }

    /// Restores memories of one entity, sources before their summaries. Begun, the writes run
    /// to their end, also where the caller is dropped.
    async fn restore_levels(
        &self,
        entity: &EntityId,
        memories: Vec<NewMemory>,
        summaries: &Summaries,
    ) -> MemoryResult<()> {
        let inner = &self.inner;
        let order: Vec<MemoryId> = memories.iter().map(|new| new.memory.id).collect();
        let (new, sources) = inner.not_yet_restored(entity, memories, summaries).await?;
        let is_summary = |new: &&NewMemory| sources.contains_key(&new.memory.id);
        let unwritten = inner.unwritten_texts(new.iter().filter(is_summary));
        let steps = restore_steps(&order, inner.embedded(new).await?, sources);
        let (engine, entity) = (self.clone(), entity.clone());
        run_to_end("restore_memories", async move {
            if let Err(error) = engine.inner.write_steps(&entity, steps).await {
                unwritten.remove().await;
                return Err(error);
            }
            unwritten.keep();
            Ok(())
        })
        .await
    }
}

/// New memories that are written together, and a summary that replaces them right after that.
struct RestoreStep {
    batch: Arc<[EmbeddedMemory]>,
    /// One summary with its sources; none of memories that stay live.
    group: Option<Arc<[SummaryGroup]>>,
}

impl RestoreStep {
    /// How many more memories are live after it; below zero, where sources that were live
    /// before it are archived.
    fn added(&self) -> i64 {
        let groups = self.group.iter().flat_map(|group| group.iter());
        let replaced: i64 = groups.map(|group| signed(group.sources.len()) - 1).sum();
        signed(self.batch.len()) - replaced
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The steps that write new memories of one entity: one for each summary, in this order, and
/// one for those that no summary is above.
fn restore_steps(
    order: &[MemoryId],
    new: Vec<EmbeddedMemory>,
    mut sources: HashMap<MemoryId, Vec<MemoryId>>,
) -> Vec<RestoreStep> {
    let mut new: HashMap<MemoryId, EmbeddedMemory> =
        new.into_iter().map(|item| (item.memory.id, item)).collect();
    let mut steps = Vec::with_capacity(sources.len() + 1);
    for id in order {
        let Some(sources) = sources.remove(id) else {
            continue;
        };
        let Some(summary) = new.remove(id) else {
            continue;
        };
        // Those that are summaries were written by an earlier step.
        let batch: Vec<_> = sources.iter().filter_map(|id| new.remove(id)).collect();
        steps.push(RestoreStep {
            batch: batch.into(),
            group: Some(Arc::from([SummaryGroup { summary, sources }])),
        });
    }
    let live: Vec<_> = order.iter().filter_map(|id| new.remove(id)).collect();
    steps.push(RestoreStep {
        batch: live.into(),
        group: None,
    });
    steps
}

/// The summaries that memories are archived under, by their ids.
type Summaries = HashMap<MemoryId, MemoryId>;

/// The summaries of the memories whose summary comes later in the list.
fn summaries_of(items: &[RestoreItem]) -> HashMap<EntityId, Summaries> {
    let mut summaries: HashMap<EntityId, Summaries> = HashMap::new();
    let mut later = HashSet::new();
    for RestoreItem { memory, .. } in items.iter().rev() {
        if let Some(summary) = memory.archived_by
            && later.contains(&(&memory.entity_id, summary))
        {
            let own = summaries.entry(memory.entity_id.clone()).or_default();
            own.insert(memory.id, summary);
        }
        later.insert((&memory.entity_id, memory.id));
    }
    summaries
}

impl EngineInner {
    /// Writes the steps. A store archives what is live, so the sources of a summary are live
    /// until it is written, and summaries until the one above them is. The limit is that of
    /// what is live in the end; no other writer of this process evicts memories until then.
    async fn write_steps(&self, entity: &EntityId, steps: Vec<RestoreStep>) -> MemoryResult<()> {
        let mut added: i64 = steps.iter().map(RestoreStep::added).sum();
        let new = u64::try_from(added).unwrap_or(0);
        let counts = BTreeMap::from([(entity.clone(), new)]);
        let locks = self.inserter.lock_for_evictions(&counts).await?;
        let mut inserted = Vec::new();
        let write = async {
            for step in steps {
                let left = added;
                added -= step.added();
                if !step.batch.is_empty() {
                    let kinds: Vec<MemoryKind> =
                        step.batch.iter().map(|item| item.memory.kind).collect();
                    let beyond = signed(step.batch.len()) - left;
                    let inserting = self.inserter.insert_locked(step.batch, beyond);
                    inserted.push(inserting.await?);
                    count_retained(kinds);
                }
                if let Some(group) = step.group {
                    self.archive_restored(entity, group).await?;
                }
            }
            Ok(())
        };
        let written = write.await;
        // Vectors are dropped through the embedder, which must not wait while writers do.
        drop(locks);
        for committed in inserted {
            committed.finish().await;
        }
        written
    }

    /// The texts of memories that the embedder embeds, until they are written.
    fn unwritten_texts<'a>(&self, new: impl Iterator<Item = &'a NewMemory>) -> UnwrittenTexts {
        let computed = new.filter(|new| new.embedding.is_none());
        let texts = computed.map(|new| new.memory.content.clone()).collect();
        UnwrittenTexts::new(self.embedder.clone(), texts)
    }

    /// The memories that are not stored, and the sources of the summaries among them.
    async fn not_yet_restored(
        &self,
        entity: &EntityId,
        memories: Vec<NewMemory>,
        summaries: &Summaries,
    ) -> MemoryResult<(Vec<NewMemory>, HashMap<MemoryId, Vec<MemoryId>>)> {
        let ids: Vec<MemoryId> = memories.iter().map(|new| new.memory.id).collect();
        let stored = self.store.get(entity, &ids).await?.memories;
        let (mut new, mut archived) = (Vec::new(), HashSet::new());
        for (memory, stored) in memories.into_iter().zip(stored) {
            let Some(stored) = stored else {
                new.push(memory);
                continue;
            };
            let (entity, id) = (entity.clone(), stored.id);
            if stored.content != memory.memory.content {
                return Err(MemoryError::Conflict { entity, id });
            }
            match (stored.archived_by, summaries.get(&id)) {
                (Some(by), Some(summary)) if by != *summary => {
                    return Err(MemoryError::Changed { entity, id });
                }
                (Some(_), Some(_)) => {
                    archived.insert(id);
                }
                _ => {}
            }
        }
        let is_new: HashSet<MemoryId> = new.iter().map(|new| new.memory.id).collect();
        let mut sources: HashMap<MemoryId, Vec<MemoryId>> = HashMap::new();
        for id in ids {
            let Some(&summary) = summaries.get(&id).filter(|_| !archived.contains(&id)) else {
                continue;
            };
            if !is_new.contains(&summary) {
                return Err(not_above(entity, summary, id));
            }
            sources.entry(summary).or_default().push(id);
        }
        Ok((new, sources))
    }

    /// Writes one summary above its sources, again where these change meanwhile or the store
    /// is unavailable for a moment.
    async fn archive_restored(
        &self,
        entity: &EntityId,
        group: Arc<[SummaryGroup]>,
    ) -> MemoryResult<()> {
        let mut tries = 0;
        loop {
            let read_at = self.store.entity_stats(entity).await?.generation;
            match self.archive(entity, Arc::clone(&group), read_at).await {
                Err(error) if tries < MAX_TRIES && is_repeated(&error) => {
                    tries += 1;
                    jittered_backoff(tries).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// A memory and its vector, within every limit.
    fn checked(&self, item: RestoreItem) -> MemoryResult<NewMemory> {
        Ok(NewMemory {
            memory: normalized(item.memory)?,
            embedding: self.given_content(item.embedding)?,
            is_own_id: true,
        })
    }

    /// Whether the same sources are archived under the same summary already. Where it is there
    /// with this content and not above all of them, that is an error.
    async fn is_restored(&self, summary: &Memory, sources: &[MemoryId]) -> MemoryResult<bool> {
        let mut ids = vec![summary.id];
        ids.extend(sources);
        let found = self.store.get(&summary.entity_id, &ids).await?.memories;
        let (first, rest) = match found.split_first() {
            Some((Some(first), rest)) => (first, rest),
            _ => return Ok(false),
        };
        let archived = |source: &Option<Memory>| {
            let by = source.as_ref().and_then(|source| source.archived_by);
            by == Some(summary.id)
        };
        if first.content != summary.content {
            return Ok(false);
        }
        let Some(at) = rest.iter().position(|source| !archived(source)) else {
            return Ok(true);
        };
        match sources.get(at) {
            Some(source) => Err(not_above(&summary.entity_id, summary.id, *source)),
            None => Ok(true),
        }
    }
}

/// Whether a summary is written again after this error.
fn is_repeated(error: &MemoryError) -> bool {
    matches!(error.kind(), ErrorKind::Changed | ErrorKind::Unavailable)
}

/// The error for a summary that is there with the same content, and not above this source.
fn not_above(entity: &EntityId, summary: MemoryId, source: MemoryId) -> MemoryError {
    let message = format!(
        "entity {entity} already has the summary {summary}, with this content, and its source \
         {source} is not archived under it; undo that consolidation, or delete the summary where \
         it is above no memory, and restore it again"
    );
    MemoryError::store(ErrorKind::Conflict, "restore_summary", message)
}

/// A memory within every limit, live, with its times in microseconds.
fn normalized(mut memory: Memory) -> MemoryResult<Memory> {
    memory.validate()?;
    memory.timestamp = limits::to_micros(memory.timestamp);
    memory.last_accessed = memory.last_accessed.map(limits::to_micros);
    memory.archived_by = None;
    Ok(memory)
}
