//! The reference model: what each entity was like after each write.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use memory_core::{Consistency, Memory, MemoryId};

/// What a memory is like, as far as verbs can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Face {
    pub(crate) content: String,
    /// In hundredths.
    pub(crate) importance: u8,
    pub(crate) related: BTreeMap<MemoryId, String>,
    /// The summary that stands for it.
    pub(crate) archived_by: Option<MemoryId>,
}

impl Face {
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

pub(crate) type State = BTreeMap<MemoryId, Face>;

/// One entity's states, from the first on.
#[derive(Debug)]
pub(crate) struct Past(Vec<Version>);

#[derive(Debug)]
struct Version {
    state: State,
    /// Which system wrote it, when, and which memories changed.
    by: usize,
    at: DateTime<Utc>,
    changed: BTreeSet<MemoryId>,
}

impl Past {
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

    /// The memories that stand for others.
    pub(crate) fn summaries(&self) -> Vec<MemoryId> {
        let faces = self.now().values();
        faces.filter_map(|face| face.archived_by).collect()
    }

    /// A write, if it changed anything.
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

    /// The states of all that is live which a read through `by` may show.
    pub(crate) fn shown(
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
                .filter(|(_, face)| face.archived_by.is_none());
            live.map(|(id, face)| (*id, face.clone())).collect()
        })
    }

    /// What a read of one memory through `by` may show.
    pub(crate) fn shown_of(
        &self,
        id: &MemoryId,
        by: usize,
        consistency: Consistency,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = Option<&Face>> {
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
            Consistency::Bounded(bound) => {
                let bound = chrono::TimeDelta::from_std(bound).unwrap_or_default();
                self.last(|version| version.at < now - bound)
            }
            _ => self.0.len() - 1,
        };
        self.0[own.max(oldest)..].iter()
    }
}

/// The bound of the systems that are bounded.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
