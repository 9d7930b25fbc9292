//! The context of a check: an embedder and helpers to call it.

use std::ops::Range;

use memory_core::{EmbedRole, Embedder, EmbedderProfile};

use super::Tolerance;
use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::seeded_rng::SeededRng;

/// What a check is given.
#[derive(Debug)]
pub struct CheckContext<'a> {
    embedder: &'a dyn Embedder,
    tolerance: Tolerance,
}

impl<'a> CheckContext<'a> {
    /// An embedder under test.
    #[must_use]
    pub fn new(embedder: &'a dyn Embedder, tolerance: Tolerance) -> Self {
        Self {
            embedder,
            tolerance,
        }
    }

    /// The embedder under test.
    #[must_use]
    pub fn embedder(&self) -> &dyn Embedder {
        self.embedder
    }

    /// A generator for this check's data: the same in every run.
    #[must_use]
    pub const fn rng(&self) -> SeededRng {
        SeededRng::new(0x5eed)
    }

    /// Embeds passages; there must be a vector for each.
    pub(crate) async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, CheckFailure> {
        let vectors = self.embedder.embed(texts, EmbedRole::Passage).await;
        let vectors = vectors.at("embed")?;
        ensure_eq!(vectors.len(), texts.len(), "vectors");
        Ok(vectors)
    }

    /// Embeds each text in a call of its own.
    pub(crate) async fn embed_alone(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, CheckFailure> {
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            vectors.extend(self.embed(&[text]).await?);
        }
        Ok(vectors)
    }

    /// Cuts texts into pieces; there must be a list for each.
    pub(crate) async fn chunk(
        &self,
        texts: &[&str],
    ) -> Result<Vec<Vec<Range<usize>>>, CheckFailure> {
        let chunks = self.embedder.chunk(texts).await.at("chunk")?;
        ensure_eq!(chunks.len(), texts.len(), "lists of ranges");
        Ok(chunks)
    }

    /// A vector must be one that the profile promises.
    pub(crate) fn sound(&self, vector: &[f32], text: &str) -> CheckResult {
        let quote = quote(text);
        let dimensions = self.embedder.profile().dimensions;
        ensure_eq!(vector.len(), dimensions, "components for {quote}");
        let odd = vector.iter().find(|value| !value.is_finite());
        ensure_eq!(
            odd,
            None::<&f32>,
            "components that are no numbers for {quote}"
        );
        let squares = vector.iter().map(|value| f64::from(*value).powi(2));
        let length = squares.sum::<f64>().sqrt();
        ensure!(
            (length - 1.0).abs() <= EmbedderProfile::MAX_LENGTH_ERROR,
            "the vector for {quote} has the length {length}, not 1"
        );
        Ok(())
    }

    /// Two vectors must be those of equal texts.
    pub(crate) fn same(&self, got: &[f32], wanted: &[f32], what: &str) -> CheckResult {
        let apart = apart(got, wanted);
        ensure!(
            apart <= self.tolerance.0,
            "{what}: {apart} apart in a component, {} allowed",
            self.tolerance.0
        );
        Ok(())
    }
}

/// The largest difference in any component; infinite over unequal lengths and
/// where a number is none.
pub(crate) fn apart(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |largest, difference| {
        if difference.is_nan() {
            f32::INFINITY
        } else {
            difference.max(largest)
        }
    })
}

/// The beginning of a text, for a report.
pub(crate) fn quote(text: &str) -> String {
    let start: String = text.chars().take(30).collect();
    format!("{start:?} ({} characters)", text.chars().count())
}
