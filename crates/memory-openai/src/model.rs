//! The language model.

use std::fmt;

use async_trait::async_trait;
use memory_core::{LanguageModel, MemoryError, MemoryResult};

use crate::chat_completion::{request_body, response_text};
use crate::endpoint::{Endpoint, FailedRequest};
use crate::options::OpenAiOptions;

/// A language model on an OpenAI-compatible endpoint. Clones share their
/// connections.
///
/// Calls need a Tokio runtime with I/O and timers, such as that of
/// `#[tokio::main]`. Dropping the future of a call closes its connection.
#[derive(Clone)]
pub struct OpenAi {
    options: OpenAiOptions,
    endpoint: Endpoint,
}

impl OpenAi {
    /// Creates the model. Nothing is sent yet.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for an option outside its limits, an
    /// invalid base URL or key, and a platform without certificates if the URL
    /// is `https`.
    pub fn new(options: OpenAiOptions) -> MemoryResult<Self> {
        options.validate()?;
        let endpoint = Endpoint::new(options.endpoint.clone(), &["chat", "completions"])?;
        Ok(Self { options, endpoint })
    }

    async fn answer(&self, prompt: &str) -> Result<String, FailedRequest> {
        let body = request_body(&self.endpoint, &self.options, prompt)?;
        let response = self.endpoint.post(&body).await?;
        Ok(response_text(&response)?)
    }
}

#[async_trait]
impl LanguageModel for OpenAi {
    async fn complete(&self, prompt: &str) -> MemoryResult<String> {
        self.answer(prompt).await.map_err(|failed| {
            let message = self.endpoint.message(&failed);
            let kind = failed.error.kind();
            MemoryError::language_model(kind, "complete", message).with_source(failed.error)
        })
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
