//! The contract of a store.

mod capabilities;
mod change_stream;
mod embedded_memory;
mod generation;
mod insert_options;
mod outcomes;
mod requests;
mod score_stats;
mod summary_group;

use std::fmt::Debug;

use async_trait::async_trait;

use crate::embedder::Fingerprint;
use crate::error::MemoryResult;
use crate::filter::MemoryFilter;
use crate::id::{EntityId, MemoryId};
use crate::patch::MemoryPatch;
use crate::vector::Embedding;

pub use capabilities::{StoreCapabilities, VectorPrecision};
pub use change_stream::{ChangeStream, StoreEvent};
pub use embedded_memory::EmbeddedMemory;
pub use generation::Generation;
pub use insert_options::InsertOptions;
pub use outcomes::{
    ChangeSet, EntityStats, GetOutcome, InsertOutcome, ListPage, RemoveOutcome, SearchHit,
    SearchOutcome, UpdateOutcome,
};
pub use requests::{AccessUpdate, DenseQuery, ListRequest, ListScope, PageCursor, SearchRequest};
pub use score_stats::{ScoreStats, ScoreStatsBuilder};
pub use summary_group::{ConsolidateOutcome, SummaryGroup};

/// A database of memories.
///
/// Every method is scoped to one entity (or, for
/// [`insert_opts`](Store::insert_opts), to the entity that each memory
/// names); a memory of another entity is never seen. The conformance suite of `memory-testkit` mirrors the `# Behavior`
/// lists, point by point.
///
/// # Behavior of every method
/// - **Generations.** Each entity has a [`Generation`], 0 before its first
///   write. A write that changes something raises it by one in its own
///   transaction and stamps what it changed with it; a write that changes
///   nothing leaves it alone. [`record_accesses`](Store::record_accesses) never raises it.
/// - **Archived memories.** A memory that [`consolidate`](Store::consolidate)
///   archived is *live* no more: it is read by id and by a
///   [`ListScope`] that asks for it, and by nothing else. Its vectors and its
///   access count stay with it.
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

    /// Writes a batch, all or nothing, in one transaction, with room for any
    /// number of memories: see [`insert_opts`](Store::insert_opts).
    ///
    /// # Errors
    /// As [`insert_opts`](Store::insert_opts).
    async fn insert(&self, batch: &[EmbeddedMemory]) -> MemoryResult<InsertOutcome> {
        self.insert_opts(batch, &InsertOptions::unlimited()).await
    }

    /// Writes a batch, all or nothing, in one transaction, where there is room.
    ///
    /// # Behavior
    /// - The batch may hold memories of several entities; each entity's
    ///   generation rises by one if anything of it was inserted.
    /// - An id that the entity has already, with equal content, is a no-op
    ///   ([`InsertOutcome::inserted`] is `false` there).
    /// - An id that was deleted before may be inserted anew.
    /// - The memories keep their `access_count` and `last_accessed`.
    /// - When this returns `Ok`, the batch survives a crash of the process.
    /// - An empty batch is a no-op.
    /// - What is to give way ([`InsertOptions::evict`]) is removed as by
    ///   [`delete`](Store::delete), in the same transaction and at the same
    ///   generation, and only for entities of which something is inserted. Ids
    ///   of no memory are passed over.
    /// - Whether an id of the batch is new, a repetition or a conflict is judged
    ///   before anything gives way.
    /// - [`InsertOptions::max_memories`] counts the entity's live memories after the
    ///   evictions and the batch, for entities of which something is inserted;
    ///   it holds however many write at once.
    /// - Memories come in live: [`Memory::archived_by`](crate::Memory::archived_by)
    ///   of the batch is not regarded, and an archived memory counts as one
    ///   that the entity has.
    ///
    /// # Errors
    /// [`crate::MemoryError::LimitReached`] where there is no room: nothing is
    /// written and nothing gives way;
    /// [`crate::MemoryError::Conflict`] for an id with other content;
    /// [`InvalidInput::DuplicateId`](crate::InvalidInput::DuplicateId) for an id twice under one entity;
    /// [`crate::MemoryError::InvalidInput`] for vectors that
    /// [`Embedding::validate`] refuses or a memory outside [`limits`](crate::limits).
    async fn insert_opts(
        &self,
        batch: &[EmbeddedMemory],
        room: &InsertOptions,
    ) -> MemoryResult<InsertOutcome>;

    /// Inserts summaries and archives what they stand for, all or nothing, in
    /// one transaction.
    ///
    /// # Behavior
    /// - Every source bears its summary in
    ///   [`Memory::archived_by`](crate::Memory::archived_by) afterward, and is
    ///   otherwise as it was; its summary is live.
    /// - Every source must be live and not written after `read_at`, the
    ///   generation at which the caller read it: a summary never stands for
    ///   what it did not see.
    /// - The generation rises by one.
    /// - Where every summary stands already with equal content and its sources
    ///   archived under it, this is a no-op: a call whose outcome was unknown
    ///   may be repeated.
    /// - No groups is a no-op.
    ///
    /// # Errors
    /// [`crate::MemoryError::Changed`] for a source that is not live or was
    /// written after `read_at`; [`crate::MemoryError::Conflict`] for a summary's
    /// id that is taken; [`crate::MemoryError::InvalidInput`] as
    /// [`SummaryGroup::validate_all`].
    async fn consolidate(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome>;

    /// Reads memories by id.
    ///
    /// # Behavior
    /// - One result per id, in the order asked; `None` where the entity has none.
    /// - Archived memories are found as well.
    async fn get(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<GetOutcome>;

    /// Reads a page of memories, newest first: by timestamp, then by id, both
    /// descending.
    ///
    /// # Behavior
    /// - Exactly the memories of the [`ListScope`] that
    ///   [`MemoryFilter::matches`], none twice and none left out while the pages are turned without writes in between.
    /// - [`ListPage::next`] is `None` on the last page.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] as [`ListRequest::validate`].
    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage>;

    /// Counts the live memories that a filter admits.
    async fn count(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64>;

    /// Finds candidates for a recall: the best `limit` of each retriever asked for.
    ///
    /// # Behavior
    /// - Only live memories that the filter admits; `limit k` finds k per retriever
    ///   whenever k match.
    /// - The dense retriever ranks by the best cosine among a memory's vectors of the
    ///   query's fingerprint; vectors of other fingerprints are never compared.
    /// - The lexical retriever ranks by BM25 (higher is better) over the words of
    ///   the query, any of which may match.
    /// - Each candidate carries the value of every retriever asked for in which it
    ///   has one, also when another retriever found it.
    /// - Each retriever's mean and deviation are those of all admitted memories, so
    ///   that values of two searches of the same state compare.
    /// - Text of any shape is a valid lexical query; operators mean nothing.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] as [`SearchRequest::validate`];
    /// [`crate::MemoryError::Unsupported`] for a retriever that
    /// [`StoreCapabilities`] denies.
    async fn search(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome>;

    /// Reads what changed after `since`, with the vectors of one fingerprint.
    ///
    /// # Behavior
    /// - From generation 0 it returns the entity's whole live state.
    /// - Otherwise every live memory written and every id removed or archived
    ///   after `since`; a memory that is live again counts as written,
    ///   in its latest state only; applying them to the state at `since` gives
    ///   the state at [`ChangeSet::generation`].
    /// - A memory without a vector of `fingerprint` comes with no vectors.
    /// - A `since` beyond the entity's generation (a database put back from a
    ///   backup) answers with the whole state and [`ChangeSet::reset`].
    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<ChangeSet>;

    /// Applies a patch to one memory and, where given, replaces its embedding,
    /// in one transaction.
    ///
    /// # Behavior
    /// - The patch is applied to the row as it stands in that transaction, so
    ///   two patches of different fields both take effect.
    /// - Links that [`MemoryPatch::relate`] adds are counted there too.
    /// - `embedding` must be given exactly when the patch sets the content.
    ///
    /// # Errors
    /// [`crate::MemoryError::NotFound`]; [`crate::MemoryError::Archived`] for a
    /// memory that a summary stands for; [`crate::MemoryError::InvalidInput`]
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
    /// # Behavior
    /// - Ids that the entity does not have are passed over.
    /// - A summary never outlives a memory that it was made from: where an
    ///   archived memory is removed, the summary that stands for it is removed
    ///   as well, and the summary that stands for that one.
    /// - Where a summary is removed, the memories that it stood for are live
    ///   again, unless they are removed too.
    /// - Links of the entity's other memories, archived ones included, to a
    ///   removed memory are dropped; that counts as writing them.
    /// - The generation rises by one, whatever all this amounts to.
    /// - Content is not left behind in free space or journals where the
    ///   backend can prevent it.
    async fn delete(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<RemoveOutcome>;

    /// Adds to access counts and moves `last_accessed` forward (never back).
    ///
    /// # Behavior
    /// - Ids that the entity does not have are passed over.
    /// - Does not raise the generation.
    async fn record_accesses(
        &self,
        entity: &EntityId,
        updates: &[AccessUpdate],
    ) -> MemoryResult<()>;

    /// Generation and numbers of memories; zeros for an entity never written to.
    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats>;

    /// Names entities that hold at least one memory, live or archived, in the order of their
    /// names, after `after`: an administrator's scan, which reads no memory.
    ///
    /// # Errors
    /// [`InvalidInput::Limit`](crate::InvalidInput::Limit) as [`check_limit`](crate::limits::check_limit).
    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>>;

    /// Listens to what is written, by whatever process; `None` where the store
    /// has no such channel.
    ///
    /// # Errors
    /// Those of a connection that cannot be had.
    async fn watch(&self) -> MemoryResult<Option<Box<dyn ChangeStream>>> {
        Ok(None)
    }

    /// Finishes what is under way and lets go of every connection. Calls after
    /// it answer with [`crate::ErrorKind::Closed`]; closing twice is fine.
    async fn close(&self) -> MemoryResult<()>;
}
