//! Approximate scores of all memories of a snapshot.

use memory_text::dates::date_closeness;

use super::EntitySnapshot;
use super::blocked_scores::BlockedScores;
use super::retrieval::Retrieved;
use super::vectors::Similarities;
use crate::query::Query;
use crate::ranking::{RankingContext, ScoreBounds};

/// Approximate values by slot.
pub(super) struct Approximation {
    /// The blend of the retrievers' values.
    pub(super) blend: BlockedScores,
    /// The blend with the lifts, without what neighbors lend.
    pub(super) totals: BlockedScores,
    /// The largest error of either, where the similarity is in 8 bits.
    pub(super) error: f32,
    /// The largest error of a blend of which the similarity is estimated.
    pub(super) estimate_error: f32,
    pub(super) bounds: ScoreBounds,
    pub(super) limits: Limits,
}

/// Which memories can be among the best, given errors.
///
/// With `t` the lowest total that can lead to one of the best scores, and `n` the largest
/// share that is lent, memories of a blend of at least `t / (1 + n)` lend first. What a
/// memory receives of all others is below `n · t / (1 + n)`.
pub(super) struct Limits {
    bounds: ScoreBounds,
    /// The largest error of a blend or a total.
    error: f32,
}

impl Limits {
    /// The lowest total that can lead to a score that a total of `last` surely has. What is
    /// received is off by the error of a lender's blend.
    pub(super) fn lowest_total(&self, last: f32) -> f32 {
        let error = self.error * (1.0 + self.bounds.lending);
        self.bounds.lowest_total(last - error) - error
    }

    /// The lowest blend of what lends first. A memory whose own total is below a negative
    /// one can reach it with a neighbor of any blend above 0.
    pub(super) fn lender(&self, lowest_total: f32) -> f32 {
        let error = self.error * (1.0 + self.bounds.lending);
        (lowest_total / (1.0 + self.bounds.lending)).max(0.0) - error
    }

    /// The most that a memory receives of what has a blend below `lender`.
    pub(super) fn received_below(&self, lender: f32) -> f32 {
        let error = self.error * (1.0 + self.bounds.lending);
        self.bounds.lending * (lender + error).max(0.0)
    }
}

impl EntitySnapshot {
    /// O(memories) additions, a block of memories at a time.
    pub(super) fn approximation(
        &self,
        retrieved: &Retrieved,
        query: &Query,
        context: &RankingContext<'_>,
    ) -> Approximation {
        let bounds = retrieved.bounds(context.ranking, query);
        let (lexical, pairs) = (&retrieved.lexical, &retrieved.pairs);
        let blend = self.approximate_blend(retrieved, &bounds);
        let mut mentioned = retrieved.mentioned.iter().map(|slot| *slot as usize);
        let mut next_mentioned = mentioned.next();
        let totals = BlockedScores::of_blocks(self.slots.len(), |first, totals| {
            let slots = first..first + totals.len();
            let blend = &blend.values()[slots.clone()];
            for (total, blend) in totals.iter_mut().zip(blend) {
                *total = blend + bounds.unmentioned;
            }
            while let Some(slot) = next_mentioned.filter(|slot| slots.contains(slot)) {
                totals[slot - first] += bounds.mentioned;
                next_mentioned = mentioned.next();
            }
            if query.asks_when || !context.dates.is_empty() {
                self.add_times(first, totals, retrieved, &bounds, query, context);
            }
            if context.min_similarity.is_some() {
                for (slot, total) in (0u32..).skip(first).zip(totals) {
                    if retrieved.is_dissimilar(slot, context.min_similarity) {
                        *total = BlockedScores::NONE;
                    }
                }
            }
        });
        let max_error = |similarity| bounds.max_error(similarity, lexical.max(), pairs.max());
        let error = max_error(retrieved.similarities.max_error);
        let estimates = retrieved.estimates.as_ref();
        Approximation {
            blend,
            totals,
            error,
            estimate_error: estimates.map_or(error, |estimates| max_error(estimates.error())),
            bounds,
            limits: Limits { bounds, error },
        }
    }

    /// Adds the lifts that depend on times to the totals of the slots from `first` on.
    fn add_times(
        &self,
        first: usize,
        totals: &mut [f32],
        retrieved: &Retrieved,
        bounds: &ScoreBounds,
        query: &Query,
        context: &RankingContext<'_>,
    ) {
        for (slot, total) in (first..).zip(totals) {
            let Some(slot) = self.slots.get(slot).and_then(Option::as_ref) else {
                continue;
            };
            *total += bounds.date * date_closeness(context.dates, slot.timestamp());
            if query.asks_when {
                let has_time = f32::from(u8::from(slot.has_time));
                *total += bounds.when * (has_time - retrieved.time_share);
            }
        }
    }

    fn approximate_blend(&self, retrieved: &Retrieved, bounds: &ScoreBounds) -> BlockedScores {
        let (lexical, pairs) = (&retrieved.lexical, &retrieved.pairs);
        let has_vectors = retrieved.compared == retrieved.matching;
        BlockedScores::of_blocks(self.slots.len(), |first, blend| {
            let slots = first..first + blend.len();
            let found = &lexical.values()[slots.clone()];
            let values = retrieved.dense()[slots.clone()].iter().zip(found);
            for (blend, (&similarity, found)) in blend.iter_mut().zip(values) {
                let with_vector = bounds.with_vector + bounds.dense * similarity;
                *blend = if similarity == Similarities::NONE {
                    BlockedScores::NONE
                } else {
                    with_vector + bounds.lexical * found
                };
            }
            if !has_vectors {
                for (slot, (blend, found)) in slots.clone().zip(blend.iter_mut().zip(found)) {
                    if *blend == BlockedScores::NONE && self.is_admitted(slot, retrieved) {
                        *blend = bounds.without_vector + bounds.lexical * found;
                    }
                }
            }
            if pairs.has_any(first) {
                for (blend, found) in blend.iter_mut().zip(&pairs.values()[slots]) {
                    *blend += bounds.pairs * found;
                }
            }
        })
    }

    /// Whether there is a memory in a slot, and the filter matches it.
    fn is_admitted(&self, slot: usize, retrieved: &Retrieved) -> bool {
        let is_used = self.slots.get(slot).is_some_and(Option::is_some);
        let admitted = retrieved.admitted.as_ref();
        is_used && admitted.is_none_or(|admitted| admitted[slot])
    }
}
