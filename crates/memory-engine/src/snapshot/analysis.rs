//! What indexes need of memories: computed by all processors where there are many.

use memory_core::{EmbeddedMemory, Language};
use memory_text::{PassageTerms, TextAnalysis, WordPair, word_digest};

use super::digest::Digest;
use super::mentions::{label_digest, labels_of};
use super::packed_memory::{MemoryParts, PackedMemory};
use super::threads::map_all;
use super::vectors::EncodedRows;

/// What the indexes need of a memory.
pub(super) struct Analysis {
    pub(super) passages: Vec<PassageStems>,
    pub(super) pairs: Vec<WordPair>,
    /// The digests of its labels.
    pub(super) labels: Vec<Digest>,
    /// Number of words of its text.
    pub(super) words: u32,
    /// Whether its text names a time.
    pub(super) has_time: bool,
}

/// The stems of one passage, each as often as it occurs.
pub(super) struct PassageStems {
    pub(super) stems: Vec<Digest>,
}

/// A memory, ready to be indexed.
pub(super) struct AnalyzedMemory {
    /// The packed memory.
    pub(super) memory: Vec<u8>,
    pub(super) analysis: Analysis,
    pub(super) rows: EncodedRows,
}

impl Analysis {
    pub(super) fn of(memory: &MemoryParts<'_>, language: Option<Language>) -> Self {
        let text = TextAnalysis::of(memory.content(), language);
        let labels = labels_of(memory.labels()).into_iter();
        Self {
            passages: text.passages.iter().map(PassageStems::from).collect(),
            pairs: text.pairs,
            labels: labels.map(|label| label_digest(&label)).collect(),
            words: text.words,
            has_time: text.has_time,
        }
    }
}

impl PassageStems {
    pub(super) fn length(&self) -> u32 {
        u32::try_from(self.stems.len()).unwrap_or(u32::MAX)
    }
}

impl From<&PassageTerms> for PassageStems {
    fn from(terms: &PassageTerms) -> Self {
        let mut stems = Vec::with_capacity(terms.length as usize);
        for (stem, count) in &terms.counts {
            let digest = Digest::from(word_digest(stem));
            stems.extend((0..*count).map(|_| digest));
        }
        Self { stems }
    }
}

impl AnalyzedMemory {
    pub(super) fn new(
        written: &EmbeddedMemory,
        dimensions: usize,
        language: Option<Language>,
    ) -> Self {
        let memory = PackedMemory::pack(&written.memory);
        Self {
            analysis: Analysis::of(&PackedMemory(&memory).parts(), language),
            memory,
            rows: EncodedRows::new(&written.embedding.vectors, dimensions),
        }
    }

    /// Analyzes memories, in order: many of them on all processors.
    pub(super) fn all(
        written: Vec<EmbeddedMemory>,
        dimensions: usize,
        language: Option<Language>,
    ) -> Vec<Self> {
        /// Memories that are worth a thread: some milliseconds of work.
        const MIN_PART: usize = 500;
        map_all(written, MIN_PART, |written| {
            Self::new(&written, dimensions, language)
        })
    }
}
