//! Candidates that a store's search found, as a set to rank.
//!
//! The store finds memories by their vectors and words. Whatever depends on the
//! text alone is computed here, by the code that a snapshot uses: passages,
//! pairs of words, times, mentions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use memory_core::{
    EpisodePart, Generation, Memory, MemoryId, NeighborOutcome, SearchHit, SearchOutcome,
};
use memory_text::TermCounts;

use super::statistics::{Statistics, WeightedMemories};
use super::{
    Attributes, CandidateMemories, CandidateSet, Episode, Ranking, RankingContext, RecallPath,
    TermShares,
};
use crate::query::Query;
use crate::snapshot::{self, JoinedNames};

/// Memories of which the neighbors are read, of those that lend the most and of
/// those that lead: at most twice as many. With 64 the first ten of 100,000 memories on
/// SQLite agree with a snapshot's in 94.7 %, with 96 in 95.8, with 128 in 96.7 (bench
/// `push_down`, 60 questions).
const NEIGHBORS_OF: usize = 96;

/// The candidates of a search, owned so that a candidate set can borrow them.
pub(crate) struct StoreCandidates {
    found: Vec<FoundMemory>,
    /// BM25 of each that was found, of its best passage and of its pairs.
    lexical: Vec<f32>,
    pairs: Vec<f32>,
    positions: HashMap<MemoryId, usize>,
    /// The surroundings of the best candidates, where the store reads them.
    parts: Option<Vec<EpisodePart>>,
    statistics: Statistics,
    /// The names that the query joins by hyphens, of those of the search's memories.
    joined: JoinedNames,
    generation: Generation,
}

/// A memory with what ranking needs of it.
pub(super) struct FoundMemory {
    pub(super) memory: Arc<Memory>,
    pub(super) similarity: Option<f32>,
    pub(super) chunks: u32,
    /// The store's BM25.
    pub(super) store_lexical: f32,
    pub(super) is_mentioned: bool,
    /// The query's terms in its text.
    pub(super) terms: TermCounts,
}

impl FoundMemory {
    fn new(hit: SearchHit, query: &Query, joined: &JoinedNames) -> Self {
        Self {
            similarity: hit.similarity,
            chunks: hit.similarity.map_or(0, |_| hit.chunks.unwrap_or(1)),
            store_lexical: hit.lexical.unwrap_or(0.0),
            is_mentioned: snapshot::mentions(&query.tokens, joined, &hit.memory),
            terms: query.terms.count(&hit.memory.content),
            memory: Arc::new(hit.memory),
        }
    }
}

impl StoreCandidates {
    /// `matching` is how many memories the filter matches, where the store did
    /// not count them. Reads every text, so it takes a while.
    pub(crate) fn new(
        mut outcome: SearchOutcome,
        matching: Option<u64>,
        query: &Query,
        ranking: &Ranking,
    ) -> Self {
        let candidates = std::mem::take(&mut outcome.candidates);
        let ids: HashSet<MemoryId> = candidates.iter().map(|hit| hit.memory.id).collect();
        let count = candidates.len();
        let sample = std::mem::take(&mut outcome.sample).into_iter();
        let others = sample.filter(|hit| !ids.contains(&hit.memory.id));
        let hits: Vec<SearchHit> = candidates.into_iter().chain(others).collect();
        let joined = JoinedNames::of(&query.tokens, hits.iter().map(|hit| &hit.memory));
        let hits = hits.into_iter();
        let found: Vec<FoundMemory> = hits
            .map(|hit| FoundMemory::new(hit, query, &joined))
            .collect();
        let weighted = WeightedMemories::new(&found, count, outcome.matching.or(matching));
        let mut candidates = Self {
            statistics: weighted.statistics(&outcome, &query.terms, ranking),
            found: Vec::with_capacity(found.len()),
            lexical: Vec::with_capacity(found.len()),
            pairs: Vec::with_capacity(found.len()),
            positions: HashMap::with_capacity(found.len()),
            parts: None,
            joined,
            generation: outcome.generation,
        };
        found.into_iter().for_each(|found| candidates.add(found));
        candidates
    }

    fn add(&mut self, found: FoundMemory) {
        let statistics = &self.statistics;
        self.lexical.push(statistics.lexical_score(&found.terms));
        self.pairs.push(statistics.pair_score(&found.terms));
        self.positions.insert(found.memory.id, self.found.len());
        self.found.push(found);
    }

    /// The memories of which the neighbors matter: those that lend the most, and
    /// those that lead without what they receive.
    pub(crate) fn best(&self, query: &Query, context: &RankingContext<'_>) -> Vec<MemoryId> {
        let set = self.candidates(query);
        let best = set.best_without_lending(context, NEIGHBORS_OF);
        let memories = best.into_iter().map(|index| &self.found[index].memory);
        let with_context = memories.filter(|memory| memory.context.is_some());
        with_context.map(|memory| memory.id).collect()
    }

    /// Adds the neighbors of the best candidates.
    pub(crate) fn add_neighbors(&mut self, neighbors: NeighborOutcome, query: &Query) {
        for hit in neighbors.hits {
            if !self.positions.contains_key(&hit.memory.id) {
                self.add(FoundMemory::new(hit, query, &self.joined));
            }
        }
        self.parts = Some(neighbors.episodes);
    }

    /// The candidates to rank. Without neighbors from the store, only those lend
    /// and receive that were found by themselves.
    pub(crate) fn candidates(&self, query: &Query) -> CandidateSet<'_> {
        let statistics = &self.statistics;
        let counts = || self.found.iter().map(|found| &found.terms);
        CandidateSet {
            times: self
                .found
                .iter()
                .map(|found| found.memory.timestamp.timestamp_micros())
                .collect(),
            similarities: self
                .found
                .iter()
                .map(|found| found.similarity.unwrap_or(CandidateSet::NO_SIMILARITY))
                .collect(),
            chunks: self.found.iter().map(|found| found.chunks).collect(),
            lexical: self.lexical.clone(),
            pairs: self.pairs.clone(),
            mentioned: self.found.iter().map(|found| found.is_mentioned).collect(),
            words: counts().map(|it| it.words).collect(),
            has_time: counts().map(|it| it.has_time).collect(),
            episodes: match &self.parts {
                Some(parts) => self.episodes_of(parts),
                None => self.episodes_among_found(),
            },
            links: self.links(),
            dense_stats: statistics.dense,
            lexical_stats: statistics.lexical,
            pair_stats: statistics.pairs,
            mention_stats: statistics.mentions,
            time_share: statistics.time_share,
            unknown: query.unknown_share,
            asks_when: query.asks_when,
            matching: self.found.len() as u64,
            compared: self.found.iter().flat_map(|found| found.similarity).count() as u64,
            memories: Box::new(self),
            path: RecallPath::Store,
            generation: self.generation,
        }
    }

    /// The parts of episodes that the store read. A memory may be in several of
    /// them; it receives the most of all.
    fn episodes_of(&self, parts: &[EpisodePart]) -> Vec<Episode> {
        let position = |id: &MemoryId| self.positions.get(id).copied();
        parts
            .iter()
            .filter_map(|part| {
                // What is missing was removed meanwhile, and ends the part.
                let before = part.before.iter().map_while(position);
                let mut members: Vec<usize> = before.collect();
                members.reverse();
                members.push(position(&part.memory)?);
                members.extend(part.after.iter().map_while(position));
                let length = usize::try_from(part.length).unwrap_or(usize::MAX);
                Some(Episode { members, length })
            })
            .collect()
    }

    fn episodes_among_found(&self) -> Vec<Episode> {
        let mut by_context: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, found) in self.found.iter().enumerate() {
            if let Some(context) = &found.memory.context {
                by_context.entry(context).or_default().push(index);
            }
        }
        let mut episodes: Vec<Vec<usize>> = by_context.into_values().collect();
        for episode in &mut episodes {
            let memory = |index: usize| &self.found[index].memory;
            episode.sort_by_key(|&index| (memory(index).timestamp, memory(index).id));
        }
        episodes.into_iter().map(Episode::from).collect()
    }

    fn links(&self) -> Vec<(usize, usize)> {
        let mut links: Vec<(usize, usize)> = self
            .found
            .iter()
            .enumerate()
            .flat_map(|(a, found)| found.memory.related.keys().map(move |id| (a, id)))
            .filter_map(|(a, id)| self.positions.get(id).map(|&b| (a.min(b), a.max(b))))
            .filter(|(a, b)| a != b)
            .collect();
        links.sort_unstable();
        links.dedup();
        links
    }
}

impl CandidateMemories for &StoreCandidates {
    fn attributes(&self, index: usize) -> Attributes {
        Attributes::from(&*self.found[index].memory)
    }

    fn content(&self, index: usize) -> &str {
        &self.found[index].memory.content
    }

    fn memory(&self, index: usize) -> Arc<Memory> {
        Arc::clone(&self.found[index].memory)
    }

    fn term_shares(&self, indices: &[usize]) -> Vec<TermShares> {
        let terms = indices.iter().map(|index| &self.found[*index].terms);
        let shares = terms.map(|terms| TermShares {
            stems: terms.stem_share(),
            pairs: terms.pair_share(),
        });
        shares.collect()
    }
}
