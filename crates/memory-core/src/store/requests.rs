//! Requests to a store.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{EmbeddedMemory, Generation};
use crate::embedder::Fingerprint;
use crate::error::{InvalidInput, MemoryError, MemoryResult};
use crate::filter::MemoryFilter;
use crate::id::{EntityId, MemoryId};
use crate::limits;
use crate::memory::Memory;

/// Which page [`Store::list`](super::Store::list) reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Which memories.
    #[serde(default)]
    pub filter: MemoryFilter,
    /// How many at most, 1 to [`limits::MAX_LIMIT`].
    pub limit: usize,
    /// Where the page before ended; the first page when `None`.
    #[serde(default)]
    pub after: Option<PageCursor>,
    /// Live memories, or archived ones.
    #[serde(default)]
    pub scope: ListScope,
}

/// Which of an entity's memories are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ListScope {
    /// Those that are live: not archived.
    #[default]
    Live,
    /// Those that a consolidation archived.
    Archived,
    /// The sources of this summary.
    SourcesOf(MemoryId),
}

impl ListScope {
    /// Whether this scope contains a memory with that
    /// [`Memory::archived_by`].
    #[must_use]
    pub fn contains(self, archived_by: Option<MemoryId>) -> bool {
        match self {
            Self::Live => archived_by.is_none(),
            Self::Archived => archived_by.is_some(),
            Self::SourcesOf(summary) => archived_by == Some(summary),
        }
    }
}

impl ListRequest {
    /// The first page of `limit` memories, of all that are live.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            filter: MemoryFilter::new(),
            limit,
            after: None,
            scope: ListScope::Live,
        }
    }

    /// Lists archived memories, or the sources of one summary.
    #[must_use]
    pub fn scope(mut self, scope: ListScope) -> Self {
        self.scope = scope;
        self
    }

    /// Lists only what `filter` matches.
    #[must_use]
    pub fn filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Continues where a page ended.
    #[must_use]
    pub fn after(mut self, cursor: PageCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Checks the limit and the filter.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] naming the limit that is exceeded.
    pub fn validate(&self) -> MemoryResult<()> {
        limits::check_limit(self.limit)?;
        self.filter.validate()
    }
}

/// Where a page ended: its last memory's position in the order.
///
/// Cursors compare by timestamp, then by id: a list goes from the greatest to
/// the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PageCursor {
    /// That memory's timestamp.
    pub timestamp: DateTime<Utc>,
    /// That memory's id.
    pub id: MemoryId,
}

impl PageCursor {
    /// The position in whole microseconds, as stored times are, with the same memories after it.
    #[must_use]
    pub fn to_micros(self) -> Self {
        let first = DateTime::from_timestamp_micros(limits::micros_rounded_up(self.timestamp));
        // No memory of the first moment comes before it, so the id is the lowest.
        let id = MemoryId::from(Uuid::nil());
        let first = first.filter(|first| *first != self.timestamp);
        first.map_or(self, |timestamp| Self { timestamp, id })
    }
}

impl From<&Memory> for PageCursor {
    fn from(memory: &Memory) -> Self {
        Self {
            timestamp: memory.timestamp,
            id: memory.id,
        }
    }
}

/// What [`Store::search`](super::Store::search) finds.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRequest {
    /// Which memories may be found.
    pub filter: MemoryFilter,
    /// How many each retriever finds at most, 1 to [`limits::MAX_LIMIT`].
    pub limit: usize,
    /// The dense retriever, if any.
    pub dense: Option<DenseQuery>,
    /// The lexical retriever's query, if any.
    pub lexical: Option<String>,
    /// How many memories [`SearchOutcome::sample`](super::SearchOutcome::sample)
    /// has at most, 0 to [`limits::MAX_LIMIT`]; none when 0.
    pub sample: usize,
}

impl SearchRequest {
    /// A search for up to `limit` memories that `filter` matches, without a
    /// retriever yet.
    #[must_use]
    pub const fn new(filter: MemoryFilter, limit: usize) -> Self {
        Self {
            filter,
            limit,
            dense: None,
            lexical: None,
            sample: 0,
        }
    }

    /// Adds a sample of up to `sample` of all memories that match.
    #[must_use]
    pub const fn sample(mut self, sample: usize) -> Self {
        self.sample = sample;
        self
    }

    /// Adds the dense retriever.
    #[must_use]
    pub fn dense(mut self, query: DenseQuery) -> Self {
        self.dense = Some(query);
        self
    }

    /// Adds the lexical retriever.
    #[must_use]
    pub fn lexical(mut self, query: impl Into<String>) -> Self {
        self.lexical = Some(query.into());
        self
    }

    /// Checks the limit, the filter, the dense query, the text and the sample.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] naming the limit that is exceeded.
    pub fn validate(&self) -> MemoryResult<()> {
        limits::check_limit(self.limit)?;
        limits::check_limit(self.sample.max(1))?;
        self.filter.validate()?;
        self.dense.as_ref().map_or(Ok(()), DenseQuery::validate)?;
        self.lexical
            .as_deref()
            .map_or(Ok(()), limits::check_query)?;
        Ok(())
    }
}

/// The dense retriever of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseQuery {
    /// What made the vector; only vectors of the same fingerprint are compared.
    pub fingerprint: Fingerprint,
    /// The L2-normalized query vector.
    pub vector: Vec<f32>,
    /// What a memory of several vectors loses, 0 to 1, per natural logarithm of
    /// their number: the best of many cosines is high by chance as well.
    pub chunk_discount: f32,
}

impl DenseQuery {
    /// A query by this vector among vectors of the same fingerprint, without a
    /// discount for memories of several vectors.
    pub fn new(fingerprint: impl Into<Fingerprint>, vector: Vec<f32>) -> Self {
        Self {
            fingerprint: fingerprint.into(),
            vector,
            chunk_discount: 0.0,
        }
    }

    /// Sets what a memory of several vectors loses per natural logarithm of
    /// their number.
    #[must_use]
    pub const fn chunk_discount(mut self, chunk_discount: f32) -> Self {
        self.chunk_discount = chunk_discount;
        self
    }

    /// The value that ranks a memory, from its best cosine and the number of its
    /// vectors: `similarity − chunk_discount · ln(chunks)`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "some hundred chunks at most")]
    pub fn value(&self, similarity: f32, chunks: u32) -> f32 {
        similarity - self.chunk_discount * (chunks.max(1) as f32).ln()
    }

    /// Checks the vector and the discount.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] naming the limit that is exceeded.
    pub fn validate(&self) -> MemoryResult<()> {
        let dimensions = self.vector.len().clamp(1, limits::MAX_DIMENSIONS);
        limits::check_vector(&self.vector, dimensions)?;
        if (0.0..=1.0).contains(&self.chunk_discount) {
            return Ok(());
        }
        Err(InvalidInput::Weight {
            weight: "chunk_discount",
            value: self.chunk_discount,
            max: 1.0,
        }
        .into())
    }
}

/// Whose episode neighbors [`Store::neighbors`](super::Store::neighbors) reads.
#[derive(Debug, Clone, PartialEq)]
pub struct NeighborRequest {
    /// Memories whose neighbors are read, 1 to [`limits::MAX_LIMIT`].
    pub ids: Vec<MemoryId>,
    /// How many memories before and after each, 1 to [`limits::MAX_LIMIT`].
    pub reach: usize,
    /// Which memories belong to an episode: others are passed over, and are no
    /// step.
    pub filter: MemoryFilter,
    /// Compares the neighbors with this query, as a search does.
    pub dense: Option<DenseQuery>,
    /// Up to how many memories the length of an episode is counted, 1 to
    /// [`limits::MAX_LIMIT`].
    pub max_length: usize,
}

impl NeighborRequest {
    /// The memories up to `reach` steps from each of `ids`, without cosines, and
    /// lengths up to [`limits::MAX_LIMIT`].
    pub fn new(ids: impl IntoIterator<Item = MemoryId>, reach: usize) -> Self {
        Self {
            ids: ids.into_iter().collect(),
            reach,
            filter: MemoryFilter::new(),
            dense: None,
            max_length: limits::MAX_LIMIT,
        }
    }

    /// Sets which memories belong to an episode.
    #[must_use]
    pub fn filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Compares the neighbors with a query.
    #[must_use]
    pub fn dense(mut self, query: DenseQuery) -> Self {
        self.dense = Some(query);
        self
    }

    /// Sets up to how many memories the length of an episode is counted.
    #[must_use]
    pub const fn max_length(mut self, max_length: usize) -> Self {
        self.max_length = max_length;
        self
    }

    /// Checks the numbers, the filter and the dense query.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] naming the limit that is exceeded.
    pub fn validate(&self) -> MemoryResult<()> {
        limits::check_limit(self.ids.len())?;
        limits::check_limit(self.reach)?;
        limits::check_limit(self.max_length)?;
        self.filter.validate()?;
        self.dense.as_ref().map_or(Ok(()), DenseQuery::validate)
    }
}

impl From<&ListRequest> for ListRequest {
    fn from(value: &Self) -> Self {
        value.clone()
    }
}

/// How many memories the entities of a batch may have, and which are evicted.
///
/// The store counts in the transaction that inserts, under the lock that
/// orders the entity's writers: the limit is exact also with concurrent writers.
/// The caller chooses what is evicted; the store checks whether that is enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InsertOptions {
    /// The most live memories that each entity of the batch may have after it;
    /// any number when `None`.
    pub max_memories: Option<u64>,
    /// Removed first, as by [`Store::delete`](super::Store::delete), where
    /// something of the batch is inserted for that entity.
    pub evict: BTreeMap<EntityId, Vec<MemoryId>>,
}

impl InsertOptions {
    /// Any number of memories, and no evictions.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// At most `max_memories` live memories to an entity.
    #[must_use]
    pub fn at_most(max_memories: u64) -> Self {
        Self {
            max_memories: Some(max_memories),
            ..Self::default()
        }
    }

    /// Evicts `ids` of `entity`.
    #[must_use]
    pub fn evict(mut self, entity: EntityId, ids: impl IntoIterator<Item = MemoryId>) -> Self {
        self.evict.entry(entity).or_default().extend(ids);
        self
    }
}

/// A summary and its sources.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryGroup {
    /// The new memory.
    pub summary: EmbeddedMemory,
    /// The memories that it represents: at least one.
    pub sources: Vec<MemoryId>,
}

impl SummaryGroup {
    /// `summary` represents `sources`.
    pub fn new(summary: EmbeddedMemory, sources: impl IntoIterator<Item = MemoryId>) -> Self {
        Self {
            summary,
            sources: sources.into_iter().collect(),
        }
    }

    /// Checks the limits of every summary, that every summary belongs to `entity`
    /// and has sources, and that no id occurs twice.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the group and what is wrong.
    pub fn validate_all(
        groups: &[Self],
        entity: &EntityId,
        max_dimensions: usize,
    ) -> MemoryResult<()> {
        let mut seen = HashSet::new();
        for (index, group) in groups.iter().enumerate() {
            group
                .validate(entity, max_dimensions, &mut seen)
                .map_err(|error| error.with_item(index))?;
        }
        Ok(())
    }

    /// `seen` has every id, of summaries and sources, of the groups before.
    fn validate(
        &self,
        entity: &EntityId,
        max_dimensions: usize,
        seen: &mut HashSet<MemoryId>,
    ) -> MemoryResult<()> {
        self.summary.memory.validate()?;
        self.summary.embedding.validate(max_dimensions)?;
        if self.summary.memory.entity_id != *entity {
            return Err(InvalidInput::EntityMismatch.into());
        }
        Self::check_sources(&self.summary.memory.id, &self.sources, seen)
    }

    /// Checks the sources of one summary: at least one, each once, and not the summary itself.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] with [`InvalidInput::NoSources`] or
    /// [`InvalidInput::DuplicateId`].
    pub fn validate_sources(summary: &MemoryId, sources: &[MemoryId]) -> MemoryResult<()> {
        Self::check_sources(summary, sources, &mut HashSet::new())
    }

    fn check_sources(
        summary: &MemoryId,
        sources: &[MemoryId],
        seen: &mut HashSet<MemoryId>,
    ) -> MemoryResult<()> {
        if sources.is_empty() {
            return Err(InvalidInput::NoSources.into());
        }
        for id in sources.iter().chain([summary]) {
            if !seen.insert(*id) {
                return Err(MemoryError::from(InvalidInput::DuplicateId { id: *id }));
            }
        }
        Ok(())
    }
}

/// What [`Store::consolidate`](super::Store::consolidate) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsolidateOutcome {
    /// The entity's generation after it.
    pub generation: Generation,
}

impl ConsolidateOutcome {
    /// A consolidation after which the entity is at this generation.
    #[must_use]
    pub const fn new(generation: Generation) -> Self {
        Self { generation }
    }
}

/// What [`Store::backup`](super::Store::backup) does: it copies the whole database to a new
/// file.
///
/// # Behavior
/// - The copy is one consistent state, while others read and write.
/// - Only when the call returns `Ok` does the target exist, or is replaced: complete and
///   on disk. Only its owner may read it.
/// - The database's own files are never overwritten, and an existing file only with
///   [`overwrite`](Self::overwrite).
/// - Opening the copy is restoring it.
/// - A dropped caller leaves a complete target or none, and no temporary file.
/// - It fails with [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for a
///   refused target, with [`ErrorKind::Missing`](crate::ErrorKind::Missing) for a missing
///   folder, and with the errors of the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupOptions {
    /// Whether an existing file is replaced. It is not by default.
    pub overwrite: bool,
}

impl BackupOptions {
    /// Refuses an existing file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether an existing file is replaced.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }
}
