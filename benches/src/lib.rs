//! What the benchmarks share: real conversations and how they are scored, and
//! the caches with the work that they are put to.

pub mod figures;
pub mod locomo;
pub mod page;
pub mod swap;

/// How to write a store, an embedder or a cache, and prove it. Every example of
/// the guide is compiled and run as a test.
#[doc = include_str!("../../docs/backend-author.md")]
pub mod guide {}
