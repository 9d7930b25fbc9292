//! Which memories of a snapshot a filter matches.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use memory_core::{MemoryFilter, MemoryKind, limits};

use super::block_vec::BLOCK;
use super::slot::Slot;
use super::{EntitySnapshot, id_digest};

impl EntitySnapshot {
    /// By slot, whether a filter matches its memory. Tags, labels and related memories are
    /// looked up, and kinds and times are known by slot, so that a memory is read only where
    /// it may match: where a label has no index, each that is left. O(slots + entries of the
    /// tags and labels asked for), with few steps for each.
    pub(super) fn admitted(&self, filter: &MemoryFilter) -> Vec<bool> {
        let known = SlotConditions::of(filter);
        let tagged =
            (!filter.tags.is_empty()).then(|| self.tags.matching(filter, self.slots.len()));
        let rarest = self.rarest_of(filter);
        let rarest = rarest.filter(|slots| slots.len() < self.slots_of_times(&known));
        let mut admitted = match (rarest, tagged) {
            (Some(rarest), tagged) => {
                let mut admitted = vec![false; self.slots.len()];
                for slot in rarest {
                    let index = slot as usize;
                    let is_tagged = tagged.as_ref().is_none_or(|tagged| tagged[index]);
                    admitted[index] = is_tagged && known.match_slot(self.slot(slot));
                }
                admitted
            }
            (None, Some(mut tagged)) => {
                retain_matching(&mut tagged, |slot| known.match_slot(self.slot(slot)));
                tagged
            }
            (None, None) => self.slots_that_match(&known),
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

    /// How many slots are in the blocks that have memories of the times asked for, at most.
    fn slots_of_times(&self, known: &SlotConditions<'_>) -> usize {
        let blocks = self.times.iter();
        BLOCK * blocks.filter(|times| known.may_have_matches(times)).count()
    }

    /// By slot, whether there is a memory that meets conditions. Most blocks are left out
    /// where a filter asks for some time.
    fn slots_that_match(&self, known: &SlotConditions<'_>) -> Vec<bool> {
        let mut admitted = vec![false; self.slots.len()];
        let blocks = self.slots.blocks().zip(admitted.chunks_mut(BLOCK));
        for (times, (slots, admitted)) in self.times.iter().zip(blocks) {
            if known.may_have_matches(&times) {
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
            since: filter.since.map(limits::micros_rounded_up),
            until: filter.until.map(limits::micros_rounded_up),
        }
    }

    /// Whether a memory of these times can match.
    fn may_have_matches(&self, times: &RangeInclusive<i64>) -> bool {
        self.since.is_none_or(|since| *times.end() >= since)
            && self.until.is_none_or(|until| *times.start() < until)
    }

    fn match_slot(&self, slot: Option<&Slot>) -> bool {
        slot.is_some_and(|slot| {
            self.since.is_none_or(|since| slot.time >= since)
                && self.until.is_none_or(|until| slot.time < until)
                && (self.kinds.is_empty() || self.kinds.contains(&slot.kind))
        })
    }
}
