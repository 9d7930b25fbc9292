//! The vocabulary of the memory system.
//!
//! This crate names things and promises things; it does nothing. It holds the
//! types that travel between the parts ([`Memory`], [`MemoryBatchItem`],
//! [`MemoryFilter`], …), the [`limits`] that every input is held to, the one
//! [`MemoryError`], and the four traits that a backend implements:
//!
//! | trait | what stands behind it |
//! |---|---|
//! | [`Store`] | a database: rows, vectors, generations |
//! | [`Embedder`] | a model that turns text into vectors |
//! | [`Cache`] and [`CacheBackend`] | a bounded map in this process |
//! | [`LanguageModel`] | a model that completes a prompt (always optional) |
//!
//! There is no runtime, no backend and no I/O among its dependencies, so that
//! a backend author depends on little and on nothing that moves fast. Prove an
//! implementation with the conformance suites of `memory-testkit`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cache;
mod clock;
mod config;
mod consistency;
mod decay;
mod embedder;
mod error;
mod filter;
mod id;
mod item;
mod kind;
mod language_model;
pub mod limits;
mod memory;
mod patch;
mod shared;
mod stats;
mod store;
mod vector;

pub use cache::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher};
pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{AccessCounting, ByteSize, LimitPolicy, MemoryConfig};
pub use consistency::Consistency;
pub use decay::{access_boost, current_importance};
pub use embedder::{EmbedRole, Embedder, EmbedderProfile, Fingerprint};
pub use error::{ErrorKind, InvalidInput, MemoryError, MemoryResult, SharedSource};
pub use filter::{MemoryFilter, MemoryTagMode};
pub use id::{EntityId, MemoryId};
pub use item::MemoryBatchItem;
pub use kind::MemoryKind;
pub use language_model::LanguageModel;
pub use memory::Memory;
pub use patch::MemoryPatch;
pub use shared::IntoShared;
pub use stats::{CacheStats, TierStats};
pub use store::{
    AccessUpdate, ChangeMarker, ChangeSet, ChangeStream, ConsolidateOutcome, DenseQuery,
    EmbeddedMemory, EntityStats, Generation, GetOutcome, InsertOptions, InsertOutcome, ListPage,
    ListRequest, ListScope, PageCursor, RemoveOutcome, ScoreStats, ScoreStatsBuilder, SearchHit,
    SearchOutcome, SearchRequest, Store, StoreCapabilities, StoreEvent, SummaryGroup,
    UpdateOutcome, VectorPrecision, Writers,
};
pub use vector::{Embedding, cosine, normalize};
