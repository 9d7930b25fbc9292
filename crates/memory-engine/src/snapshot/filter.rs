//! Which memories of a snapshot a filter matches.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use memory_core::{MemoryFilter, MemoryKind};

use super::block_vec::BLOCK;
use super::slot::Slot;
use super::{EntitySnapshot, id_digest};

impl EntitySnapshot {
    /// By slot, whether a filter matches its memory. Labels, related memories and tags are
    /// looked up, and kinds and times are known by slot, so that a memory is read only where
    /// it may match. O(memories with the rarest of the labels asked for), and without one
    /// O(slots in blocks of the times asked for), reading all memories there where a label
    /// has no index.
    pub(super) fn admitted(&self, filter: &MemoryFilter) -> Vec<bool> {
        let known = SlotConditions::of(filter);
        let is_known = |slot: u32| known.match_slot(self.slot(slot));
        if let Some(rarest) = self.rarest_of(filter) {
            let mut admitted = vec![false; self.slots.len()];
            for slot in rarest.into_iter().filter(|slot| is_known(*slot)) {
                admitted[slot as usize] = self.memories.get(slot).matches(filter);
            }
            return admitted;
        }
        let mut admitted = if filter.tags.is_empty() {
            self.slots_that_match(&known)
        } else {
            let mut tagged = self.tags.matching(filter, self.slots.len());
            retain_matching(&mut tagged, is_known);
            tagged
        };
        // What is left to compare is in the memories only.
        let rest = MemoryFilter {
            kinds: BTreeSet::new(),
            tags: BTreeSet::new(),
            since: None,
            until: None,
            ..filter.clone()
        };
        if !rest.is_empty() {
            retain_matching(&mut admitted, |slot| self.memories.get(slot).matches(&rest));
        }
        admitted
    }

    /// By slot, whether there is a memory that meets conditions. Most blocks are left out
    /// where a filter asks for some time.
    fn slots_that_match(&self, known: &SlotConditions<'_>) -> Vec<bool> {
        let mut admitted = vec![false; self.slots.len()];
        let blocks = self.slots.blocks().zip(admitted.chunks_mut(BLOCK));
        for (times, (slots, admitted)) in self.times.iter().zip(blocks) {
            if known.may_match(&times) {
                for (slot, is_admitted) in slots.iter().zip(admitted) {
                    *is_admitted = known.match_slot(slot.as_ref());
                }
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

/// Leaves out the admitted slots that do not match.
fn retain_matching(admitted: &mut [bool], matches: impl Fn(u32) -> bool) {
    let slots = (0u32..).zip(admitted);
    for (slot, is_admitted) in slots.filter(|(_, is_admitted)| **is_admitted) {
        *is_admitted = matches(slot);
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

    /// Whether a memory of these times can match.
    fn may_match(&self, times: &RangeInclusive<i64>) -> bool {
        self.since.is_none_or(|since| *times.end() >= since)
            && self.until.is_none_or(|until| *times.start() < until)
    }

    fn match_slot(&self, slot: Option<&Slot>) -> bool {
        slot.is_some_and(|slot| {
            self.may_match(&(slot.time..=slot.time))
                && (self.kinds.is_empty() || self.kinds.contains(&slot.kind))
        })
    }
}

/// The first whole microsecond at or after a moment. Times of memories are whole ones, and
/// none is within a leap second: what is at or after that begins with the next second.
fn micros_from(moment: DateTime<Utc>) -> i64 {
    const SECOND: u32 = 1_000_000;
    let micros = moment.timestamp_subsec_nanos().div_ceil(1_000).min(SECOND);
    moment.timestamp() * i64::from(SECOND) + i64::from(micros)
}
