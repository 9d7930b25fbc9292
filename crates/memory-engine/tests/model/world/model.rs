//! The reference model: the state of each entity after each write.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use memory_core::{Consistency, Memory, MemoryId};

/// A memory, as far as operations can observe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) content: String,
    /// In hundredths.
    pub(crate) importance: u8,
    pub(crate) related: BTreeMap<MemoryId, String>,
    /// The summary that it is archived under.
    pub(crate) archived_by: Option<MemoryId>,
}

impl Observed {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 100"
    )]
    pub(crate) fn of(memory: &Memory) -> Self {
        Self {
            content: memory.content.clone(),
            importance: (memory.importance * 100.0).round() as u8,
            related: memory.related.clone(),
            archived_by: memory.archived_by,
        }
    }
}

pub(crate) type State = BTreeMap<MemoryId, Observed>;

/// One entity's states, from the first on.
#[derive(Debug)]
pub(crate) struct History(Vec<Version>);

#[derive(Debug)]
struct Version {
    state: State,
    /// Which system wrote it, when, and which memories changed.
    by: usize,
    at: DateTime<Utc>,
    changed: BTreeSet<MemoryId>,
}

impl History {
    pub(crate) fn new(at: DateTime<Utc>) -> Self {
        Self(vec![Version {
            state: State::new(),
            by: 0,
            at,
            changed: BTreeSet::new(),
        }])
    }

    pub(crate) fn now(&self) -> &State {
        &self.0[self.0.len() - 1].state
    }

    /// The summaries that memories are archived under.
    pub(crate) fn summaries(&self) -> Vec<MemoryId> {
        let observed = self.now().values();
        observed
            .filter_map(|observed| observed.archived_by)
            .collect()
    }

    /// Records a write, if it changed anything.
    pub(crate) fn write(&mut self, by: usize, at: DateTime<Utc>, state: State) {
        let before = self.now();
        let ids = before.keys().chain(state.keys());
        let changed: BTreeSet<MemoryId> = ids
            .filter(|id| before.get(*id) != state.get(*id))
            .copied()
            .collect();
        if !changed.is_empty() {
            self.0.push(Version {
                state,
                by,
                at,
                changed,
            });
        }
    }

    /// The states of all live memories that a read through `by` may return.
    pub(crate) fn allowed_states(
        &self,
        by: usize,
        consistency: Consistency,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = State> {
        let own = self.last(|version| version.by == by);
        self.from(own, consistency, now).map(|version| {
            let live = version
                .state
                .iter()
                .filter(|(_, observed)| observed.archived_by.is_none());
            live.map(|(id, observed)| (*id, observed.clone())).collect()
        })
    }

    /// What a read of one memory through `by` may return.
    pub(crate) fn allowed_of(
        &self,
        id: &MemoryId,
        by: usize,
        consistency: Consistency,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = Option<&Observed>> {
        let own = self.last(|version| version.by == by && version.changed.contains(id));
        let versions = self.from(own, consistency, now);
        versions.map(|version| version.state.get(id))
    }

    fn last(&self, is_such: impl Fn(&Version) -> bool) -> usize {
        self.0.iter().rposition(is_such).unwrap_or(0)
    }

    /// The versions that are neither older than the reader's own write nor
    /// than its consistency allows.
    fn from(
        &self,
        own: usize,
        consistency: Consistency,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = &Version> {
        let oldest = match consistency {
            Consistency::Bounded(limit) => {
                let limit = chrono::TimeDelta::from_std(limit).unwrap_or_default();
                self.last(|version| version.at < now - limit)
            }
            _ => self.0.len() - 1,
        };
        self.0[own.max(oldest)..].iter()
    }
}

/// The staleness limit of the systems of bounded consistency.
pub(crate) const MAX_STALENESS: Duration = Duration::from_secs(60);
