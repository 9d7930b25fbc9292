//! A call of a store's operation.

use memory_core::{EntityId, Generation};
#[cfg(doc)]
use memory_core::{SnapshotPages, Store};

/// An operation of [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StoreOperation {
    /// [`Store::insert`].
    Insert,
    /// [`Store::insert_opts`].
    InsertOpts,
    /// [`Store::consolidate`].
    Consolidate,
    /// [`Store::get`].
    Get,
    /// [`Store::list`].
    List,
    /// [`Store::count`].
    Count,
    /// [`Store::search`].
    Search,
    /// [`Store::neighbors`].
    Neighbors,
    /// [`Store::changes_since`].
    ChangesSince,
    /// [`SnapshotPages::read`].
    ReadSnapshotPages,
    /// [`SnapshotPages::count`].
    CountSnapshotPages,
    /// [`SnapshotPages::write`].
    WriteSnapshotPages,
    /// [`Store::update`].
    Update,
    /// [`Store::vector_counts`].
    VectorCounts,
    /// [`Store::count_by_model`].
    CountByModel,
    /// [`Store::replace_vectors`].
    ReplaceVectors,
    /// [`Store::remove_other_vectors`].
    RemoveOtherVectors,
    /// [`Store::delete`].
    Delete,
    /// [`Store::record_accesses`].
    RecordAccesses,
    /// [`Store::entity_stats`].
    EntityStats,
    /// [`Store::list_entities`].
    ListEntities,
    /// [`Store::recently_accessed_entities`].
    RecentlyAccessedEntities,
    /// [`Store::watch`].
    Watch,
    /// [`Store::backup`].
    Backup,
    /// [`Store::maintain_indexes`].
    MaintainIndexes,
    /// [`Store::close`].
    Close,
}

impl StoreOperation {
    /// Every operation.
    pub const ALL: [Self; 26] = [
        Self::Insert,
        Self::InsertOpts,
        Self::Consolidate,
        Self::Get,
        Self::List,
        Self::Count,
        Self::Search,
        Self::Neighbors,
        Self::ChangesSince,
        Self::ReadSnapshotPages,
        Self::CountSnapshotPages,
        Self::WriteSnapshotPages,
        Self::Update,
        Self::VectorCounts,
        Self::CountByModel,
        Self::ReplaceVectors,
        Self::RemoveOtherVectors,
        Self::Delete,
        Self::RecordAccesses,
        Self::EntityStats,
        Self::ListEntities,
        Self::RecentlyAccessedEntities,
        Self::Watch,
        Self::Backup,
        Self::MaintainIndexes,
        Self::Close,
    ];

    /// The name of the method.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::InsertOpts => "insert_opts",
            Self::Consolidate => "consolidate",
            Self::Get => "get",
            Self::List => "list",
            Self::Count => "count",
            Self::Search => "search",
            Self::Neighbors => "neighbors",
            Self::ChangesSince => "changes_since",
            Self::ReadSnapshotPages => "read_snapshot_pages",
            Self::CountSnapshotPages => "count_snapshot_pages",
            Self::WriteSnapshotPages => "write_snapshot_pages",
            Self::Update => "update",
            Self::VectorCounts => "vector_counts",
            Self::CountByModel => "count_by_model",
            Self::ReplaceVectors => "replace_vectors",
            Self::RemoveOtherVectors => "remove_other_vectors",
            Self::Delete => "delete",
            Self::RecordAccesses => "record_accesses",
            Self::EntityStats => "entity_stats",
            Self::ListEntities => "list_entities",
            Self::RecentlyAccessedEntities => "recently_accessed_entities",
            Self::Watch => "watch",
            Self::Backup => "backup",
            Self::MaintainIndexes => "maintain_indexes",
            Self::Close => "close",
        }
    }

    /// Whether it may change what others return.
    #[must_use]
    pub const fn is_write(self) -> bool {
        matches!(
            self,
            Self::Insert
                | Self::InsertOpts
                | Self::Consolidate
                | Self::Update
                | Self::ReplaceVectors
                | Self::RemoveOtherVectors
                | Self::Delete
                | Self::RecordAccesses
        )
    }
}

/// A call of a store's operation, as hooks see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCall<'a> {
    /// Which operation.
    pub operation: StoreOperation,
    /// Whose memories, where the operation is about one entity.
    pub entity: Option<&'a EntityId>,
    /// The generation asked about, for [`Store::changes_since`].
    pub since: Option<Generation>,
}

impl<'a> StoreCall<'a> {
    pub(super) const fn new(operation: StoreOperation) -> Self {
        Self {
            operation,
            entity: None,
            since: None,
        }
    }

    pub(super) const fn of(operation: StoreOperation, entity: &'a EntityId) -> Self {
        Self {
            operation,
            entity: Some(entity),
            since: None,
        }
    }
}
