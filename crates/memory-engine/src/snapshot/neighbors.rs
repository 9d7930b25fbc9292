//! The memories that lend to another one: its neighbors in its episode, and those that it
//! is related to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::iter;
use std::rc::Rc;

use super::episodes::EpisodeEntry;
use super::retrieval::Retrieved;
use super::slot::Slot;
use super::{EntitySnapshot, id_digest};
use crate::ranking::Ranking;

/// Longest episode of which those that a filter admits are looked for from one memory to
/// the next.
const SHORT: usize = 32;

/// The admitted memories of each long episode that was asked for, in the order of time.
#[derive(Default)]
pub(super) struct AdmittedEpisodes(RefCell<HashMap<u32, Rc<[EpisodeEntry]>>>);

impl EntitySnapshot {
    /// Calls `found` with each admitted memory within `reach` steps in the same
    /// episode and the number of steps, on each side the nearest first.
    pub(super) fn for_each_neighbor(
        &self,
        slot: u32,
        retrieved: &Retrieved,
        reach: usize,
        mut found: impl FnMut(EpisodeEntry, usize),
    ) {
        let Some(own) = self.slot(slot) else {
            return;
        };
        if let Some(members) = self.admitted_of_long_episode(own, retrieved) {
            let entry = own.episode_entry(slot);
            let (before, rest) = members.split_at(members.partition_point(|it| *it < entry));
            let after = rest.iter().filter(|other| **other != entry);
            each_step(before.iter().rev().copied(), reach, &mut found);
            each_step(after.copied(), reach, &mut found);
        } else {
            let is_admitted = |(_, slot): &EpisodeEntry| retrieved.is_admitted(*slot);
            let before = self.neighbors(own, Slot::previous).filter(is_admitted);
            let after = self.neighbors(own, Slot::next).filter(is_admitted);
            each_step(before, reach, &mut found);
            each_step(after, reach, &mut found);
        }
    }

    /// The admitted memories of a slot's episode, if a filter leaves out some and the
    /// episode is so long that they are not looked for from one memory to the next. Found
    /// once for all memories of the episode.
    fn admitted_of_long_episode(
        &self,
        slot: &Slot,
        retrieved: &Retrieved,
    ) -> Option<Rc<[EpisodeEntry]>> {
        retrieved.admitted.as_ref()?;
        let episode = slot.episode()?;
        if self.episodes.len(episode) <= SHORT {
            return None;
        }
        let mut found = retrieved.admitted_episodes.0.borrow_mut();
        let members = found.entry(episode).or_insert_with(|| {
            let members = self.episodes.entries(episode);
            let admitted = members.filter(|(_, slot)| retrieved.is_admitted(*slot));
            admitted.collect()
        });
        Some(Rc::clone(members))
    }

    /// The memories on one side of another in its episode, the nearest first.
    fn neighbors(
        &self,
        slot: &Slot,
        next: impl Fn(&Slot) -> Option<u32>,
    ) -> impl Iterator<Item = EpisodeEntry> {
        let next = move |slot: &Slot| {
            let number = next(slot)?;
            Some((number, self.slot(number)?))
        };
        let neighbors = iter::successors(next(slot), move |(_, slot)| next(slot));
        neighbors.map(|(number, slot)| slot.episode_entry(number))
    }

    /// The number of admitted memories in a memory's episode, counted up to the
    /// length from which on the share that is lent grows no more.
    pub(super) fn episode_length(
        &self,
        slot: u32,
        retrieved: &Retrieved,
        ranking: &Ranking,
    ) -> usize {
        let Some((own, episode)) = self.slot(slot).and_then(|own| Some((own, own.episode()?)))
        else {
            return 0;
        };
        if retrieved.admitted.is_none() {
            return self.episodes.len(episode);
        }
        if let Some(members) = self.admitted_of_long_episode(own, retrieved) {
            return members.len();
        }
        let members = self.episodes.entries(episode);
        let admitted = members.filter(|(_, slot)| retrieved.is_admitted(*slot));
        admitted.take(ranking.full_share_length()).count()
    }

    /// The admitted memories that an admitted one is related to, and those that are
    /// related to it; one that is both is listed twice.
    pub(super) fn related_to(&self, slot: u32, retrieved: &Retrieved) -> Vec<u32> {
        if self.related.is_empty() || !retrieved.is_admitted(slot) {
            return Vec::new();
        }
        let own = self.memories.get(slot);
        let parts = own.parts();
        let outgoing = parts.related().filter_map(|(id, _)| self.slot_of(&id));
        let (id, digest) = (own.id(), id_digest(&own.id()));
        let refers = |other: &u32| {
            let mut related = self.memories.get(*other).parts().related();
            related.any(|(target, _)| target == id)
        };
        let incoming = self.related.numbers_of(digest).into_iter().filter(refers);
        outgoing
            .chain(incoming)
            .filter(|other| *other != slot && retrieved.is_admitted(*other))
            .collect()
    }
}

/// Calls `found` with the first `reach` entries and the number of steps to each.
fn each_step(
    entries: impl Iterator<Item = EpisodeEntry>,
    reach: usize,
    found: &mut impl FnMut(EpisodeEntry, usize),
) {
    for (step, entry) in (1..=reach).zip(entries) {
        found(entry, step);
    }
}
