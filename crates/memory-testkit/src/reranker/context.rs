//! The context of a check: a reranker and helpers to call it.

use memory_core::Reranker;

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::seeded_rng::SeededRng;

/// How far apart two scores of one pair may be, relative to scores above 1: the
/// contract's own.
const TOLERANCE: f32 = 1e-4;

/// What a check is given.
#[derive(Debug)]
pub struct CheckContext<'a> {
    reranker: &'a dyn Reranker,
}

impl<'a> CheckContext<'a> {
    /// A reranker under test.
    #[must_use]
    pub fn new(reranker: &'a dyn Reranker) -> Self {
        Self { reranker }
    }

    /// The reranker under test.
    #[must_use]
    pub fn reranker(&self) -> &dyn Reranker {
        self.reranker
    }

    /// A generator for this check's data: the same in every run.
    #[must_use]
    pub const fn rng(&self) -> SeededRng {
        SeededRng::new(0x5eed)
    }

    /// Scores texts; there must be a finite score for each.
    pub(crate) async fn score(
        &self,
        question: &str,
        texts: &[&str],
    ) -> Result<Vec<f32>, CheckFailure> {
        let scores = self.reranker.score(question, texts).await.at("score")?;
        ensure_eq!(scores.len(), texts.len(), "scores");
        let odd = scores.iter().find(|score| !score.is_finite());
        ensure_eq!(odd, None::<&f32>, "scores that are no numbers");
        Ok(scores)
    }

    /// Scores each text in a call of its own.
    pub(crate) async fn score_alone(
        &self,
        question: &str,
        texts: &[&str],
    ) -> Result<Vec<f32>, CheckFailure> {
        let mut scores = Vec::with_capacity(texts.len());
        for text in texts {
            scores.extend(self.score(question, &[text]).await?);
        }
        Ok(scores)
    }

    /// Two scores must be those of one pair.
    pub(crate) fn same(&self, got: f32, wanted: f32, what: &str) -> CheckResult {
        ensure!(
            is_same(got, wanted),
            "{what}: the score is {got}, not {wanted}"
        );
        Ok(())
    }
}

/// Whether two scores may be those of one pair.
pub(crate) fn is_same(a: f32, b: f32) -> bool {
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1.0)
}
