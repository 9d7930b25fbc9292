//! What the retrievers find for a question in a snapshot.

use std::ops::Range;

use memory_core::{MemoryFilter, ScoreStats, ScoreStatsBuilder};

use super::EntitySnapshot;
use super::blocked_scores::BlockedScores;
use super::buffer::Buffer;
use super::estimates::Estimates;
use super::neighbors::AdmittedEpisodes;
use super::slot::Slot;
use super::vectors::Similarities;
use crate::query::Query;
use crate::ranking::{Ranking, RetrieverStats, ScoreBounds};

/// Every retriever's values, and their statistics over all memories that the
/// filter matches.
pub(super) struct Retrieved {
    /// By slot; `None` if every memory is admitted.
    pub(super) admitted: Option<Vec<bool>>,
    /// The slots of admitted memories, in order, if they are few, so that they are compared
    /// one by one.
    pub(super) few: Option<Vec<u32>>,
    /// Empty in the beginning.
    pub(super) admitted_episodes: AdmittedEpisodes,
    /// In 8 bits, or estimated.
    pub(super) similarities: Similarities,
    /// `None` where no similarity is estimated.
    pub(super) estimates: Option<Estimates>,
    /// The same with the discount for chunks, `Ranking::dense_value`, of what is
    /// admitted; `None` where that is the same, as only admitted memories are compared and
    /// none has several chunks.
    discounted: Option<Buffer>,
    /// 0 where no word or pair was found, and for what is not admitted.
    pub(super) lexical: BlockedScores,
    pub(super) pairs: BlockedScores,
    /// The slots of admitted memories that are mentioned, in order.
    pub(super) mentioned: Vec<u32>,
    pub(super) dense_stats: ScoreStats,
    pub(super) lexical_stats: ScoreStats,
    pub(super) pair_stats: ScoreStats,
    pub(super) mention_stats: ScoreStats,
    /// The share of memories that name a time.
    pub(super) time_share: f32,
    /// How many memories the filter matches, and how many of them have a vector.
    pub(super) matching: usize,
    pub(super) compared: usize,
}

/// Values that deviate by less than this, as a multiple of the scan's largest error,
/// differ by what 8 bits do not tell. A z-score of an exact value by such a deviation
/// would be many times what it is. (With nearly equal texts, such as two of which none
/// has a word that the model knows, the largest error is some .01.)
const MIN_DEVIATION: f32 = 2.0;

impl EntitySnapshot {
    /// Asks every retriever. O(slots + postings of the question's words + rows · dimensions),
    /// and what [`admitted`](Self::admitted) takes. Where few are admitted, only their rows,
    /// and the postings of words in the range of their passages.
    pub(super) fn retrieve(
        &self,
        query: &Query,
        filter: &MemoryFilter,
        ranking: &Ranking,
    ) -> Retrieved {
        let slots = self.slots.len();
        let admitted = (!filter.is_empty()).then(|| self.admitted(filter));
        let matching = match &admitted {
            None => self.len(),
            Some(admitted) => admitted.iter().filter(|is_admitted| **is_admitted).count(),
        };
        let admitted_slots = admitted.as_deref();
        let few = admitted_slots.and_then(|admitted| self.few_of(admitted, matching));
        // The second thread scans while this one does what is below.
        let scan = || self.vectors.start_scan(&query.vector, ranking.is_narrow());
        let scan = few.is_none().then(scan);
        let found = |mut scores: Buffer| {
            scores.exclude(admitted_slots, 0.0);
            BlockedScores::new(scores)
        };
        let stems = query.terms.stems();
        let passages = few.as_deref().map(|few| self.passages_of(few));
        let lexical = found(self.inverted_index.score(stems, slots, passages));
        let pairs = found(self.pairs.score(query.terms.pairs(), slots));
        let is_admitted = |slot| admitted_slots.is_none_or(|admitted| admitted[slot as usize]);
        let mentioned = self.mentions.find(&query.tokens, is_admitted);
        let similarities = match scan {
            Some(scan) => scan.finish(slots),
            None => {
                let rows = self.rows_of(few.as_deref().unwrap_or_default());
                self.vectors.similarities_of(&query.vector, rows, slots)
            }
        };
        // Those of few are of admitted memories only.
        let excluded = admitted_slots.filter(|_| few.is_none());
        let discounted = self.discounted(&similarities, excluded, ranking);
        let mut retrieved = Retrieved {
            dense_stats: ScoreStats::default(),
            lexical_stats: lexical.stats_above_zero(matching),
            pair_stats: pairs.stats_above_zero(matching),
            mention_stats: mention_stats(mentioned.len(), matching),
            time_share: self.time_share(query, admitted_slots, matching),
            matching,
            compared: 0,
            estimates: similarities.are_estimated.then(|| Estimates::new(slots)),
            similarities,
            discounted,
            lexical,
            pairs,
            mentioned,
            admitted,
            few,
            admitted_episodes: AdmittedEpisodes::default(),
        };
        let dense_stats = retrieved.dense_stats();
        retrieved.dense_stats = dense_stats.summary();
        retrieved.compared = usize::try_from(dense_stats.count()).unwrap_or(usize::MAX);
        if retrieved.estimates.is_some() {
            self.calibrate(&mut retrieved);
        }
        if retrieved.dense_stats.deviation < MIN_DEVIATION * retrieved.similarities.max_error {
            retrieved.dense_stats = self.exact_dense_stats(&retrieved, query, ranking);
        }
        retrieved
    }

    /// The slots of admitted memories, in order, if they are few enough to be compared one by
    /// one.
    fn few_of(&self, admitted: &[bool], matching: usize) -> Option<Vec<u32>> {
        let most = self.vectors.most_one_by_one();
        if matching > most {
            return None;
        }
        let slots = (0u32..).zip(admitted);
        let few = slots.filter(|(_, is_admitted)| **is_admitted);
        let few: Vec<u32> = few.map(|(slot, _)| slot).collect();
        let rows: usize = self.rows_of(&few).map(|(_, rows)| rows.len()).sum();
        (rows <= most).then_some(few)
    }

    /// The rows of slots that have a memory.
    pub(super) fn rows_of(&self, slots: &[u32]) -> impl Iterator<Item = (u32, Range<u32>)> {
        let slots = slots.iter();
        slots.filter_map(|&slot| Some((slot, self.slot(slot)?.rows())))
    }

    /// The range of all passages of memories.
    fn passages_of(&self, slots: &[u32]) -> Range<u32> {
        let slots = slots.iter().filter_map(|slot| self.slot(*slot));
        let both = |a: Range<u32>, b: Range<u32>| a.start.min(b.start)..a.end.max(b.end);
        slots.map(Slot::passages).reduce(both).unwrap_or_default()
    }

    /// The statistics of the exact values of what is admitted. O(rows · dimensions).
    fn exact_dense_stats(
        &self,
        retrieved: &Retrieved,
        query: &Query,
        ranking: &Ranking,
    ) -> ScoreStats {
        let slots = (0u32..).zip(self.slots.iter());
        let admitted = slots.filter(|(slot, _)| retrieved.is_admitted(*slot));
        ScoreStats::of(admitted.filter_map(|(_, slot)| {
            let slot = slot.as_ref()?;
            let similarity = self.vectors.similarity(&query.vector, slot.rows())?;
            Some(ranking.dense_value(similarity, slot.chunks()))
        }))
    }

    fn discounted(
        &self,
        similarities: &Similarities,
        admitted: Option<&[bool]>,
        ranking: &Ranking,
    ) -> Option<Buffer> {
        if similarities.with_chunks.is_empty() && admitted.is_none() {
            return None;
        }
        let mut values = similarities.values.clone();
        for &slot in &similarities.with_chunks {
            let chunks = self.slot(slot).map_or(1, Slot::chunks);
            // The same value each time that the slot is listed.
            let index = slot as usize;
            values[index] = ranking.dense_value(similarities.values[index], chunks);
        }
        values.exclude(admitted, Similarities::NONE);
        Some(values)
    }

    /// The share of admitted memories that name a time; only for a query that
    /// asks for one.
    #[expect(clippy::cast_precision_loss, reason = "counts of memories")]
    fn time_share(&self, query: &Query, admitted: Option<&[bool]>, matching: usize) -> f32 {
        let timed = match admitted {
            _ if !query.asks_when => 0,
            None => self.timed,
            Some(admitted) => {
                let slots = self.slots.iter().zip(admitted);
                let timed = slots.filter(|(slot, is_admitted)| {
                    **is_admitted && slot.as_ref().is_some_and(|slot| slot.has_time)
                });
                timed.count()
            }
        };
        timed as f32 / matching.max(1) as f32
    }
}

impl Retrieved {
    /// The score that `ranking` gives to these values.
    pub(super) fn bounds(&self, ranking: &Ranking, query: &Query) -> ScoreBounds {
        let stats = RetrieverStats {
            dense: self.dense_stats,
            lexical: self.lexical_stats,
            pairs: self.pair_stats,
            unknown: query.unknown_share,
        };
        ScoreBounds::new(ranking, &stats, self.mention_stats)
    }

    pub(super) fn is_admitted(&self, slot: u32) -> bool {
        let admitted = self.admitted.as_ref();
        admitted.is_none_or(|admitted| admitted[slot as usize])
    }

    /// By slot, the similarity with the discount for chunks; [`Similarities::NONE`] of
    /// what is not admitted.
    pub(super) fn dense(&self) -> &[f32] {
        self.discounted
            .as_ref()
            .unwrap_or(&self.similarities.values)
    }

    /// The statistics of the similarities, with the discount for chunks, of what is
    /// admitted.
    pub(super) fn dense_stats(&self) -> ScoreStatsBuilder {
        let mut stats = ScoreStatsBuilder::default();
        stats.add_above(Similarities::NONE, self.dense());
        stats
    }

    /// Sets a similarity, and returns by how much it changes.
    pub(super) fn set_similarity(&mut self, slot: u32, value: f32) -> f32 {
        let change = value - self.similarities.values[slot as usize];
        self.similarities.values[slot as usize] = value;
        if let Some(discounted) = &mut self.discounted {
            // The discount for chunks is the same.
            discounted[slot as usize] += change;
        }
        if let Some(estimates) = &mut self.estimates {
            estimates.set_refined(slot);
        }
        change
    }

    pub(super) fn is_mentioned(&self, slot: u32) -> bool {
        self.mentioned.binary_search(&slot).is_ok()
    }
}

/// The statistics of `matching` values, of which so many are 1 and the others 0.
fn mention_stats(mentioned: usize, matching: usize) -> ScoreStats {
    let mut stats = ScoreStatsBuilder::default();
    (0..mentioned).for_each(|_| stats.add(1.0));
    stats.add_zeros(matching.saturating_sub(mentioned) as u64);
    stats.summary()
}
