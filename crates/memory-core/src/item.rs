//! Input of `retain`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{InvalidInput, MemoryResult};
use crate::id::{EntityId, MemoryId};
use crate::kind::MemoryKind;
use crate::limits;
use crate::memory::Memory;

/// A memory to be retained: an entity, a kind, a content, and what else is known.
///
/// ```
/// use memory_core::{MemoryBatchItem, MemoryKind};
/// let item = MemoryBatchItem::new("mira", MemoryKind::Experience, "Tam sold me a lame horse.")
///     .with_entity("tam", "seller")
///     .with_tag("market")
///     .with_importance(0.8);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryBatchItem {
    /// Which entity's memory it will be.
    pub entity_id: EntityId,
    /// Fact, experience, opinion or observation.
    pub kind: MemoryKind,
    /// The text, 1 to 10,000 characters.
    pub content: String,
    /// The caller's own id, which makes the write idempotent.
    pub id: Option<MemoryId>,
    /// When it happened; the time of the call when `None`.
    pub timestamp: Option<DateTime<Utc>>,
    /// 0 to 1; [`MemoryBatchItem::DEFAULT_IMPORTANCE`] when `None`.
    pub importance: Option<f32>,
    /// The episode it belongs to.
    pub context: Option<String>,
    /// Key and value pairs.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Links to other memories of the same entity.
    #[serde(default)]
    pub related: BTreeMap<MemoryId, String>,
    /// Participants, each with a role.
    #[serde(default)]
    pub entities: BTreeMap<EntityId, String>,
    /// Labels; duplicates are merged.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// The vector of the content, where it was computed elsewhere; see
    /// [`with_embedding`](Self::with_embedding).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Vec<f32>>,
}

impl MemoryBatchItem {
    /// The importance of a memory for which none is given.
    pub const DEFAULT_IMPORTANCE: f32 = 0.5;

    /// Starts with the three things that every memory has.
    pub fn new(entity: impl Into<EntityId>, kind: MemoryKind, content: impl Into<String>) -> Self {
        Self {
            entity_id: entity.into(),
            kind,
            content: content.into(),
            id: None,
            timestamp: None,
            importance: None,
            context: None,
            metadata: BTreeMap::new(),
            related: BTreeMap::new(),
            entities: BTreeMap::new(),
            tags: BTreeSet::new(),
            embedding: None,
        }
    }

    /// Sets an id of the caller's own. Retaining the same id with the same
    /// content again is a no-op; with other content it is a conflict.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<MemoryId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the episode: a session, a place, a quest.
    #[must_use]
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// Adds a key and its value; a key given twice keeps the later value.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Adds a participant and its role.
    #[must_use]
    pub fn with_entity(mut self, entity: impl Into<EntityId>, role: impl Into<String>) -> Self {
        self.entities.insert(entity.into(), role.into());
        self
    }

    /// Links another memory of the same entity.
    #[must_use]
    pub fn with_related(mut self, id: impl Into<MemoryId>, relation: impl Into<String>) -> Self {
        self.related.insert(id.into(), relation.into());
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.insert(tag.into());
        self
    }

    /// Sets when it happened, truncated to microseconds.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: DateTime<Utc>) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Sets how much it matters, 0 to 1.
    #[must_use]
    pub fn with_importance(mut self, importance: f32) -> Self {
        self.importance = Some(importance);
        self
    }

    /// Sets the vector of the content, so that the embedder is not called: for
    /// vectors that the model of the system's embedder made elsewhere. It has the
    /// dimensions of that model, finite numbers that are not all zero, and any length
    /// (it is normalized). It is the memory's only vector, also where the embedder
    /// would split the content into chunks. Changing the content replaces it.
    #[must_use]
    pub fn with_embedding(mut self, vector: impl Into<Vec<f32>>) -> Self {
        self.embedding = Some(vector.into());
        self
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] naming the first limit that is exceeded.
    pub fn validate(&self) -> MemoryResult<()> {
        limits::check_entity(&self.entity_id)?;
        limits::check_content(&self.content)?;
        limits::check_importance(self.importance.unwrap_or(Self::DEFAULT_IMPORTANCE))?;
        limits::check_context(self.context.as_deref())?;
        limits::check_tags(&self.tags)?;
        limits::check_metadata(&self.metadata)?;
        match &self.id {
            Some(id) => limits::check_related_of(id, &self.related)?,
            None => limits::check_related(&self.related)?,
        }
        limits::check_entities(&self.entities)?;
        if let Some(timestamp) = self.timestamp {
            limits::check_timestamp(timestamp)?;
        }
        if let Some(vector) = &self.embedding {
            // The dimensions are the embedder's, which are not known here.
            if vector.is_empty() {
                return Err(InvalidInput::VectorEmpty.into());
            }
            limits::check_vector(vector, vector.len())?;
        }
        Ok(())
    }

    /// Checks every limit and makes the memory, with a new id where none was set
    /// and `now` where no time was set. A memory has no vector: the embedding is
    /// dropped.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn into_memory(self, now: DateTime<Utc>) -> MemoryResult<Memory> {
        self.validate()?;
        Ok(Memory {
            id: self.id.unwrap_or_else(MemoryId::new),
            entity_id: self.entity_id,
            kind: self.kind,
            content: self.content,
            timestamp: limits::to_micros(self.timestamp.unwrap_or(now)),
            last_accessed: None,
            access_count: 0,
            importance: self.importance.unwrap_or(Self::DEFAULT_IMPORTANCE),
            decay_rate: self.kind.decay_rate(),
            context: self.context,
            metadata: self.metadata,
            related: self.related,
            entities: self.entities,
            tags: self.tags,
            archived_by: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, InvalidInput, MemoryError};

    fn item() -> MemoryBatchItem {
        MemoryBatchItem::new(
            "mira",
            MemoryKind::World,
            "The mill stands north of the bridge.",
        )
    }

    #[test]
    fn duplicates_of_a_tag_are_merged_and_time_is_cut_to_micros() {
        let fine = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();
        let memory = item()
            .with_tag("mill")
            .with_tag("mill")
            .with_timestamp(fine)
            .into_memory(Utc::now())
            .unwrap();
        assert_eq!(memory.tags.len(), 1);
        assert_eq!(memory.timestamp.timestamp_subsec_nanos(), 123_456_000);
        assert_eq!(memory.decay_rate, MemoryKind::World.decay_rate());
    }

    #[test]
    fn only_entity_kind_and_content_must_be_in_the_text() {
        let text = r#"{"entity_id":"mira","kind":"world","content":"x"}"#;
        let read: MemoryBatchItem = serde_json::from_str(text).unwrap();
        assert_eq!(read, MemoryBatchItem::new("mira", MemoryKind::World, "x"));
        let misspelt = text.replace('}', r#","tag":["mill"]}"#);
        let refused = serde_json::from_str::<MemoryBatchItem>(&misspelt).unwrap_err();
        assert!(refused.to_string().contains("`tag`"), "{refused}");
        let full = item()
            .with_tag("mill")
            .with_metadata("k", "v")
            .with_entity("tam", "seller")
            .with_related(MemoryId::new(), "before")
            .with_embedding([0.6, 0.8]);
        let text = serde_json::to_string(&full).unwrap();
        assert_eq!(
            serde_json::from_str::<MemoryBatchItem>(&text).unwrap(),
            full
        );
    }

    #[test]
    fn a_memory_is_not_related_to_itself() {
        let id = MemoryId::new();
        let related = item().with_related(id, "before");
        let memory = related.clone().into_memory(Utc::now()).unwrap();
        let refused = [
            related.with_id(id).validate(),
            Memory { id, ..memory }.validate(),
        ];
        for result in refused {
            assert!(matches!(
                result.unwrap_err(),
                MemoryError::InvalidInput {
                    problem: InvalidInput::SelfRelation,
                    ..
                }
            ));
        }
    }

    #[test]
    fn each_broken_bound_has_its_own_error() {
        let problem = |item: MemoryBatchItem| match item.into_memory(Utc::now()) {
            Err(MemoryError::InvalidInput { problem, .. }) => problem,
            other => panic!("expected InvalidInput, got {other:?}"),
        };
        let mut blank = item();
        blank.content = " ".into();
        assert_eq!(problem(blank), InvalidInput::EmptyContent);
        assert!(matches!(
            problem(item().with_importance(f32::NAN)),
            InvalidInput::Importance { value } if value.is_nan()
        ));
        assert_eq!(problem(item().with_tag("")), InvalidInput::EmptyTag);
        assert_eq!(
            problem(item().with_metadata("", "v")),
            InvalidInput::EmptyMetadataKey
        );
        assert_eq!(
            problem(item().with_context("a\0")),
            InvalidInput::NulCharacter { field: "context" }
        );
        assert_eq!(
            problem(item().with_timestamp(DateTime::<Utc>::MAX_UTC)),
            InvalidInput::Timestamp {
                found: DateTime::<Utc>::MAX_UTC
            }
        );
        let error = MemoryBatchItem::new("", MemoryKind::World, "x")
            .validate()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
