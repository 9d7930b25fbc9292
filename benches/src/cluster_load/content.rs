//! The memories of the load: ids, texts and vectors, all made from a number.

use chrono::{DateTime, Utc};
use memory::{MemoryBatchItem, MemoryId, MemoryKind};
use memory_testkit::{HashEmbedder, SeededRng};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::corpus::word;

/// Components of a vector: those of the default model.
const DIMENSIONS: usize = 384;

const VOCABULARY: usize = 5_000;
const WORDS: usize = 13;

/// The upper half of the ids of the load, a UUID of version 8.
const ID_PREFIX: u64 = 0x6c6f_6164_0000_8000;
/// The variant in the lower half.
const ID_VARIANT: u64 = 0x8000_0000_0000_0000;

/// Bits of [`MemoryNumber`] for the class and the counter.
const CLASS_BITS: u32 = 2;
const COUNTER_BITS: u32 = 32;

/// An importance that has faded from the start: below 0.1.
const FADED_IMPORTANCE: f32 = 0.05;

/// What may happen to a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// No other memory says the same; only forgetting removes it.
    Unique,
    /// Unimportant enough to be pruned.
    Faded,
    /// One of two that say the same, which consolidation may archive.
    Twin,
}

/// A memory of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemoryNumber(u64);

impl MemoryNumber {
    /// The memory with this number in the counting of a process; process 0 is the one
    /// that fills the database.
    #[must_use]
    pub const fn new(process: u16, counter: u32, class: Class) -> Self {
        let class = match class {
            Class::Unique => 0,
            Class::Faded => 1,
            Class::Twin => 2,
        };
        Self(
            (process as u64) << (COUNTER_BITS + CLASS_BITS)
                | (counter as u64) << CLASS_BITS
                | class,
        )
    }

    /// The memory with this id; `None` of one that the load did not retain, such as a
    /// summary.
    #[must_use]
    pub fn from_id(id: MemoryId) -> Option<Self> {
        let (high, low) = id.as_uuid().as_u64_pair();
        let is_own = high == ID_PREFIX && low & ID_VARIANT != 0;
        is_own.then_some(Self(low & !ID_VARIANT))
    }

    /// Its id.
    #[must_use]
    pub fn id(self) -> MemoryId {
        Uuid::from_u64_pair(ID_PREFIX, ID_VARIANT | self.0).into()
    }

    /// What may happen to it.
    #[must_use]
    pub const fn class(self) -> Class {
        match self.0 & ((1 << CLASS_BITS) - 1) {
            0 => Class::Unique,
            1 => Class::Faded,
            _ => Class::Twin,
        }
    }

    /// Its text: equal for both of a pair of twins.
    #[must_use]
    pub fn text(self) -> String {
        let number = match self.class() {
            Class::Twin => self.0 & !(1 << CLASS_BITS),
            _ => self.0,
        };
        let mut rng = SeededRng::new(number ^ 0x10ad);
        let mut text = String::new();
        for _ in 0..WORDS {
            // Low ranks are frequent.
            let limit = rng.below(VOCABULARY) + 1;
            text.push_str(&word(rng.below(limit) as u64));
            text.push(' ');
        }
        // One word that no other memory has.
        text + &format!("q{number:x}z")
    }

    /// The memory as it is retained, without its vector.
    #[must_use]
    pub fn item(self, entity: u32, timestamp: DateTime<Utc>) -> MemoryBatchItem {
        let kind = match self.class() {
            Class::Twin => MemoryKind::Experience,
            _ => MemoryKind::World,
        };
        let item = MemoryBatchItem::new(entity_name(entity), kind, self.text())
            .with_id(self.id())
            .with_timestamp(timestamp);
        match self.class() {
            Class::Faded => item.with_importance(FADED_IMPORTANCE),
            _ => item,
        }
    }

    /// As [`item`](Self::item), with the vector that the embedder would make.
    #[must_use]
    pub fn item_with_vector(
        self,
        entity: u32,
        timestamp: DateTime<Utc>,
        embedder: &HashEmbedder,
    ) -> MemoryBatchItem {
        let item = self.item(entity, timestamp);
        let vector = embedder.vector(&item.content);
        item.with_embedding(vector)
    }
}

/// The embedder of all processes: it needs no model, and makes equal vectors of equal
/// texts everywhere.
#[must_use]
pub(super) fn embedder() -> HashEmbedder {
    HashEmbedder::new().with_dimensions(DIMENSIONS)
}

/// The name of an entity.
#[must_use]
pub(super) fn entity_name(entity: u32) -> String {
    format!("entity-{entity}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_and_texts_are_of_one_number() {
        let mut ids = BTreeSet::new();
        let mut texts = BTreeSet::new();
        for process in [0, 1, 300] {
            for counter in [0, 1, 2, 70_000] {
                for class in [Class::Unique, Class::Faded] {
                    let number = MemoryNumber::new(process, counter, class);
                    assert_eq!(MemoryNumber::from_id(number.id()), Some(number));
                    assert_eq!(number.class(), class);
                    ids.insert(number.id());
                    texts.insert(number.text());
                }
            }
        }
        assert_eq!((ids.len(), texts.len()), (24, 24));
        assert_eq!(MemoryNumber::from_id(MemoryId::new()), None);
    }

    #[test]
    fn twins_say_the_same() {
        let twin = |counter| MemoryNumber::new(3, counter, Class::Twin);
        assert_eq!(twin(4).text(), twin(5).text());
        assert_ne!(twin(5).text(), twin(6).text());
        assert_ne!(twin(4).id(), twin(5).id());
    }
}
