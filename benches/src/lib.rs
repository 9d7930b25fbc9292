//! Shared parts of the benchmarks: conversations and their scoring, generated
//! corpora, and the cache comparison.

pub mod cache_comparison;
pub mod corpus;
pub mod locomo;
pub mod metrics;
pub mod report;
