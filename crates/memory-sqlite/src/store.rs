//! [`SqliteStore`]: each operation validates its input and runs its
//! transaction.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{
    AccessOutcome, AccessUpdate, BackupOptions, ChangeMarker, ChangeSet, ConsolidateOutcome,
    EmbeddedMemory, Embedding, EntityId, EntityStats, Fingerprint, Generation, GetOutcome,
    InsertOptions, InsertOutcome, ListPage, ListRequest, MemoryFilter, MemoryId, MemoryPatch,
    MemoryResult, NeighborOutcome, NeighborRequest, RemoveOutcome, ReplaceVectorsOutcome,
    SearchOutcome, SearchRequest, SnapshotPage, SnapshotPages, SnapshotState, Store,
    StoreCapabilities, SummaryGroup, UpdateOutcome, Writers, limits,
};

use crate::connections::cancel::CancelSignal;
use crate::connections::database::Database;
use crate::connections::transaction::Transaction;
use crate::open::connection;
use crate::operations::changes::ChangesSince;
use crate::operations::consolidate::Consolidate;
use crate::operations::delete::Delete;
use crate::operations::get::Get;
use crate::operations::insert::Insert;
use crate::operations::list::{Count, List};
use crate::operations::neighbors::Neighbors;
use crate::operations::record_accesses::RecordAccesses;
use crate::operations::replace_vectors::{
    CountByModel, RemoveOtherVectors, ReplaceVectors, VectorCounts,
};
use crate::operations::snapshot_pages::{CountPages, ReadPages, WritePages};
use crate::operations::stats::{ListEntities, RecentlyAccessedEntities, Stats};
use crate::operations::update::Update;
use crate::operations::write_access;
use crate::options::{Location, SqliteOptions};
use crate::reindex::conversion_progress::{ConversionProgress, ReadProgress};
use crate::search::Search;
use crate::wal::own_commits::{Origin, WriterCommits};

/// The name in errors and reports.
const BACKEND: &str = "sqlite";

/// A [`Store`] in one SQLite file.
///
/// It is made for one machine: any number of tasks may use it at once, and
/// several processes may share the file. Reads run concurrently with each other
/// and with a write. Writes queue, and inserts that wait share a transaction.
///
/// Needs a Tokio runtime with its timer. Dropping the store closes the file in
/// the background; [`close`](Store::close) waits for it.
pub struct SqliteStore {
    database: Arc<Database>,
    options: SqliteOptions,
    /// Of a handle that [`Store::writer_handle`] returned.
    writer: Option<Arc<WriterCommits>>,
}

impl SqliteStore {
    /// Opens the database at a URL or path, as parsed by
    /// [`SqliteOptions::from_url`], and creates it if it is missing.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with); and
    /// [`ErrorKind::Configuration`](memory_core::ErrorKind::Configuration) for
    /// an invalid URL.
    pub async fn open(url: &str) -> MemoryResult<Self> {
        Self::open_with(SqliteOptions::from_url(url)?).await
    }

    /// Opens a database.
    ///
    /// # Errors
    /// By [`kind`](memory_core::MemoryError::kind):
    /// - `ForeignData` for a file that is no SQLite database, or another
    ///   application's, and `NewerSchema` for one that a newer version of this
    ///   crate wrote. The file stays, byte for byte, as it was.
    /// - `Corrupt` for a damaged file.
    /// - `Missing` where there is no file and none is to be created, where its
    ///   folder does not exist, or where the SQLite that is linked in is too
    ///   old or lacks FTS5.
    /// - `ReadOnly` where a file has to be created or migrated and cannot be
    ///   written.
    /// - `Unavailable` where another process holds a lock for longer than the
    ///   busy timeout.
    /// - `Configuration` for options that cannot work, a file system without
    ///   what WAL mode needs, or a database with other migrations.
    pub async fn open_with(options: SqliteOptions) -> MemoryResult<Self> {
        let database = connection::open(&options).await?;
        Ok(Self {
            database: Arc::new(database),
            options,
            writer: None,
        })
    }

    /// How far the words of memories are converted to the current analysis of texts, where
    /// an older version of this crate wrote some of them; `None` where all are converted.
    ///
    /// Searches find the same meanwhile, and read the texts of what is not converted, which
    /// takes longer. A store that opened the file for writing, and migrates it, converts in
    /// the background. This reads one row for each entity, and nothing waits for it.
    ///
    /// # Errors
    /// As [`Store::entity_stats`].
    pub async fn conversion_progress(&self) -> MemoryResult<Option<ConversionProgress>> {
        self.database.read(ReadProgress).await
    }

    /// Whether writes are refused with
    /// [`ErrorKind::ReadOnly`](memory_core::ErrorKind::ReadOnly): the database was opened for
    /// reading only, or this process has no permission to write to its file. Changes nothing.
    ///
    /// # Errors
    /// As [`Store::entity_stats`].
    pub async fn is_read_only(&self) -> MemoryResult<bool> {
        write_access::is_read_only(&self.database).await
    }

    fn origin(&self) -> Origin {
        let writer = self.writer.as_ref();
        writer.map_or(Origin::Others, |writer| Origin::Writer(Arc::clone(writer)))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("location", &self.options.location)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities::new(BACKEND)
            .lexical(true)
            .neighbors(true)
            .closes(true)
            .durable(self.options.location != Location::Memory)
            .writers(match self.options.location {
                Location::File(_) => Writers::Shared,
                Location::Memory => Writers::Exclusive,
            })
    }

    fn change_marker(&self) -> Option<ChangeMarker> {
        self.database.change_marker(self.writer.as_deref())
    }

    fn writer_handle(&self) -> Option<Arc<dyn Store>> {
        self.database.counts_commits().then(|| {
            Arc::new(Self {
                database: Arc::clone(&self.database),
                options: self.options.clone(),
                writer: Some(Arc::default()),
            }) as Arc<dyn Store>
        })
    }

    async fn insert_opts(
        &self,
        batch: &[EmbeddedMemory],
        options: &InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        self.database.check_open(Insert::OPERATION)?;
        EmbeddedMemory::validate_batch(batch, limits::MAX_DIMENSIONS)?;
        if batch.is_empty() {
            return Ok(InsertOutcome::default());
        }
        let insert = Insert {
            batch: batch.into(),
            options: options.clone(),
            language: self.options.language,
            known: None,
        };
        self.database.insert(insert, self.origin()).await
    }

    async fn consolidate(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome> {
        self.database.check_open(Consolidate::OPERATION)?;
        entity.validate()?;
        SummaryGroup::validate_all(groups, entity, limits::MAX_DIMENSIONS)?;
        let consolidate = Consolidate {
            entity: entity.clone(),
            groups: groups.to_vec(),
            read_at,
            language: self.options.language,
        };
        self.database.write(consolidate, self.origin()).await
    }

    async fn get(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<GetOutcome> {
        entity.validate()?;
        let get = Get {
            entity: entity.clone(),
            ids: ids.to_vec(),
        };
        self.database.read(get).await
    }

    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage> {
        entity.validate()?;
        request.validate()?;
        let list = List {
            entity: entity.clone(),
            request: request.clone(),
        };
        self.database.read(list).await
    }

    async fn count(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64> {
        entity.validate()?;
        filter.validate()?;
        let count = Count {
            entity: entity.clone(),
            filter: filter.clone(),
        };
        self.database.read(count).await
    }

    async fn search(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        entity.validate()?;
        request.validate()?;
        let search = Search {
            entity: entity.clone(),
            request: request.clone(),
            language: self.options.language,
            signal: CancelSignal::default(),
        };
        self.database.search(search).await
    }

    async fn neighbors(
        &self,
        entity: &EntityId,
        request: &NeighborRequest,
    ) -> MemoryResult<NeighborOutcome> {
        entity.validate()?;
        request.validate()?;
        let neighbors = Neighbors {
            entity: entity.clone(),
            request: request.clone(),
        };
        self.database.read(neighbors).await
    }

    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<ChangeSet> {
        entity.validate()?;
        let changes = ChangesSince {
            entity: entity.clone(),
            since,
            fingerprint: fingerprint.clone(),
        };
        self.database.read(changes).await
    }

    /// A database in memory ends with its process, and needs none.
    fn snapshot_pages(&self) -> Option<&dyn SnapshotPages> {
        matches!(self.options.location, Location::File(_)).then_some(self as _)
    }

    async fn update(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome> {
        entity.validate()?;
        patch.validate_with(id, embedding, limits::MAX_DIMENSIONS)?;
        let update = Update {
            entity: entity.clone(),
            id: *id,
            patch: patch.clone(),
            embedding: embedding.cloned(),
            language: self.options.language,
        };
        self.database.write(update, self.origin()).await
    }

    async fn vector_counts(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        fingerprint: &Fingerprint,
    ) -> MemoryResult<Vec<usize>> {
        entity.validate()?;
        let counts = VectorCounts {
            entity: entity.clone(),
            ids: ids.to_vec(),
            fingerprint: fingerprint.clone(),
        };
        self.database.read(counts).await
    }

    async fn count_by_model(&self, entity: &EntityId) -> MemoryResult<BTreeMap<Fingerprint, u64>> {
        entity.validate()?;
        let entity = entity.clone();
        self.database.read(CountByModel { entity }).await
    }

    async fn replace_vectors(
        &self,
        entity: &EntityId,
        embeddings: &[(MemoryId, Embedding)],
        read_at: Generation,
    ) -> MemoryResult<ReplaceVectorsOutcome> {
        self.database.check_open(ReplaceVectors::OPERATION)?;
        entity.validate()?;
        for (_, embedding) in embeddings {
            embedding.validate(limits::MAX_DIMENSIONS)?;
        }
        let replace = ReplaceVectors {
            entity: entity.clone(),
            embeddings: embeddings.to_vec(),
            read_at,
        };
        self.database.write(replace, self.origin()).await
    }

    async fn remove_other_vectors(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        fingerprint: &Fingerprint,
    ) -> MemoryResult<u64> {
        entity.validate()?;
        let remove = RemoveOtherVectors {
            entity: entity.clone(),
            ids: ids.to_vec(),
            fingerprint: fingerprint.clone(),
        };
        self.database.write(remove, self.origin()).await
    }

    async fn delete(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<RemoveOutcome> {
        entity.validate()?;
        let delete = Delete {
            entity: entity.clone(),
            ids: ids.to_vec(),
            language: self.options.language,
        };
        self.database.write(delete, self.origin()).await
    }

    /// One writer has the whole database, so nothing is deferred.
    async fn record_accesses(
        &self,
        updates: &[AccessUpdate],
        _max_wait: Duration,
    ) -> MemoryResult<AccessOutcome> {
        self.database.check_open(RecordAccesses::OPERATION)?;
        AccessUpdate::validate_all(updates)?;
        if !updates.is_empty() {
            let updates = updates.to_vec();
            let record = RecordAccesses { updates };
            self.database.write(record, self.origin()).await?;
        }
        Ok(AccessOutcome::default())
    }

    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        entity.validate()?;
        let entity = entity.clone();
        self.database.read(Stats { entity }).await
    }

    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        limits::check_limit(limit)?;
        let after = after.cloned();
        self.database.read(ListEntities { after, limit }).await
    }

    async fn recently_accessed_entities(&self, limit: usize) -> MemoryResult<Vec<EntityId>> {
        limits::check_limit(limit)?;
        self.database.read(RecentlyAccessedEntities { limit }).await
    }

    async fn backup(&self, target: &Path, options: &BackupOptions) -> MemoryResult<()> {
        self.database.check_open("backup")?;
        self.database.backup(target, options).await
    }

    async fn close(&self) -> MemoryResult<()> {
        self.database.close().await;
        Ok(())
    }
}

#[async_trait]
impl SnapshotPages for SqliteStore {
    async fn read(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
    ) -> MemoryResult<SnapshotState> {
        entity.validate()?;
        // Dropped with the caller: reading a million memories takes seconds, for which
        // a close would wait.
        let wanted = Arc::new(());
        let read = ReadPages {
            entity: entity.clone(),
            fingerprint: fingerprint.clone(),
            format,
            keeps_pages: self.database.counts_commits(),
            wanted: Arc::downgrade(&wanted),
        };
        self.database.read(read).await
    }

    async fn count(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
    ) -> MemoryResult<u64> {
        entity.validate()?;
        let count = CountPages {
            entity: entity.clone(),
            fingerprint: fingerprint.clone(),
            format,
        };
        self.database.read(count).await
    }

    async fn write(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
        read_at: Generation,
        pages: Vec<SnapshotPage>,
    ) -> MemoryResult<()> {
        self.database.check_open(WritePages::OPERATION)?;
        entity.validate()?;
        let write = WritePages {
            entity: entity.clone(),
            fingerprint: fingerprint.clone(),
            format,
            read_at,
            pages,
        };
        self.database.write(write, Origin::Upkeep).await
    }
}
