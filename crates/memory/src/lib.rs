//! Long-term memory for AI agents and game characters.
//!
//! An *entity* (an agent, a character, a user) retains memories, recalls the
//! relevant ones, reflects on them, consolidates duplicates and forgets:
//!
//! ```no_run
//! # async fn five_lines() -> memory::MemoryResult<()> {
//! use memory::{MemoryKind, MemorySystem};
//!
//! let memory = MemorySystem::open("sqlite://agent.db").await?;
//! memory.retain("mira", MemoryKind::Experience, "Tam sold me a lame horse.").await?;
//! for hit in memory.recall("mira", "Who sold me the horse?").await? {
//!     println!("{:.2} {}", hit.score, hit.memory.content);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`MemorySystem::open`] takes the defaults: SQLite in one file, the
//! all-MiniLM-L6-v2 model on ONNX Runtime, moka caches. Nothing is downloaded at
//! run time; `memory setup` (the command of `memory-cli`) installs runtime and
//! model once. [`MemorySystem::builder`] takes any other store, embedder, cache,
//! language model, reranker or clock; no type parameter reaches your code.
//!
//! Calls need a tokio runtime with timers, such as the one that `#[tokio::main]`
//! starts. Every operation is scoped to an entity: a memory of another entity is
//! *not found*. Bad input is refused before any work with a
//! [`MemoryError::InvalidInput`] that names the limit.
//!
//! # Features
//! `sqlite` and `onnx` are on by default. `postgres` adds the store on PostgreSQL,
//! `valkey` a cache that several processes share, `tls` TLS to both, and `openai` a
//! language model and an embedder on any OpenAI-compatible endpoint.
//!
//! # Types of other crates
//! These foreign types are part of the public interface, so their major versions
//! are as well: `chrono::DateTime<Utc>` (timestamps), `uuid::Uuid` (inside
//! [`MemoryId`]), `futures_util::Stream` (streams), and with `postgres`
//! `sqlx::PgPool` (`MemorySystem::with_pool`).

#![cfg_attr(test, allow(clippy::unwrap_used))]

/// Opens a documentation example: a system in memory with an embedder that
/// needs no model.
macro_rules! example {
    () => {
        "```\n\
         # use memory::*;\n\
         # #[tokio::main(flavor = \"current_thread\")]\n\
         # async fn main() -> MemoryResult<()> {\n\
         # let memory = MemorySystem::builder()\n\
         #     .url(\"sqlite::memory:\")\n\
         #     .embedder(memory_testkit::HashEmbedder::new())\n\
         #     .build()\n\
         #     .await?;"
    };
}

mod administration;
mod builder;
mod defaults;
mod lifecycle;
mod settings;
mod stream;
mod system;
mod url_scheme;

pub use builder::MemorySystemBuilder;
pub use settings::{OTHER_VARIABLES, SettingEntry, Settings, SettingsBuilder};
pub use stream::RetainProgress;
pub use system::MemorySystem;

pub use memory_core::{
    AccessCounting, ByteSize, CacheStats, Clock, Consistency, DEFAULT_ANN_TARGET_RECALL, EntityId,
    EntityStats, ErrorKind, Excerpt, Generation, IndexAction, IndexDescription, IndexMeasurement,
    IndexMethod, IndexReason, IndexReport, IntoShared, InvalidInput, InvalidSetting, Language,
    LanguageModel, LimitPolicy, ListPage, ListRequest, ListScope, MaintenanceReport,
    MaintenanceRequest, ManualClock, Memory, MemoryBatchItem, MemoryConfig, MemoryError,
    MemoryFilter, MemoryId, MemoryKind, MemoryPatch, MemoryResult, MemoryTagMode, PageCursor,
    Preset, Reranker, ScoreStats, SettingOrigin, SettingProblem, SharedSource, SystemClock,
    TierStats, UnknownLanguage, limits,
};
pub use memory_engine::{
    ConsolidateRequest, ConsolidatedSummary, ConsolidationReport, ExcludedHits, Explanation,
    LinkDirection, Ranking, RecallHit, RecallPath, RecallReport, RecallRequest, ReembedReport,
    ReembedRequest, ReflectRequest, Reflection, RelatedMemory, RelevanceInputs, RelevanceModel,
    RestoreItem, ScoreFusion, SkipReason, SkippedGroup,
};

/// The contract of stores, for backends of your own.
pub mod store {
    pub use memory_core::{
        AccessOutcome, AccessState, AccessUpdate, BackupOptions, ChangeMarker, ChangeSet,
        ChangeStream, ConsolidateOutcome, DenseQuery, EmbeddedMemory, Embedding, EpisodePart,
        GetOutcome, InsertOptions, InsertOutcome, NeighborOutcome, NeighborRequest, RemoveOutcome,
        ReplaceVectorsOutcome, ScoreStatsBuilder, SearchHit, SearchOutcome, SearchRequest,
        SnapshotPage, SnapshotPages, SnapshotPart, SnapshotState, Store, StoreCapabilities,
        StoreEvent, SummaryGroup, TermStats, UpdateOutcome, VectorPrecision, Writers,
    };
}

/// The contract of embedders, for models of your own.
pub mod embed {
    pub use memory_core::{EmbedRole, Embedder, EmbedderProfile, Fingerprint, cosine, normalize};
}

/// The contract of caches, and the default one.
pub mod cache {
    pub use memory_core::{
        Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue, SharedCache,
        SharedEntry, SharedGroup, SharedKey, SharedLookup, SharedTime, SharedValue, Weigher,
    };
    pub use memory_moka::{MokaBackend, MokaCache};
}

/// Metrics, recorded through the `metrics` facade: install a recorder, such as an
/// exporter for Prometheus, and they are there.
///
/// A recorder may be installed before or after a system is built. Most metrics are
/// recorded when an operation ends; what the tiers and pools count is published
/// every five seconds and by [`publish`](metrics::publish).
pub mod metrics {
    pub use memory_metrics::{ALL, Metric, MetricKind, Operation, Unit, describe, publish};
}

/// The embedded store.
#[cfg(feature = "sqlite")]
pub mod sqlite {
    pub use memory_sqlite::{ConversionProgress, SqliteOptions, SqliteStore, Synchronous};
}

/// The store on PostgreSQL with pgvector.
#[cfg(feature = "postgres")]
pub mod postgres {
    pub use crate::defaults::configure_postgres;
    pub use memory_pg::{
        AnnIndex, Migrations, PgOptions, PgPool, PgStore, Pooler, Precision, ServerError,
    };
}

/// The shared cache on Valkey or Redis.
#[cfg(feature = "valkey")]
pub mod valkey {
    pub use memory_valkey::{ValkeyCache, ValkeyOptions};
}

/// The embedder and the reranker on ONNX Runtime.
#[cfg(feature = "onnx")]
pub mod onnx {
    pub use memory_onnx::{
        MaxTokens, OnnxEmbedder, OnnxOptions, OnnxReranker, Parallelism, Precision,
        RerankerOptions, RuntimeInfo, WeightSource, load_runtime,
    };
}

/// The language model and the embedder on an OpenAI-compatible endpoint.
#[cfg(feature = "openai")]
pub mod openai {
    pub use memory_openai::{
        EncodingFormat, OpenAi, OpenAiEmbedder, OpenAiEmbedderOptions, OpenAiError, OpenAiOptions,
        RejectionReason,
    };
}

/// The examples in documents compile, and run unless marked `no_run`.
#[cfg(doctest)]
mod documents {
    macro_rules! document {
        ($($name:ident: $path:literal),*) => {$(
            #[doc = include_str!($path)]
            struct $name;
        )*};
    }
    document!(
        Readme: "../../../README.md",
        GettingStarted: "../../../docs/getting-started.md",
        Guide: "../../../docs/guide.md",
        Models: "../../../docs/models.md",
        Backups: "../../../docs/backups.md",
        Consistency: "../../../docs/consistency.md",
        Errors: "../../../docs/errors.md",
        SharedCache: "../../../docs/shared-cache.md",
        Performance: "../../../docs/MEMORY_PERFORMANCE_OPTIMIZATION.md"
    );
}
