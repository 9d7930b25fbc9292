//! The engine on the reference store, with other systems on the same store and
//! under concurrency.
#![allow(clippy::unwrap_used, clippy::panic)]

mod background_loads;
mod close;
mod coherence;
mod fixture;
mod given_vectors;
mod recall;
mod reembed;
mod reembed_races;
mod relevance;
mod remote_writers;
mod rerank;
mod retain;
mod snapshot_pages;
mod soak;
mod warm;
mod warming;
