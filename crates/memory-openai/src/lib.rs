//! A [`LanguageModel`](memory_core::LanguageModel) and an
//! [`Embedder`](memory_core::Embedder) on any OpenAI-compatible endpoint: OpenAI
//! itself, or a local Ollama, llama.cpp, vLLM and others.
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
//! ```no_run
//! use memory_core::{EmbedRole, Embedder};
//! use memory_openai::{OpenAiEmbedder, OpenAiEmbedderOptions};
//!
//! # async fn embed() -> memory_core::MemoryResult<()> {
//! let embedder = OpenAiEmbedder::connect(
//!     OpenAiEmbedderOptions::new("nomic-embed-text").base_url("http://localhost:11434/v1"),
//! )
//! .await?;
//! let vectors = embedder.embed(&["Tam sold me a horse."], EmbedRole::Passage).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | topic | behavior |
//! |---|---|
//! | completion | one `POST {base URL}/chat/completions`; the response is not streamed |
//! | embedding | `POST {base URL}/embeddings` for each batch of texts, some at a time; vectors are put in the order of their `index`, checked and L2-normalized |
//! | size | a request of more than `max_request_bytes` is not sent; of a response at most `max_response_bytes` are read. A batch of texts that is too large is sent in parts |
//! | timeout | per request, from connecting to the last byte of the response; a request that timed out is not retried |
//! | retry | after status 408, 429 and 5xx and after a failed or lost connection, with jitter; `Retry-After` is respected |
//! | cancellation | dropping the future closes the connections and stops the retries |
//! | redirects | are not followed: texts and key are sent to the base URL only |
//! | proxies | those of the environment (`HTTPS_PROXY`, `NO_PROXY`, …), except for the loopback interface |
//! | TLS | rustls with ring, with the certificates that the platform trusts |
//!
//! Errors are [`MemoryError::LanguageModel`](memory_core::MemoryError) and
//! [`MemoryError::Embedder`](memory_core::MemoryError), with an [`OpenAiError`] as
//! their source and one of these kinds. Neither errors nor logs ever contain the
//! key, a text that was sent or anything that the endpoint wrote.
//!
//! | kind | when |
//! |---|---|
//! | [`Unavailable`](memory_core::ErrorKind::Unavailable) | the endpoint cannot be reached, is busy, failed or was too slow: a retry can help |
//! | [`Configuration`](memory_core::ErrorKind::Configuration) | the endpoint rejects key, path or model name, or the vectors have other dimensions than the options state |
//! | [`InvalidInput`](memory_core::ErrorKind::InvalidInput) | the text is too long for a request or for the model |
//! | [`Corrupt`](memory_core::ErrorKind::Corrupt) | the response is not what the API defines, or a vector is zero or not finite |
//! | [`Other`](memory_core::ErrorKind::Other) | everything else, such as a refusal, a used-up quota or a response over the limit |
//!
//! # Why this crate does not use a client library
//! `async-openai` logs and returns response bodies that it cannot parse, reads
//! bodies of any size, and adds 50 crates to the HTTP client that it is built
//! on. Two kinds of requests need little of it.

mod backoff;
mod chat_completion;
mod chunks;
mod client;
mod embedder;
mod embedder_options;
mod embeddings;
mod endpoint;
mod endpoint_options;
mod error;
mod model;
mod options;
mod rejection;

pub use embedder::OpenAiEmbedder;
pub use embedder_options::{EncodingFormat, OpenAiEmbedderOptions};
pub use error::OpenAiError;
pub use model::OpenAi;
pub use options::OpenAiOptions;
pub use rejection::RejectionReason;
