//! A memory as a document.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use memory::{EntityId, MemoryId, MemoryKind, RecallHit};
use serde::{Deserialize, Serialize};

/// A memory that a recall found: the document of the index and an entry of the recall tool's
/// answer. Empty values are left out of its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecalledMemory {
    /// Which memory.
    pub id: MemoryId,
    /// The text.
    pub content: String,
    /// Fact, experience, opinion or observation.
    pub kind: MemoryKind,
    /// When it happened.
    pub timestamp: DateTime<Utc>,
    /// The estimated probability that it answers the query, 0 to 1, in hundredths: more
    /// digits are noise to a model.
    pub relevance: f64,
    /// The episode it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// Key and value pairs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Participants, each with a role.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub entities: BTreeMap<EntityId, String>,
}

impl From<&RecallHit> for RecalledMemory {
    fn from(hit: &RecallHit) -> Self {
        let memory = &*hit.memory;
        Self {
            id: memory.id,
            content: memory.content.clone(),
            kind: memory.kind,
            timestamp: memory.timestamp,
            relevance: (f64::from(hit.relevance) * 100.0).round() / 100.0,
            context: memory.context.clone(),
            tags: memory.tags.clone(),
            metadata: memory.metadata.clone(),
            entities: memory.entities.clone(),
        }
    }
}
