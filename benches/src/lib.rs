//! What the benchmarks share: real conversations, and how they are scored.

pub mod figures;
pub mod locomo;
