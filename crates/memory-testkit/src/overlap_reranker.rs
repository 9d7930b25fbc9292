//! A reranker that needs no model: shared words.

use std::collections::BTreeSet;

use async_trait::async_trait;
use memory_core::{MemoryResult, Reranker};

/// A deterministic [`Reranker`] for tests: the share of the question's words that
/// a text contains, 0 to 1, and a little less the longer the text is.
#[derive(Debug, Clone, Copy, Default)]
pub struct OverlapReranker;

impl OverlapReranker {
    /// The score of one pair.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of words are small")]
    pub fn overlap(question: &str, text: &str) -> f32 {
        let (asked, told) = (words(question), words(text));
        let shared = asked.intersection(&told).count() as f32;
        let length = told.len() as f32;
        shared / (asked.len() as f32).max(1.0) - length / (1e4 + length)
    }
}

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

#[async_trait]
impl Reranker for OverlapReranker {
    fn model(&self) -> &str {
        "overlap"
    }

    async fn score(&self, question: &str, texts: &[&str]) -> MemoryResult<Vec<f32>> {
        let score = |text: &&str| Self::overlap(question, text);
        Ok(texts.iter().map(score).collect())
    }
}
