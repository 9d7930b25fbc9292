//! The contract of a language model.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::MemoryResult;

/// Completes a prompt. Optional everywhere: without one, a reflection is the quoted
/// memories, and consolidation merges only memories that say the same thing.
///
/// # Behavior
/// - Called with no lock and no database connection held.
/// - Dropping the future abandons the request.
#[async_trait]
pub trait LanguageModel: Debug + Send + Sync + 'static {
    /// Answers `prompt` with text.
    ///
    /// # Errors
    /// [`crate::MemoryError::LanguageModel`], with
    /// [`crate::ErrorKind::Unavailable`] where a retry can help.
    async fn complete(&self, prompt: &str) -> MemoryResult<String>;
}
