//! An embedder for verbs that embed nothing.

use async_trait::async_trait;
use memory::{EmbedRole, Embedder, EmbedderProfile, ErrorKind, MemoryError, MemoryResult};

/// Stands in for the model where only rows are read or removed: so list,
/// export, forget and stats start at once, and work where runtime and model
/// are missing. It makes no vector, hence none that could be stored or
/// compared.
#[derive(Debug)]
pub(crate) struct WithoutModel(EmbedderProfile);

impl WithoutModel {
    pub(crate) fn new() -> Self {
        Self(EmbedderProfile {
            model: "none".to_owned(),
            fingerprint: "none".into(),
            dimensions: 1,
            max_tokens: 1,
        })
    }
}

#[async_trait]
impl Embedder for WithoutModel {
    fn profile(&self) -> &EmbedderProfile {
        &self.0
    }

    async fn embed(&self, _texts: &[&str], _role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        let message = "this verb was opened without a model";
        Err(MemoryError::embedder(
            ErrorKind::Unsupported,
            "embed",
            message,
        ))
    }
}
