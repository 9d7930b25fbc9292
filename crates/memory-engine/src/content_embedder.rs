//! Embedding texts, and memories' contents with all their chunks, through the
//! embedding tier.

use std::ops::Range;
use std::sync::Arc;

use memory_core::{EmbedRole, Embedder, Embedding, ErrorKind, MemoryError, MemoryResult};

use crate::tiers::{Tiers, Vector};

/// Turns texts into vectors, and caches them.
#[derive(Clone)]
pub(crate) struct ContentEmbedder {
    pub(crate) embedder: Arc<dyn Embedder>,
    tiers: Arc<Tiers>,
}

impl ContentEmbedder {
    pub(crate) const fn new(embedder: Arc<dyn Embedder>, tiers: Arc<Tiers>) -> Self {
        Self { embedder, tiers }
    }

    /// One vector per text, of as much of it as fits the model's window.
    pub(crate) async fn embed_passages(&self, texts: &[&str]) -> MemoryResult<Vec<Vector>> {
        self.tiers
            .embedding
            .embed(&self.embedder, texts, EmbedRole::Passage)
            .await
    }

    /// The vector of a recall's text.
    pub(crate) async fn embed_query(&self, text: &str) -> MemoryResult<Vector> {
        let vectors = self
            .tiers
            .embedding
            .embed(&self.embedder, &[text], EmbedRole::Query)
            .await?;
        vectors.into_iter().next().ok_or_else(|| {
            MemoryError::embedder(ErrorKind::Corrupt, "embed", "no vector for the query")
        })
    }

    /// One embedding per content, in order: a vector for each chunk that fits
    /// the model's window whole. All chunks go to the embedder in one batch.
    pub(crate) async fn embed_contents(&self, contents: &[&str]) -> MemoryResult<Vec<Embedding>> {
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        let chunks = self.split_into_chunks(contents).await?;
        let flat: Vec<&str> = chunks.iter().flatten().copied().collect();
        let mut vectors = self.embed_passages(&flat).await?.into_iter();
        let fingerprint = &self.embedder.profile().fingerprint;
        Ok(chunks
            .iter()
            .map(|chunks| Embedding {
                fingerprint: fingerprint.clone(),
                vectors: vectors
                    .by_ref()
                    .take(chunks.len())
                    .map(|v| v.to_vec())
                    .collect(),
            })
            .collect())
    }

    /// Drops the cached vectors of contents that no memory has any more. Where
    /// their chunks are not known now, those of all passages.
    pub(crate) async fn remove_cached(&self, contents: &[String]) {
        let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
        let tier = &self.tiers.embedding;
        match self.split_into_chunks(&contents).await {
            Ok(chunks) => {
                let fingerprint = &self.embedder.profile().fingerprint;
                tier.remove_passages(fingerprint, &chunks.concat());
            }
            Err(_) => tier.clear_passages(),
        }
    }

    /// Each content as chunks that fit the model's window whole.
    async fn split_into_chunks<'a>(&self, contents: &[&'a str]) -> MemoryResult<Vec<Vec<&'a str>>> {
        let ranges = self.embedder.chunk(contents).await?;
        split_by_ranges(contents, &ranges)
    }
}

/// Splits each content by its ranges, and refuses ranges that break the
/// embedder's contract.
fn split_by_ranges<'a>(
    contents: &[&'a str],
    ranges: &[Vec<Range<usize>>],
) -> MemoryResult<Vec<Vec<&'a str>>> {
    let broken = || {
        MemoryError::embedder(
            ErrorKind::Corrupt,
            "chunk",
            "the embedder must give each text at least one range on character boundaries",
        )
    };
    if contents.len() != ranges.len() || ranges.iter().any(Vec::is_empty) {
        return Err(broken());
    }
    contents
        .iter()
        .zip(ranges)
        .map(|(content, ranges)| {
            ranges
                .iter()
                .map(|range| content.get(range.clone()).ok_or_else(broken))
                .collect()
        })
        .collect()
}
