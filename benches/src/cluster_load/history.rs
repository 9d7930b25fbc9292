//! What happened to each memory, from the events of all processes.

use std::collections::HashMap;

use super::content::{Class, MemoryNumber};
use super::event::{Change, Entry, Event, Micros, Outcome, Read};

/// A change of one memory.
#[derive(Debug, Clone, Copy)]
struct MemoryChange {
    process: u16,
    began: Micros,
    /// When it was acknowledged.
    acknowledged: Option<Micros>,
}

/// What happened to a memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryHistory {
    pub(super) entity: u32,
    /// In microseconds since 1970.
    timestamp: i64,
    written: MemoryChange,
    /// The write was refused, so that it must never be found.
    is_refused: bool,
    /// Of several removals the first that was acknowledged, else the first.
    removed: Option<MemoryChange>,
    pub(super) is_embedded: bool,
}

impl MemoryHistory {
    /// A memory from before the run.
    const fn filled(entity: u32) -> Self {
        Self {
            entity,
            timestamp: i64::MIN,
            written: MemoryChange {
                process: 0,
                began: 0,
                acknowledged: Some(0),
            },
            is_refused: false,
            removed: None,
            is_embedded: false,
        }
    }

    /// When its write was acknowledged.
    pub(super) fn written_at(&self) -> Option<Micros> {
        self.written.acknowledged
    }

    /// The process that has forgotten it and when that began, if it was acknowledged.
    pub(super) fn forgotten_by(&self) -> Option<(u16, Micros)> {
        let removed = self.removed.filter(|it| it.acknowledged.is_some())?;
        Some((removed.process, removed.began))
    }
}

/// Whether a memory must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It must be there.
    Required,
    /// It must not be there.
    Forbidden,
    /// Either is right: its last change has an unknown outcome.
    Open,
}

/// What all processes did.
#[derive(Debug, Default)]
pub(super) struct History {
    memories: HashMap<MemoryNumber, MemoryHistory>,
    /// For each entity, when a pruning began of which is not known what it removed.
    open_prunings: HashMap<u32, Micros>,
    /// Batches that were written in one call.
    pub(super) batches: Vec<Vec<MemoryNumber>>,
    /// The memories of each entity with their timestamps, oldest first.
    by_entity: HashMap<u32, Vec<(i64, MemoryNumber)>>,
    /// How stale the reads of a process may be.
    bounds: HashMap<u16, Micros>,
}

impl History {
    pub(super) fn new(entries: &[Entry]) -> Self {
        let mut history = Self::default();
        let mut open: HashMap<(u16, u64), (Micros, &Change)> = HashMap::new();
        for Entry { process, event } in entries {
            match event {
                Event::Opened { bound } => {
                    history.bounds.insert(*process, *bound);
                }
                Event::Began {
                    operation,
                    at,
                    change,
                } => {
                    open.insert((*process, *operation), (*at, change));
                }
                Event::Ended {
                    operation,
                    at,
                    outcome,
                } => {
                    if let Some((began, change)) = open.remove(&(*process, *operation)) {
                        let call = MemoryChange {
                            process: *process,
                            began,
                            acknowledged: matches!(outcome, Outcome::Done { .. }).then_some(*at),
                        };
                        history.add(call, change, outcome);
                    }
                }
                _ => {}
            }
        }
        // Their process was killed.
        for ((process, _), (began, change)) in open {
            let call = MemoryChange {
                process,
                began,
                acknowledged: None,
            };
            history.add(call, change, &Outcome::Unknown);
        }
        for (memory, of) in &history.memories {
            let memories = history.by_entity.entry(of.entity).or_default();
            memories.push((of.timestamp, *memory));
        }
        for memories in history.by_entity.values_mut() {
            memories.sort_unstable();
        }
        history
    }

    fn add(&mut self, call: MemoryChange, change: &Change, outcome: &Outcome) {
        match (change, outcome) {
            (
                Change::Retain {
                    entity,
                    timestamp,
                    memories,
                    is_embedded,
                },
                _,
            ) => {
                self.batches.push(memories.clone());
                for memory in memories {
                    let history = MemoryHistory {
                        entity: *entity,
                        timestamp: *timestamp,
                        written: call,
                        is_refused: *outcome == Outcome::Failed,
                        // The events of another process may have come first.
                        removed: self.memories.get(memory).and_then(|known| known.removed),
                        is_embedded: *is_embedded,
                    };
                    self.memories.insert(*memory, history);
                }
            }
            (Change::Forget { .. } | Change::Prune { .. }, Outcome::Failed) => {}
            (Change::Forget { entity, memory }, Outcome::Unknown) => {
                self.remove(*entity, *memory, call);
            }
            (Change::Forget { entity, memory }, Outcome::Done { removed }) => {
                for memory in removed.iter().chain([memory]) {
                    self.remove(*entity, *memory, call);
                }
            }
            (Change::Prune { entity }, Outcome::Done { removed }) => {
                for memory in removed {
                    self.remove(*entity, *memory, call);
                }
            }
            (Change::Prune { entity }, Outcome::Unknown) => {
                let began = self.open_prunings.entry(*entity).or_insert(call.began);
                *began = call.began.min(*began);
            }
            (Change::Consolidate { .. }, _) => {}
        }
    }

    fn remove(&mut self, entity: u32, memory: MemoryNumber, removal: MemoryChange) {
        // One whose write is not known yet is completed when it is.
        let history = self.memories.entry(memory);
        let history = history.or_insert_with(|| MemoryHistory::filled(entity));
        match history.removed {
            Some(earlier) if earlier.acknowledged.is_some() || removal.acknowledged.is_none() => {}
            _ => history.removed = Some(removal),
        }
    }

    /// The memories of the run, and those from before that were removed.
    pub(super) fn memories(&self) -> impl Iterator<Item = (MemoryNumber, &MemoryHistory)> {
        self.memories
            .iter()
            .map(|(memory, history)| (*memory, history))
    }

    /// Whether a memory was neither removed nor may have been.
    pub(super) fn was_kept(&self, memory: MemoryNumber) -> bool {
        let history = self.memories.get(&memory);
        history.is_some_and(|history| {
            let is_pruned = self.may_be_pruned(memory, history.entity, Micros::MAX);
            history.removed.is_none() && !is_pruned
        })
    }

    /// Whether a memory must be in the store at the end.
    pub(super) fn at_the_end(&self, memory: MemoryNumber) -> Presence {
        let Some(history) = self.memories.get(&memory) else {
            // One from before the run that nobody removed.
            return Presence::Required;
        };
        if history.is_refused || history.removed.is_some_and(|it| it.acknowledged.is_some()) {
            return Presence::Forbidden;
        }
        let is_open = history.removed.is_some()
            || history.written.acknowledged.is_none()
            || self.may_be_pruned(memory, history.entity, Micros::MAX);
        match is_open {
            true => Presence::Open,
            false => Presence::Required,
        }
    }

    /// Whether a read of this process must find a memory; `Forbidden` where it must not.
    pub(super) fn in_read(&self, process: u16, read: &Read, memory: MemoryNumber) -> Presence {
        let Some(history) = self.memories.get(&memory) else {
            return Presence::Required;
        };
        let bound = self.bounds.get(&process).copied().unwrap_or_default();
        // What a process did itself it sees at once.
        let is_visible = |change: &MemoryChange| {
            let bound = match change.process == process {
                true => 0,
                false => bound,
            };
            let acknowledged = change.acknowledged;
            acknowledged.is_some_and(|at| at.saturating_add(bound) <= read.began)
        };
        let is_gone = history.removed.as_ref().is_some_and(is_visible);
        if history.is_refused || history.written.began > read.ended || is_gone {
            return Presence::Forbidden;
        }
        let is_removed = history.removed.is_some_and(|it| it.began < read.ended)
            || self.may_be_pruned(memory, history.entity, read.ended);
        match is_visible(&history.written) && !is_removed {
            true => Presence::Required,
            false => Presence::Open,
        }
    }

    /// The memories of this entity that were retained in the run with a timestamp after
    /// this one.
    pub(super) fn retained_after(
        &self,
        entity: u32,
        timestamp: i64,
    ) -> impl Iterator<Item = MemoryNumber> {
        let memories = self.by_entity.get(&entity).map(Vec::as_slice);
        let memories = memories.unwrap_or_default();
        let first = memories.partition_point(|(at, _)| *at <= timestamp);
        memories[first..].iter().map(|(_, memory)| *memory)
    }

    /// The memories of this entity that the run retained or removed.
    pub(super) fn of_entity(&self, entity: u32) -> impl Iterator<Item = MemoryNumber> {
        let memories = self.by_entity.get(&entity).into_iter().flatten();
        memories.map(|(_, memory)| *memory)
    }

    fn may_be_pruned(&self, memory: MemoryNumber, entity: u32, before: Micros) -> bool {
        let began = self.open_prunings.get(&entity);
        memory.class() == Class::Faded && began.is_some_and(|began| *began < before)
    }
}
