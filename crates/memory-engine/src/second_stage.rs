//! The optional second stage of a recall: a reranker orders its first hits.

use std::cmp::Ordering;
use std::sync::Arc;

use memory_core::{ErrorKind, MemoryError, MemoryResult, Reranker, limits};
use tracing::{Instrument, debug_span};

use crate::recall::RecallHit;

/// A reranker, and how many hits of a recall it scores.
#[derive(Debug)]
pub(crate) struct SecondStage {
    reranker: Arc<dyn Reranker>,
    candidates: usize,
}

impl SecondStage {
    /// Enough that what the ranking has among its best is read, and few enough
    /// that a small cross-encoder reads them in a fraction of a second
    /// (docs/models.md has the cost).
    pub(crate) const DEFAULT_CANDIDATES: usize = 30;

    /// A second stage, where there is a reranker.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] when the number of candidates is out of
    /// range.
    pub(crate) fn new(
        reranker: Option<Arc<dyn Reranker>>,
        candidates: usize,
    ) -> MemoryResult<Option<Self>> {
        if !(1..=limits::MAX_LIMIT).contains(&candidates) {
            return Err(MemoryError::configuration(format!(
                "rerank_candidates is {candidates}; it must be from 1 to {}",
                limits::MAX_LIMIT
            )));
        }
        Ok(reranker.map(|reranker| Self {
            reranker,
            candidates,
        }))
    }

    /// How many hits the ranking must return, so that as many are read as asked
    /// for: one that it has in place 30 can become the first of 10.
    pub(crate) fn first_stage_limit(&self, limit: usize) -> usize {
        limit.max(self.candidates)
    }

    /// Orders the first hits by the reranker's scores, equal ones as they were.
    /// The others follow as they were.
    ///
    /// # Errors
    /// Those of the reranker; [`ErrorKind::Corrupt`] if its scores break its
    /// contract.
    pub(crate) async fn rerank(&self, question: &str, hits: &mut [RecallHit]) -> MemoryResult<()> {
        let read = hits.len().min(self.candidates);
        let hits = &mut hits[..read];
        if hits.is_empty() {
            return Ok(());
        }
        let texts: Vec<_> = hits.iter().map(|hit| Arc::clone(&hit.memory)).collect();
        let texts: Vec<&str> = texts.iter().map(|memory| memory.content.as_str()).collect();
        let scores = self
            .reranker
            .score(question, &texts)
            .instrument(debug_span!("rerank", texts = read))
            .await?;
        self.check(&scores, read)?;
        for (hit, score) in hits.iter_mut().zip(scores) {
            hit.explanation.reranker_score = Some(score);
        }
        let by_score = |a: &RecallHit, b: &RecallHit| {
            let (a, b) = (&a.explanation, &b.explanation);
            let order = b.reranker_score.partial_cmp(&a.reranker_score);
            order.unwrap_or(Ordering::Equal)
        };
        hits.sort_by(by_score);
        Ok(())
    }

    fn check(&self, scores: &[f32], texts: usize) -> MemoryResult<()> {
        let problem = if scores.len() != texts {
            format!("{} scores for {texts} texts", scores.len())
        } else if let Some(score) = scores.iter().find(|score| !score.is_finite()) {
            format!("a score of {score}")
        } else {
            return Ok(());
        };
        let model = self.reranker.model();
        Err(MemoryError::reranker(
            ErrorKind::Corrupt,
            "rerank",
            format!(
                "the reranker {model} returned {problem}; one finite score per text is required"
            ),
        ))
    }
}
