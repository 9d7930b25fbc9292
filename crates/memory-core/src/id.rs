//! Ids of entities and memories.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{InvalidInput, MemoryResult};
use crate::limits;

/// The owner of memories: an agent, a character, a user.
///
/// Any text serves as a name: 1 to [`limits::MAX_ENTITY_ID_CHARS`] characters,
/// no control characters. Making an `EntityId` never fails; every operation
/// checks it first. Cloning is cheap (a shared string). Ids are in the order of the bytes
/// of their names, which is that of the code points: not that of a language.
///
/// ```
/// use memory_core::EntityId;
/// let mira = EntityId::from("mira");
/// assert_eq!(mira.as_str(), "mira");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntityId(Arc<str>);

impl EntityId {
    /// Names an entity. The same as `EntityId::from(name)`.
    pub fn new(name: impl Into<Self>) -> Self {
        name.into()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks the limits of the name.
    ///
    /// # Errors
    /// [`InvalidInput::EntityId`] when it is blank, longer than
    /// [`limits::MAX_ENTITY_ID_CHARS`] characters or contains a control character.
    pub fn validate(&self) -> MemoryResult<()> {
        Ok(limits::check_entity(self)?)
    }
}

impl From<&str> for EntityId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for EntityId {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<&String> for EntityId {
    fn from(name: &String) -> Self {
        Self(name.as_str().into())
    }
}

impl From<&EntityId> for EntityId {
    fn from(id: &EntityId) -> Self {
        id.clone()
    }
}

impl Borrow<str> for EntityId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for EntityId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityId({:?})", &*self.0)
    }
}

/// The id of a memory: a UUID made by the application.
///
/// [`MemoryId::new`] makes a version 7 UUID, so that ids made later sort later
/// and new rows are stored next to each other. A caller may use any UUID of its
/// own: the id makes the write idempotent (see [`crate::Store::insert`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemoryId(Uuid);

impl MemoryId {
    /// Makes a fresh, time-ordered id (UUID version 7).
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a default id would be surprising"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The UUID itself.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl From<Uuid> for MemoryId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl From<MemoryId> for Uuid {
    fn from(id: MemoryId) -> Self {
        id.0
    }
}

impl FromStr for MemoryId {
    type Err = crate::MemoryError;

    /// # Errors
    /// [`InvalidInput::MemoryId`] when the text is not a UUID.
    fn from_str(text: &str) -> MemoryResult<Self> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| InvalidInput::MemoryId { found: text.into() }.into())
    }
}

impl fmt::Display for MemoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for MemoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_later_sort_later() {
        let ids: Vec<MemoryId> = (0..100).map(|_| MemoryId::new()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_blank_overlong_or_control_name_is_refused() {
        for bad in [String::new(), "  ".into(), "a\0b".into(), "x".repeat(257)] {
            assert!(EntityId::from(bad).validate().is_err());
        }
        assert!(EntityId::from("猫".repeat(256)).validate().is_ok());
    }

    #[test]
    fn a_memory_id_reads_back_from_its_text() {
        let id = MemoryId::new();
        assert_eq!(id.to_string().parse::<MemoryId>().unwrap(), id);
        assert!("no uuid".parse::<MemoryId>().is_err());
    }
}
