//! Similarities that are estimated by the levels of rows, and which of them are computed
//! in 8 bits.
//!
//! Some memories, evenly spread, are compared with their values in 8 bits, which says how
//! far estimates are off. Where that could decide whether a memory is among the best, by
//! itself or with what it receives, or what it lends to one of them, its value is computed
//! in 8 bits.

use memory_core::ScoreStats;

use super::EntitySnapshot;
use super::approximation::Approximation;
use super::blocked_scores::{BlockedScores, SlotScore};
use super::retrieval::Retrieved;
use super::vectors::Similarities;
use crate::ranking::RankingContext;

/// Memories whose values are compared with their estimates: the error's deviation is then
/// known to some percent.
const SAMPLE: usize = 1_024;

/// The largest error that is reckoned with, in standard deviations. One estimate in 700 is
/// too low by more; a memory is left out for that only if it is among the best by less
/// than the error.
const DEVIATIONS: f64 = 3.0;

/// How many of the highest estimates are computed first, as a multiple of the memories
/// that are considered.
const FIRST: usize = 2;

/// Which similarities are estimates, and how far those are off.
pub(super) struct Estimates {
    /// By slot, whether its similarity is in 8 bits.
    is_refined: Vec<bool>,
    /// What an estimate is off by at most.
    error: f32,
}

impl Estimates {
    /// Of so many slots, without a limit to the error yet.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            is_refined: vec![false; slots],
            error: f32::INFINITY,
        }
    }

    pub(super) fn error(&self) -> f32 {
        self.error
    }

    fn is_estimate(&self, slot: u32) -> bool {
        !self.is_refined[slot as usize]
    }

    pub(super) fn set_refined(&mut self, slot: u32) {
        self.is_refined[slot as usize] = true;
    }
}

/// By how much the values of a sample differ from their estimates.
#[derive(Default)]
struct Differences {
    count: usize,
    sum: f64,
    squares: f64,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "cosines; the size of a sample"
)]
impl Differences {
    fn add(&mut self, difference: f32) {
        let difference = f64::from(difference);
        self.count += 1;
        self.sum += difference;
        self.squares += difference * difference;
    }

    fn means(&self) -> (f64, f64) {
        let count = self.count.max(1) as f64;
        (self.sum / count, self.squares / count)
    }

    fn largest(&self) -> f32 {
        (DEVIATIONS * self.means().1.sqrt()) as f32
    }

    /// The statistics of all values, given those of all estimates. What estimates are off by
    /// does not depend on the value, so that the variances of both add up to that of the
    /// estimates.
    fn correct(&self, estimates: ScoreStats) -> ScoreStats {
        let (mean, square) = self.means();
        let variance = f64::from(estimates.deviation).powi(2) - (square - mean * mean);
        ScoreStats {
            mean: (f64::from(estimates.mean) + mean) as f32,
            deviation: variance.max(0.0).sqrt() as f32,
        }
    }
}

impl EntitySnapshot {
    /// Finds out how far estimates are off, and corrects the statistics. Computes the
    /// values in 8 bits of a sample, or of all memories that are admitted if they are few.
    pub(super) fn calibrate(&self, retrieved: &mut Retrieved) {
        let (values, admitted) = (&retrieved.similarities.values, &retrieved.admitted);
        let (sample, is_part) = sample(values, admitted.as_deref());
        let mut differences = Differences::default();
        self.compute(&sample, retrieved, |_, difference| {
            differences.add(difference);
        });
        retrieved.dense_stats = if is_part {
            differences.correct(retrieved.dense_stats)
        } else {
            retrieved.dense_stats().summary()
        };
        if let Some(estimates) = &mut retrieved.estimates {
            estimates.error = differences.largest();
        }
    }

    /// Computes the values in 8 bits of slots. Calls `each` with a slot and what its value
    /// differs from the estimate by.
    fn compute(&self, slots: &[u32], retrieved: &mut Retrieved, mut each: impl FnMut(u32, f32)) {
        let query = retrieved.similarities.query.clone();
        let rows = self.rows_of(slots);
        self.vectors
            .for_each_similarity(&query, rows, |slot, value| {
                each(slot, retrieved.set_similarity(slot, value));
            });
    }

    /// Computes the values in 8 bits of what can be among the best, or lend to those.
    pub(super) fn refine(
        &self,
        values: &mut Approximation,
        retrieved: &mut Retrieved,
        context: &RankingContext<'_>,
    ) {
        let can_decide = values.bounds.dense != 0.0 || context.min_similarity.is_some();
        if retrieved.estimates.is_none() || !can_decide {
            return;
        }
        let error = values.estimate_error;
        let considered = context.considered();
        let lends = context.ranking.neighbors > 0.0;
        let highest = |scores: &BlockedScores| {
            let nth = scores.nth_highest(FIRST * considered, |_| true);
            // All if they are fewer.
            scores.slots_of_at_least(nth.unwrap_or(BlockedScores::NONE))
        };
        let mut first = highest(&values.totals);
        if lends {
            first.extend(highest(&values.blend));
        }
        self.refine_all(first, values, retrieved, context);
        let last = |values: &Approximation, retrieved: &Retrieved| {
            let is_certain = |(slot, _): &SlotScore| {
                !retrieved.is_estimate(*slot) && retrieved.is_certain(*slot, context.min_similarity)
            };
            values.totals.nth_highest(considered, is_certain)
        };
        let mut found = last(values, retrieved);
        if found.is_none() {
            // Few are similar enough.
            let all = values.totals.slots_of_at_least(BlockedScores::NONE);
            self.refine_all(all, values, retrieved, context);
            found = last(values, retrieved);
        }
        let Some(found) = found else { return };
        let lowest = values.limits.lowest_total(found);
        let lender = values.limits.lender(lowest);
        let receiver = lowest - values.limits.received_below(lender);
        let mut slots = values.totals.slots_of_at_least(receiver - error);
        if lends {
            slots.extend(values.blend.slots_of_at_least(lender - error));
        }
        self.refine_all(slots, values, retrieved, context);
        if lends {
            let receivers = self.receivers(lowest, lender, values, retrieved, context);
            self.refine_all(receivers, values, retrieved, context);
        }
    }

    /// What may reach the total `lowest` with a neighbor of at least the blend `lender`, or
    /// with a related memory.
    fn receivers(
        &self,
        lowest: f32,
        lender: f32,
        values: &Approximation,
        retrieved: &Retrieved,
        context: &RankingContext<'_>,
    ) -> Vec<u32> {
        let ranking = context.ranking;
        let mut receivers = Vec::new();
        for (lender, blend) in values.blend.at_least(lender) {
            let most = ranking.neighbors * (blend + values.error).max(0.0);
            let missing = lowest - most - values.estimate_error;
            let mut add = |receiver: u32| {
                if values.totals.of(receiver) >= missing {
                    receivers.push(receiver);
                }
            };
            let reach = ranking.neighbor_reach;
            self.for_each_neighbor(lender, retrieved, reach, |(_, receiver), _| add(receiver));
            let related = self.related_to(lender, retrieved);
            related.into_iter().for_each(&mut add);
        }
        receivers
    }

    /// Computes the values in 8 bits of slots that are estimated, and what follows from them.
    fn refine_all(
        &self,
        mut slots: Vec<u32>,
        values: &mut Approximation,
        retrieved: &mut Retrieved,
        context: &RankingContext<'_>,
    ) {
        slots.retain(|slot| retrieved.is_estimate(*slot));
        slots.sort_unstable();
        slots.dedup();
        let mut changes: Vec<SlotScore> = Vec::with_capacity(slots.len());
        let dense = values.bounds.dense;
        self.compute(&slots, retrieved, |slot, difference| {
            changes.push((slot, dense * difference));
        });
        values.blend.add_all(&changes);
        for (slot, change) in &mut changes {
            if retrieved.is_dissimilar(*slot, context.min_similarity) {
                *change = BlockedScores::NONE;
            }
        }
        values.totals.add_all(&changes);
    }
}

impl Retrieved {
    /// Whether the similarity of a slot is estimated: not that of one without a vector.
    pub(super) fn is_estimate(&self, slot: u32) -> bool {
        let estimates = self.estimates.as_ref();
        estimates.is_some_and(|estimates| estimates.is_estimate(slot))
            && self.similarities.values[slot as usize] > Similarities::NONE
    }

    /// The largest error of the similarity of a slot.
    fn similarity_error(&self, slot: u32) -> f32 {
        let estimates = self.estimates.as_ref();
        let estimates = estimates.filter(|_| self.is_estimate(slot));
        estimates.map_or(self.similarities.max_error, Estimates::error)
    }

    /// Whether a memory is surely similar enough, so that it is a result.
    pub(super) fn is_certain(&self, slot: u32, min: Option<f32>) -> bool {
        let similarity = self.similarities.values[slot as usize];
        min.is_none_or(|min| similarity >= min + self.similarity_error(slot))
    }

    /// Whether a memory is surely not similar enough.
    pub(super) fn is_dissimilar(&self, slot: u32, min: Option<f32>) -> bool {
        let similarity = self.similarities.values[slot as usize];
        min.is_some_and(|min| similarity < min - self.similarity_error(slot))
    }
}

/// Slots with a vector that are admitted, evenly spread, and whether these are a part; all
/// if few are.
fn sample(values: &[f32], admitted: Option<&[bool]>) -> (Vec<u32>, bool) {
    /// As many as four samples are computed in some tenths of a millisecond.
    const FEW: usize = 4 * SAMPLE;
    let has_vector = |slot: &u32| values[*slot as usize] > Similarities::NONE;
    let of = |count: usize, n: usize| n * count / SAMPLE;
    let Some(admitted) = admitted else {
        // The first of each part, so that no list of all is made.
        let part = |n: usize| of(values.len(), n)..of(values.len(), n + 1);
        let slots = |n: usize| (0u32..).take(part(n).end).skip(part(n).start);
        let sample = (0..SAMPLE).filter_map(|n| slots(n).find(has_vector));
        return (sample.collect(), true);
    };
    let slots = (0u32..).zip(admitted);
    let slots = slots.filter(|(_, is_admitted)| **is_admitted);
    let slots: Vec<u32> = slots.map(|(slot, _)| slot).filter(has_vector).collect();
    if slots.len() <= FEW {
        return (slots, false);
    }
    let sample = (0..SAMPLE).map(|n| slots[of(slots.len(), n)]);
    (sample.collect(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_estimates_are_off_by_is_taken_from_their_statistics() {
        let mut differences = Differences::default();
        for difference in [0.1, -0.1, 0.3, 0.1] {
            differences.add(difference);
        }
        // A mean of 0.1, and a variance of 0.02 around it.
        let estimates = ScoreStats {
            mean: 0.2,
            deviation: 0.3,
        };
        let corrected = differences.correct(estimates);
        assert!((corrected.mean - 0.3).abs() < 1e-6);
        assert!((corrected.deviation - 0.07f32.sqrt()).abs() < 1e-6);
        assert!((differences.largest() - 3.0 * 0.03f32.sqrt()).abs() < 1e-6);
        let all_by_chance = ScoreStats {
            deviation: 0.1,
            ..estimates
        };
        assert_eq!(differences.correct(all_by_chance).deviation, 0.0);
    }

    #[test]
    fn samples_are_spread_over_what_has_a_vector_and_is_admitted() {
        let values = |count: usize| vec![0.5f32; count];
        let (slots, is_part) = sample(&values(10_240), None);
        assert!(is_part && slots.iter().copied().eq((0..1_024).map(|n| n * 10)));
        let mut some = values(10_240);
        some[..10].fill(Similarities::NONE);
        assert_eq!(sample(&some, None).0[..2], [10, 20]);
        assert_eq!(sample(&values(3), None).0, [0, 1, 2]);
        let mut admitted = vec![false; 10_240];
        admitted[5..10].fill(true);
        assert_eq!(sample(&some, Some(&admitted)), (vec![], false));
        admitted[9..4_105].fill(true);
        let (slots, is_part) = sample(&some, Some(&admitted));
        assert!(!is_part && slots.into_iter().eq(10..4_105));
        admitted.fill(true);
        let (slots, is_part) = sample(&some, Some(&admitted));
        assert_eq!((slots.len(), is_part), (1_024, true));
    }
}
