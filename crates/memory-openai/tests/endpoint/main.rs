//! The model against an HTTP server on this machine: what it sends, and what it
//! makes of every kind of answer.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod answers;
mod cancellation;
mod failures;
mod requests;
mod retries;
mod secrets;
mod server;
mod timeouts;
mod tls;

use std::error::Error;
use std::time::Duration;

use memory_core::{LanguageModel, MemoryError};
use memory_openai::{OpenAi, OpenAiError, OpenAiOptions};

use server::Server;

/// What the tests ask. It stands in no error and no log.
const PROMPT: &str = "Who sold Mira the lame horse?";
/// What they tell the endpoint to be known by; likewise.
const KEY: &str = "sk-sesame-open";

/// Options that wait next to nothing between two requests.
fn options(server: &Server) -> OpenAiOptions {
    OpenAiOptions::new("mira-7b")
        .base_url(server.base_url())
        .api_key(KEY)
        .first_wait(Duration::from_millis(2))
}

fn model(server: &Server) -> OpenAi {
    OpenAi::new(options(server)).unwrap()
}

/// The error of one call. Whatever it is, it gives nothing away.
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
