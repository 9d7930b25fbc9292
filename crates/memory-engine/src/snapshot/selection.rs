//! The choice of the memories that can be among the best, from approximate
//! values of all of them.
//!
//! Similarities that can decide are known in 8 bits with a bound on their error
//! ([`estimates`](super::estimates)), and so is each memory's total without what it
//! receives from its neighbors. Memories of a high blend
//! lend to their neighbors first, and only those are completed that can be among the best
//! with the most that others lend ([`Limits`](super::approximation::Limits)). Both are few
//! of all.

use std::cell::OnceCell;

use super::EntitySnapshot;
use super::approximation::Approximation;
use super::blocked_scores::{BlockedScores, Highest, SlotScore};
use super::buffer::Buffer;
use super::retrieval::Retrieved;
use crate::query::Query;
use crate::ranking::{Ranking, RankingContext};

/// The memories that can be among the best.
pub(super) struct Selection {
    /// Their slots, in order.
    pub(super) best: Vec<u32>,
    /// Those whose exact values decide, in order: the best, and what may lend the most
    /// to one of them. Other neighbors lend less, whatever their exact values.
    pub(super) exact: Vec<u32>,
}

/// How many memories lend first, as a multiple of those that are considered.
const LENDERS_FIRST: usize = 2;

impl EntitySnapshot {
    /// The slots that have the best `context.considered()` scores, and few others.
    /// O(memories) additions, and the neighbors of some hundred memories.
    pub(super) fn select(
        &self,
        retrieved: &mut Retrieved,
        query: &Query,
        context: &RankingContext<'_>,
    ) -> Selection {
        let considered = context.considered();
        let mut values = self.approximation(retrieved, query, context);
        self.refine(&mut values, retrieved, context);
        let (values, retrieved) = (&values, &*retrieved);
        let (totals, limits) = (&values.totals, &values.limits);
        let is_certain =
            |(slot, _): &SlotScore| retrieved.is_certain(*slot, context.min_similarity);
        let Some(last) = totals.nth_highest(considered, is_certain) else {
            let candidates = totals.at_least(BlockedScores::NONE);
            let best = candidates.map(|(slot, _)| slot).collect();
            return Received::new(self, retrieved, context.ranking, values).of_all(best);
        };
        let lowest = |last: f32| limits.lowest_total(last);
        let high: Vec<SlotScore> = totals.at_least(lowest(last)).collect();
        let mut received = Received::new(self, retrieved, context.ranking, values);
        // The memories of the highest blend lend first: the higher the last of the
        // best totals, the fewer others have to.
        let first = values
            .blend
            .nth_highest(LENDERS_FIRST * considered, |_| true);
        let first = first.unwrap_or(f32::NEG_INFINITY);
        let first = first.max(limits.lender(lowest(last)));
        let last_of = |received: &Received<'_>| {
            let receivers = received.slots.iter();
            let receivers = receivers.map(|&slot| (slot, totals.of(slot)));
            let receivers = receivers
                .filter(|(slot, total)| *total + received.most(*slot) >= last)
                .map(|(slot, total)| (slot, total + received.of(slot)));
            // A memory that is in both lists would count twice.
            let others = high.iter().copied();
            let others = others.filter(|(slot, _)| received.most(*slot) == 0.0);
            let counted = receivers.chain(others).filter(is_certain);
            let mut best = Highest::new(considered);
            best.extend(counted.map(|(_, total)| total));
            best.nth().unwrap_or(last)
        };
        let lenders = values.blend.at_least(first).map(|(slot, _)| slot);
        received.lend_all(lenders, lowest(last));
        let raised = lowest(last_of(&received));
        let all_lenders = limits.lender(raised).min(first);
        let others = values.blend.at_least(all_lenders);
        let others = others.filter(|(_, blend)| *blend < first);
        received.lend_all(others.map(|(slot, _)| slot), raised);
        let lowest = lowest(last_of(&received));
        let least = limits.received_below(all_lenders);
        let can_be_best = |(slot, total): &SlotScore| {
            *total > BlockedScores::NONE
                && *total + received.most(*slot).max(least) >= lowest
                && *total + received.complete(*slot) >= lowest
        };
        let receivers = received.slots.iter().map(|&slot| (slot, totals.of(slot)));
        let others = totals.at_least(lowest - least);
        let others = others.filter(|(slot, _)| received.most(*slot) == 0.0);
        let best = receivers.chain(others).filter(can_be_best);
        let mut best: Vec<u32> = best.map(|(slot, _)| slot).collect();
        best.sort_unstable();
        received.of_all(best)
    }
}

/// What memories receive from neighbors and from related memories, see
/// `ranking::lending`, computed from approximate values.
struct Received<'a> {
    snapshot: &'a EntitySnapshot,
    retrieved: &'a Retrieved,
    ranking: &'a Ranking,
    blend: &'a [f32],
    totals: &'a [f32],
    /// The largest error of a blend, and of one of which the similarity is estimated.
    error: f32,
    estimate_error: f32,
    /// By slot, without the discount for its length.
    most: Buffer,
    /// The slots that receive something.
    slots: Vec<u32>,
}

impl<'a> Received<'a> {
    fn new(
        snapshot: &'a EntitySnapshot,
        retrieved: &'a Retrieved,
        ranking: &'a Ranking,
        values: &'a Approximation,
    ) -> Self {
        Self {
            snapshot,
            retrieved,
            ranking,
            blend: values.blend.values(),
            totals: values.totals.values(),
            error: values.error,
            estimate_error: values.estimate_error,
            most: Buffer::new(values.blend.values().len(), 0.0),
            slots: Vec::new(),
        }
    }

    /// What a slot received so far, before the discount for its length.
    fn most(&self, slot: u32) -> f32 {
        self.most[slot as usize]
    }

    /// What a slot received so far.
    fn of(&self, slot: u32) -> f32 {
        let words = self.snapshot.slot(slot).map_or(0, |slot| slot.words);
        self.most(slot) * self.ranking.length_discount(words)
    }

    /// Lends the blends of memories to those that reach the total `lowest` with them.
    fn lend_all(&mut self, lenders: impl Iterator<Item = u32>, lowest: f32) {
        if self.ranking.neighbors > 0.0 {
            lenders.for_each(|lender| self.lend(lender, lowest));
        }
    }

    /// Lends the blend of one memory to those that reach the total `lowest` with it: most
    /// do not, whatever share of it they receive.
    fn lend(&mut self, lender: u32, lowest: f32) {
        let (snapshot, ranking) = (self.snapshot, self.ranking);
        let blend = self.blend[lender as usize];
        let Some(own) = snapshot.slot(lender) else {
            return;
        };
        let totals = self.totals;
        let can_matter =
            |receiver: u32| totals[receiver as usize] + ranking.neighbors * blend >= lowest;
        // Of few lenders, so it is not looked up before it is needed.
        let share = OnceCell::new();
        let reach = ranking.neighbor_reach;
        snapshot.for_each_neighbor(lender, self.retrieved, reach, |(time, receiver), step| {
            if can_matter(receiver) {
                let length = || self.episode_length(lender);
                let share = *share.get_or_init(|| ranking.episode_share(length()));
                let lent = ranking.lent(step, time - own.time);
                self.receive(receiver, share * lent * blend);
            }
        });
        let related = snapshot.related_to(lender, self.retrieved);
        for receiver in related.into_iter().filter(|other| can_matter(*other)) {
            self.receive(receiver, ranking.neighbors * blend);
        }
    }

    fn receive(&mut self, receiver: u32, lent: f32) {
        let most = &mut self.most[receiver as usize];
        if lent > *most {
            if *most == 0.0 {
                self.slots.push(receiver);
            }
            *most = lent;
        }
    }

    /// The largest error of the blend of a slot.
    fn error(&self, slot: u32) -> f32 {
        if self.retrieved.is_estimate(slot) {
            self.estimate_error
        } else {
            self.error
        }
    }

    /// The blend of a slot, the highest possible one if it is estimated.
    fn highest_blend(&self, slot: u32) -> f32 {
        let blend = self.blend[slot as usize];
        if self.retrieved.is_estimate(slot) {
            blend + self.estimate_error
        } else {
            blend
        }
    }

    /// The most that a slot receives of all its neighbors.
    fn complete(&self, slot: u32) -> f32 {
        let ranking = self.ranking;
        let Some(own) = self.snapshot.slot(slot).filter(|_| ranking.neighbors > 0.0) else {
            return 0.0;
        };
        let mut most = 0.0f32;
        let reach = ranking.neighbor_reach;
        self.snapshot
            .for_each_neighbor(slot, self.retrieved, reach, |(time, lender), step| {
                let blend = self.highest_blend(lender);
                if ranking.neighbors * blend > most {
                    most = most.max(ranking.lent(step, own.time - time) * blend);
                }
            });
        if most > 0.0 {
            most *= ranking.episode_share(self.episode_length(slot));
        }
        for other in self.snapshot.related_to(slot, self.retrieved) {
            most = most.max(ranking.neighbors * self.highest_blend(other));
        }
        most * ranking.length_discount(own.words)
    }

    /// The best, with those of their neighbors that may lend the most to one of them.
    fn of_all(&self, best: Vec<u32>) -> Selection {
        let mut exact = best.clone();
        if self.ranking.neighbors == 0.0 {
            return Selection { best, exact };
        }
        let mut neighbors: Vec<(u32, f32)> = Vec::new();
        for &slot in &best {
            let Some(own) = self.snapshot.slot(slot) else {
                continue;
            };
            let (ranking, reach) = (self.ranking, self.ranking.neighbor_reach);
            neighbors.clear();
            self.snapshot
                .for_each_neighbor(slot, self.retrieved, reach, |(time, lender), step| {
                    neighbors.push((lender, ranking.lent(step, own.time - time)));
                });
            let share = ranking.episode_share(self.episode_length(slot));
            neighbors.iter_mut().for_each(|(_, lent)| *lent *= share);
            let related = self.snapshot.related_to(slot, self.retrieved);
            neighbors.extend(related.into_iter().map(|other| (other, ranking.neighbors)));
            let blend = |lender: u32| self.blend[lender as usize];
            let least = neighbors.iter();
            let least = least.map(|(lender, lent)| lent * (blend(*lender) - self.error(*lender)));
            let least = least.fold(0.0, f32::max);
            let may_lend_most = |(lender, lent): &&(u32, f32)| {
                lent * (blend(*lender) + self.error(*lender)) >= least
            };
            let most = neighbors.iter().filter(may_lend_most);
            exact.extend(most.map(|(lender, _)| *lender));
        }
        exact.sort_unstable();
        exact.dedup();
        Selection { best, exact }
    }

    fn episode_length(&self, slot: u32) -> usize {
        self.snapshot
            .episode_length(slot, self.retrieved, self.ranking)
    }
}
