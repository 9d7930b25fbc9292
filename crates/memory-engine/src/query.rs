//! A question, ready for every retriever.

use std::sync::Arc;

/// What the retrievers compare with.
pub(crate) struct Query {
    /// For the dense retriever: L2-normalized.
    pub(crate) vector: Arc<[f32]>,
    /// For the lexical retriever.
    pub(crate) stems: Vec<String>,
    /// For what the question names.
    pub(crate) words: Vec<String>,
}

impl Query {
    pub(crate) fn new(text: &str, vector: Arc<[f32]>) -> Self {
        Self {
            vector,
            stems: memory_text::stems(text),
            words: memory_text::words(text),
        }
    }
}
