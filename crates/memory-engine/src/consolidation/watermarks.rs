//! Watermarks: the generation up to which each entity was consolidated, and how many
//! memories it had then.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{ChangeSet, EntityId, Generation};

use super::summary::is_summary;

/// Maximum number of entities remembered. Forgetting one costs a scan of it that finds
/// nothing new.
const MAX_ENTITIES: usize = 10_000;

/// The delay after a consolidation that failed because the language model was unavailable: a
/// retry reads the whole entity.
const RETRY_AFTER: TimeDelta = TimeDelta::minutes(5);

/// The state of an entity at its last consolidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watermark {
    /// The generation at which its memories were read.
    pub(crate) generation: Generation,
    /// How many live memories it had then, and how many summaries were written; `None` where
    /// that is not known.
    pub(crate) memories: Option<u64>,
    /// When the language model was unavailable for a consolidation since then.
    pub(crate) failed_at: Option<DateTime<Utc>>,
}

impl Watermark {
    /// Nothing was consolidated.
    pub(crate) const NOTHING: Self = Self {
        generation: Generation::ZERO,
        memories: None,
        failed_at: None,
    };

    /// One that is read from a summary: how many memories there were is not known.
    pub(crate) const fn derived(generation: Generation) -> Self {
        Self {
            generation,
            ..Self::NOTHING
        }
    }

    /// Whether the language model was unavailable a short time ago.
    pub(crate) fn failed_recently(&self, now: DateTime<Utc>) -> bool {
        self.failed_at
            .is_some_and(|at| now.signed_duration_since(at).abs() < RETRY_AFTER)
    }

    /// This watermark with the number of memories, where it was not known, in an entity that
    /// has so many live ones now and so many new ones of what changed since.
    pub(crate) fn with_memories(self, changes: &ChangeSet, live: u64, new: u64) -> Self {
        if self.memories.is_some() || changes.reset {
            return self;
        }
        let removed = changes.removed.len() as u64;
        Self {
            memories: Some(live.saturating_add(removed).saturating_sub(new)),
            ..self
        }
    }

    /// How many memories are new, of what changed since, in an entity that has so many live
    /// ones now. At most those that were written, without summaries: not all of them are
    /// new, as altering a memory writes it, and embedding it again. Also at most
    /// `live + removed - memories`: those that there are beyond the earlier ones.
    pub(crate) fn count_new(&self, changes: &ChangeSet, live: u64) -> u64 {
        let written = changes.written.iter();
        let written = written.filter(|item| !is_summary(&item.memory)).count() as u64;
        match self.memories {
            Some(memories) if !changes.reset => {
                let removed = changes.removed.len() as u64;
                written.min(live.saturating_add(removed).saturating_sub(memories))
            }
            _ => written,
        }
    }
}

/// The state of each entity at its last consolidation by this system, set even where it found
/// no group.
#[derive(Default)]
pub(crate) struct Watermarks(Mutex<HashMap<EntityId, Watermark>>);

impl Watermarks {
    pub(crate) fn get(&self, entity: &EntityId) -> Option<Watermark> {
        self.lock().get(entity).copied()
    }

    pub(crate) fn set(&self, entity: &EntityId, watermark: Watermark) {
        let mut watermarks = self.lock();
        if watermarks.len() >= MAX_ENTITIES {
            watermarks.clear();
        }
        watermarks.insert(entity.clone(), watermark);
    }

    /// Sets a watermark where no other was set since `read`.
    pub(crate) fn replace(&self, entity: &EntityId, read: &Watermark, new: Watermark) {
        if let Some(watermark) = self.lock().get_mut(entity)
            && watermark == read
        {
            *watermark = new;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EntityId, Watermark>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
