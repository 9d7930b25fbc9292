//! A [`LanguageModel`](memory_core::LanguageModel) on any OpenAI-compatible
//! chat completions endpoint: OpenAI itself, or a local Ollama, llama.cpp, vLLM
//! and others.
//!
//! ```
//! use memory_core::LanguageModel;
//! use memory_openai::{OpenAi, OpenAiOptions};
//!
//! # fn build() -> memory_core::MemoryResult<()> {
//! // A local model, which needs no key.
//! let local = OpenAi::new(
//!     OpenAiOptions::new("qwen3:8b").base_url("http://localhost:11434/v1"),
//! )?;
//! # Ok(())
//! # }
//! # async fn ask(key: String) -> memory_core::MemoryResult<()> {
//! // A hosted model; the application decides where the key is stored.
//! let model = OpenAi::new(
//!     OpenAiOptions::new("gpt-4.1-mini")
//!         .api_key(key)
//!         .system_prompt("You are Mira, a horse dealer. Answer in one sentence.")
//!         .max_tokens(200)
//!         .temperature(0.2),
//! )?;
//! let answer = model.complete("What do you think of Tam?").await?;
//! # Ok(())
//! # }
//! # build().unwrap();
//! ```
//!
//! | topic | behavior |
//! |---|---|
//! | call | one `POST {base URL}/chat/completions`; the response is not streamed |
//! | size | a request of more than [`OpenAiOptions::max_request_bytes`] is rejected before it is sent; of a response at most [`OpenAiOptions::max_response_bytes`] are read |
//! | timeout | per request, from connecting to the last byte of the response; a request that timed out is not retried |
//! | retry | after status 408, 429 and 5xx and after a failed or lost connection, with jitter; `Retry-After` is respected |
//! | cancellation | dropping the future closes the connection and stops the retries |
//! | redirects | are not followed: prompt and key are sent to the base URL only |
//! | proxies | those of the environment (`HTTPS_PROXY`, `NO_PROXY`, …), except for the loopback interface |
//! | TLS | rustls with ring, with the certificates that the platform trusts |
//!
//! Errors are [`MemoryError::LanguageModel`](memory_core::MemoryError), with
//! [`ErrorKind::Unavailable`](memory_core::ErrorKind) if a retry can help
//! and an [`OpenAiError`] as their source. Neither errors nor logs ever contain
//! the key, the prompt or the response.
//!
//! # Why this crate does not use a client library
//! `async-openai` logs and returns response bodies that it cannot parse, reads
//! bodies of any size, and adds 50 crates to the HTTP client that it is built
//! on. A single request needs little of it.

mod backoff;
mod chat_completion;
mod client;
mod error;
mod model;
mod options;

pub use error::{OpenAiError, RejectionReason};
pub use model::OpenAi;
pub use options::OpenAiOptions;
