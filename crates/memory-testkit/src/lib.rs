//! Conformance suites for the backends of the memory system.
//!
//! A backend's test is five lines:
//!
//! ```
//! # async fn proof() {
//! use memory_testkit::{InMemoryStore, store};
//! let report = store::conformance(|| async { InMemoryStore::new() }).await;
//! report.assert();
//! # }
//! ```
//!
//! | contract | suite | against a model | reference | faulty on purpose |
//! |---|---|---|---|---|
//! | [`Store`](memory_core::Store) | [`store::conformance`] | [`store::model_check`] | [`InMemoryStore`] | [`faulty::FaultyStore`] |
//! | [`Embedder`](memory_core::Embedder) | [`embedder::conformance`] | | [`HashEmbedder`] | [`faulty::FaultyEmbedder`] |
//! | [`Reranker`](memory_core::Reranker) | [`reranker::conformance`] | | [`OverlapReranker`] | [`faulty::FaultyReranker`] |
//! | [`SharedCache`](memory_core::SharedCache) | [`shared_cache::conformance`] | | [`InMemorySharedCache`] | [`faulty::FaultySharedCache`] |
//! | [`CacheBackend`](memory_core::CacheBackend) | [`cache::conformance`] | [`cache::model_check`] | [`MapBackend`] | [`faulty::FaultyBackend`] |
//!
//! A suite is a table of checks, one for each item of the contract's
//! `# Behavior` lists; a [`Report`] says which of them pass, which fail and why.
//! Checks that a backend's capabilities exclude are *not applicable* and
//! printed; the environment variable [`NO_SKIPS`] makes them fail. The checks
//! are tested too: each of the faulty backends breaks one promise, and must be
//! detected by the check that it names.
//!
//! The asynchronous suites run on any runtime. Data comes
//! from fixed seeds ([`SeededRng`], [`fixtures`]), so a failure can be repeated;
//! no check asserts how fast anything is.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cache;
mod check;
pub mod embedder;
pub mod faulty;
pub mod fixtures;
mod hash_embedder;
mod hooked_store;
mod in_memory_shared_cache;
mod in_memory_store;
mod map_cache;
mod minimal_store;
mod model_dir;
mod overlap_reranker;
mod report;
pub mod reranker;
mod seeded_rng;
mod selection;
pub mod shared_cache;
pub mod store;
mod timing;
mod trace_log;
mod unigram;

pub use check::{CheckFailure, CheckResult};
pub use hash_embedder::HashEmbedder;
pub use hooked_store::{HookedStore, StoreCall, StoreHooks, StoreOperation};
pub use in_memory_shared_cache::{InMemorySharedCache, SharedCacheDump};
pub use in_memory_store::InMemoryStore;
pub use map_cache::{MapBackend, MapCache};
pub use minimal_store::MinimalStore;
pub use model_dir::write_model_dir;
pub use overlap_reranker::OverlapReranker;
pub use report::{NO_SKIPS, Outcome, Report, Verdict};
pub use seeded_rng::SeededRng;
pub use timing::wait_until;
pub use trace_log::TraceLog;
pub use unigram::{unigram_tokenizer, unigram_vocabulary};

/// The examples of `docs/backend-author.md`, compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/backend-author.md")]
mod backend_author {}

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
