//! Filters of lists and recalls.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{InvalidInput, MemoryError, MemoryResult};
use crate::id::{EntityId, MemoryId};
use crate::kind::MemoryKind;
use crate::limits;
use crate::memory::{Memory, name_bytes, tree_bytes};

/// How a memory's tags are compared with the tags asked for.
///
/// | mode | untagged memories | tagged memories |
/// |---|---|---|
/// | `Any` | match | match with one of the tags |
/// | `All` | match | match with all of the tags |
/// | `AnyStrict` | don't match | match with one of the tags |
/// | `AllStrict` | don't match | match with all of the tags |
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MemoryTagMode {
    /// One of the tags, or none at all on the memory.
    #[default]
    Any,
    /// Every one of the tags, or none at all on the memory.
    All,
    /// One of the tags.
    AnyStrict,
    /// Every one of the tags.
    AllStrict,
}

impl MemoryTagMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Any, Self::All, Self::AnyStrict, Self::AllStrict];

    /// The name in files and on command lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
            Self::AnyStrict => "any-strict",
            Self::AllStrict => "all-strict",
        }
    }

    /// Whether memories without any tag match.
    #[must_use]
    pub const fn matches_untagged(self) -> bool {
        matches!(self, Self::Any | Self::All)
    }

    /// Whether a memory must have all of the tags asked for.
    #[must_use]
    pub const fn requires_all(self) -> bool {
        matches!(self, Self::All | Self::AllStrict)
    }

    /// Whether a memory with the tags `present` matches where `wanted` is asked
    /// for. Where no tag is asked for, every memory matches.
    #[must_use]
    pub fn matches(self, wanted: &BTreeSet<String>, present: &BTreeSet<String>) -> bool {
        if wanted.is_empty() {
            return true;
        }
        if present.is_empty() {
            return self.matches_untagged();
        }
        if self.requires_all() {
            wanted.is_subset(present)
        } else {
            !wanted.is_disjoint(present)
        }
    }
}

impl fmt::Display for MemoryTagMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MemoryTagMode {
    type Err = MemoryError;

    /// # Errors
    /// [`InvalidInput::UnknownTagMode`] for any other word.
    fn from_str(name: &str) -> Result<Self, MemoryError> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str().eq_ignore_ascii_case(name))
            .ok_or_else(|| InvalidInput::UnknownTagMode { found: name.into() }.into())
    }
}

/// Conditions that a memory must meet, all of them. The empty filter matches
/// every memory. Filters are exact: [`MemoryFilter::matches`] is the reference
/// that every store must agree with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryFilter {
    /// One of these kinds; every kind when empty.
    pub kinds: BTreeSet<MemoryKind>,
    /// Tags asked for; no condition when empty.
    pub tags: BTreeSet<String>,
    /// How tags are compared.
    pub tag_mode: MemoryTagMode,
    /// Happened at or after.
    #[serde(alias = "from")]
    pub since: Option<DateTime<Utc>>,
    /// Happened before (this moment excluded).
    pub until: Option<DateTime<Utc>>,
    /// Every one of these keys has exactly this value.
    pub metadata: BTreeMap<String, String>,
    /// This entity is a participant.
    pub involves: Option<EntityId>,
    /// It links to this memory.
    pub relates_to: Option<MemoryId>,
}

impl MemoryFilter {
    /// The filter that matches every memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind to those that match.
    #[must_use]
    pub fn kind(mut self, kind: MemoryKind) -> Self {
        self.kinds.insert(kind);
        self
    }

    /// Asks for tags, in a mode.
    #[must_use]
    pub fn tags(
        mut self,
        tags: impl IntoIterator<Item = impl Into<String>>,
        mode: MemoryTagMode,
    ) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self.tag_mode = mode;
        self
    }

    /// Happened at `since` or later.
    #[must_use]
    pub fn since(mut self, since: DateTime<Utc>) -> Self {
        self.since = Some(since);
        self
    }

    /// Happened before `until`.
    #[must_use]
    pub fn until(mut self, until: DateTime<Utc>) -> Self {
        self.until = Some(until);
        self
    }

    /// Has `key` with exactly `value`.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// `entity` is a participant.
    #[must_use]
    pub fn involves(mut self, entity: impl Into<EntityId>) -> Self {
        self.involves = Some(entity.into());
        self
    }

    /// It links to the memory `id`.
    #[must_use]
    pub fn relates_to(mut self, id: MemoryId) -> Self {
        self.relates_to = Some(id);
        self
    }

    /// Whether the filter matches every memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
            && self.tags.is_empty()
            && self.since.is_none()
            && self.until.is_none()
            && self.metadata.is_empty()
            && self.involves.is_none()
            && self.relates_to.is_none()
    }

    /// Whether `memory` meets every condition.
    #[must_use]
    pub fn matches(&self, memory: &Memory) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&memory.kind))
            && self.since.is_none_or(|since| memory.timestamp >= since)
            && self.until.is_none_or(|until| memory.timestamp < until)
            && self.tag_mode.matches(&self.tags, &memory.tags)
            && self
                .metadata
                .iter()
                .all(|(key, value)| memory.metadata.get(key) == Some(value))
            && self
                .involves
                .as_ref()
                .is_none_or(|who| memory.entities.contains_key(who))
            && self
                .relates_to
                .is_none_or(|id| memory.related.contains_key(&id))
    }

    /// Bytes of this filter, heap included, as of [`Memory::size_bytes`].
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let (tags, metadata) = (&self.tags, &self.metadata);
        let texts = metadata.iter().map(|(key, value)| key.len() + value.len());
        size_of::<Self>()
            + tree_bytes::<MemoryKind, ()>(self.kinds.len())
            + tree_bytes::<String, ()>(tags.len())
            + tags.iter().map(String::len).sum::<usize>()
            + tree_bytes::<String, String>(metadata.len())
            + texts.sum::<usize>()
            + self.involves.as_ref().map_or(0, name_bytes)
    }

    /// Checks the same limits that apply to memories.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the first limit that is exceeded, or
    /// an empty time range.
    pub fn validate(&self) -> MemoryResult<()> {
        limits::check_tags(&self.tags)?;
        limits::check_metadata(&self.metadata)?;
        self.involves
            .as_ref()
            .map_or(Ok(()), limits::check_entity)?;
        for time in [self.since, self.until].into_iter().flatten() {
            limits::check_timestamp(time)?;
        }
        match (self.since, self.until) {
            (Some(since), Some(until)) if until <= since => Err(InvalidInput::TimeRange.into()),
            _ => Ok(()),
        }
    }
}

impl From<&MemoryFilter> for MemoryFilter {
    fn from(value: &Self) -> Self {
        value.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::MemoryBatchItem;

    fn set(tags: &[&str]) -> BTreeSet<String> {
        tags.iter().map(|&tag| tag.to_owned()).collect()
    }

    #[test]
    fn the_four_tag_modes_differ_as_their_table_says() {
        use MemoryTagMode::{All, AllStrict, Any, AnyStrict};
        let wanted = set(&["a", "b"]);
        let table = [
            (set(&[]), [true, true, false, false]),
            (set(&["a"]), [true, false, true, false]),
            (set(&["a", "b", "c"]), [true; 4]),
            (set(&["c"]), [false; 4]),
        ];
        for (held, expected) in table {
            let got = [Any, All, AnyStrict, AllStrict].map(|mode| mode.matches(&wanted, &held));
            assert_eq!(got, expected, "{held:?}");
            assert!(
                AllStrict.matches(&set(&[]), &held),
                "no tags asked for: no condition"
            );
        }
    }

    #[test]
    fn an_unknown_field_is_refused_and_every_known_one_is_read_again() {
        let read = serde_json::from_str::<MemoryFilter>(r#"{"tag":["mill"]}"#);
        assert!(read.unwrap_err().to_string().contains("unknown field"));
        let time = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let filter = MemoryFilter::new()
            .kind(MemoryKind::World)
            .tags(["mill"], MemoryTagMode::AllStrict)
            .since(time)
            .until(time)
            .metadata("k", "v")
            .involves("tam")
            .relates_to(MemoryId::new());
        for filter in [filter, MemoryFilter::new()] {
            let text = serde_json::to_string(&filter).unwrap();
            assert_eq!(serde_json::from_str::<MemoryFilter>(&text).unwrap(), filter);
        }
        let renamed = serde_json::from_str::<MemoryFilter>(r#"{"from":"2024-01-01T00:00:00Z"}"#);
        assert!(renamed.unwrap().since.is_some());
    }

    #[test]
    fn its_size_has_every_text() {
        let text = || "x".repeat(500);
        let filters = [
            MemoryFilter::new().tags([text()], MemoryTagMode::Any),
            MemoryFilter::new().metadata(text(), ""),
            MemoryFilter::new().metadata("", text()),
            MemoryFilter::new().involves(text()),
        ];
        let empty = MemoryFilter::new().size_bytes();
        assert_eq!(empty, size_of::<MemoryFilter>());
        for filter in filters {
            assert!(filter.size_bytes() >= empty + 500, "{filter:?}");
        }
    }

    #[test]
    fn every_condition_can_refuse() {
        let time = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let other = MemoryId::new();
        let memory = MemoryBatchItem::new("mira", MemoryKind::World, "x")
            .with_timestamp(time)
            .with_metadata("k", "v")
            .with_entity("tam", "seller")
            .with_related(other, "caused by")
            .into_memory(time)
            .unwrap();
        let admit = |filter: MemoryFilter| filter.matches(&memory);
        assert!(admit(
            MemoryFilter::new()
                .kind(MemoryKind::World)
                .since(time)
                .metadata("k", "v")
        ));
        assert!(admit(MemoryFilter::new().involves("tam")));
        assert!(!admit(MemoryFilter::new().kind(MemoryKind::Opinion)));
        assert!(
            !admit(MemoryFilter::new().until(time)),
            "until excludes its moment"
        );
        assert!(!admit(MemoryFilter::new().metadata("k", "w")));
        assert!(!admit(MemoryFilter::new().involves("mira")));
        assert!(admit(MemoryFilter::new().relates_to(other)));
        assert!(!admit(MemoryFilter::new().relates_to(memory.id)));
    }
}
