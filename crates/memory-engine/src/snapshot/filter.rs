//! Which memories of a snapshot a filter matches.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use memory_core::{MemoryFilter, MemoryKind};

use super::slot::Slot;
use super::{EntitySnapshot, id_digest};

impl EntitySnapshot {
    /// By slot, whether a filter matches its memory. Tags, labels and related memories are
    /// looked up, and kinds and times are known by slot, so that memories are only read
    /// where they may match. O(slots), and the memories that have the rarest of the labels
    /// asked for: all memories if those have no index.
    pub(super) fn admitted(&self, filter: &MemoryFilter) -> Vec<bool> {
        let mut admitted = if filter.tags.is_empty() {
            self.slots.iter().map(Option::is_some).collect()
        } else {
            self.tags.matching(filter, self.slots.len())
        };
        let known = SlotConditions::of(filter);
        if !known.is_empty() {
            let slots = self.slots.iter().zip(&mut admitted);
            for (slot, is_admitted) in slots.filter(|(_, is_admitted)| **is_admitted) {
                *is_admitted = slot.as_ref().is_some_and(|slot| known.match_slot(slot));
            }
        }
        if let Some(rarest) = self.rarest_of(filter) {
            let mut only = vec![false; admitted.len()];
            for slot in rarest.into_iter().map(|slot| slot as usize) {
                only[slot] = admitted[slot];
            }
            admitted = only;
        }
        // What is left to compare is in the memories only.
        let rest = MemoryFilter {
            kinds: BTreeSet::new(),
            tags: BTreeSet::new(),
            since: None,
            until: None,
            ..filter.clone()
        };
        if !rest.is_empty() {
            let slots = (0u32..).zip(&mut admitted);
            for (slot, is_admitted) in slots.filter(|(_, is_admitted)| **is_admitted) {
                *is_admitted = self.memories.get(slot).matches(&rest);
            }
        }
        admitted
    }

    /// The slots of all memories that can have one of a filter's participant, its metadata
    /// and its related memory: of the one that fewest have. `None` where there is no index
    /// of any.
    fn rarest_of(&self, filter: &MemoryFilter) -> Option<Vec<u32>> {
        let labels = filter.metadata.values().map(String::as_str);
        let labels = labels.chain(filter.involves.iter().map(|entity| entity.as_str()));
        let with_label = labels.filter_map(|label| self.mentions.with_label(label));
        let target = filter.relates_to.iter();
        let related = target.map(|target| self.related.numbers_of(id_digest(target)));
        with_label.chain(related).min_by_key(Vec::len)
    }
}

/// The conditions of a filter that a slot tells.
struct SlotConditions<'a> {
    /// All if none is named.
    kinds: &'a BTreeSet<MemoryKind>,
    /// In microseconds: not before the first, and before the second.
    since: Option<i64>,
    until: Option<i64>,
}

impl<'a> SlotConditions<'a> {
    fn of(filter: &'a MemoryFilter) -> Self {
        Self {
            kinds: &filter.kinds,
            since: filter.since.map(micros_from),
            until: filter.until.map(micros_from),
        }
    }

    fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.since.is_none() && self.until.is_none()
    }

    fn match_slot(&self, slot: &Slot) -> bool {
        self.since.is_none_or(|since| slot.time >= since)
            && self.until.is_none_or(|until| slot.time < until)
            && (self.kinds.is_empty() || self.kinds.contains(&slot.kind))
    }
}

/// The first whole microsecond at or after a moment. Times of memories are whole ones, and
/// none is within a leap second: what is at or after that begins with the next second.
fn micros_from(moment: DateTime<Utc>) -> i64 {
    const SECOND: u32 = 1_000_000;
    let micros = moment.timestamp_subsec_nanos().div_ceil(1_000).min(SECOND);
    moment.timestamp() * i64::from(SECOND) + i64::from(micros)
}
