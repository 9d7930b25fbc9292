//! Conformance suites for the backends of the memory system.
//!
//! A backend's author proves it in five lines:
//!
//! ```
//! # async fn proof() {
//! use memory_testkit::{MemStore, store};
//! let report = store::conformance(|| async { MemStore::new() }).await;
//! report.assert();
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod broken;
pub mod cache;
mod check;
pub mod embedder;
mod hash_embedder;
mod map_cache;
mod mem_store;
mod patience;
pub mod population;
mod report;
mod seeded;
pub mod store;

pub use check::{CheckResult, Shortfall};
pub use hash_embedder::HashEmbedder;
pub use map_cache::{MapBackend, MapCache};
pub use mem_store::MemStore;
pub use report::{NO_SKIPS, Outcome, Report, Verdict};
pub use seeded::Seeded;
