//! A text of an export, before it is a memory.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use memory::limits::MAX_ENTITY_ID_CHARS;
use memory::{EntityId, MemoryId, MemoryKind};

/// A text of an export with what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// What identifies it within exports of its format.
    pub(crate) source_id: String,
    pub(crate) kind: MemoryKind,
    /// Of any length.
    pub(crate) content: String,
    pub(crate) timestamp: Option<DateTime<Utc>>,
    pub(crate) context: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// Keys of `metadata` that the format sets with [`set_repeated`](Self::set_repeated).
    pub(crate) repeated: BTreeSet<&'static str>,
    /// Participants and their roles.
    pub(crate) participants: Vec<(String, String)>,
    pub(crate) tags: Vec<String>,
    pub(crate) related: BTreeMap<MemoryId, String>,
    /// The entity that the export names, for an import without [`ImportOptions::entity`](crate::ImportOptions::entity).
    pub(crate) owner: Option<String>,
}

impl Draft {
    pub(crate) fn new(source_id: impl Into<String>, kind: MemoryKind, content: String) -> Self {
        Self {
            source_id: source_id.into(),
            kind,
            content,
            timestamp: None,
            context: None,
            metadata: BTreeMap::new(),
            repeated: BTreeSet::new(),
            participants: Vec::new(),
            tags: Vec::new(),
            related: BTreeMap::new(),
            owner: None,
        }
    }

    /// Sets metadata that many memories of one text have in common.
    pub(crate) fn set_repeated(&mut self, key: &'static str, value: impl Into<String>) {
        self.metadata.insert(key.to_owned(), value.into());
        self.repeated.insert(key);
    }

    /// The entity that the export names, exactly as it is named: names that differ must not
    /// become one.
    pub(crate) fn named_owner(&self) -> Result<EntityId, String> {
        const FIX: &str = "name the entity of such memories";
        let Some(name) = self.owner.as_deref() else {
            return Err(format!("it names no user and no agent; {FIX}"));
        };
        if name.trim() != name {
            return Err(format!(
                "the name of its user or agent begins or ends with white space; {FIX}"
            ));
        }
        let entity = EntityId::from(name);
        match entity.validate() {
            Ok(()) => Ok(entity),
            Err(_) => Err(format!(
                "the name of its user or agent is no name of an entity, which has 1 to \
                 {MAX_ENTITY_ID_CHARS} characters and no control characters; {FIX}"
            )),
        }
    }
}
