//! The language model and the embedder against a local HTTP server: their requests,
//! and how they handle every kind of response.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod embedder;
mod embedder_failures;
mod failures;
mod requests;
mod responses;
mod server;

use std::error::Error;
use std::time::Duration;

use memory_core::{LanguageModel, MemoryError};
use memory_openai::{OpenAi, OpenAiError, OpenAiOptions};

use server::Server;

/// The prompt of the tests. It appears in no error and no log.
const PROMPT: &str = "Who sold Mira the lame horse?";
/// The API key of the tests. It appears in no error and no log.
const KEY: &str = "sk-sesame-open";

/// Options with a minimal delay between requests.
fn options(server: &Server) -> OpenAiOptions {
    OpenAiOptions::new("mira-7b")
        .base_url(server.base_url())
        .api_key(KEY)
        .initial_backoff(Duration::from_millis(2))
}

fn model(server: &Server) -> OpenAi {
    OpenAi::new(options(server)).unwrap()
}

/// The error of one call, checked to contain no secret.
async fn failure(model: &OpenAi) -> MemoryError {
    let error = model.complete(PROMPT).await.unwrap_err();
    assert!(
        matches!(error, MemoryError::LanguageModel { .. }),
        "{error}"
    );
    assert_eq!(error.operation(), Some("complete"));
    let shown = format!("{error} {error:?}");
    for secret in [PROMPT, KEY, server::SECRET] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error
}

/// The typed source of an error.
fn source(error: &MemoryError) -> &OpenAiError {
    error.source().unwrap().downcast_ref().unwrap()
}
