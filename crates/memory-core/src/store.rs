//! The contract of a store.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::embedder::Fingerprint;
use crate::error::{InvalidInput, MemoryResult};
use crate::filter::MemoryFilter;
use crate::id::{EntityId, MemoryId};
use crate::memory::Memory;
use crate::patch::MemoryPatch;
use crate::vector::Embedding;

/// A database of memories.
///
/// Every method is scoped to one entity (or, for [`insert`](Store::insert), to
/// the entity that each memory names); a memory of another entity is never
/// seen. The conformance suite of `memory-testkit` mirrors the `# Behaviour`
/// lists, point by point.
///
/// # Behaviour of every method
/// - **Generations.** Each entity has a [`Generation`], 0 before its first
///   write. A write that changes something raises it by one in its own
///   transaction and stamps what it changed with it; a write that changes
///   nothing leaves it alone. [`touch`](Store::touch) never raises it.
/// - **Snapshots.** What a read returns, its generation included, is one
///   consistent state.
/// - **Cancellation.** A dropped future leaves the write whole or undone, never
///   half, and the store usable.
/// - **Errors.** A full, locked, damaged, foreign or read-only database answers
///   with the [`crate::ErrorKind`] of that name; what was refused wrote nothing.
/// - **Privacy.** Content stands in no error, log or metric.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// What this store is and can do.
    fn capabilities(&self) -> StoreCapabilities;

    /// Writes a batch, all or nothing, in one transaction.
    ///
    /// # Behaviour
    /// - The batch may hold memories of several entities; each entity's
    ///   generation rises by one if anything of it was inserted.
    /// - An id that the entity has already, with equal content, is a no-op
    ///   ([`InsertOutcome::inserted`] is `false` there).
    /// - An id that was deleted before may be inserted anew.
    /// - The memories keep their `access_count` and `last_accessed`.
    /// - When this returns `Ok`, the batch survives a crash of the process.
    /// - An empty batch is a no-op.
    ///
    /// # Errors
    /// [`crate::MemoryError::Conflict`] for an id with other content;
    /// [`InvalidInput::DuplicateId`] for an id twice under one entity;
    /// [`crate::MemoryError::InvalidInput`] for vectors that
    /// [`Embedding::validate`] refuses or a memory outside [`bounds`].
    async fn insert(&self, batch: &[PreparedMemory]) -> MemoryResult<InsertOutcome>;

    /// Reads memories by id.
    ///
    /// # Behaviour
    /// - One result per id, in the order asked; `None` where the entity has none.
    async fn get(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<Fetched>;

    /// Reads a page of memories, newest first: by timestamp, then by id, both
    /// descending.
    ///
    /// # Behaviour
    /// - Exactly the memories that [`MemoryFilter::admits`], none twice and
    ///   none left out while the pages are turned without writes in between.
    /// - [`ListPage::next`] is `None` on the last page.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] as [`ListRequest::validate`].
    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage>;

    /// Counts the memories that a filter admits.
    async fn count(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64>;

    /// Finds candidates for a recall: the best `limit` of each arm asked for.
    ///
    /// # Behaviour
    /// - Only memories that the filter admits; `limit k` finds k per arm
    ///   whenever k match.
    /// - The dense arm ranks by the best cosine among a memory's vectors of the
    ///   query's fingerprint; vectors of other fingerprints are never compared.
    /// - The lexical arm ranks by BM25 (higher is better) over the words of
    ///   the query, any of which may match.
    /// - Each candidate carries the value of every arm asked for in which it
    ///   has one, also when another arm found it.
    /// - Text of any shape is a valid lexical query; operators mean nothing.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] as [`SearchRequest::validate`];
    /// [`crate::MemoryError::Unsupported`] for an arm that
    /// [`StoreCapabilities`] denies.
    async fn search(&self, entity: &EntityId, request: &SearchRequest) -> MemoryResult<Candidates>;

    /// Reads what changed after `since`, with the vectors of one fingerprint.
    ///
    /// # Behaviour
    /// - From generation 0 it returns the entity's whole state.
    /// - Otherwise every memory written and every id removed after `since`,
    ///   in its latest state only; applying them to the state at `since` gives
    ///   the state at [`Changes::generation`].
    /// - A memory without a vector of `fingerprint` comes with no vectors.
    /// - A `since` beyond the entity's generation (a database put back from a
    ///   backup) answers with the whole state and [`Changes::reset`].
    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<Changes>;

    /// Applies a patch to one memory and, where given, replaces its embedding,
    /// in one transaction.
    ///
    /// # Behaviour
    /// - The patch is applied to the row as it stands in that transaction, so
    ///   two patches of different fields both take effect.
    /// - `embedding` must be given exactly when the patch sets the content.
    ///
    /// # Errors
    /// [`crate::MemoryError::NotFound`]; [`crate::MemoryError::InvalidInput`]
    /// for a patch or vectors outside the bounds.
    async fn update(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome>;

    /// Removes memories for good, with their vectors and access counts, in one
    /// transaction, leaving a tombstone (an id and a generation) for
    /// [`changes_since`](Store::changes_since).
    ///
    /// # Behaviour
    /// - Ids that the entity does not have are passed over.
    /// - Content is not left behind in free space or journals where the
    ///   backend can prevent it.
    async fn delete(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<RemoveOutcome>;

    /// Adds to access counts and moves `last_accessed` forward (never back).
    ///
    /// # Behaviour
    /// - Ids that the entity does not have are passed over.
    /// - Does not raise the generation.
    async fn touch(&self, entity: &EntityId, touches: &[Touch]) -> MemoryResult<()>;

    /// Generation and number of memories; zeros for an entity never written to.
    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats>;

    /// Names entities that hold at least one memory, in the order of their
    /// names, after `after`: an administrator's scan, which reads no memory.
    ///
    /// # Errors
    /// [`InvalidInput::Limit`] as [`bounds::check_limit`].
    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>>;

    /// Finishes what is under way and lets go of every connection. Calls after
    /// it answer with [`crate::ErrorKind::Closed`]; closing twice is fine.
    async fn close(&self) -> MemoryResult<()>;
}

/// What a store is and can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCapabilities {
    /// Its name in errors and reports: `sqlite`, `postgres`, …
    pub backend: &'static str,
    /// Whether an acknowledged write survives the end of the process.
    pub durable: bool,
    /// Whether [`Store::search`] has a lexical arm.
    pub lexical: bool,
    /// The most dimensions that a vector may have.
    pub max_dimensions: usize,
}

impl StoreCapabilities {
    /// A durable store with a lexical arm and the core's own vector bound.
    #[must_use]
    pub const fn new(backend: &'static str) -> Self {
        Self {
            backend,
            durable: true,
            lexical: true,
            max_dimensions: bounds::MAX_DIMENSIONS,
        }
    }

    /// Sets whether acknowledged writes survive the end of the process.
    #[must_use]
    pub const fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Sets whether there is a lexical arm.
    #[must_use]
    pub const fn lexical(mut self, lexical: bool) -> Self {
        self.lexical = lexical;
        self
    }

    /// Sets the most dimensions that a vector may have.
    #[must_use]
    pub const fn max_dimensions(mut self, max_dimensions: usize) -> Self {
        self.max_dimensions = max_dimensions;
        self
    }
}

/// How often an entity was written to: 0 before the first write, then one more
/// with each write that changed something.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// Before the first write.
    pub const ZERO: Self = Self(0);

    /// The generation after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A memory and its embedding, ready to be written (or read for a snapshot).
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedMemory {
    /// The memory, within every bound.
    pub memory: Memory,
    /// Its vectors.
    pub embedding: Embedding,
}

impl PreparedMemory {
    /// Checks the vectors, and that no id stands twice under one entity.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] naming the item and what is wrong.
    pub fn validate_batch(batch: &[Self], max_dimensions: usize) -> MemoryResult<()> {
        let mut seen = std::collections::HashSet::with_capacity(batch.len());
        for (index, item) in batch.iter().enumerate() {
            item.embedding
                .validate()
                .map_err(|error| error.at_item(index))?;
            let found = item.embedding.dimensions();
            if found > max_dimensions {
                let problem = InvalidInput::VectorDimensions {
                    expected: max_dimensions,
                    found,
                };
                return Err(crate::MemoryError::from(problem).at_item(index));
            }
            if !seen.insert((&item.memory.entity_id, item.memory.id)) {
                let problem = InvalidInput::DuplicateId { id: item.memory.id };
                return Err(crate::MemoryError::from(problem).at_item(index));
            }
        }
        Ok(())
    }
}

/// What [`Store::insert`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InsertOutcome {
    /// One per item, in order: `true` where a row was written, `false` where
    /// the same id and content stood there already.
    pub inserted: Vec<bool>,
    /// The generation of each entity of the batch, after it.
    pub generations: BTreeMap<EntityId, Generation>,
}

/// What [`Store::get`] read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fetched {
    /// The entity's generation at that moment.
    pub generation: Generation,
    /// One per id, in the order asked.
    pub memories: Vec<Option<Memory>>,
}

/// Which page [`Store::list`] is to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListRequest {
    /// Which memories.
    #[serde(default)]
    pub filter: MemoryFilter,
    /// How many at most, 1 to [`bounds::MAX_LIMIT`].
    pub limit: usize,
    /// Where the page before ended; the first page when `None`.
    #[serde(default)]
    pub after: Option<PageCursor>,
}

impl ListRequest {
    /// The first page of `limit` memories, of all there are.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            filter: MemoryFilter::new(),
            limit,
            after: None,
        }
    }

    /// Lists only what `filter` admits.
    #[must_use]
    pub fn filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Goes on where a page ended.
    #[must_use]
    pub fn after(mut self, cursor: PageCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Checks the limit and the filter.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] naming the bound that is broken.
    pub fn validate(&self) -> MemoryResult<()> {
        bounds::check_limit(self.limit)?;
        self.filter.validate()
    }
}

/// Where a page ended: its last memory's place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageCursor {
    /// That memory's timestamp.
    pub timestamp: DateTime<Utc>,
    /// That memory's id.
    pub id: MemoryId,
}

impl From<&Memory> for PageCursor {
    fn from(memory: &Memory) -> Self {
        Self {
            timestamp: memory.timestamp,
            id: memory.id,
        }
    }
}

/// A page of memories.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListPage {
    /// The entity's generation at that moment.
    pub generation: Generation,
    /// Newest first.
    pub memories: Vec<Memory>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<PageCursor>,
}

/// What [`Store::search`] is to find.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRequest {
    /// Which memories may be found.
    pub filter: MemoryFilter,
    /// How many each arm finds at most, 1 to [`bounds::MAX_LIMIT`].
    pub limit: usize,
    /// By meaning.
    pub dense: Option<DenseQuery>,
    /// By words.
    pub lexical: Option<String>,
}

impl SearchRequest {
    /// Checks the limit, the filter, the vector and the text.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] naming the bound that is broken.
    pub fn validate(&self) -> MemoryResult<()> {
        bounds::check_limit(self.limit)?;
        self.filter.validate()?;
        if let Some(dense) = &self.dense {
            let dimensions = dense.vector.len().clamp(1, bounds::MAX_DIMENSIONS);
            bounds::check_vector(&dense.vector, dimensions)?;
        }
        self.lexical
            .as_deref()
            .map_or(Ok(()), bounds::check_query)?;
        Ok(())
    }
}

/// The dense arm of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseQuery {
    /// What made the vector; only vectors of the same are compared.
    pub fingerprint: Fingerprint,
    /// The L2-normalised query vector.
    pub vector: Vec<f32>,
}

/// What [`Store::search`] found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Candidates {
    /// The entity's generation at that moment.
    pub generation: Generation,
    /// The union of the arms' findings, each memory once, in no order.
    pub candidates: Vec<Candidate>,
}

/// One memory found, with each arm's raw value.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The memory.
    pub memory: Memory,
    /// Best cosine among its vectors, −1 to 1.
    pub similarity: Option<f32>,
    /// BM25, higher is better; `None` when no word matched.
    pub lexical: Option<f32>,
}

/// What [`Store::changes_since`] read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// The entity's generation at that moment.
    pub generation: Generation,
    /// Memories written after the generation asked about. The embedding's
    /// fingerprint is the one asked for; its vectors may be missing.
    pub written: Vec<PreparedMemory>,
    /// Ids removed after the generation asked about.
    pub removed: Vec<MemoryId>,
    /// What was held before counts no more: `written` is the whole state.
    pub reset: bool,
}

/// What [`Store::update`] did.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateOutcome {
    /// The entity's generation after it.
    pub generation: Generation,
    /// The memory as it now stands.
    pub memory: Memory,
}

/// What [`Store::delete`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoveOutcome {
    /// The entity's generation after it.
    pub generation: Generation,
    /// The ids that were there and are gone.
    pub removed: Vec<MemoryId>,
}

/// Accesses of one memory, gathered over a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// Which memory.
    pub id: MemoryId,
    /// How many accesses to add.
    pub accesses: u64,
    /// When the last of them was.
    pub last_accessed: DateTime<Utc>,
}

/// What a store knows of an entity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityStats {
    /// How often it was written to.
    pub generation: Generation,
    /// How many memories it holds.
    pub memory_count: u64,
}
