//! A memory and its size in bytes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::decay;
use crate::error::MemoryResult;
use crate::id::{EntityId, MemoryId};
use crate::kind::MemoryKind;
use crate::limits;

/// One memory of one entity.
///
/// Embeddings are kept apart from it: lists and gets return no vectors.
/// A `Memory` made by [`crate::MemoryBatchItem::into_memory`] is within
/// [`crate::limits`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Which memory.
    pub id: MemoryId,
    /// Whose memory.
    pub entity_id: EntityId,
    /// Fact, experience, opinion or observation; decides how fast its importance decays.
    pub kind: MemoryKind,
    /// The text, 1 to 10,000 characters, byte for byte as it was given.
    pub content: String,
    /// When it happened (not when it was stored), in whole microseconds.
    pub timestamp: DateTime<Utc>,
    /// When it was last recalled, if ever. Advisory: counted in the background.
    pub last_accessed: Option<DateTime<Utc>>,
    /// How often it was recalled. Advisory: counted in the background.
    pub access_count: u64,
    /// How much it mattered when it was made, 0 to 1.
    pub importance: f32,
    /// Decay of importance per day; the kind's own unless consolidation slowed it.
    pub decay_rate: f32,
    /// The episode it belongs to: a session, a place, a quest.
    pub context: Option<String>,
    /// Key and value pairs.
    pub metadata: BTreeMap<String, String>,
    /// Other memories of the same entity, and how they relate to this one.
    pub related: BTreeMap<MemoryId, String>,
    /// Participants, each with a role.
    pub entities: BTreeMap<EntityId, String>,
    /// Labels to filter by; a set, so duplicates are merged.
    pub tags: BTreeSet<String>,
    /// The summary that represents it since a consolidation; `None` while it is
    /// live. An archived memory is read by id, and listed where archived ones
    /// are asked for; no other operation returns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_by: Option<MemoryId>,
}

impl Memory {
    /// Whether no summary has archived it.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.archived_by.is_none()
    }

    /// Importance at `now`, after decay and raised by accesses: see
    /// [`crate::current_importance`].
    #[must_use]
    pub fn current_importance(&self, now: DateTime<Utc>) -> f32 {
        decay::current_importance(
            self.importance,
            self.decay_rate,
            now - self.timestamp,
            self.access_count,
            self.last_accessed.map(|at| now - at),
        )
    }

    /// Checks every limit, which a memory made by hand may exceed.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] naming the first limit that is exceeded.
    pub fn validate(&self) -> MemoryResult<()> {
        limits::check_entity(&self.entity_id)?;
        limits::check_content(&self.content)?;
        limits::check_importance(self.importance)?;
        limits::check_decay_rate(self.decay_rate)?;
        limits::check_context(self.context.as_deref())?;
        limits::check_tags(&self.tags)?;
        limits::check_metadata(&self.metadata)?;
        limits::check_related_of(&self.id, &self.related)?;
        limits::check_entities(&self.entities)?;
        limits::check_timestamp(self.timestamp)?;
        Ok(self.last_accessed.map_or(Ok(()), limits::check_timestamp)?)
    }

    /// Bytes of this memory, heap included, within a tenth of what was
    /// allocated: the weight of a cache entry.
    ///
    /// Not counted are the entity's name, which memories share, and what the
    /// allocator rounds up.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let (metadata, related) = (&self.metadata, &self.related);
        let (entities, tags) = (&self.entities, &self.tags);
        let texts = metadata.iter().map(|(key, value)| key.len() + value.len());
        let roles = entities
            .iter()
            .map(|(entity, role)| name_bytes(entity) + role.len());
        size_of::<Self>()
            + self.content.len()
            + self.context.as_ref().map_or(0, String::len)
            + tree_bytes::<String, String>(metadata.len())
            + texts.sum::<usize>()
            + tree_bytes::<MemoryId, String>(related.len())
            + related.values().map(String::len).sum::<usize>()
            + tree_bytes::<EntityId, String>(entities.len())
            + roles.sum::<usize>()
            + tree_bytes::<String, ()>(tags.len())
            + tags.iter().map(String::len).sum::<usize>()
    }
}

/// What the name of an entity takes, and the two counts before a shared string.
pub(crate) fn name_bytes(entity: &EntityId) -> usize {
    2 * size_of::<usize>() + entity.as_str().len()
}

/// What the nodes of a B-tree of the standard library take: each leaf has room
/// for eleven entries, and one is all there is up to that many. Larger trees
/// are taken to be filled to two thirds, with an inner node to eight leaves.
pub(crate) fn tree_bytes<K, V>(entries: usize) -> usize {
    const ROOM: usize = 11;
    const FILLED: usize = 8;
    let leaf = ROOM * (size_of::<K>() + size_of::<V>()) + 2 * size_of::<usize>();
    let inner = leaf + (ROOM + 1) * size_of::<usize>();
    match entries {
        0 => 0,
        1..=ROOM => leaf,
        _ => {
            let leaves = entries.div_ceil(FILLED);
            leaves * leaf + leaves.div_ceil(FILLED) * inner
        }
    }
}
