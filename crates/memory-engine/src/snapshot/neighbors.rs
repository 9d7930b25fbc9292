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

/// How far neighbors are looked for from one memory to the next where a filter leaves out
/// some. Most have one nearby.
const MAX_STEPS: usize = 32;

/// The admitted memories of each episode that was asked for, in the order of time.
#[derive(Default)]
pub(super) struct AdmittedEpisodes(RefCell<HashMap<u32, Rc<Vec<EpisodeEntry>>>>);

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
        if let Some(steps) = self.each_nearby(own, Slot::previous, retrieved, reach, &mut found) {
            let (members, position) = self.admitted_around(own, slot, retrieved);
            each_step(members[..position].iter().rev(), steps, reach, &mut found);
        }
        if let Some(steps) = self.each_nearby(own, Slot::next, retrieved, reach, &mut found) {
            let (members, position) = self.admitted_around(own, slot, retrieved);
            let after = members[position..].iter();
            each_step(
                after.filter(|entry| entry.1 != slot),
                steps,
                reach,
                &mut found,
            );
        }
    }

    /// Calls `found` with the nearest admitted memories on one side. `Some` with how many
    /// were found if there may be more that are farther away.
    fn each_nearby(
        &self,
        slot: &Slot,
        next: impl Fn(&Slot) -> Option<u32>,
        retrieved: &Retrieved,
        reach: usize,
        found: &mut impl FnMut(EpisodeEntry, usize),
    ) -> Option<usize> {
        let mut neighbors = self.neighbors(slot, next);
        let mut steps = 0;
        for _ in 0..MAX_STEPS.max(reach) {
            if steps == reach {
                return None;
            }
            let entry = neighbors.next()?;
            if retrieved.is_admitted(entry.1) {
                steps += 1;
                found(entry, steps);
            }
        }
        (steps < reach).then_some(steps)
    }

    /// The admitted memories of a slot's episode, and the position of the slot among them.
    fn admitted_around(
        &self,
        own: &Slot,
        slot: u32,
        retrieved: &Retrieved,
    ) -> (Rc<Vec<EpisodeEntry>>, usize) {
        let episode = own.episode();
        let members = episode.map(|episode| self.admitted_of(episode, retrieved));
        let members = members.unwrap_or_default();
        let entry = own.episode_entry(slot);
        let position = members.partition_point(|other| *other < entry);
        (members, position)
    }

    /// The admitted memories of an episode, in the order of time: found once for a question.
    fn admitted_of(&self, episode: u32, retrieved: &Retrieved) -> Rc<Vec<EpisodeEntry>> {
        let mut found = retrieved.admitted_episodes.0.borrow_mut();
        let members = found.entry(episode).or_insert_with(|| {
            let few = retrieved.few.as_ref();
            let Some(few) = few.filter(|few| few.len() <= self.episodes.len(episode)) else {
                let entries = self.episodes.entries(episode);
                let admitted = entries.filter(|(_, slot)| retrieved.is_admitted(*slot));
                return Rc::new(admitted.collect());
            };
            let few = few
                .iter()
                .filter_map(|&number| Some((number, self.slot(number)?)));
            let members = few.filter(|(_, slot)| slot.episode() == Some(episode));
            let members = members.map(|(number, slot)| slot.episode_entry(number));
            let mut members: Vec<EpisodeEntry> = members.collect();
            members.sort_unstable();
            Rc::new(members)
        });
        Rc::clone(members)
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
        let Some(episode) = self.slot(slot).and_then(Slot::episode) else {
            return 0;
        };
        let (length, enough) = (self.episodes.len(episode), ranking.full_share_length());
        if retrieved.admitted.is_none() {
            return length;
        }
        let nearby = self.episodes.entries(episode).take(MAX_STEPS);
        let admitted = nearby.filter(|(_, slot)| retrieved.is_admitted(*slot));
        let counted = admitted.take(enough).count();
        if counted == enough || length <= MAX_STEPS {
            counted
        } else {
            self.admitted_of(episode, retrieved).len()
        }
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

/// Calls `found` with the entries after the first `steps`, up to the one that is `reach`
/// steps away.
fn each_step<'a>(
    entries: impl Iterator<Item = &'a EpisodeEntry>,
    steps: usize,
    reach: usize,
    found: &mut impl FnMut(EpisodeEntry, usize),
) {
    for (step, entry) in (1..=reach).zip(entries).skip(steps) {
        found(*entry, step);
    }
}
