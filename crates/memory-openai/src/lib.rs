//! A [`LanguageModel`](memory_core::LanguageModel) on any endpoint that speaks
//! OpenAI's chat completions: OpenAI itself, or Ollama, llama.cpp, vLLM and the
//! like on a machine of your own.
//!
//! ```
//! use memory_core::LanguageModel;
//! use memory_openai::{OpenAi, OpenAiOptions};
//!
//! # fn build() -> memory_core::MemoryResult<()> {
//! // A model on this machine, which needs no key.
//! let local = OpenAi::new(
//!     OpenAiOptions::new("qwen3:8b").base_url("http://localhost:11434/v1"),
//! )?;
//! # Ok(())
//! # }
//! # async fn ask(key: String) -> memory_core::MemoryResult<()> {
//! // One elsewhere; where the key comes from is the caller's business.
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
//! | what | how |
//! |---|---|
//! | a call | one `POST {base URL}/chat/completions`, answered whole and not as a stream |
//! | a time-out | of each request, from connecting to the answer's last byte; a request that ran into it is not sent again |
//! | a retry | after status 408, 429 and 5xx and after a failed or broken connection, with jitter; `Retry-After` is honored |
//! | an answer | at most [`OpenAiOptions::max_answer`] bytes are read, whatever the endpoint sends |
//! | cancellation | dropping the future closes the connection, and nothing is sent any more |
//! | redirects | are not followed: prompt and key go where the base URL points and nowhere else |
//! | proxies | those of the environment (`HTTPS_PROXY`, `NO_PROXY`, …), except to this machine |
//! | TLS | rustls with ring, on the certificates that the platform trusts |
//!
//! Errors are [`MemoryError::LanguageModel`](memory_core::MemoryError), with
//! [`ErrorKind::Unavailable`](memory_core::ErrorKind) where a retry can help
//! and an [`OpenAiError`] as their source. Neither they nor the logs ever hold
//! the key, the prompt or the answer.
//!
//! # Why not a client of the whole API
//! `async-openai` is well kept, and logs and returns the body of an answer
//! that does not read, reads bodies of any size, and brings 50 crates more than
//! the HTTP client that it is built on. One request needs little of it.

mod answer;
mod body;
mod client;
mod error;
mod model;
mod options;
mod request;
mod retry;

pub use error::{OpenAiError, Reason};
pub use model::OpenAi;
pub use options::OpenAiOptions;
