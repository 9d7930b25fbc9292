//! Candidates that a store's search found, as a set to rank.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use memory_core::{Generation, Memory, MemoryId, ScoreStats, ScoreStatsBuilder, SearchOutcome};
use memory_text::TextAnalysis;

use super::pairs::score_pairs;
use super::{CandidateSet, RecallPath};
use crate::recall::Query;
use crate::snapshot;

/// The candidates of a search, owned so that a candidate set can borrow them.
pub(crate) struct StoreCandidates {
    memories: Vec<Arc<Memory>>,
    similarities: Vec<f32>,
    lexical: Vec<f32>,
    /// Statistics of the dense and the lexical retriever over all memories that
    /// match, where the store provides them.
    stats: (Option<ScoreStats>, Option<ScoreStats>),
    /// How many memories match: at least those that were found.
    matching: u64,
    generation: Generation,
}

impl StoreCandidates {
    /// `matching` is how many memories the filter matches, where that is known.
    pub(crate) fn new(found: SearchOutcome, matching: Option<u64>) -> Self {
        let mut this = Self {
            stats: (found.dense, found.lexical),
            matching: matching.unwrap_or(0).max(found.candidates.len() as u64),
            memories: Vec::with_capacity(found.candidates.len()),
            similarities: Vec::with_capacity(found.candidates.len()),
            lexical: Vec::with_capacity(found.candidates.len()),
            generation: found.generation,
        };
        for candidate in found.candidates {
            this.memories.push(Arc::new(candidate.memory));
            this.similarities
                .push(candidate.similarity.unwrap_or(CandidateSet::NO_SIMILARITY));
            this.lexical.push(candidate.lexical.unwrap_or(0.0));
        }
        this
    }

    /// The candidates to rank. A neighbor that no retriever found lends
    /// nothing: its relevance is near the mean, which is 0. Mentions are counted
    /// among the candidates alone, and taken for all that there are; pairs of
    /// words likewise. Every memory counts as one chunk.
    pub(crate) fn candidates(&self, query: &Query) -> CandidateSet<'_> {
        let mentioned: Vec<bool> = self
            .memories
            .iter()
            .map(|memory| snapshot::mentions(&query.tokens, memory))
            .collect();
        let mut mentions = ScoreStatsBuilder::default();
        for named in &mentioned {
            mentions.add(f32::from(u8::from(*named)));
        }
        mentions.add_zeros(self.matching - self.memories.len() as u64);
        let compared = self
            .similarities
            .iter()
            .copied()
            .filter(|value| *value > CandidateSet::NO_SIMILARITY);
        let (dense, words) = self.stats;
        let analyses: Vec<TextAnalysis> = self
            .memories
            .iter()
            .map(|memory| TextAnalysis::of(&memory.content))
            .collect();
        let documents: Vec<_> = analyses.iter().map(|it| it.pairs.clone()).collect();
        let pairs = score_pairs(&query.pairs, &documents);
        let mut pair_stats = ScoreStatsBuilder::default();
        pairs.iter().for_each(|score| pair_stats.add(*score));
        pair_stats.add_zeros(self.matching - self.memories.len() as u64);
        let has_time: Vec<bool> = analyses.iter().map(|it| it.has_time).collect();
        let times = has_time.iter().map(|has| f32::from(u8::from(*has)));
        CandidateSet {
            dense_stats: dense.unwrap_or_else(|| ScoreStats::of(compared)),
            lexical_stats: words.unwrap_or_else(|| ScoreStats::of(self.lexical.iter().copied())),
            memories: self.memories.iter().map(Some).collect(),
            similarities: self.similarities.clone(),
            lexical: self.lexical.clone(),
            chunks: vec![1; self.memories.len()],
            pair_stats: pair_stats.summary(),
            pairs,
            words: analyses.iter().map(|it| it.words).collect(),
            time_share: ScoreStats::of(times).mean,
            has_time,
            unknown: query.unknown_share,
            asks_when: query.asks_when,
            mention_stats: mentions.summary(),
            mentioned,
            episodes: self.episodes(),
            links: self.links(),
            path: RecallPath::Store,
            generation: self.generation,
        }
    }

    fn episodes(&self) -> Vec<Vec<usize>> {
        let mut by_context: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, memory) in self.memories.iter().enumerate() {
            if let Some(context) = &memory.context {
                by_context.entry(context).or_default().push(place);
            }
        }
        let mut episodes: Vec<Vec<usize>> = by_context.into_values().collect();
        for episode in &mut episodes {
            episode.sort_by_key(|&place| (self.memories[place].timestamp, self.memories[place].id));
        }
        episodes
    }

    fn links(&self) -> Vec<(usize, usize)> {
        let places: HashMap<MemoryId, usize> = self
            .memories
            .iter()
            .enumerate()
            .map(|(place, memory)| (memory.id, place))
            .collect();
        let mut links: Vec<(usize, usize)> = self
            .memories
            .iter()
            .enumerate()
            .flat_map(|(a, memory)| memory.related.keys().map(move |id| (a, id)))
            .filter_map(|(a, id)| places.get(id).map(|&b| (a.min(b), a.max(b))))
            .filter(|(a, b)| a != b)
            .collect();
        links.sort_unstable();
        links.dedup();
        links
    }
}
