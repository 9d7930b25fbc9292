//! What a store answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EmbeddedMemory, Generation, PageCursor, ScoreStats};
use crate::id::{EntityId, MemoryId};
use crate::memory::Memory;

/// What [`Store::insert_opts`](super::Store::insert_opts) did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InsertOutcome {
    /// One per item, in order: `true` where a row was written, `false` where
    /// the same id and content stood there already.
    pub inserted: Vec<bool>,
    /// The generation of each entity of the batch, after it.
    pub generations: BTreeMap<EntityId, Generation>,
    /// What gave way, for each entity of which something did.
    pub evicted: BTreeMap<EntityId, RemoveOutcome>,
}

/// What [`Store::get`](super::Store::get) read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GetOutcome {
    /// The entity's generation at that moment.
    pub generation: Generation,
    /// One per id, in the order asked.
    pub memories: Vec<Option<Memory>>,
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

/// What [`Store::search`](super::Store::search) found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchOutcome {
    /// The entity's generation at that moment.
    pub generation: Generation,
    /// The union of the retrievers' findings, each memory once, in no order.
    pub candidates: Vec<SearchHit>,
    /// Cosines over every admitted memory that has a vector of the query's
    /// fingerprint, found or not; `None` where the retriever was not asked for, or
    /// the search was approximate and did not see them all.
    pub dense: Option<ScoreStats>,
    /// BM25 over every admitted memory, 0 where no word matched; `None` where
    /// the retriever was not asked for.
    pub lexical: Option<ScoreStats>,
}

/// One memory found, with each retriever's raw value.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchHit {
    /// The memory.
    pub memory: Memory,
    /// Best cosine among its vectors, −1 to 1.
    pub similarity: Option<f32>,
    /// BM25, higher is better; `None` when no word matched.
    pub lexical: Option<f32>,
}

/// What [`Store::changes_since`](super::Store::changes_since) read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChangeSet {
    /// The entity's generation at that moment.
    pub generation: Generation,
    /// Memories written after the generation asked about. The embedding's
    /// fingerprint is the one asked for; its vectors may be missing.
    pub written: Vec<EmbeddedMemory>,
    /// Ids removed or archived after the generation asked about.
    pub removed: Vec<MemoryId>,
    /// What was held before counts no more: `written` is the whole state.
    pub reset: bool,
}

/// What [`Store::update`](super::Store::update) did.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateOutcome {
    /// The entity's generation after it.
    pub generation: Generation,
    /// The memory as it now stands.
    pub memory: Memory,
    /// Whether this write made that generation; `false` where the memory stood
    /// like that already, and the generation is another write's.
    pub changed: bool,
}

/// What [`Store::delete`](super::Store::delete) did. Every list is in no order
/// and names an id once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoveOutcome {
    /// The entity's generation after it.
    pub generation: Generation,
    /// The ids that were there and are gone, with the summaries that went
    /// along.
    pub removed: Vec<MemoryId>,
    /// Archived memories that are live again, as the summary that stood for
    /// them is gone.
    pub restored: Vec<MemoryId>,
    /// Other memories that lost a link to a removed one.
    pub unlinked: Vec<MemoryId>,
}

/// What a store knows of an entity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityStats {
    /// How often it was written to.
    pub generation: Generation,
    /// How many live memories it holds.
    pub memory_count: u64,
    /// How many archived ones, which count toward no limit.
    pub archived_count: u64,
}
