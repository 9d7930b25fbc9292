//! Shared parts of the benchmarks: conversations and their scoring, generated
//! corpora, and the cache comparison.

pub mod cache_comparison;
pub mod locomo;
pub mod metrics;
pub mod report;

/// How to write and test a store, an embedder or a cache. Every example of the
/// guide is compiled and run as a test.
#[doc = include_str!("../../docs/backend-author.md")]
pub mod guide {}
