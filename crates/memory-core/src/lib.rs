//! Types, limits, errors and traits of the memory system.
//!
//! This crate contains the types that are passed between the parts ([`Memory`], [`MemoryBatchItem`],
//! [`MemoryFilter`], …), the [`limits`] of every input, the error type
//! [`MemoryError`], and the traits that backends implement:
//!
//! | trait | implemented by |
//! |---|---|
//! | [`Store`] | a database: rows, vectors, generations |
//! | [`Embedder`] | a model that turns text into vectors |
//! | [`Cache`] and [`CacheBackend`] | a map of limited size in this process |
//! | [`SharedCache`] | a cache that several processes share (always optional) |
//! | [`LanguageModel`] | a model that completes a prompt (always optional) |
//! | [`Reranker`] | a model that scores texts against a question (always optional) |
//!
//! There is no runtime, no backend and no I/O among its dependencies, so
//! backends depend on little. Test an implementation with the conformance
//! suites of `memory-testkit`.

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
mod language;
mod language_model;
pub mod levels;
pub mod limits;
mod memory;
mod patch;
mod pending_work;
pub mod quantized;
pub mod refinement;
mod reranker;
mod shared;
mod shared_cache;
mod stats;
mod store;
mod vector;

pub use cache::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher};
pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{AccessCounting, ByteSize, LimitPolicy, MemoryConfig, Preset};
pub use consistency::Consistency;
pub use decay::{access_boost, current_importance};
pub use embedder::{EmbedRole, Embedder, EmbedderProfile, Fingerprint};
pub use error::{
    ErrorKind, Excerpt, InvalidInput, InvalidSetting, MemoryError, MemoryResult, SettingOrigin,
    SettingProblem, SharedSource,
};
pub use filter::{MemoryFilter, MemoryTagMode};
pub use id::{EntityId, MemoryId};
pub use item::MemoryBatchItem;
pub use kind::MemoryKind;
pub use language::{Language, UnknownLanguage};
pub use language_model::LanguageModel;
pub use memory::Memory;
pub use patch::MemoryPatch;
pub use pending_work::{PendingWork, WorkPermit};
pub use reranker::Reranker;
pub use shared::IntoShared;
pub use shared_cache::{
    SharedCache, SharedEntry, SharedGroup, SharedKey, SharedLookup, SharedTime, SharedValue,
};
pub use stats::{CacheStats, TierStats};
pub use store::index_maintenance::{
    DEFAULT_ANN_TARGET_RECALL, IndexAction, IndexDescription, IndexMeasurement, IndexMethod,
    IndexReason, IndexReport, MaintenanceReport, MaintenanceRequest, check_target_recall,
};
pub use store::{
    AccessOutcome, AccessState, AccessUpdate, BackupOptions, ChangeMarker, ChangeSet, ChangeStream,
    ConsolidateOutcome, DenseQuery, EmbeddedMemory, EntityStats, EpisodePart, Generation,
    GetOutcome, InsertOptions, InsertOutcome, ListPage, ListRequest, ListScope, NeighborOutcome,
    NeighborRequest, PageCursor, RemoveOutcome, ReplaceVectorsOutcome, ScoreStats,
    ScoreStatsBuilder, SearchHit, SearchOutcome, SearchRequest, SnapshotPage, SnapshotPages,
    SnapshotPart, SnapshotState, Store, StoreCapabilities, StoreEvent, SummaryGroup, TermStats,
    UpdateOutcome, VectorPrecision, Writers,
};
pub use vector::{Embedding, cosine, normalize};

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_types_are_send_and_sync() {
        fn check<T: ?Sized + Send + Sync>() {}
        check::<dyn Store>();
        check::<dyn Embedder>();
        check::<dyn LanguageModel>();
        check::<dyn Reranker>();
        check::<dyn SharedCache>();
        check::<dyn Clock>();
        check::<dyn Cache<MemoryId, String>>();
        check::<CachePolicy<MemoryId, String>>();
        check::<CacheCounters>();
        check::<CacheStats>();
        check::<MemoryConfig>();
        check::<MemoryError>();
        check::<InvalidInput>();
        check::<SharedSource>();
        check::<Memory>();
        check::<MemoryBatchItem>();
        check::<MemoryPatch>();
        check::<MemoryFilter>();
        check::<EntityId>();
        check::<Embedding>();
        check::<EmbedderProfile>();
        check::<StoreCapabilities>();
        check::<StoreEvent>();
        check::<MaintenanceReport>();
        check::<InsertOptions>();
        check::<SummaryGroup>();
        check::<ListRequest>();
        check::<SearchRequest>();
        check::<InsertOutcome>();
        check::<SearchOutcome>();
        check::<ChangeSet>();
        check::<RemoveOutcome>();
        // A stream is polled by one task at a time.
        fn check_send<T: ?Sized + Send>() {}
        check_send::<dyn ChangeStream>();
    }
}
