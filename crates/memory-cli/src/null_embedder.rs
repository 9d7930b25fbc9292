//! The embedder of commands that need no model.

use async_trait::async_trait;
use memory::embed::{EmbedRole, Embedder, EmbedderProfile};
use memory::{ErrorKind, MemoryError, MemoryResult};

/// An embedder that refuses to embed.
///
/// It takes the model's place in commands that only read or remove rows, so
/// list, export, forget and stats start at once and work where runtime and
/// model are missing. It makes no vectors, so none are stored or compared.
#[derive(Debug)]
pub(crate) struct NullEmbedder(EmbedderProfile);

impl NullEmbedder {
    pub(crate) fn new() -> Self {
        Self(EmbedderProfile::new("none", "none", 1).max_tokens(1))
    }
}

#[async_trait]
impl Embedder for NullEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        &self.0
    }

    async fn embed(&self, _texts: &[&str], _role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        let message = "this command opened the database without a model";
        Err(MemoryError::embedder(
            ErrorKind::Unsupported,
            "embed",
            message,
        ))
    }
}
