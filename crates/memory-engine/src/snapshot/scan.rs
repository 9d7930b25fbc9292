//! Exact search over every memory of a snapshot.

use std::collections::BTreeSet;

use memory_core::{MemoryFilter, ScoreStats};

use super::EntitySnapshot;
use crate::ranking::{CandidateSet, Episode, Ranking, RecallPath};
use crate::recall::Query;

impl EntitySnapshot {
    /// All memories that the filter matches, with every retriever's value.
    /// `ranking` tells how much cosines are discounted. O(rows · dimensions).
    pub(crate) fn candidates(
        &self,
        query: &Query,
        filter: &MemoryFilter,
        ranking: &Ranking,
    ) -> CandidateSet<'_> {
        // Hoisted out of the loop, where a profile showed a twelfth of a recall
        // of 10,000 memories.
        let is_unfiltered = filter.is_empty();
        let memories: Vec<_> = self
            .memories
            .iter()
            .map(|memory| {
                memory
                    .as_ref()
                    .filter(|memory| is_unfiltered || filter.matches(memory))
            })
            .collect();
        let admitted: Vec<bool> = memories.iter().map(Option::is_some).collect();
        let mut similarities = vec![CandidateSet::NO_SIMILARITY; memories.len()];
        self.vectors
            .scan(&query.vector, &admitted, &mut similarities);
        let mut lexical = vec![0.0; memories.len()];
        self.inverted_index
            .score(&query.stems, &admitted, &mut lexical);
        let mut mentioned = vec![false; memories.len()];
        self.mentions.mark(&query.tokens, &mut mentioned);
        let mut pairs = vec![0.0; memories.len()];
        self.pairs.score(&query.pairs, &admitted, &mut pairs);
        let chunks = self.vectors.chunk_counts(memories.len());
        let dense = similarities.iter().zip(&chunks);
        let dense = dense
            .filter(|(value, _)| **value > CandidateSet::NO_SIMILARITY)
            .map(|(value, chunks)| ranking.dense_value(*value, *chunks));
        let has_time = self.features.has_time();
        let indices = || (0..memories.len()).filter(|&index| admitted[index]);
        CandidateSet {
            dense_stats: ScoreStats::of(dense),
            lexical_stats: ScoreStats::of(indices().map(|index| lexical[index])),
            pair_stats: ScoreStats::of(indices().map(|index| pairs[index])),
            time_share: ScoreStats::of(indices().map(|index| f32::from(u8::from(has_time[index]))))
                .mean,
            unknown: query.unknown_share,
            asks_when: query.asks_when,
            words: self.features.words().to_vec(),
            has_time: has_time.to_vec(),
            mention_stats: ScoreStats::of(
                indices().map(|index| f32::from(u8::from(mentioned[index]))),
            ),
            episodes: self.admitted_episodes(&admitted),
            links: self.links(&admitted),
            path: RecallPath::Snapshot,
            generation: self.generation,
            memories,
            similarities,
            chunks,
            lexical,
            pairs,
            mentioned,
        }
    }

    fn admitted_episodes(&self, admitted: &[bool]) -> Vec<Episode> {
        self.episodes
            .each()
            .map(|slots| {
                slots
                    .filter(|&slot| admitted[slot])
                    .collect::<Vec<_>>()
                    .into()
            })
            .collect()
    }

    /// Each pair of related memories once.
    fn links(&self, admitted: &[bool]) -> Vec<(usize, usize)> {
        let mut links = BTreeSet::new();
        for &slot in self.related.keys() {
            let Some(memory) = &self.memories[slot as usize] else {
                continue;
            };
            for other in memory.related.keys().filter_map(|id| self.slots.get(id)) {
                let pair = (slot.min(*other) as usize, slot.max(*other) as usize);
                if pair.0 != pair.1 && admitted[pair.0] && admitted[pair.1] {
                    links.insert(pair);
                }
            }
        }
        links.into_iter().collect()
    }
}
