//! The measured cases: a preset, its load and its working set.

use memory::{MemoryConfig, MemoryResult, Settings};
use serde::{Deserialize, Serialize};

/// Memories of each entity.
pub(super) const MEMORIES_PER_ENTITY: usize = 20;

/// Questions that recalls draw from.
pub(super) const QUESTIONS: usize = 10_000;

/// How fast requests arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// At equal intervals, whether or not earlier requests are answered. Latencies
    /// count from the time at which a request was due.
    PerMinute(u32),
    /// As soon as one of this many callers has its answer.
    Callers(u32),
}

/// A preset under a load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The preset's name.
    pub preset: String,
    /// Settings that differ from the preset: keys and values.
    #[serde(default)]
    pub changes: Vec<(String, String)>,
    /// How fast requests arrive.
    pub arrivals: Arrivals,
    /// Entities that requests draw from; by Zipf's law with exponent 1.
    pub entities: usize,
    /// The memory that the kernel allows the process, in MiB.
    pub memory_limit_mib: Option<u64>,
}

impl Case {
    /// The configuration: the preset with the changes.
    ///
    /// # Errors
    /// For an unknown preset, key or value.
    pub fn config(&self) -> MemoryResult<MemoryConfig> {
        let preset = [("preset", self.preset.as_str())];
        let changes = self.changes.iter().map(|(key, value)| (&**key, &**value));
        let variables = preset.into_iter().chain(changes);
        let variables =
            variables.map(|(key, value)| (format!("MEMORY_{}", key.to_uppercase()), value));
        let settings = Settings::builder().variables(variables).build()?;
        Ok(settings.config().clone())
    }

    /// A short name, unique among [`cases`].
    #[must_use]
    pub fn name(&self) -> String {
        let changed = if self.changes.is_empty() {
            ""
        } else {
            "-changed"
        };
        match self.arrivals {
            Arrivals::PerMinute(rate) => format!("{}{changed}-{rate}", self.preset),
            Arrivals::Callers(_) => format!("{}{changed}-max", self.preset),
        }
    }
}

/// The cases that are measured. `default` is meant for 100 to 1,000 requests a
/// minute, `high_traffic` for more, `low_memory` for small machines. Each working
/// set has more entities and more memories than the preset's tiers have entries.
#[must_use]
pub fn cases() -> Vec<Case> {
    let case = |preset: &str, arrivals, entities, memory_limit_mib| Case {
        preset: preset.to_owned(),
        changes: Vec::new(),
        arrivals,
        entities,
        memory_limit_mib,
    };
    // What a process gains that owns its database, and whose questions repeat.
    let changes = [
        ("consistency", "local"),
        ("embedding_cache_capacity", "10000"),
    ];
    let changed = Case {
        changes: changes
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
        ..case("default", Arrivals::PerMinute(1_000), 2_000, None)
    };
    vec![
        case("default", Arrivals::PerMinute(1_000), 2_000, None),
        changed,
        case("high_traffic", Arrivals::PerMinute(6_000), 10_000, None),
        case("high_traffic", Arrivals::Callers(4), 10_000, None),
        case("low_memory", Arrivals::Callers(4), 500, Some(512)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn working_sets_exceed_the_tiers_and_names_are_unique() {
        let mut names = BTreeSet::new();
        for case in cases() {
            let config = case.config().unwrap();
            let entities = case.entities as u64;
            assert!(entities > config.entity_cache_capacity(), "{case:?}");
            let memories = entities * MEMORIES_PER_ENTITY as u64;
            assert!(memories > config.cache_max_capacity, "{case:?}");
            assert!(QUESTIONS as u64 >= config.embedding_cache_capacity);
            assert!(names.insert(case.name()), "{case:?}");
        }
    }
}
