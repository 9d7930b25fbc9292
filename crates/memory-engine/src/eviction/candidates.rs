//! The memories that are evicted next, kept from one eviction to the next.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{ChangeSet, EntityId, Generation, Memory, MemoryId};

use super::rank::{BottomK, EvictionRank};

/// For how long the order of an entity's memories is used. Importance fades at different
/// rates, and accesses raise it, so that the order changes with time.
const MAX_AGE: TimeDelta = TimeDelta::minutes(5);

/// Memories that are kept beyond those that are evicted now, as a share of the entity: each
/// reading of all memories serves so many evictions, so that one costs as much as reading
/// some of them, however many there are.
const SHARE: u64 = 16;

/// Most of an entity.
const MAX_KEPT: u64 = 1_024;

/// Most of all entities, some 5 MB. Beyond it all are dropped, which costs readings.
const MAX_TOTAL: usize = 100_000;

/// The least important memories of one entity, as of one generation.
#[derive(Debug, Clone)]
pub(crate) struct EvictionCandidates {
    pub(crate) generation: Generation,
    ranked_at: DateTime<Utc>,
    lowest: BTreeSet<EvictionRank>,
    /// Live memories that are not among the lowest rank higher; `None` where all are.
    above: Option<EvictionRank>,
}

impl EvictionCandidates {
    /// Begins to read an entity of so many memories, `count` of which are evicted now. All live
    /// ones are [pushed](Collecting::push), in any order. `generation` is of before they are
    /// read, so that changes meanwhile are applied.
    pub(crate) fn collect(
        generation: Generation,
        count: u64,
        memories: u64,
        now: DateTime<Utc>,
    ) -> Collecting {
        let kept = count.saturating_add((memories / SHARE).min(MAX_KEPT));
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        Collecting {
            generation,
            ranked_at: now,
            kept,
            lowest: BottomK::new(kept),
        }
    }

    /// Whether their order may be used still.
    pub(crate) fn is_recent(&self, now: DateTime<Utc>) -> bool {
        (TimeDelta::zero()..=MAX_AGE).contains(&(now - self.ranked_at))
    }

    /// Applies what changed since [`generation`](Self::generation); `None` where that is not
    /// known.
    pub(crate) fn apply(mut self, changes: &ChangeSet) -> Option<Self> {
        if changes.reset {
            return None;
        }
        let written = changes.written.iter().map(|item| &item.memory);
        let changed = changes.removed.iter().copied();
        let changed: BTreeSet<MemoryId> = changed.chain(written.clone().map(|it| it.id)).collect();
        self.lowest.retain(|rank| !changed.contains(&rank.id));
        let ranks = written.map(|memory| EvictionRank::new(memory, self.ranked_at));
        let above = self.above;
        let low = ranks.filter(|rank| above.is_none_or(|above| *rank <= above));
        self.lowest.extend(low);
        self.generation = changes.generation;
        Some(self)
    }

    /// The ids of the lowest, up to `count`.
    pub(crate) fn lowest(&self, count: usize) -> Vec<MemoryId> {
        self.lowest.iter().take(count).map(|rank| rank.id).collect()
    }
}

/// Candidates of an entity that is being read.
pub(crate) struct Collecting {
    generation: Generation,
    ranked_at: DateTime<Utc>,
    kept: usize,
    lowest: BottomK,
}

impl Collecting {
    pub(crate) fn push(&mut self, memory: &Memory) {
        self.lowest.push(EvictionRank::new(memory, self.ranked_at));
    }

    pub(crate) fn finish(self) -> EvictionCandidates {
        let lowest: BTreeSet<EvictionRank> = self.lowest.into_ranks().into_iter().collect();
        let is_full = lowest.len() >= self.kept;
        EvictionCandidates {
            generation: self.generation,
            ranked_at: self.ranked_at,
            above: lowest.last().copied().filter(|_| is_full),
            lowest,
        }
    }
}

/// The candidates of the entities that memories were evicted from last.
#[derive(Default)]
pub(crate) struct KeptCandidates(Mutex<CandidatesByEntity>);

#[derive(Default)]
struct CandidatesByEntity {
    by_entity: HashMap<EntityId, EvictionCandidates>,
    /// Memories that are among the lowest of an entity.
    total: usize,
}

impl KeptCandidates {
    /// Takes those of an entity out.
    pub(crate) fn take(&self, entity: &EntityId) -> Option<EvictionCandidates> {
        self.lock().take(entity)
    }

    pub(crate) fn put(&self, entity: &EntityId, candidates: EvictionCandidates) {
        let mut kept = self.lock();
        kept.take(entity);
        if kept.total + candidates.lowest.len() > MAX_TOTAL {
            *kept = CandidatesByEntity::default();
        }
        kept.total += candidates.lowest.len();
        kept.by_entity.insert(entity.clone(), candidates);
    }

    fn lock(&self) -> MutexGuard<'_, CandidatesByEntity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CandidatesByEntity {
    fn take(&mut self, entity: &EntityId) -> Option<EvictionCandidates> {
        let taken = self.by_entity.remove(entity)?;
        self.total -= taken.lowest.len();
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{EmbeddedMemory, Embedding, Fingerprint, MemoryBatchItem, MemoryKind};

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn memory(importance: f32) -> Memory {
        MemoryBatchItem::new("mira", MemoryKind::Observation, "x")
            .with_importance(importance)
            .with_timestamp(now())
            .into_memory(now())
            .unwrap()
    }

    fn written(memory: Memory) -> EmbeddedMemory {
        EmbeddedMemory {
            memory,
            embedding: Embedding {
                fingerprint: Fingerprint::from("none"),
                vectors: Vec::new(),
            },
        }
    }

    #[test]
    fn changes_keep_the_candidates_those_of_another_reading() {
        // 64 memories, of which 4 are kept beyond one.
        let memories: Vec<Memory> = (0u8..64).map(|n| memory(f32::from(n) / 64.0)).collect();
        let read = |memories: &[Memory], generation| {
            let mut reading = EvictionCandidates::collect(Generation(generation), 1, 64, now());
            memories.iter().for_each(|memory| reading.push(memory));
            reading.finish()
        };
        let candidates = read(&memories, 1);
        let ids = |numbers: &[usize]| -> Vec<MemoryId> {
            numbers.iter().map(|number| memories[*number].id).collect()
        };
        assert_eq!(candidates.lowest(9), ids(&[0, 1, 2, 3, 4]));

        let mut raised = memories[2].clone();
        raised.importance = 1.0;
        let mut lowered = memories[50].clone();
        lowered.importance = 0.001;
        let new = memory(0.02);
        let items = [raised, lowered, new.clone(), memory(0.9)].map(written);
        let changes = ChangeSet::new(Generation(5), items.to_vec(), ids(&[0, 60]));
        let changed = candidates.clone().apply(&changes).unwrap();
        assert_eq!(changed.generation, Generation(5));
        let expected = [memories[50].id, memories[1].id, new.id];
        assert_eq!(changed.lowest(3), expected);
        assert_eq!(changed.lowest(9)[3..], ids(&[3, 4]));
        // Of a memory beyond those that are kept it is not known how it ranks among others.
        let beyond = ChangeSet::new(Generation(6), vec![written(memory(0.1))], Vec::new());
        assert_eq!(changed.apply(&beyond).unwrap().lowest(9).len(), 5);

        let mut reset = ChangeSet::new(Generation(2), Vec::new(), Vec::new());
        reset.reset = true;
        assert!(candidates.apply(&reset).is_none());
    }

    #[test]
    fn all_memories_of_a_small_entity_are_candidates() {
        let few = [memory(0.5), memory(0.1)];
        let mut reading = EvictionCandidates::collect(Generation(1), 3, 2, now());
        few.iter().for_each(|memory| reading.push(memory));
        let changes = ChangeSet::new(Generation(2), vec![written(memory(0.9))], Vec::new());
        let all = reading.finish().apply(&changes).unwrap();
        assert_eq!(all.lowest(9).len(), 3);
    }

    #[test]
    fn the_order_is_used_for_some_minutes() {
        let candidates = EvictionCandidates::collect(Generation(1), 1, 1, now()).finish();
        assert!(candidates.is_recent(now()) && candidates.is_recent(now() + MAX_AGE));
        let (before, after) = (TimeDelta::seconds(-1), MAX_AGE + TimeDelta::seconds(1));
        assert!(!candidates.is_recent(now() + before));
        assert!(!candidates.is_recent(now() + after));
    }

    #[test]
    fn few_candidates_are_kept() {
        let kept = KeptCandidates::default();
        for entity in 0..200 {
            let mut reading = EvictionCandidates::collect(Generation(1), 1_000, 0, now());
            (0..1_000).for_each(|_| reading.push(&memory(0.5)));
            kept.put(
                &EntityId::from(format!("entity {entity}")),
                reading.finish(),
            );
            let total = kept
                .lock()
                .by_entity
                .values()
                .map(|kept| kept.lowest.len())
                .sum::<usize>();
            assert!(total <= MAX_TOTAL && total > 0);
        }
        let last = EntityId::from("entity 199");
        assert!(kept.take(&last).is_some() && kept.take(&last).is_none());
    }
}
