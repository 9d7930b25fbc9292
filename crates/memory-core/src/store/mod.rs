//! The contract of a store.

mod access_update;
mod capabilities;
mod changes;
mod embedded_memory;
pub(crate) mod index_maintenance;
mod outcomes;
mod provided;
mod requests;
mod score_stats;
mod search;
mod snapshot_pages;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::embedder::Fingerprint;
use crate::error::MemoryResult;
use crate::filter::MemoryFilter;
use crate::id::{EntityId, MemoryId};
use crate::patch::MemoryPatch;
use crate::vector::Embedding;

pub use access_update::AccessUpdate;
pub use capabilities::{StoreCapabilities, VectorPrecision, Writers};
pub use changes::{ChangeMarker, ChangeStream, Generation, StoreEvent};
pub use embedded_memory::EmbeddedMemory;
use index_maintenance::{MaintenanceReport, MaintenanceRequest};
pub use outcomes::{
    AccessOutcome, ChangeSet, EntityStats, GetOutcome, InsertOutcome, ListPage, RemoveOutcome,
    ReplaceVectorsOutcome, UpdateOutcome,
};
pub use requests::{
    BackupOptions, ConsolidateOutcome, DenseQuery, InsertOptions, ListRequest, ListScope,
    NeighborRequest, PageCursor, SearchRequest, SummaryGroup,
};
pub use score_stats::{ScoreStats, ScoreStatsBuilder};
pub use search::{EpisodePart, NeighborOutcome, SearchHit, SearchOutcome, TermStats};
pub use snapshot_pages::{AccessState, SnapshotPage, SnapshotPages, SnapshotPart, SnapshotState};

/// A database of memories.
///
/// Every method is scoped to one entity (or, for [`insert_opts`](Store::insert_opts)
/// and [`record_accesses`](Store::record_accesses), to the entity that each item
/// names); memories of other entities are never returned or changed. The
/// conformance suite of `memory-testkit` mirrors the `# Behavior` lists, point
/// by point.
///
#[doc = include_str!("contract.md")]
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// What this store is and supports. Required.
    fn capabilities(&self) -> StoreCapabilities;

    /// Writes a batch, all or nothing, in one transaction, without a limit on
    /// the number of memories: see [`insert_opts`](Store::insert_opts).
    ///
    /// Provided.
    ///
    /// # Errors
    /// As [`insert_opts`](Store::insert_opts).
    async fn insert(&self, batch: &[EmbeddedMemory]) -> MemoryResult<InsertOutcome> {
        self.insert_opts(batch, &InsertOptions::unlimited()).await
    }

    /// Writes a batch, all or nothing, in one transaction, within limits and
    /// after evictions. Required.
    ///
    /// # Behavior
    /// - The batch may contain memories of several entities; an entity's
    ///   generation rises by one if any of its memories was inserted.
    /// - An id that the entity already has, with equal content, is a no-op
    ///   ([`InsertOutcome::inserted`] is `false` there).
    /// - An id that was deleted before may be inserted again.
    /// - The memories keep their `access_count` and `last_accessed`.
    /// - When this returns `Ok`, the batch survives a crash of the process.
    /// - An empty batch is a no-op.
    /// - The ids of [`InsertOptions::evict`] are removed as by
    ///   [`delete`](Store::delete), in the same transaction and at the same
    ///   generation, and only for entities with an inserted memory. Unknown ids
    ///   are ignored.
    /// - Whether an id of the batch is new, a repetition or a conflict is
    ///   decided before any eviction.
    /// - [`InsertOptions::max_memories`] counts the entity's live memories after
    ///   the evictions and the batch, for entities with an inserted memory; it
    ///   is exact also with concurrent writers.
    /// - Inserted memories are live: the batch's
    ///   [`Memory::archived_by`](crate::Memory::archived_by) is ignored. An id
    ///   of an archived memory is one that the entity already has.
    ///
    /// # Errors
    /// [`MemoryError::LimitReached`](crate::MemoryError::LimitReached) where the
    /// limit would be exceeded: nothing is written and nothing evicted;
    /// [`MemoryError::Conflict`](crate::MemoryError::Conflict) for an id with
    /// other content;
    /// [`InvalidInput::DuplicateId`](crate::InvalidInput::DuplicateId) for an
    /// id twice under one entity;
    /// [`MemoryError::InvalidInput`](crate::MemoryError::InvalidInput) for
    /// vectors that [`Embedding::validate`] refuses or a memory outside
    /// [`limits`](crate::limits).
    async fn insert_opts(
        &self,
        batch: &[EmbeddedMemory],
        options: &InsertOptions,
    ) -> MemoryResult<InsertOutcome>;

    /// Inserts summaries and archives their sources, all or nothing, in one transaction. Required.
    ///
    /// # Behavior
    /// - Afterward every source has its summary's id in
    ///   [`Memory::archived_by`](crate::Memory::archived_by) and is otherwise
    ///   unchanged; its summary is live.
    /// - Every source must be live and not written after `read_at`, the
    ///   generation at which the caller read it: a summary never replaces a
    ///   version that it was not made from.
    /// - The generation rises by one.
    /// - Where every summary exists already with equal content and its sources
    ///   are archived under it, this is a no-op: a call whose outcome was
    ///   unknown may be repeated.
    /// - No groups is a no-op.
    ///
    /// # Errors
    /// [`MemoryError::Changed`](crate::MemoryError::Changed) for a source that
    /// is not live or was written after `read_at`;
    /// [`MemoryError::Conflict`](crate::MemoryError::Conflict) for a summary id
    /// that is taken;
    /// [`MemoryError::InvalidInput`](crate::MemoryError::InvalidInput) as
    /// [`SummaryGroup::validate_all`].
    async fn consolidate(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome>;

    /// Reads memories by id. Required.
    ///
    /// # Behavior
    /// - One result per id, in the order asked; `None` where the entity has no such memory.
    /// - Archived memories are returned as well.
    async fn get(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<GetOutcome>;

    /// Reads a page of memories, newest first: by timestamp, then by id, both
    /// descending. Required; [`ListPage::select`] does it in memory.
    ///
    /// # Behavior
    /// - Exactly the memories of the [`ListScope`] that the filter
    ///   [matches](MemoryFilter::matches): over all pages each one once, as long
    ///   as there is no write between the pages.
    /// - [`ListPage::next`] is `None` on the last page.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`](crate::MemoryError::InvalidInput) as
    /// [`ListRequest::validate`].
    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage>;

    /// Counts the live memories that a filter matches.
    ///
    /// Provided: reads every page of [`list`](Store::list), again from the first
    /// where the entity was written to between two pages. O(matches) memories
    /// are transferred; a database that counts by itself transfers none.
    ///
    /// # Errors
    /// As [`list`](Store::list); provided, also
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) where the
    /// entity was written to during each of 100 attempts.
    async fn count(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64> {
        provided::count(self, entity, filter).await
    }

    /// Finds candidates for a recall: the best `limit` of each retriever asked for.
    ///
    /// Provided: the dense retriever, by an exact scan of
    /// [`changes_since`](Store::changes_since) generation 0, so at the cost of
    /// transferring the entity's live memories with their vectors at every
    /// call; [`MemoryError::Unsupported`](crate::MemoryError::Unsupported) for
    /// the lexical one. Overriding it gains an index over vectors, and is what
    /// [`StoreCapabilities::lexical`] requires.
    ///
    /// # Behavior
    /// - Only live memories that the filter matches; each retriever returns
    ///   `limit` of them wherever as many match.
    /// - The dense retriever ranks by [`DenseQuery::value`]: the best cosine among
    ///   a memory's vectors of the query's fingerprint
    ///   ([`Embedding::similarity`]), less the discount for their number; vectors
    ///   of other fingerprints are never compared.
    /// - The lexical retriever ranks by BM25 (higher is better) over the words
    ///   of the query, any of which may match. It may add up to `limit` memories
    ///   that contain adjacent words of the query.
    /// - Each candidate has the value of every requested retriever that has one
    ///   for it, also when another retriever found it.
    /// - Each retriever's mean and deviation are over all matching memories, so
    ///   that values of two searches of the same state compare.
    /// - Text of any shape is a valid lexical query; it has no operators.
    /// - Where [`StoreCapabilities::samples`], the sample has
    ///   [`SearchRequest::sample`] memories wherever as many match, with the
    ///   values of a candidate. Its choice depends on the filter and the state,
    ///   never on the query.
    /// - Where the outcome has [`SearchOutcome::terms`], they are counted in all
    ///   live memories, whatever the filter.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`](crate::MemoryError::InvalidInput) as
    /// [`SearchRequest::validate`];
    /// [`MemoryError::Unsupported`](crate::MemoryError::Unsupported) for a
    /// retriever that [`StoreCapabilities`] denies.
    async fn search(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        provided::search(self, entity, request).await
    }

    /// Reads the neighbors of memories in their episodes: the memories of the
    /// same context that come before and after them in the order of time.
    ///
    /// Provided: [`MemoryError::Unsupported`](crate::MemoryError::Unsupported);
    /// then only those neighbors count in a ranking that a search found by
    /// themselves. A store that overrides it says so in
    /// [`StoreCapabilities::neighbors`]; [`NeighborOutcome::select`] does it in
    /// memory.
    ///
    /// # Behavior
    /// - An episode consists of the live memories of one context that the filter
    ///   matches, by timestamp, then by id.
    /// - A memory asked about that is not live, does not match, has no context or
    ///   does not exist has no [`EpisodePart`].
    /// - Every neighbor is among the hits, with the same values that
    ///   [`search`](Store::search) has for it.
    ///
    /// # Errors
    /// [`MemoryError::Unsupported`](crate::MemoryError::Unsupported);
    /// [`MemoryError::InvalidInput`](crate::MemoryError::InvalidInput) as
    /// [`NeighborRequest::validate`].
    async fn neighbors(
        &self,
        _entity: &EntityId,
        _request: &NeighborRequest,
    ) -> MemoryResult<NeighborOutcome> {
        Err(provided::unsupported(self, "neighbors"))
    }

    /// Reads what changed after `since`, with the vectors of one fingerprint. Required.
    ///
    /// # Behavior
    /// - From generation 0 it returns the entity's whole live state, and no ids removed.
    /// - Otherwise every live memory written and every id removed or archived
    ///   after `since`, in its latest state only (a memory that is live again
    ///   counts as written); applying them to the state at `since` gives the
    ///   state at [`ChangeSet::generation`].
    /// - A memory without a vector of `fingerprint` has no vectors in it
    ///   ([`EmbeddedMemory::with_vectors_of`]).
    /// - A `since` beyond the entity's generation (a database restored from a
    ///   backup) answers with the whole state and [`ChangeSet::reset`].
    /// - A store may drop old tombstones. A `since` above 0 that is too old for
    ///   those that are left answers with the whole state and
    ///   [`ChangeSet::reset`].
    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<ChangeSet>;

    /// The pages that readers keep in this store; `None`, as provided, where it keeps none.
    fn snapshot_pages(&self) -> Option<&dyn SnapshotPages> {
        None
    }

    /// Applies a patch to one memory and, where given, replaces its embedding,
    /// in one transaction. Required.
    ///
    /// # Behavior
    /// - The patch is applied to the row as it is in that transaction, so two
    ///   patches of different fields both take effect.
    /// - Links that [`MemoryPatch::relate`] adds are counted there too.
    /// - `embedding` must be given exactly when the patch sets the content. It
    ///   replaces the vectors of every model.
    ///
    /// # Errors
    /// [`MemoryError::NotFound`](crate::MemoryError::NotFound);
    /// [`MemoryError::Archived`](crate::MemoryError::Archived) for an archived
    /// memory; [`MemoryError::InvalidInput`](crate::MemoryError::InvalidInput)
    /// for a patch or vectors outside the limits.
    async fn update(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome>;

    /// Counts the vectors of one model that each of these memories, live or
    /// archived, has: one number per id, in order, 0 where the entity has no
    /// such memory.
    ///
    /// Provided: [`MemoryError::Unsupported`](crate::MemoryError::Unsupported).
    async fn vector_counts(
        &self,
        _entity: &EntityId,
        _ids: &[MemoryId],
        _fingerprint: &Fingerprint,
    ) -> MemoryResult<Vec<usize>> {
        Err(provided::unsupported(self, "vector_counts"))
    }

    /// Counts the memories, live and archived, that have vectors of each model.
    ///
    /// Provided: [`MemoryError::Unsupported`](crate::MemoryError::Unsupported).
    ///
    /// # Behavior
    /// - A memory with vectors of two models is counted under both; a model of
    ///   which no memory has vectors is absent.
    async fn count_by_model(&self, _entity: &EntityId) -> MemoryResult<BTreeMap<Fingerprint, u64>> {
        Err(provided::unsupported(self, "count_by_model"))
    }

    /// Replaces the vectors of memories, live or archived, whose content stays
    /// as it is, all or nothing, in one transaction.
    ///
    /// Provided: [`MemoryError::Unsupported`](crate::MemoryError::Unsupported).
    /// Overriding it lets memories be embedded again with another model.
    ///
    /// # Behavior
    /// - A memory that was written after `read_at`, the generation at which the
    ///   caller read its content, keeps its vectors: the given ones may be of
    ///   other content. Ids that the entity does not have are ignored.
    /// - A memory's vectors of the given embedding's model are replaced, or added
    ///   where there were none; those of other models stay.
    /// - The generation rises by one where vectors of any memory were replaced;
    ///   that counts as writing it.
    ///
    /// # Errors
    /// [`MemoryError::Unsupported`](crate::MemoryError::Unsupported);
    /// [`MemoryError::InvalidInput`](crate::MemoryError::InvalidInput) for
    /// vectors that [`Embedding::validate`] refuses.
    async fn replace_vectors(
        &self,
        _entity: &EntityId,
        _embeddings: &[(MemoryId, Embedding)],
        _read_at: Generation,
    ) -> MemoryResult<ReplaceVectorsOutcome> {
        Err(provided::unsupported(self, "replace_vectors"))
    }

    /// Removes the vectors of other models from those of these memories, live or
    /// archived, that have vectors of this one, in one transaction. Returns from
    /// how many memories it removed any.
    ///
    /// Provided: [`MemoryError::Unsupported`](crate::MemoryError::Unsupported).
    ///
    /// # Behavior
    /// - A memory without vectors of this model keeps all that it has.
    /// - The generation stays: what a reader with this model sees is the same.
    async fn remove_other_vectors(
        &self,
        _entity: &EntityId,
        _ids: &[MemoryId],
        _fingerprint: &Fingerprint,
    ) -> MemoryResult<u64> {
        Err(provided::unsupported(self, "remove_other_vectors"))
    }

    /// Removes memories for good, with their vectors and access counts, in one
    /// transaction, leaving a tombstone (an id and a generation) for
    /// [`changes_since`](Store::changes_since). Required.
    ///
    /// # Behavior
    /// - Ids that the entity does not have are ignored.
    /// - A summary never outlives one of its sources: where an archived memory
    ///   is removed, its summary is removed as well, and that one's summary.
    /// - Where a summary is removed, its sources are live again, unless they are removed too.
    /// - Links to a removed memory are dropped from the entity's other memories,
    ///   archived ones included; that counts as writing them.
    /// - The generation rises by one, however much is removed.
    /// - Content is not left behind in free space or journals where the backend can prevent it.
    async fn delete(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<RemoveOutcome>;

    /// Adds to access counts of one or several entities and moves `last_accessed` forward
    /// (never back), all or nothing, in one transaction, except for what it defers
    /// ([`AccessOutcome`]). Waits at most `max_wait` for a locked entity. Required.
    ///
    /// # Behavior
    /// - Each update is either written or deferred, never both.
    /// - Ids that the entity does not have are ignored.
    /// - Does not raise a generation.
    async fn record_accesses(
        &self,
        updates: &[AccessUpdate],
        max_wait: Duration,
    ) -> MemoryResult<AccessOutcome>;

    /// Generation and numbers of memories; zeros for an entity never written to.
    ///
    /// Provided: transfers every page of [`list`](Store::list), live and archived. It is
    /// asked at every cached read under [`Consistency::Checked`](crate::Consistency): a
    /// database should override it with a read of one row.
    ///
    /// # Errors
    /// As [`count`](Store::count).
    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        provided::entity_stats(self, entity).await
    }

    /// Lists entities with a memory, live or archived, in the order of [`EntityId`], after
    /// `after`. Reads no memory. Required.
    ///
    /// # Errors
    /// [`InvalidInput::Limit`](crate::InvalidInput::Limit) as
    /// [`check_limit`](crate::limits::check_limit).
    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>>;

    /// Lists entities by the latest access recorded for any of their memories, live or
    /// archived: the latest first, then by [`EntityId`], and none without one. Reads no memory.
    ///
    /// Provided: [`MemoryError::Unsupported`](crate::MemoryError::Unsupported). Overriding
    /// it lets a system that starts load what was used last before it is asked for
    /// ([`warm_entities`](crate::MemoryConfig::warm_entities)).
    ///
    /// # Errors
    /// As [`list_entities`](Store::list_entities).
    async fn recently_accessed_entities(&self, _limit: usize) -> MemoryResult<Vec<EntityId>> {
        Err(provided::unsupported(self, "recently_accessed_entities"))
    }

    /// A version of everything in the store, without a statement; `None` if it is unknown.
    ///
    /// Provided: `None`. Overriding it makes reads from caches cheap under
    /// [`Consistency::Checked`](crate::Consistency::Checked).
    ///
    /// # Behavior
    /// - Two equal markers say that nothing was committed between the two calls,
    ///   by this process or any other. Markers of all times are comparable.
    /// - After a write was acknowledged, by any process, the marker differs from
    ///   every one before the write. It may also change without a write.
    /// - It takes microseconds: no lock that a transaction holds, no connection, no network.
    fn change_marker(&self) -> Option<ChangeMarker> {
        None
    }

    /// A handle for one writer that applies its own writes to its caches; `None` if none.
    ///
    /// Provided: `None`. A handle is this store, except for its
    /// [`change_marker`](Store::change_marker), and closing it closes the store.
    ///
    /// # Behavior
    /// - Two equal markers of one handle say that nothing was committed between the
    ///   two calls but by calls of this handle, completed or in progress.
    /// - After a write was acknowledged to anyone else, or ended with an unknown
    ///   outcome, the marker differs from every one before it.
    fn writer_handle(&self) -> Option<Arc<dyn Store>> {
        None
    }

    /// Subscribes to writes by any process; `None` where the store has no channel for it.
    ///
    /// Provided: `None`. Overriding it lets caches drop early what other processes
    /// changed; correctness never needs it. Fails where there is no connection.
    async fn watch(&self) -> MemoryResult<Option<Box<dyn ChangeStream>>> {
        Ok(None)
    }

    /// Copies the whole database to a new file: see [`BackupOptions`].
    ///
    /// Provided: [`MemoryError::Unsupported`](crate::MemoryError::Unsupported).
    async fn backup(&self, _: &Path, _: &BackupOptions) -> MemoryResult<()> {
        Err(provided::unsupported(self, "backup"))
    }

    /// Chooses, builds and drops approximate indexes: see [`MaintenanceRequest`].
    ///
    /// Provided: [`MemoryError::Unsupported`](crate::MemoryError::Unsupported).
    async fn maintain_indexes(&self, _: &MaintenanceRequest) -> MemoryResult<MaintenanceReport> {
        Err(provided::unsupported(self, "maintain_indexes"))
    }

    /// Finishes running calls and releases every connection, also when called twice.
    ///
    /// Provided: nothing to release; see [`StoreCapabilities::closes`].
    ///
    /// # Behavior
    /// - Where [`StoreCapabilities::closes`], calls after it answer
    ///   [`ErrorKind::Closed`](crate::ErrorKind::Closed); elsewhere they answer as before.
    /// - No running statement or transaction is broken off. A running call ends as otherwise, or
    ///   answers `Closed` and has written nothing; which end first: [`StoreCapabilities::closes`].
    async fn close(&self) -> MemoryResult<()> {
        Ok(())
    }
}
