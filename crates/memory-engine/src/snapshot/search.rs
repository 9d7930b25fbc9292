//! Search in a snapshot: its result is that of an exact scan of all memories, or nearly so
//! where there are very many ([`estimates`](super::estimates)).

use std::ops::Range;
use std::sync::Arc;

use memory_core::{Memory, MemoryFilter};
use memory_text::WordPair;

use super::EntitySnapshot;
use super::blocked_scores::BlockedScores;
use super::inverted_index::StemLookup;
use super::packed_memory::PackedMemory;
use super::retrieval::Retrieved;
use super::selection::Selection;
use super::slot::Slot;
use crate::query::Query;
use crate::ranking::{
    Attributes, CandidateMemories, CandidateSet, Episode, Ranking, RankingContext, RecallPath,
    TermShares,
};

impl EntitySnapshot {
    /// The memories that can be among the best, with their neighbors, and with
    /// every retriever's exact values. Others that the filter matches count in
    /// the statistics.
    pub(crate) fn candidates(
        &self,
        query: &Query,
        filter: &MemoryFilter,
        context: &RankingContext<'_>,
    ) -> CandidateSet<'_> {
        let mut retrieved = self.retrieve(query, filter, context.ranking);
        let selection = self.select(&mut retrieved, query, context);
        self.candidates_of(&selection, &retrieved, query, context.ranking)
    }

    /// Exact values of the best and of what lends to them. A neighbor that lends to
    /// none of them keeps its approximate similarity.
    pub(super) fn candidates_of(
        &self,
        selection: &Selection,
        retrieved: &Retrieved,
        query: &Query,
        ranking: &Ranking,
    ) -> CandidateSet<'_> {
        let best = &selection.best;
        // Without lending, no result depends on neighbors.
        let receivers = if ranking.neighbors > 0.0 {
            &best[..]
        } else {
            &[]
        };
        let parts: Vec<Vec<u32>> = receivers
            .iter()
            .map(|&slot| self.episode_part(slot, retrieved, ranking))
            .collect();
        let related: Vec<Vec<u32>> = receivers
            .iter()
            .map(|&slot| self.related_to(slot, retrieved))
            .collect();
        let lenders = parts.iter().chain(&related).flatten();
        let numbers = best.iter().chain(lenders);
        let mut numbers: Vec<u32> = numbers.copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let slots: Vec<&Slot> = numbers.iter().filter_map(|&slot| self.slot(slot)).collect();
        // Each number is that of a memory, so that both lists are parallel.
        let index = |slot: &u32| numbers.binary_search(slot).ok();
        let similarity = |(number, slot): (&u32, &&Slot)| {
            if selection.exact.binary_search(number).is_err() {
                return retrieved.similarities.values[*number as usize];
            }
            let similarity = self.vectors.similarity(&query.vector, slot.rows());
            similarity.unwrap_or(CandidateSet::NO_SIMILARITY)
        };
        let found = |scores: &BlockedScores| numbers.iter().map(|&slot| scores.of(slot)).collect();
        CandidateSet {
            times: slots.iter().map(|slot| slot.time).collect(),
            similarities: numbers.iter().zip(&slots).map(similarity).collect(),
            chunks: slots.iter().map(|slot| slot.chunks()).collect(),
            lexical: found(&retrieved.lexical),
            pairs: found(&retrieved.pairs),
            mentioned: numbers
                .iter()
                .map(|&slot| retrieved.is_mentioned(slot))
                .collect(),
            words: slots.iter().map(|slot| slot.words).collect(),
            has_time: slots.iter().map(|slot| slot.has_time).collect(),
            episodes: receivers
                .iter()
                .zip(&parts)
                .map(|(&slot, part)| Episode {
                    members: part.iter().filter_map(index).collect(),
                    length: self.episode_length(slot, retrieved, ranking),
                })
                .collect(),
            links: receivers
                .iter()
                .zip(&related)
                .flat_map(|(slot, others)| {
                    let others = others.iter();
                    others.filter_map(move |other| Some((index(slot)?, index(other)?)))
                })
                .collect(),
            dense_stats: retrieved.dense_stats,
            lexical_stats: retrieved.lexical_stats,
            pair_stats: retrieved.pair_stats,
            mention_stats: retrieved.mention_stats,
            time_share: retrieved.time_share,
            unknown: query.unknown_share,
            asks_when: query.asks_when,
            matching: retrieved.matching as u64,
            compared: retrieved.compared as u64,
            path: RecallPath::Snapshot,
            generation: self.generation,
            memories: Box::new(self.memories(query, slots, numbers)),
        }
    }

    fn memories<'a>(
        &'a self,
        query: &Query,
        slots: Vec<&'a Slot>,
        numbers: Vec<u32>,
    ) -> SnapshotMemories<'a> {
        let mut pairs = query.terms.pairs().to_vec();
        pairs.sort_unstable();
        SnapshotMemories {
            snapshot: self,
            stems: self.inverted_index.lookup(query.terms.stems()),
            pairs,
            slots,
            numbers,
        }
    }

    /// A memory and its neighbors, in the order of time.
    fn episode_part(&self, slot: u32, retrieved: &Retrieved, ranking: &Ranking) -> Vec<u32> {
        let reach = ranking.neighbor_reach;
        let (mut part, mut after) = (Vec::with_capacity(2 * reach + 1), Vec::new());
        let Some(own) = self.slot(slot) else {
            return vec![slot];
        };
        let own = own.episode_entry(slot);
        self.for_each_neighbor(slot, retrieved, reach, |other, _| {
            let side = if other < own { &mut part } else { &mut after };
            side.push(other.1);
        });
        part.reverse();
        part.push(slot);
        part.append(&mut after);
        part
    }
}

/// Memories of a snapshot, unpacked when they are results.
struct SnapshotMemories<'a> {
    snapshot: &'a EntitySnapshot,
    /// The query's distinct terms.
    stems: StemLookup<'a>,
    pairs: Vec<WordPair>,
    /// By the index of the candidate, and the number of each.
    slots: Vec<&'a Slot>,
    numbers: Vec<u32>,
}

impl SnapshotMemories<'_> {
    fn packed(&self, index: usize) -> PackedMemory<'_> {
        self.snapshot.memories.get(self.numbers[index])
    }
}

impl CandidateMemories for SnapshotMemories<'_> {
    fn attributes(&self, index: usize) -> Attributes {
        self.packed(index).parts().attributes
    }

    fn content(&self, index: usize) -> &str {
        self.packed(index).parts().content()
    }

    fn memory(&self, index: usize) -> Arc<Memory> {
        Arc::new(self.packed(index).unpack(&self.snapshot.entity))
    }

    fn term_shares(&self, indices: &[usize]) -> Vec<TermShares> {
        let passages = indices.iter().map(|index| self.slots[*index].passages());
        let passages: Vec<Range<u32>> = passages.collect();
        let slots: Vec<u32> = indices.iter().map(|index| self.numbers[*index]).collect();
        let stems = self.stems.shares(&passages);
        let pairs = self.snapshot.pairs.shares(&self.pairs, &slots);
        let shares = stems.into_iter().zip(pairs);
        shares
            .map(|(stems, pairs)| TermShares { stems, pairs })
            .collect()
    }
}
