//! Statistics of all memories that match, from those that a store's search found.
//!
//! A z-score needs the mean and the deviation over all memories that match, and
//! BM25 needs how common a term is. The store says so of its retrievers. For the
//! rest the candidates are counted one by one, and those of its sample that are no
//! candidates stand for all other memories: each counts as many times as there
//! are others for it.

use memory_core::{ScoreStats, SearchOutcome};
use memory_text::{PassageCounts, QueryTerms, TermCount, TermCounts, bm25};

use super::Ranking;
use super::store_candidates::FoundMemory;

/// Memories, each with the number that it stands for.
pub(super) struct WeightedMemories<'a> {
    weighted: Vec<(f64, &'a FoundMemory)>,
    /// How many of the first are candidates, which stand for themselves.
    candidates: usize,
}

/// What the values of a memory are computed with and compared to.
pub(super) struct Statistics {
    pub(super) dense: ScoreStats,
    pub(super) lexical: ScoreStats,
    pub(super) pairs: ScoreStats,
    pub(super) mentions: ScoreStats,
    /// The share of memories that name a time.
    pub(super) time_share: f32,
    stems: TermWeights,
    word_pairs: TermWeights,
}

/// The inverse document frequency of each term of a query, and the mean length
/// of a document.
struct TermWeights {
    idf: Vec<f64>,
    mean_length: f64,
}

impl<'a> WeightedMemories<'a> {
    /// The first `candidates` of what was found stand for themselves, the others
    /// for the rest of `matching` memories.
    pub(super) fn new(found: &'a [FoundMemory], candidates: usize, matching: Option<u64>) -> Self {
        let others = found.len() - candidates;
        let rest = matching.map_or(others, |matching| {
            usize::try_from(matching)
                .unwrap_or(usize::MAX)
                .saturating_sub(candidates)
        });
        let weight = (to_f64(rest) / to_f64(others.max(1))).max(1.0);
        let weights = (0..).map(|index| if index < candidates { 1.0 } else { weight });
        Self {
            weighted: weights.zip(found).collect(),
            candidates,
        }
    }

    pub(super) fn statistics(
        &self,
        outcome: &SearchOutcome,
        query: &QueryTerms,
        ranking: &Ranking,
    ) -> Statistics {
        let stems = self.stem_weights(outcome, query);
        let word_pairs = self.pair_weights(query);
        let dense = |found: &FoundMemory| {
            let similarity = found.similarity?;
            Some(ranking.dense_value(similarity, found.chunks))
        };
        let flag = |is_set: bool| f32::from(u8::from(is_set));
        let lexical = |counts: &TermCounts| lexical_score(&stems, counts);
        Statistics {
            dense: outcome.dense.unwrap_or_else(|| self.stats(dense)),
            lexical: self.lexical_stats(outcome, lexical),
            pairs: self.stats(|found| Some(pair_score(&word_pairs, &found.terms))),
            mentions: self.stats(|found| Some(flag(found.is_mentioned))),
            time_share: self.stats(|found| Some(flag(found.terms.has_time))).mean,
            stems,
            word_pairs,
        }
    }

    /// Mean and deviation of a value over all that it is known of.
    fn stats(&self, value: impl Fn(&FoundMemory) -> Option<f32>) -> ScoreStats {
        let mut moments = Moments::default();
        for (weight, found) in &self.weighted {
            if let Some(value) = value(found) {
                moments.add(*weight, value);
            }
        }
        moments.stats()
    }

    /// The store's statistics with the candidates' own values in place of its
    /// own: it may cut words differently, and knows no passages.
    fn lexical_stats(
        &self,
        outcome: &SearchOutcome,
        score: impl Fn(&TermCounts) -> f32,
    ) -> ScoreStats {
        let (Some(stats), Some(matching)) = (outcome.lexical, outcome.matching) else {
            return self.stats(|found| Some(score(&found.terms)));
        };
        let (mean, deviation) = (f64::from(stats.mean), f64::from(stats.deviation));
        #[expect(clippy::cast_precision_loss, reason = "a count of memories")]
        let count = matching as f64;
        let mut moments = Moments {
            count,
            sum: count * mean,
            squares: count * (deviation * deviation + mean * mean),
        };
        for (_, found) in &self.weighted[..self.candidates] {
            moments.replace(found.store_lexical, score(&found.terms));
        }
        moments.stats()
    }

    /// How common the stems of the query are among passages. The store counts
    /// memories; what was found tells how many passages a memory has.
    fn stem_weights(&self, outcome: &SearchOutcome, query: &QueryTerms) -> TermWeights {
        let count = |passages: &[PassageCounts]| to_f64(passages.len());
        let length = |passages: &[PassageCounts]| {
            let lengths = passages.iter().map(|passage| f64::from(passage.length));
            lengths.sum::<f64>()
        };
        let memories = self.total(|_| 1.0);
        let passages = self.total(|it| count(&it.passages));
        let per_memory = passages / memories.max(1.0);
        let terms = outcome.terms.as_ref();
        #[expect(clippy::cast_precision_loss, reason = "a count of memories")]
        let all_memories = terms.map_or(memories, |terms| terms.memories as f64);
        let documents = all_memories * per_memory;
        let found_length = self.total(|it| length(&it.passages)) / passages.max(1.0);
        let stored_length = terms.and_then(|terms| terms.mean_length);
        let mean_length = stored_length.map_or(found_length, |mean| mean / per_memory.max(1.0));
        // Of each stem, how many passages and memories have it.
        let mut found = vec![(0.0, 0.0); query.stems().len()];
        for (weight, memory) in &self.weighted {
            let mut own: Vec<usize> = memory
                .terms
                .passages
                .iter()
                .flat_map(|passage| passage.counts.iter().map(|(index, _)| *index))
                .collect();
            own.sort_unstable();
            for equal in own.chunk_by(|a, b| a == b) {
                let (passages, memories) = &mut found[equal[0]];
                *passages += weight * to_f64(equal.len());
                *memories += weight;
            }
        }
        let mut idf = Vec::new();
        for (stem, (found_passages, found_memories)) in query.stems().iter().zip(found) {
            let stored = terms.and_then(|terms| terms.counts.get(stem));
            let containing = match stored {
                Some(&stored) if found_memories > 0.0 => {
                    #[expect(clippy::cast_precision_loss, reason = "a count of memories")]
                    let stored = stored as f64;
                    stored * found_passages / found_memories
                }
                _ => found_passages,
            };
            idf.push(idf_of(documents, containing));
        }
        TermWeights { idf, mean_length }
    }

    fn pair_weights(&self, query: &QueryTerms) -> TermWeights {
        let documents = self.total(|_| 1.0);
        let length = self.total(|it| f64::from(it.pair_count));
        let mut containing = vec![0.0; query.pairs().len()];
        for (weight, memory) in &self.weighted {
            for (index, _) in &memory.terms.pairs {
                containing[*index] += weight;
            }
        }
        let idf = containing.into_iter();
        TermWeights {
            idf: idf
                .map(|containing| idf_of(documents, containing))
                .collect(),
            mean_length: length / documents.max(1.0),
        }
    }

    fn total(&self, value: impl Fn(&TermCounts) -> f64) -> f64 {
        let weighted = self.weighted.iter();
        weighted
            .map(|(weight, found)| weight * value(&found.terms))
            .sum()
    }
}

impl Statistics {
    /// BM25 of the best passage.
    pub(super) fn lexical_score(&self, counts: &TermCounts) -> f32 {
        lexical_score(&self.stems, counts)
    }

    /// BM25 over pairs of words.
    pub(super) fn pair_score(&self, counts: &TermCounts) -> f32 {
        pair_score(&self.word_pairs, counts)
    }
}

fn lexical_score(stems: &TermWeights, counts: &TermCounts) -> f32 {
    let score = |passage: &PassageCounts| stems.score(&passage.counts, passage.length);
    counts.passages.iter().map(score).fold(0.0, f32::max)
}

fn pair_score(pairs: &TermWeights, counts: &TermCounts) -> f32 {
    pairs.score(&counts.pairs, counts.pair_count)
}

impl TermWeights {
    /// BM25 of a document with this many of each term.
    fn score(&self, counts: &[TermCount], length: u32) -> f32 {
        let weights = counts.iter().map(|(index, count)| {
            self.idf[*index] * bm25::term_weight(*count, length, self.mean_length)
        });
        to_f32(weights.sum())
    }
}

fn idf_of(documents: f64, containing: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "numbers of documents, rounded"
    )]
    let whole = |count: f64| count.round() as u64;
    bm25::idf(whole(documents), whole(containing.min(documents)))
}

/// Weighted sums of values and of their squares.
#[derive(Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, weight: f64, value: f32) {
        let value = f64::from(value);
        self.count += weight;
        self.sum += weight * value;
        self.squares += weight * value * value;
    }

    fn replace(&mut self, old: f32, new: f32) {
        self.add(-1.0, old);
        self.add(1.0, new);
    }

    fn stats(&self) -> ScoreStats {
        if self.count <= 0.0 {
            return ScoreStats::default();
        }
        let mean = self.sum / self.count;
        let variance = (self.squares / self.count - mean * mean).max(0.0);
        ScoreStats {
            mean: to_f32(mean),
            deviation: to_f32(variance.sqrt()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, reason = "a score needs 24 bits")]
fn to_f32(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use memory_core::{Generation, MemoryBatchItem, MemoryKind};

    use super::*;

    fn found(text: &str, query: &QueryTerms) -> FoundMemory {
        let item = MemoryBatchItem::new("mira", MemoryKind::World, text);
        FoundMemory {
            memory: Arc::new(item.into_memory(DateTime::UNIX_EPOCH).unwrap()),
            similarity: None,
            chunks: 0,
            store_lexical: 0.0,
            is_mentioned: false,
            terms: query.count(text),
        }
    }

    #[test]
    fn a_sample_stands_for_the_rest() {
        // 2 candidates have the pair, as does one in four of the other 400.
        let query = QueryTerms::new("old mill", None, false);
        let found = |text: &str| found(text, &query);
        let mut memories = vec![found("the old mill burns"), found("an old mill")];
        memories.extend((0..3).map(|n| found(&format!("stone {n}"))));
        memories.push(found("my old mill"));
        let weighted = WeightedMemories::new(&memories, 2, Some(402));
        let outcome = SearchOutcome::new(Generation(1), Vec::new());
        let statistics = weighted.statistics(&outcome, &query, &Ranking::default());
        let idf = bm25::idf(402, 102);
        assert_eq!(statistics.word_pairs.idf, [idf]);
        let share =
            f64::from(statistics.pairs.mean) / f64::from(statistics.pair_score(&memories[1].terms));
        assert!((share - 102.0 / 402.0).abs() < 0.02, "{share}");
    }

    #[test]
    fn candidates_replace_their_part_of_the_stores_statistics() {
        let query = QueryTerms::new("mill", None, false);
        let mut memories = vec![found("the mill", &query), found("a river", &query)];
        memories[0].store_lexical = 3.0;
        let stored = ScoreStats::of([3.0, 1.0, 0.0, 0.0].into_iter());
        let outcome = SearchOutcome::new(Generation(1), Vec::new())
            .lexical(stored)
            .matching(4);
        let weighted = WeightedMemories::new(&memories, 2, Some(4));
        let statistics = weighted.statistics(&outcome, &query, &Ranking::default());
        let own = statistics.lexical_score(&memories[0].terms);
        let expected = ScoreStats::of([own, 1.0, 0.0, 0.0].into_iter());
        assert!(own > 0.0);
        assert!((statistics.lexical.mean - expected.mean).abs() < 1e-6);
        assert!((statistics.lexical.deviation - expected.deviation).abs() < 1e-5);
    }
}
