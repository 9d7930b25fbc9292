//! Embedding texts, and memories' contents with all their chunks, through the
//! embedding tier.

use std::ops::Range;
use std::sync::Arc;

use memory_core::{
    EmbedRole, Embedder, EmbedderProfile, Embedding, ErrorKind, Fingerprint, MemoryError,
    MemoryResult, limits, normalize,
};

use crate::tiers::{EmbeddedText, Tiers, infer, unknown_share};

/// Turns texts into vectors, and caches them.
#[derive(Clone)]
pub(crate) struct ContentEmbedder {
    embedder: Arc<dyn Embedder>,
    tiers: Arc<Tiers>,
}

impl ContentEmbedder {
    pub(crate) const fn new(embedder: Arc<dyn Embedder>, tiers: Arc<Tiers>) -> Self {
        Self { embedder, tiers }
    }

    /// The model and its vectors.
    pub(crate) fn profile(&self) -> &EmbedderProfile {
        self.embedder.profile()
    }

    /// What makes its vectors comparable.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.profile().fingerprint
    }

    /// One vector per text, of as much of it as fits the model's window.
    pub(crate) async fn embed_passages(&self, texts: &[&str]) -> MemoryResult<Vec<EmbeddedText>> {
        self.tiers
            .embedding
            .embed(&self.embedder, texts, EmbedRole::Passage)
            .await
    }

    /// Embeds one word by the model itself: no cached vector answers for it, and none is
    /// cached.
    pub(crate) async fn check(&self) -> MemoryResult<()> {
        infer(&*self.embedder, &["ready"], EmbedRole::Query).await?;
        Ok(())
    }

    /// The vector of a recall's text, and how much of it the model knows.
    pub(crate) async fn embed_query(&self, text: &str) -> MemoryResult<EmbeddedText> {
        let vectors = self
            .tiers
            .embedding
            .embed(&self.embedder, &[text], EmbedRole::Query)
            .await?;
        vectors.into_iter().next().ok_or_else(|| {
            MemoryError::embedder(ErrorKind::Corrupt, "embed", "no vector for the query")
        })
    }

    /// The vector that a caller gave for a recall's text. It is not cached.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] for a vector of other dimensions than the
    /// model's, or without a direction.
    pub(crate) fn given_query(&self, text: &str, vector: &[f32]) -> MemoryResult<EmbeddedText> {
        let vector = self.normalized(vector.to_vec())?;
        Ok(EmbeddedText {
            vector: vector.into(),
            unknown_share: unknown_share(&*self.embedder, text),
        })
    }

    /// The embedding of a content whose only vector a caller gave. It is not cached.
    ///
    /// # Errors
    /// As [`given_query`](Self::given_query).
    pub(crate) fn given_content(&self, vector: Vec<f32>) -> MemoryResult<Embedding> {
        let fingerprint = self.fingerprint().clone();
        Ok(Embedding::new(fingerprint, vec![self.normalized(vector)?]))
    }

    fn normalized(&self, mut vector: Vec<f32>) -> MemoryResult<Vec<f32>> {
        limits::check_vector(&vector, self.embedder.profile().dimensions)?;
        normalize(&mut vector)?;
        Ok(vector)
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
        let fingerprint = self.fingerprint();
        Ok(chunks
            .iter()
            .map(|chunks| Embedding {
                fingerprint: fingerprint.clone(),
                vectors: vectors
                    .by_ref()
                    .take(chunks.len())
                    .map(|embedded| embedded.vector.to_vec())
                    .collect(),
            })
            .collect())
    }

    /// Drops the cached vectors of contents that no memory has any more. Where
    /// their chunks are not known now, those of all passages.
    pub(crate) async fn remove_cached(&self, contents: &[String]) {
        let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
        let tier = &self.tiers.embedding;
        let fingerprint = self.fingerprint();
        match self.split_into_chunks(&contents).await {
            Ok(chunks) => tier.remove_passages(fingerprint, &chunks.concat()).await,
            Err(_) => tier.clear_passages(fingerprint).await,
        }
    }

    /// The number of chunks, and so of vectors, of each content.
    pub(crate) async fn chunk_counts(&self, contents: &[&str]) -> MemoryResult<Vec<usize>> {
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        let chunks = self.split_into_chunks(contents).await?;
        Ok(chunks.iter().map(Vec::len).collect())
    }

    /// Each content as chunks that fit the model's window whole.
    async fn split_into_chunks<'a>(&self, contents: &[&'a str]) -> MemoryResult<Vec<Vec<&'a str>>> {
        let ranges = self.embedder.chunk(contents).await?;
        split_by_ranges(contents, &ranges).map_err(|problem| {
            let model = &self.profile().model;
            let message = format!("embedder {model:?} returned wrong chunks: {problem}");
            MemoryError::embedder(ErrorKind::Corrupt, "chunk", message)
        })
    }
}

/// Splits each content by its ranges. Refuses ranges that break the embedder's
/// contract: vectors of them would leave part of a memory out.
fn split_by_ranges<'a>(
    contents: &[&'a str],
    ranges: &[Vec<Range<usize>>],
) -> Result<Vec<Vec<&'a str>>, String> {
    if contents.len() != ranges.len() {
        let (lists, texts) = (ranges.len(), contents.len());
        return Err(format!("{lists} lists of ranges for {texts} texts"));
    }
    let split = contents.iter().zip(ranges).enumerate();
    split
        .map(|(index, (content, ranges))| {
            let chunks = split_content(content, ranges);
            chunks.map_err(|problem| format!("text {index} of the batch: {problem}"))
        })
        .collect()
}

fn split_content<'a>(content: &'a str, ranges: &[Range<usize>]) -> Result<Vec<&'a str>, String> {
    let length = content.len();
    let is_blank =
        |range: Range<usize>| content.get(range).is_some_and(|gap| gap.trim().is_empty());
    let mut chunks = Vec::with_capacity(ranges.len());
    let mut last = 0..0;
    for range in ranges {
        let chunk = content.get(range.clone()).filter(|chunk| !chunk.is_empty());
        let Some(chunk) = chunk else {
            return Err(format!(
                "bytes {range:?} of {length} are no text, or split a character"
            ));
        };
        if !chunks.is_empty() && (range.start <= last.start || range.end <= last.end) {
            return Err(format!("bytes {range:?} do not follow {last:?}"));
        }
        if range.start > last.end && !is_blank(last.end..range.start) {
            return Err(format!("bytes {:?} are not covered", last.end..range.start));
        }
        last = range.clone();
        chunks.push(chunk);
    }
    if chunks.is_empty() || !is_blank(last.end..length) {
        return Err(format!("bytes {:?} are not covered", last.end..length));
    }
    Ok(chunks)
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_follow_each_other_and_cover_the_text_are_accepted() {
        let text = "  one two  three é ";
        for ranges in [vec![0..text.len()], vec![0..9, 6..19], vec![2..9, 11..19]] {
            let chunks = split_content(text, &ranges).unwrap();
            assert_eq!(chunks.len(), ranges.len(), "{ranges:?}");
        }
    }

    #[test]
    fn ranges_that_break_the_contract_are_refused_with_the_bytes() {
        let text = "one two three é";
        let end = text.len();
        for (ranges, named) in [
            (vec![], "0..16 are not covered"),
            (vec![0..7], "7..16 are not covered"),
            (vec![4..end], "0..4 are not covered"),
            (vec![0..3, 8..end], "3..8 are not covered"),
            (vec![0..7, 0..end], "0..16 do not follow 0..7"),
            (vec![0..end, 4..7], "4..7 do not follow 0..16"),
            (vec![0..15], "0..15 of 16 are no text"),
            (vec![0..end + 1], "0..17 of 16 are no text"),
            (vec![0..end, 16..16], "16..16 of 16 are no text"),
        ] {
            let problem = split_content(text, &ranges).unwrap_err();
            assert!(problem.contains(named), "{ranges:?}: {problem}");
            assert!(!problem.contains("two"), "no content: {problem}");
        }
        assert!(split_by_ranges(&[text, text], &[vec![0..end]]).is_err());
    }
}
