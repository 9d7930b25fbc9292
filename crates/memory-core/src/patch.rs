//! Changes to a memory.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{InvalidInput, MemoryResult};
use crate::id::{EntityId, MemoryId};
use crate::kind::MemoryKind;
use crate::limits;
use crate::memory::Memory;
use crate::vector::Embedding;

/// Changes to one memory; a field that is `None` stays as it is.
///
/// ```
/// use memory_core::MemoryPatch;
/// let patch = MemoryPatch::new().content("The mill stands south of the bridge.").importance(0.9);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryPatch {
    /// New text; the memory is embedded again.
    pub content: Option<String>,
    /// New kind; the decay rate follows it.
    pub kind: Option<MemoryKind>,
    /// New time.
    pub timestamp: Option<DateTime<Utc>>,
    /// New importance, 0 to 1.
    pub importance: Option<f32>,
    /// New context; `Some(None)` removes it, and is `null` when serialized.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub context: Option<Option<String>>,
    /// New metadata, in place of the old.
    pub metadata: Option<BTreeMap<String, String>>,
    /// New links to memories, in place of the old.
    pub related: Option<BTreeMap<MemoryId, String>>,
    /// Links to add, or to give another relation; after `related`.
    pub relate: BTreeMap<MemoryId, String>,
    /// Links to drop; after `related`, before `relate`.
    pub unrelate: BTreeSet<MemoryId>,
    /// New involved entities, in place of the old.
    pub entities: Option<BTreeMap<EntityId, String>>,
    /// New tags, in place of the old.
    pub tags: Option<BTreeSet<String>>,
}

impl MemoryPatch {
    /// A patch that changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the text; the memory is embedded again.
    #[must_use]
    pub fn content(mut self, content: impl Into<String>) -> Self {
        self.content = Some(content.into());
        self
    }

    /// Replaces the kind, and with it the decay rate.
    #[must_use]
    pub fn kind(mut self, kind: MemoryKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Replaces the time.
    #[must_use]
    pub fn timestamp(mut self, timestamp: DateTime<Utc>) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Replaces the importance, 0 to 1.
    #[must_use]
    pub fn importance(mut self, importance: f32) -> Self {
        self.importance = Some(importance);
        self
    }

    /// Replaces the context, or removes it.
    #[must_use]
    pub fn context(mut self, context: Option<String>) -> Self {
        self.context = Some(context);
        self
    }

    /// Replaces all metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Replaces all links to memories.
    #[must_use]
    pub fn related(mut self, related: BTreeMap<MemoryId, String>) -> Self {
        self.related = Some(related);
        self
    }

    /// Adds one link to a memory, or gives it another relation; every other
    /// link stays, also one that another writer adds at the same time.
    #[must_use]
    pub fn relate(mut self, id: MemoryId, relation: impl Into<String>) -> Self {
        self.relate.insert(id, relation.into());
        self
    }

    /// Drops one link to a memory, if there is one.
    #[must_use]
    pub fn unrelate(mut self, id: MemoryId) -> Self {
        self.unrelate.insert(id);
        self
    }

    /// Replaces all involved entities.
    #[must_use]
    pub fn entities(mut self, entities: BTreeMap<EntityId, String>) -> Self {
        self.entities = Some(entities);
        self
    }

    /// Replaces all tags.
    #[must_use]
    pub fn tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.tags = Some(tags.into_iter().map(Into::into).collect());
        self
    }

    /// Checks the limits of what is set.
    ///
    /// # Errors
    /// [`crate::MemoryError::InvalidInput`] naming the first limit that is
    /// exceeded, or that nothing is set.
    pub fn validate(&self) -> MemoryResult<()> {
        if *self == Self::default() {
            return Err(InvalidInput::EmptyPatch.into());
        }
        self.content
            .as_deref()
            .map_or(Ok(()), limits::check_content)?;
        self.importance.map_or(Ok(()), limits::check_importance)?;
        self.timestamp.map_or(Ok(()), limits::check_timestamp)?;
        self.tags.as_ref().map_or(Ok(()), limits::check_tags)?;
        self.metadata
            .as_ref()
            .map_or(Ok(()), limits::check_metadata)?;
        self.related
            .as_ref()
            .map_or(Ok(()), limits::check_related)?;
        limits::check_related(&self.relate)?;
        limits::at_most_links("links to drop", self.unrelate.len())?;
        self.entities
            .as_ref()
            .map_or(Ok(()), limits::check_entities)?;
        if let Some(context) = &self.context {
            limits::check_context(context.as_deref())?;
        }
        Ok(())
    }

    /// Checks the limits of what is set, and that it does not relate the memory `id`,
    /// which it is for, to itself.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), and [`InvalidInput::SelfRelation`].
    pub fn validate_for(&self, id: &MemoryId) -> MemoryResult<()> {
        self.validate()?;
        for related in self.related.iter().chain([&self.relate]) {
            limits::check_related_of(id, related)?;
        }
        Ok(())
    }

    /// Checks the patch for the memory `id`, and its embedding, which is required if the patch
    /// sets the content and refused otherwise. Stores call it before an update.
    ///
    /// # Errors
    /// As [`validate_for`](Self::validate_for), and [`crate::MemoryError::InvalidInput`] naming
    /// what is wrong.
    pub fn validate_with(
        &self,
        id: &MemoryId,
        embedding: Option<&Embedding>,
        max_dimensions: usize,
    ) -> MemoryResult<()> {
        self.validate_for(id)?;
        match (&self.content, embedding) {
            (None, None) => Ok(()),
            (Some(_), Some(embedding)) => embedding.validate(max_dimensions),
            (Some(_), None) => Err(InvalidInput::NoVector.into()),
            (None, Some(_)) => Err(InvalidInput::UnexpectedEmbedding.into()),
        }
    }

    /// Applies the changes to `memory`; what is not set stays.
    ///
    /// Links that are added may bring a memory over
    /// [`limits::MAX_LINKS`]: check [`Memory::related`] afterward, as
    /// [`EmbeddedMemory::patched`](crate::EmbeddedMemory::patched) does.
    pub fn apply(&self, memory: &mut Memory) {
        fn set<T: Clone>(field: &mut T, change: Option<&T>) {
            if let Some(value) = change {
                field.clone_from(value);
            }
        }
        set(&mut memory.content, self.content.as_ref());
        set(&mut memory.importance, self.importance.as_ref());
        set(&mut memory.context, self.context.as_ref());
        set(&mut memory.metadata, self.metadata.as_ref());
        set(&mut memory.related, self.related.as_ref());
        for id in &self.unrelate {
            memory.related.remove(id);
        }
        for (id, relation) in &self.relate {
            memory.related.insert(*id, relation.clone());
        }
        set(&mut memory.entities, self.entities.as_ref());
        set(&mut memory.tags, self.tags.as_ref());
        if let Some(timestamp) = self.timestamp {
            memory.timestamp = limits::to_micros(timestamp);
        }
        if let Some(kind) = self.kind {
            memory.kind = kind;
            memory.decay_rate = kind.decay_rate();
        }
    }
}

/// Reads a field that is there, whatever its value: `null` is not the same as no field.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

impl From<&MemoryPatch> for MemoryPatch {
    fn from(value: &Self) -> Self {
        value.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::MemoryError;
    use crate::item::MemoryBatchItem;

    #[test]
    fn what_is_not_set_stays() {
        let mut memory = MemoryBatchItem::new("mira", MemoryKind::World, "old")
            .with_context("spring")
            .with_tag("mill")
            .into_memory(Utc::now())
            .unwrap();
        MemoryPatch::new()
            .content("new")
            .kind(MemoryKind::Observation)
            .apply(&mut memory);
        assert_eq!(memory.content, "new");
        assert_eq!(memory.decay_rate, 0.02);
        assert_eq!(memory.context.as_deref(), Some("spring"));
        MemoryPatch::new().context(None).apply(&mut memory);
        assert_eq!(memory.context, None);
        assert!(memory.tags.contains("mill"));
    }

    #[test]
    fn links_are_added_and_dropped_one_by_one() {
        let (tam, ona) = (MemoryId::new(), MemoryId::new());
        let mut memory = MemoryBatchItem::new("mira", MemoryKind::World, "x")
            .with_related(tam, "caused by")
            .into_memory(Utc::now())
            .unwrap();
        MemoryPatch::new().relate(ona, "before").apply(&mut memory);
        assert_eq!(memory.related.len(), 2);
        MemoryPatch::new().unrelate(tam).apply(&mut memory);
        assert_eq!(memory.related, BTreeMap::from([(ona, "before".to_owned())]));
    }

    #[test]
    fn a_patch_is_the_same_after_serialization() {
        for patch in [
            MemoryPatch::new(),
            MemoryPatch::new().importance(0.5),
            MemoryPatch::new().context(None),
            MemoryPatch::new().context(Some("spring".to_owned())),
            MemoryPatch::new().context(None).content("new"),
        ] {
            let text = serde_json::to_string(&patch).unwrap();
            let read: MemoryPatch = serde_json::from_str(&text).unwrap();
            assert_eq!(read, patch, "{text}");
        }
        let read: MemoryPatch = serde_json::from_str("{}").unwrap();
        assert_eq!(read, MemoryPatch::new());
    }

    #[test]
    fn an_unknown_field_is_refused() {
        for text in [r#"{"importence":0.9}"#, r#"{"content":"x","tag":["mill"]}"#] {
            let read = serde_json::from_str::<MemoryPatch>(text);
            assert!(read.unwrap_err().to_string().contains("unknown field"));
        }
    }

    #[test]
    fn a_patch_does_not_relate_a_memory_to_itself() {
        let (id, other) = (MemoryId::new(), MemoryId::new());
        for patch in [
            MemoryPatch::new().relate(id, "before"),
            MemoryPatch::new().related([(id, "before".to_owned())].into()),
        ] {
            for refused in [patch.validate_for(&id), patch.validate_with(&id, None, 8)] {
                let problem = match refused.unwrap_err() {
                    MemoryError::InvalidInput { problem, .. } => problem,
                    error => panic!("{error}"),
                };
                assert_eq!(problem, InvalidInput::SelfRelation);
            }
            assert!(patch.validate_for(&other).is_ok());
            assert!(patch.validate_with(&other, None, 8).is_ok());
        }
        // A link of an earlier version can be dropped.
        let patch = MemoryPatch::new().unrelate(id);
        assert!(patch.validate_for(&id).is_ok());
    }

    #[test]
    fn as_many_links_are_dropped_as_a_memory_has() {
        let dropped = |count| MemoryPatch {
            unrelate: (0..count).map(|_| MemoryId::new()).collect(),
            ..MemoryPatch::new()
        };
        assert!(dropped(limits::MAX_LINKS).validate().is_ok());
        let error = dropped(limits::MAX_LINKS + 1).validate().unwrap_err();
        assert!(error.to_string().contains("257 links to drop"), "{error}");
    }

    #[test]
    fn a_patch_keeps_the_bounds_and_must_change_something() {
        assert!(MemoryPatch::new().validate().is_err());
        assert!(MemoryPatch::new().content("").validate().is_err());
        assert!(MemoryPatch::new().importance(2.0).validate().is_err());
        assert!(MemoryPatch::new().context(None).validate().is_ok());
    }
}
