//! Results of the operations of a store.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AccessUpdate, EmbeddedMemory, Generation, ListRequest, PageCursor};
use crate::embedder::Fingerprint;
use crate::id::{EntityId, MemoryId};
use crate::memory::Memory;

/// What [`Store::insert_opts`](super::Store::insert_opts) did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InsertOutcome {
    /// One per item, in order: `true` where a row was written, `false` where
    /// the entity had the same id and content already.
    pub inserted: Vec<bool>,
    /// The generation of each entity of the batch, after it.
    pub generations: BTreeMap<EntityId, Generation>,
    /// What was evicted, for each entity of which something was.
    pub evicted: BTreeMap<EntityId, RemoveOutcome>,
}

impl InsertOutcome {
    /// An insert that wrote the items marked `true`, left these generations
    /// and evicted nothing.
    #[must_use]
    pub const fn new(inserted: Vec<bool>, generations: BTreeMap<EntityId, Generation>) -> Self {
        Self {
            inserted,
            generations,
            evicted: BTreeMap::new(),
        }
    }

    /// Sets what was evicted, for each entity of which something was.
    #[must_use]
    pub fn evicted(mut self, evicted: BTreeMap<EntityId, RemoveOutcome>) -> Self {
        self.evicted = evicted;
        self
    }
}

/// What [`Store::get`](super::Store::get) read.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct GetOutcome {
    /// The entity's generation at that time.
    pub generation: Generation,
    /// One per id, in the order asked.
    pub memories: Vec<Option<Memory>>,
}

impl GetOutcome {
    /// Memories read at this generation, one per id.
    #[must_use]
    pub const fn new(generation: Generation, memories: Vec<Option<Memory>>) -> Self {
        Self {
            generation,
            memories,
        }
    }
}

/// A page of memories.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ListPage {
    /// The entity's generation at that time.
    pub generation: Generation,
    /// Newest first.
    pub memories: Vec<Memory>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<PageCursor>,
}

impl ListPage {
    /// A page read at this generation.
    #[must_use]
    pub const fn new(
        generation: Generation,
        memories: Vec<Memory>,
        next: Option<PageCursor>,
    ) -> Self {
        Self {
            generation,
            memories,
            next,
        }
    }

    /// The page that a request asks for, out of all of an entity's memories,
    /// live and archived, in any order. O(n log n) for n memories that match.
    ///
    /// For stores that keep no index in the list's order.
    #[must_use]
    pub fn select<'a>(
        generation: Generation,
        memories: impl IntoIterator<Item = &'a Memory>,
        request: &ListRequest,
    ) -> Self {
        let mut matching: Vec<(PageCursor, &Memory)> = memories
            .into_iter()
            .filter(|memory| request.scope.contains(memory.archived_by))
            .filter(|memory| request.filter.matches(memory))
            .map(|memory| (PageCursor::from(memory), memory))
            .filter(|(position, _)| request.after.is_none_or(|after| *position < after))
            .collect();
        matching.sort_unstable_by_key(|(position, _)| Reverse(*position));
        let is_last = matching.len() <= request.limit;
        matching.truncate(request.limit);
        let next = matching.last().map(|(position, _)| *position);
        Self {
            generation,
            memories: matching.into_iter().map(|(_, it)| it.clone()).collect(),
            next: next.filter(|_| !is_last),
        }
    }
}

/// What [`Store::changes_since`](super::Store::changes_since) read.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ChangeSet {
    /// The entity's generation at that time.
    pub generation: Generation,
    /// Memories written after the generation asked about. The embedding's
    /// fingerprint is the one asked for; its vectors may be missing.
    pub written: Vec<EmbeddedMemory>,
    /// Ids removed or archived after the generation asked about.
    pub removed: Vec<MemoryId>,
    /// Whether `written` is the whole state, in place of what the caller had.
    pub reset: bool,
}

impl ChangeSet {
    /// What was written and removed up to this generation.
    #[must_use]
    pub const fn new(
        generation: Generation,
        written: Vec<EmbeddedMemory>,
        removed: Vec<MemoryId>,
    ) -> Self {
        Self {
            generation,
            written,
            removed,
            reset: false,
        }
    }

    /// The changes that [`Store::changes_since`](super::Store::changes_since) is
    /// asked for, out of all of an entity's data: its rows, live and archived,
    /// each with the generation that wrote it last, and its tombstones.
    ///
    /// For stores that keep no index over generations.
    #[must_use]
    pub fn select<'a>(
        generation: Generation,
        rows: impl IntoIterator<Item = (Generation, &'a EmbeddedMemory)>,
        tombstones: impl IntoIterator<Item = (Generation, MemoryId)>,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> Self {
        let is_reset = since > generation;
        let since = if is_reset { Generation::ZERO } else { since };
        let mut changes = Self::new(generation, Vec::new(), Vec::new()).reset(is_reset);
        for (_, item) in rows.into_iter().filter(|(written, _)| *written > since) {
            match item.memory.archived_by {
                None => changes.written.push(item.with_vectors_of(fingerprint)),
                Some(_) => changes.removed.push(item.memory.id),
            }
        }
        let removed = tombstones.into_iter().filter(|(at, _)| *at > since);
        changes.removed.extend(removed.map(|(_, id)| id));
        if since == Generation::ZERO {
            // A reader without a state has nothing to remove.
            changes.removed.clear();
        }
        changes
    }

    /// Sets whether `written` is the whole state, in place of what the caller
    /// had.
    #[must_use]
    pub const fn reset(mut self, reset: bool) -> Self {
        self.reset = reset;
        self
    }
}

/// What [`Store::update`](super::Store::update) did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UpdateOutcome {
    /// The entity's generation after it.
    pub generation: Generation,
    /// The memory after it.
    pub memory: Memory,
    /// Whether this write made that generation; `false` where the memory was
    /// like that already, and another write made the generation.
    pub changed: bool,
}

impl UpdateOutcome {
    /// An update that wrote `memory` at this generation.
    #[must_use]
    pub const fn new(generation: Generation, memory: Memory) -> Self {
        Self {
            generation,
            memory,
            changed: true,
        }
    }

    /// Sets whether this write made the generation.
    #[must_use]
    pub const fn changed(mut self, changed: bool) -> Self {
        self.changed = changed;
        self
    }
}

/// What [`Store::replace_vectors`](super::Store::replace_vectors) did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplaceVectorsOutcome {
    /// The entity's generation after it.
    pub generation: Generation,
    /// The memories whose vectors were replaced, in no order.
    pub replaced: Vec<MemoryId>,
}

impl ReplaceVectorsOutcome {
    /// These memories' vectors were replaced; the entity is at this generation.
    #[must_use]
    pub const fn new(generation: Generation, replaced: Vec<MemoryId>) -> Self {
        Self {
            generation,
            replaced,
        }
    }
}

/// What [`Store::record_accesses`](super::Store::record_accesses) left for later.
///
/// Access counts can be written later, and nobody should wait for them. A backend whose
/// entities are locked one by one writes those that are free, and defers the updates of
/// the others: the caller gives them again. With a `max_wait` of zero it does not wait for
/// a lock; with more it may defer the updates of all entities although only one is locked,
/// so a caller that waits gives those of one entity. A backend that has one writer at a
/// time defers nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessOutcome {
    /// The updates that were not written, since another writer had locked their
    /// entities, as they were given. All others were.
    pub deferred: Vec<AccessUpdate>,
}

impl AccessOutcome {
    /// These updates were not written; the others were.
    #[must_use]
    pub const fn new(deferred: Vec<AccessUpdate>) -> Self {
        Self { deferred }
    }
}

/// What [`Store::delete`](super::Store::delete) did. Every list is in no order
/// and names an id once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoveOutcome {
    /// The entity's generation after it.
    pub generation: Generation,
    /// The ids that were removed, with the summaries that were removed along with
    /// them.
    pub removed: Vec<MemoryId>,
    /// Archived memories that are live again, as their summary was removed.
    pub restored: Vec<MemoryId>,
    /// Other memories that lost a link to a removed one.
    pub unlinked: Vec<MemoryId>,
}

impl RemoveOutcome {
    /// A removal of these memories at this generation.
    #[must_use]
    pub const fn new(generation: Generation, removed: Vec<MemoryId>) -> Self {
        Self {
            generation,
            removed,
            restored: Vec::new(),
            unlinked: Vec::new(),
        }
    }

    /// Sets which archived memories are live again.
    #[must_use]
    pub fn restored(mut self, restored: Vec<MemoryId>) -> Self {
        self.restored = restored;
        self
    }

    /// Sets which memories lost a link.
    #[must_use]
    pub fn unlinked(mut self, unlinked: Vec<MemoryId>) -> Self {
        self.unlinked = unlinked;
        self
    }
}

/// Generation and numbers of memories of an entity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EntityStats {
    /// How often it was written to.
    pub generation: Generation,
    /// How many live memories it has.
    pub memory_count: u64,
    /// How many archived ones, which count toward no limit.
    pub archived_count: u64,
}

impl EntityStats {
    /// An entity with this generation and numbers of memories.
    #[must_use]
    pub const fn new(generation: Generation, memory_count: u64, archived_count: u64) -> Self {
        Self {
            generation,
            memory_count,
            archived_count,
        }
    }
}
