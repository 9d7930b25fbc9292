//! The contract of a reranker.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::MemoryResult;

/// Scores how well texts answer a question, reading each text together with the
/// question: the optional second stage of a recall.
///
/// # Behavior
/// - One finite score per text, in the order of the texts; a better answer has a
///   higher score. The scale is the reranker's own.
/// - A score depends on the question and the text alone, not on the other texts
///   of the call nor on their order: the same pair has the same score (to 1e-4,
///   relative to scores above 1, where arithmetic is done in another order).
/// - An empty slice gives no scores. Questions and texts of any shape are
///   accepted, and of any length: what exceeds the model's window is ignored, of
///   the text before the question.
/// - Called with no lock and no database connection held. Inference never runs on
///   an async worker thread.
/// - **Cancellation.** Dropping the future abandons the work; nothing else is
///   disturbed by it.
#[async_trait]
pub trait Reranker: Debug + Send + Sync + 'static {
    /// The model's name, for people.
    fn model(&self) -> &str;

    /// Scores a batch of texts against one question.
    ///
    /// # Errors
    /// [`crate::MemoryError::Reranker`], with
    /// [`crate::ErrorKind::Unavailable`] where a retry can help.
    async fn score(&self, question: &str, texts: &[&str]) -> MemoryResult<Vec<f32>>;
}
