//! Pages that readers keep in a store.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{EmbeddedMemory, Generation};
use crate::embedder::Fingerprint;
use crate::error::MemoryResult;
use crate::id::{EntityId, MemoryId};

/// Pages of a [`Store`](super::Store): what a reader made of some memories, kept for
/// its next load.
///
/// Without them a load analyzes every text and encodes every vector again; a page is
/// copied. A store knows nothing of their content but the memories, the embedding space
/// and the format that they were written for. It may lose any page at any time: readers
/// make it again.
///
/// What [`Store`](super::Store) says of every method applies to these as well: one
/// consistent state, cancellation, errors, privacy.
#[async_trait]
pub trait SnapshotPages: Send + Sync {
    /// Reads an entity's whole live state, with the vectors of one fingerprint: in
    /// pages where [`write`](Self::write) wrote them and none of their memories
    /// changed since.
    ///
    /// # Behavior
    /// - Every live memory is in one part: in a page that was written with it, or among
    ///   the memories of another part, as
    ///   [`changes_since`](super::Store::changes_since) returns it.
    /// - A page is returned only for the fingerprint and the `format` that it was
    ///   written for, only while none of its memories was written, removed or archived,
    ///   or lost vectors, since they were read, and only as it was written: one that is
    ///   damaged is left out, and its memories are returned.
    /// - [`SnapshotState::accesses`] has the present accesses of the memories in pages,
    ///   and possibly some of archived ones.
    /// - An entity without writes has generation 0 and no parts.
    ///
    /// # Errors
    /// As [`changes_since`](super::Store::changes_since). A damaged page is not an
    /// error.
    async fn read(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
    ) -> MemoryResult<SnapshotState>;

    /// How many pages a [`read`](Self::read) would return, damaged ones included: a caller
    /// decides by it whether to wait for a load. It takes a small part of the time of a
    /// read.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    async fn count(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
    ) -> MemoryResult<u64>;

    /// Keeps pages of memories that [`read`](Self::read) returned at the generation
    /// `read_at`, to return them in place of the memories. `format` says everything that
    /// their content depends on other than the memories and their vectors: two writers
    /// that make different pages of the same memories give different formats.
    ///
    /// # Behavior
    /// - A page is left out where one of its memories was written, removed or archived,
    ///   or lost vectors, after `read_at`; that is no error.
    /// - Whatever writes, removes or archives a memory, or removes vectors that a page
    ///   has of it, removes that page in the same transaction: nothing of a removed
    ///   memory is left.
    /// - A page replaces those that have one of its memories, also of another fingerprint
    ///   or format.
    /// - The generation stays.
    ///
    /// # Errors
    /// Those of a write, [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly) included.
    async fn write(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
        read_at: Generation,
        pages: Vec<SnapshotPage>,
    ) -> MemoryResult<()>;
}

/// An entity's live memories at one generation: see [`SnapshotPages::read`].
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SnapshotState {
    /// The entity's generation.
    pub generation: Generation,
    /// The memories, each in one part.
    pub parts: Vec<SnapshotPart>,
    /// The accesses of memories in pages, of those that were accessed, and possibly some of
    /// archived memories, which readers ignore.
    pub accesses: Vec<AccessState>,
}

/// Some of an entity's live memories.
#[derive(Debug, Clone, PartialEq)]
pub enum SnapshotPart {
    /// The content of a page, as it was written.
    Page(Vec<u8>),
    /// Memories that are in no page.
    Memories {
        /// The number of the page that may be written of exactly these memories, of at
        /// most [`SnapshotPage::MAX_MEMORIES`]; `None` where the store would not keep
        /// one: of too few memories, of some without vectors of the fingerprint, or
        /// where it is read only. It is different for each part, and a later state may
        /// have it for other memories.
        page: Option<u64>,
        /// The memories with their vectors, as in
        /// [`ChangeSet::written`](super::ChangeSet::written).
        memories: Vec<EmbeddedMemory>,
    },
}

/// The accesses of one memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessState {
    /// The memory.
    pub id: MemoryId,
    /// Its [`Memory::access_count`](crate::Memory::access_count).
    pub access_count: u64,
    /// Its [`Memory::last_accessed`](crate::Memory::last_accessed).
    pub last_accessed: Option<DateTime<Utc>>,
}

/// What a reader made of some memories: see [`SnapshotPages::write`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotPage {
    /// The number that [`SnapshotPart::Memories`] had.
    pub number: u64,
    /// The ids of its memories, all of them, in their order.
    pub ids: Vec<MemoryId>,
    /// What the reader made of them, access counts left out. Only the reader knows its
    /// form.
    pub content: Vec<u8>,
}

impl SnapshotState {
    /// A state in these parts.
    #[must_use]
    pub const fn new(generation: Generation, parts: Vec<SnapshotPart>) -> Self {
        Self {
            generation,
            parts,
            accesses: Vec::new(),
        }
    }

    /// Sets the accesses of memories in pages.
    #[must_use]
    pub fn accesses(mut self, accesses: Vec<AccessState>) -> Self {
        self.accesses = accesses;
        self
    }
}

impl AccessState {
    /// The accesses of a memory.
    #[must_use]
    pub const fn new(
        id: MemoryId,
        access_count: u64,
        last_accessed: Option<DateTime<Utc>>,
    ) -> Self {
        Self {
            id,
            access_count,
            last_accessed,
        }
    }
}

impl SnapshotPage {
    /// Maximum number of memories of a page: a store offers no more under one number.
    pub const MAX_MEMORIES: usize = 128;

    /// A page of these memories.
    #[must_use]
    pub const fn new(number: u64, ids: Vec<MemoryId>, content: Vec<u8>) -> Self {
        Self {
            number,
            ids,
            content,
        }
    }
}
