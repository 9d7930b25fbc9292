//! Results of the searches of a store.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{EmbeddedMemory, Generation, NeighborRequest, ScoreStats};
use crate::id::MemoryId;
use crate::memory::Memory;

/// What [`Store::search`](super::Store::search) found.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SearchOutcome {
    /// The entity's generation at that time.
    pub generation: Generation,
    /// The union of the retrievers' results, each memory once, in no order.
    pub candidates: Vec<SearchHit>,
    /// [`DenseQuery::value`](super::DenseQuery::value) over every matching memory
    /// that has a vector of the query's fingerprint, found or not; `None` where
    /// the retriever was not asked for, or the search was approximate and did not
    /// see them all.
    pub dense: Option<ScoreStats>,
    /// BM25 over every matching memory, 0 where no word matched; `None` where
    /// the retriever was not asked for.
    pub lexical: Option<ScoreStats>,
    /// How many matching memories have a vector of the query's fingerprint, so
    /// that the dense retriever could compare them; `None` where it was not
    /// asked for or did not count.
    pub compared: Option<u64>,
    /// How many memories the filter matches; `None` where the store did not
    /// count.
    pub matching: Option<u64>,
    /// Memories that the filter matches, chosen without regard to the query, in no
    /// order: they tell how common a feature is of which the store knows nothing.
    /// Some may be candidates as well. Empty where the request asks for none, or
    /// the store has no samples.
    pub sample: Vec<SearchHit>,
    /// How common the query's terms are; `None` where the lexical retriever was
    /// not asked for, or the store does not tell.
    pub terms: Option<TermStats>,
}

impl SearchOutcome {
    /// A search that found these memories at this generation, without
    /// statistics.
    #[must_use]
    pub const fn new(generation: Generation, candidates: Vec<SearchHit>) -> Self {
        Self {
            generation,
            candidates,
            dense: None,
            lexical: None,
            compared: None,
            matching: None,
            sample: Vec::new(),
            terms: None,
        }
    }

    /// Sets how many memories the dense retriever compared.
    #[must_use]
    pub fn compared(mut self, compared: impl Into<Option<u64>>) -> Self {
        self.compared = compared.into();
        self
    }

    /// Sets the statistics of the dense retriever.
    #[must_use]
    pub fn dense(mut self, stats: impl Into<Option<ScoreStats>>) -> Self {
        self.dense = stats.into();
        self
    }

    /// Sets the statistics of the lexical retriever.
    #[must_use]
    pub fn lexical(mut self, stats: impl Into<Option<ScoreStats>>) -> Self {
        self.lexical = stats.into();
        self
    }

    /// Sets how many memories the filter matches.
    #[must_use]
    pub fn matching(mut self, matching: impl Into<Option<u64>>) -> Self {
        self.matching = matching.into();
        self
    }

    /// Sets the sample of all that the filter matches.
    #[must_use]
    pub fn sample(mut self, sample: Vec<SearchHit>) -> Self {
        self.sample = sample;
        self
    }

    /// Sets how common the query's terms are.
    #[must_use]
    pub fn terms(mut self, terms: impl Into<Option<TermStats>>) -> Self {
        self.terms = terms.into();
        self
    }
}

/// How common the terms of a lexical query are in an entity's live memories,
/// whatever the filter.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct TermStats {
    /// How many memories the terms were counted in: all live ones.
    pub memories: u64,
    /// The terms of a memory on average, repetitions included; `None` where the
    /// store counts something else.
    pub mean_length: Option<f64>,
    /// In how many memories each term of the query occurs, by the term as the
    /// store writes it. A term that no memory contains may be missing.
    pub counts: BTreeMap<String, u64>,
}

impl TermStats {
    /// Terms counted in this many memories of this mean length.
    #[must_use]
    pub const fn new(
        memories: u64,
        mean_length: Option<f64>,
        counts: BTreeMap<String, u64>,
    ) -> Self {
        Self {
            memories,
            mean_length,
            counts,
        }
    }
}

/// One memory found, with each retriever's raw value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SearchHit {
    /// The memory.
    pub memory: Memory,
    /// Best cosine among its vectors, −1 to 1.
    pub similarity: Option<f32>,
    /// How many vectors of the query's fingerprint the memory has; `None` where
    /// it has none, or the dense retriever was not asked for.
    pub chunks: Option<u32>,
    /// BM25, higher is better; `None` when no word matched.
    pub lexical: Option<f32>,
}

impl SearchHit {
    /// A memory found, without a value yet.
    #[must_use]
    pub const fn new(memory: Memory) -> Self {
        Self {
            memory,
            similarity: None,
            chunks: None,
            lexical: None,
        }
    }

    /// Sets the dense retriever's value.
    #[must_use]
    pub const fn similarity(mut self, similarity: Option<f32>) -> Self {
        self.similarity = similarity;
        self
    }

    /// Sets the number of vectors.
    #[must_use]
    pub const fn chunks(mut self, chunks: Option<u32>) -> Self {
        self.chunks = chunks;
        self
    }

    /// Sets the lexical retriever's value.
    #[must_use]
    pub const fn lexical(mut self, lexical: Option<f32>) -> Self {
        self.lexical = lexical;
        self
    }
}

/// What [`Store::neighbors`](super::Store::neighbors) read.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct NeighborOutcome {
    /// The entity's generation at that time.
    pub generation: Generation,
    /// One for each memory asked about that is live, matches the filter and has a
    /// context, in no order.
    pub episodes: Vec<EpisodePart>,
    /// The neighbors, each once, in no order, with their cosines and numbers of
    /// vectors where asked for. Memories asked about are among them only as
    /// neighbors of others.
    pub hits: Vec<SearchHit>,
}

/// A memory's place among the memories of the same context, in the order of time
/// and then of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodePart {
    /// The memories before it, nearest first.
    pub before: Vec<MemoryId>,
    /// The memory asked about.
    pub memory: MemoryId,
    /// The memories after it, nearest first.
    pub after: Vec<MemoryId>,
    /// How many memories of that context match the filter, itself included,
    /// counted up to [`NeighborRequest::max_length`].
    pub length: u64,
}

impl NeighborOutcome {
    /// Neighbors read at this generation.
    #[must_use]
    pub const fn new(
        generation: Generation,
        episodes: Vec<EpisodePart>,
        hits: Vec<SearchHit>,
    ) -> Self {
        Self {
            generation,
            episodes,
            hits,
        }
    }

    /// The neighbors that a request asks for, out of all of an entity's memories,
    /// live and archived, in any order. O(n log n) for n memories in the contexts
    /// of those asked about.
    ///
    /// For stores that keep no index over contexts.
    #[must_use]
    pub fn select<'a>(
        generation: Generation,
        rows: impl IntoIterator<Item = &'a EmbeddedMemory>,
        request: &NeighborRequest,
    ) -> Self {
        let mut episodes: HashMap<&str, Vec<&EmbeddedMemory>> = HashMap::new();
        for item in rows {
            let matches = item.memory.is_live() && request.filter.matches(&item.memory);
            if let Some(context) = item.memory.context.as_deref().filter(|_| matches) {
                episodes.entry(context).or_default().push(item);
            }
        }
        let asked: BTreeSet<MemoryId> = request.ids.iter().copied().collect();
        let (mut parts, mut found) = (Vec::new(), BTreeMap::new());
        for mut episode in episodes.into_values() {
            episode.sort_by_key(|item| (item.memory.timestamp, item.memory.id));
            let is_asked = |item: &&EmbeddedMemory| asked.contains(&item.memory.id);
            for (place, item) in episode
                .iter()
                .enumerate()
                .filter(|(_, item)| is_asked(item))
            {
                let before = episode[..place].iter().rev().take(request.reach);
                let after = episode[place + 1..].iter().take(request.reach);
                let id = |item: &&EmbeddedMemory| item.memory.id;
                parts.push(EpisodePart {
                    before: before.clone().map(id).collect(),
                    memory: item.memory.id,
                    after: after.clone().map(id).collect(),
                    length: episode.len().min(request.max_length) as u64,
                });
                found.extend(before.chain(after).map(|item| (item.memory.id, *item)));
            }
        }
        parts.sort_by_key(|part| Reverse(part.memory));
        let hits = found.into_values().map(|item| request.hit(item)).collect();
        Self::new(generation, parts, hits)
    }
}

impl NeighborRequest {
    fn hit(&self, item: &EmbeddedMemory) -> SearchHit {
        let dense = self.dense.as_ref();
        let best = dense.and_then(|query| item.embedding.best_chunk(query));
        SearchHit::new(item.memory.clone())
            .similarity(best.map(|(similarity, _)| similarity))
            .chunks(best.map(|(_, chunks)| chunks))
    }
}
