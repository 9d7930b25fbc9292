//! Embedding: texts as they are, and memories with all their chunks.

use std::ops::Range;
use std::sync::Arc;

use memory_core::{EmbedRole, Embedding, ErrorKind, MemoryError, MemoryResult, limits};

use crate::engine::EngineInner;
use crate::tiers::Vector;

impl EngineInner {
    /// One vector per text, of what the model's window holds of it.
    pub(crate) async fn generate_embeddings_batch(
        &self,
        texts: &[String],
    ) -> MemoryResult<Vec<Arc<[f32]>>> {
        for (index, text) in texts.iter().enumerate() {
            limits::check_content(text)
                .map_err(|problem| MemoryError::from(problem).with_item(index))?;
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.tiers
            .embedding
            .embed(&self.embedder, &texts, EmbedRole::Passage)
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

    /// One embedding per content, in order: a vector for each chunk that the
    /// model's window holds whole. All chunks go to the embedder in one batch.
    pub(crate) async fn embed_contents(&self, contents: &[&str]) -> MemoryResult<Vec<Embedding>> {
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        let chunks = self.chunk_contents(contents).await?;
        let flat: Vec<&str> = chunks.iter().flatten().copied().collect();
        let vectors = self
            .tiers
            .embedding
            .embed(&self.embedder, &flat, EmbedRole::Passage)
            .await?;
        let mut vectors = vectors.into_iter();
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

    /// Each content as pieces that the model's window holds whole.
    pub(crate) async fn chunk_contents<'a>(
        &self,
        contents: &[&'a str],
    ) -> MemoryResult<Vec<Vec<&'a str>>> {
        let ranges = self.embedder.chunk(contents).await?;
        cut(contents, &ranges)
    }
}

/// Cuts each content by its ranges, and believes none that breaks the contract.
fn cut<'a>(contents: &[&'a str], ranges: &[Vec<Range<usize>>]) -> MemoryResult<Vec<Vec<&'a str>>> {
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
