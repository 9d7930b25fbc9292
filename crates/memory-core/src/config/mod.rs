//! Configuration of the memory system.

mod preset;

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::consistency::Consistency;
#[cfg(doc)]
use crate::error::MemoryError;
use crate::error::{InvalidSetting, MemoryResult, SettingProblem};
use crate::language::Language;
use crate::limits;
use crate::store::Writers;

pub use preset::Preset;

/// A size in bytes, which cannot be mistaken for a number of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// A size in mebibytes (1,048,576 bytes each).
    #[must_use]
    pub const fn mebibytes(count: u64) -> Self {
        Self(count * 1024 * 1024)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

/// What happens to a write to an entity that is at its limit of memories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LimitPolicy {
    /// It is refused with [`MemoryError::LimitReached`].
    #[default]
    Reject,
    /// The memories with the lowest current importance are removed for it. Which these are
    /// may have been found up to five minutes ago; what was written or removed since counts.
    Prune,
}

/// Whether recalls are counted on the memories that they return.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AccessCounting {
    /// In the background, a batch every few seconds. What was not yet written
    /// when a process crashes is lost.
    #[default]
    Background,
    /// Not at all: access counts stay as they are.
    Off,
}

/// Sizes and lifetimes of the three tiers, and how many memories there may be.
///
/// Take a preset and change what you know better:
///
/// ```
/// use memory_core::MemoryConfig;
/// let config = MemoryConfig { cache_ttl_seconds: 30, ..MemoryConfig::default() };
/// ```
///
/// | field | [`default`](Self::default) | [`high_traffic`](Self::high_traffic) | [`low_memory`](Self::low_memory) |
/// |---|---|---|---|
/// | `cache_max_capacity` | 10,000 | 50,000 | 1,000 |
/// | `cache_ttl_seconds` | 300 | 600 | 60 |
/// | `cache_tti_seconds` | 60 | 120 | 30 |
/// | `embedding_cache_capacity` | 1,000 | 5,000 | 100 |
/// | `embedding_cache_ttl_seconds` | 600 | 1,200 | 300 |
/// | `memory_cache_max_bytes` | 64 MiB | 256 MiB | 8 MiB |
/// | `entity_cache_max_bytes` | 256 MiB | 1 GiB | 32 MiB |
/// | `embedding_cache_max_bytes` | 16 MiB | 64 MiB | 2 MiB |
/// | `consistency` | by the store | by the store | by the store |
/// | `max_memories_per_entity` | none | none | none |
/// | `limit_policy` | reject | reject | reject |
/// | `prune_min_keep` | 10 | 10 | 10 |
/// | `consolidation_threshold` | 1,000 | 1,000 | 1,000 |
/// | `access_counting` | background | background | background |
/// | `language` | detected | detected | detected |
/// | `warm_entities` | 0 | 0 | 0 |
///
/// The first five fields and their values are those of the original system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// Maximum number of memories in the memory tier; the entity tier has a tenth as many
    /// entries.
    pub cache_max_capacity: u64,
    /// How long a memory or a snapshot stays in its tier.
    pub cache_ttl_seconds: u64,
    /// How long it stays there unread.
    pub cache_tti_seconds: u64,
    /// Maximum number of vectors in the embedding tier: half for questions and half for
    /// what is retained, at least one of each.
    pub embedding_cache_capacity: u64,
    /// How long a vector stays there.
    pub embedding_cache_ttl_seconds: u64,
    /// Maximum number of bytes in the memory tier.
    pub memory_cache_max_bytes: ByteSize,
    /// Maximum number of bytes in the entity tier: seven eighths for snapshots, an eighth for pages
    /// of lists. An entity whose snapshot would be larger is searched in the store. A
    /// memory of 20 words with one vector of 384 dimensions takes some 1.2 KB.
    pub entity_cache_max_bytes: ByteSize,
    /// Maximum number of bytes in the embedding tier.
    pub embedding_cache_max_bytes: ByteSize,
    /// How soon a read sees what others wrote. Where it is `None`, the store
    /// decides: see [`effective_consistency`](Self::effective_consistency).
    pub consistency: Option<Consistency>,
    /// Maximum number of live memories of an entity; unlimited when `None`. Exact also with
    /// concurrent writers; archived memories do not count. Two exceptions: sources that are
    /// being restored, until their summary is written, and sources that become live again when a
    /// summary is deleted or undone. After those, [`LimitPolicy::Reject`] refuses new memories
    /// until there is room, and [`LimitPolicy::Prune`] evicts the excess.
    pub max_memories_per_entity: Option<u64>,
    /// What happens to a write beyond `max_memories_per_entity`.
    pub limit_policy: LimitPolicy,
    /// Pruning keeps at least this many of the memories that were there; a batch
    /// that would need more removed is refused.
    pub prune_min_keep: u64,
    /// How many live memories an entity has since its last consolidation
    /// before the next is worth it: what
    /// `MemorySystem::auto_consolidate_if_needed` goes by.
    pub consolidation_threshold: u64,
    /// Whether recalls are counted on the memories that they return.
    pub access_counting: AccessCounting,
    /// The language of the texts, where it is known. Their words get its stems as well
    /// as those of the language that is detected in each text: a question of one word,
    /// in which none is, finds other forms of it.
    ///
    /// It adds terms and removes none, so it may be changed at any time: whatever is
    /// found without it is found with every value. Memories in the store keep the terms
    /// that they got when they were written. A store that is opened outside the facade
    /// has an option for it (`SqliteOptions::language`, `PgOptions::language`).
    pub language: Option<Language>,
    /// For how many entities, at most 1,000, a system that starts loads snapshots before
    /// they are asked for: those whose memories were accessed last. 0 loads none.
    ///
    /// They are loaded one at a time in the background, at most 20 each second and with
    /// pauses of four times as long as a load took, while the entity tier is less than
    /// half full, so that nothing is evicted for them. No call waits for that. A snapshot
    /// that is not read for `cache_tti_seconds` is dropped again. It has no effect on a
    /// store that does not list entities by their accesses
    /// ([`Store::recently_accessed_entities`](crate::Store::recently_accessed_entities)),
    /// or where accesses are not counted.
    pub warm_entities: u64,
}

impl Default for MemoryConfig {
    /// The preset `default`.
    fn default() -> Self {
        Self {
            cache_max_capacity: 10_000,
            cache_ttl_seconds: 300,
            cache_tti_seconds: 60,
            embedding_cache_capacity: 1_000,
            embedding_cache_ttl_seconds: 600,
            memory_cache_max_bytes: ByteSize::mebibytes(64),
            entity_cache_max_bytes: ByteSize::mebibytes(256),
            embedding_cache_max_bytes: ByteSize::mebibytes(16),
            consistency: None,
            max_memories_per_entity: None,
            limit_policy: LimitPolicy::Reject,
            prune_min_keep: 10,
            consolidation_threshold: 1_000,
            access_counting: AccessCounting::Background,
            language: None,
            warm_entities: 0,
        }
    }
}

impl MemoryConfig {
    /// Maximum number of snapshots in the entity tier: a tenth of `cache_max_capacity`, at
    /// least one.
    #[must_use]
    pub fn entity_cache_capacity(&self) -> u64 {
        (self.cache_max_capacity / 10).max(1)
    }

    /// `cache_ttl_seconds` as a duration.
    #[must_use]
    pub const fn cache_ttl(&self) -> Duration {
        Duration::from_secs(self.cache_ttl_seconds)
    }

    /// `cache_tti_seconds` as a duration.
    #[must_use]
    pub const fn cache_tti(&self) -> Duration {
        Duration::from_secs(self.cache_tti_seconds)
    }

    /// `embedding_cache_ttl_seconds` as a duration.
    #[must_use]
    pub const fn embedding_cache_ttl(&self) -> Duration {
        Duration::from_secs(self.embedding_cache_ttl_seconds)
    }

    /// The consistency on a store with these writers: the one that was set, else
    /// [`Consistency::Checked`] where others can write and
    /// [`Consistency::Local`] where they cannot.
    #[must_use]
    pub const fn effective_consistency(&self, writers: Writers) -> Consistency {
        match (self.consistency, writers) {
            (Some(consistency), _) => consistency,
            (None, Writers::Shared) => Consistency::Checked,
            (None, Writers::Exclusive) => Consistency::Local,
        }
    }

    /// Sets `cache_ttl_seconds`; a fraction of a second is rounded up.
    ///
    /// ```
    /// use std::time::Duration;
    /// use memory_core::MemoryConfig;
    /// let config = MemoryConfig::default().with_cache_ttl(Duration::from_secs(30));
    /// assert_eq!(config.cache_ttl_seconds, 30);
    /// ```
    #[must_use]
    pub const fn with_cache_ttl(mut self, ttl: Duration) -> Self {
        self.cache_ttl_seconds = whole_seconds(ttl);
        self
    }

    /// Sets `cache_tti_seconds`; a fraction of a second is rounded up.
    #[must_use]
    pub const fn with_cache_tti(mut self, tti: Duration) -> Self {
        self.cache_tti_seconds = whole_seconds(tti);
        self
    }

    /// Sets `embedding_cache_ttl_seconds`; a fraction of a second is rounded up.
    #[must_use]
    pub const fn with_embedding_cache_ttl(mut self, ttl: Duration) -> Self {
        self.embedding_cache_ttl_seconds = whole_seconds(ttl);
        self
    }

    /// Checks that every value is in its range.
    ///
    /// # Errors
    /// [`MemoryError::InvalidSetting`] for a capacity, limit or threshold of 0,
    /// a lifetime of 0 seconds or over a hundred years, a size over
    /// [`MAX_BYTES`](Self::MAX_BYTES), more than 1,000 `warm_entities`, a bound of the
    /// consistency that [`Consistency::validate`] refuses, or more memories to keep than
    /// an entity may have.
    pub fn validate(&self) -> MemoryResult<()> {
        for (key, value, range) in self.numbers() {
            if !range.contains(&value) {
                return Err(invalid(key, value.to_string(), allowed(&range)).into());
            }
        }
        if let Some(Consistency::Bounded(bound)) = self.consistency
            && Consistency::Bounded(bound).validate().is_err()
        {
            let range = format!(
                "bounded by more than 0 (0 would be checked) and at most {:?}",
                Consistency::MAX_BOUND
            );
            return Err(invalid("consistency", format!("bounded {bound:?}"), range).into());
        }
        if let Some(max) = self.max_memories_per_entity
            && self.limit_policy == LimitPolicy::Prune
            && self.prune_min_keep > max
        {
            let range = format!("at most max_memories_per_entity, {max}");
            return Err(invalid("prune_min_keep", self.prune_min_keep.to_string(), range).into());
        }
        Ok(())
    }

    /// The largest size of a tier: a pebibyte.
    pub const MAX_BYTES: ByteSize = ByteSize(1 << 50);

    /// The numbers that have a range.
    fn numbers(&self) -> [(&'static str, u64, RangeInclusive<u64>); 11] {
        /// The longest lifetime, which every cache library can add to a clock.
        const MAX_SECONDS: u64 = 100 * 365 * 86_400;
        let positive = 1..=u64::MAX;
        let lifetime = 1..=MAX_SECONDS;
        let size = 0..=Self::MAX_BYTES.0;
        [
            (
                "cache_max_capacity",
                self.cache_max_capacity,
                positive.clone(),
            ),
            (
                "embedding_cache_capacity",
                self.embedding_cache_capacity,
                positive.clone(),
            ),
            (
                "max_memories_per_entity",
                self.max_memories_per_entity.unwrap_or(u64::MAX),
                positive.clone(),
            ),
            (
                "consolidation_threshold",
                self.consolidation_threshold,
                positive,
            ),
            (
                "cache_ttl_seconds",
                self.cache_ttl_seconds,
                lifetime.clone(),
            ),
            (
                "cache_tti_seconds",
                self.cache_tti_seconds,
                lifetime.clone(),
            ),
            (
                "embedding_cache_ttl_seconds",
                self.embedding_cache_ttl_seconds,
                lifetime,
            ),
            (
                "memory_cache_max_bytes",
                self.memory_cache_max_bytes.0,
                size.clone(),
            ),
            (
                "entity_cache_max_bytes",
                self.entity_cache_max_bytes.0,
                size.clone(),
            ),
            (
                "embedding_cache_max_bytes",
                self.embedding_cache_max_bytes.0,
                size,
            ),
            (
                "warm_entities",
                self.warm_entities,
                0..=limits::MAX_LIMIT as u64,
            ),
        ]
    }
}

fn invalid(key: &'static str, value: String, allowed: String) -> InvalidSetting {
    InvalidSetting::in_code(SettingProblem::InvalidValue {
        key,
        value: Some(value),
        allowed,
    })
}

fn allowed(range: &RangeInclusive<u64>) -> String {
    match *range.end() {
        u64::MAX => format!("at least {}", range.start()),
        end => format!("from {} to {end}", range.start()),
    }
}

/// Whole seconds, rounded up, so that a short lifetime does not become 0.
const fn whole_seconds(duration: Duration) -> u64 {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() == 0 {
        seconds
    } else {
        seconds.saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_is_refused_by_name() {
        let bad = MemoryConfig {
            cache_ttl_seconds: 0,
            ..MemoryConfig::default()
        };
        assert!(
            bad.validate()
                .unwrap_err()
                .to_string()
                .contains("cache_ttl_seconds")
        );
        let bad = MemoryConfig {
            cache_max_capacity: 0,
            ..MemoryConfig::default()
        };
        assert!(bad.validate().is_err());
    }

    #[test]
    fn durations_are_whole_seconds_rounded_up() {
        let config = MemoryConfig::default()
            .with_cache_ttl(Duration::from_millis(1))
            .with_cache_tti(Duration::from_secs(7))
            .with_embedding_cache_ttl(Duration::from_millis(2_500));
        assert_eq!(config.cache_ttl(), Duration::from_secs(1));
        assert_eq!(config.cache_tti(), Duration::from_secs(7));
        assert_eq!(config.embedding_cache_ttl(), Duration::from_secs(3));
        config.validate().unwrap();
    }

    #[test]
    fn what_is_kept_fits_what_is_allowed() {
        let tight = MemoryConfig {
            max_memories_per_entity: Some(5),
            limit_policy: LimitPolicy::Prune,
            ..MemoryConfig::default()
        };
        let said = tight.validate().unwrap_err().to_string();
        assert!(said.contains("prune_min_keep is 10"), "{said}");
        let fits = MemoryConfig {
            prune_min_keep: 5,
            ..tight.clone()
        };
        fits.validate().unwrap();
        let none = MemoryConfig {
            max_memories_per_entity: Some(0),
            ..MemoryConfig::default()
        };
        assert!(none.validate().is_err());
    }

    #[test]
    fn only_an_explicit_setting_is_local_where_others_can_write() {
        let presets = [
            MemoryConfig::default(),
            MemoryConfig::high_traffic(),
            MemoryConfig::low_memory(),
        ];
        for config in presets {
            let effective = |writers| config.effective_consistency(writers);
            assert_eq!(effective(Writers::Shared), Consistency::Checked);
            assert_eq!(effective(Writers::Exclusive), Consistency::Local);
        }
        let local = MemoryConfig {
            consistency: Some(Consistency::Local),
            ..MemoryConfig::default()
        };
        assert_eq!(
            local.effective_consistency(Writers::Shared),
            Consistency::Local
        );
    }
}
