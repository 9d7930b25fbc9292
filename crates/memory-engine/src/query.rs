//! A question, ready for every arm.

use std::sync::Arc;

/// What the arms compare with.
pub(crate) struct Query {
    /// For the dense arm: L2-normalised.
    pub(crate) vector: Arc<[f32]>,
    /// For the lexical arm.
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
