//! Approximate scores of all memories of a snapshot.

use memory_text::dates::date_closeness;

use super::EntitySnapshot;
use super::blocked_scores::BlockedScores;
use super::retrieval::Retrieved;
use super::vectors::Similarities;
use crate::ranking::{RankingContext, ScoreBounds};
use crate::recall::Query;

/// Approximate values by slot.
pub(super) struct Approximation {
    /// The blend of the retrievers' values.
    pub(super) blend: BlockedScores,
    /// The blend with the lifts, without what neighbors lend.
    pub(super) totals: BlockedScores,
    /// The largest error of either.
    pub(super) error: f32,
    pub(super) bounds: ScoreBounds,
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
        let similarities = &retrieved.similarities;
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
            exclude_dissimilar(
                totals,
                &similarities.values[slots],
                context.min_similarity,
                similarities.max_error,
            );
        });
        Approximation {
            blend,
            totals,
            error: bounds.max_error(similarities.max_error, lexical.max(), pairs.max()),
            bounds,
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

/// Excludes memories that are surely less similar than `min`.
fn exclude_dissimilar(totals: &mut [f32], similarities: &[f32], min: Option<f32>, max_error: f32) {
    let Some(min) = min else { return };
    for (total, similarity) in totals.iter_mut().zip(similarities) {
        if *similarity < min - max_error {
            *total = BlockedScores::NONE;
        }
    }
}
