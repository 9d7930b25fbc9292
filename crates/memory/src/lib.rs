//! Long-term memory for AI agents and game characters.
//!
//! An *entity* (an agent, a character, a user) retains memories, recalls what
//! matters, reflects on it, and alters, consolidates and forgets it:
//!
//! ```no_run
//! # async fn five_lines() -> memory::MemoryResult<()> {
//! use memory::{MemoryKind, MemorySystem};
//!
//! let memory = MemorySystem::open("sqlite://agent.db").await?;
//! memory.retain("mira", MemoryKind::Experience, "Tam sold me a lame horse.").await?;
//! for found in memory.recall("mira", "Who sold me the horse?").await? {
//!     println!("{:.2} {}", found.score, found.memory.content);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`MemorySystem::open`] takes the defaults: SQLite in one file, the
//! all-MiniLM-L6-v2 model on ONNX Runtime, moka caches. Nothing is downloaded
//! at run time; `memory setup` (the command of `memory-cli`) lays out runtime
//! and model once. [`MemorySystem::builder`] takes any other store, embedder,
//! cache or clock; no type parameter ever reaches your code.
//!
//! The feature `postgres` adds a store on PostgreSQL, the feature `openai` a
//! language model (`OpenAi`) on any OpenAI-compatible endpoint.
//!
//! Calls need a tokio runtime with timers, as `#[tokio::main]` makes it. Every verb is scoped to an entity: a memory of
//! another entity is *not found*. Bad input is refused before any work with a
//! [`MemoryError::InvalidInput`] that names the bound.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod builder;
mod life;
mod open;
mod stream;
mod system;

pub use builder::MemorySystemBuilder;
pub use stream::RetainProgress;
pub use system::MemorySystem;

pub use memory_core::{
    AccessCounting, ByteSize, Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy,
    CacheStats, CacheValue, Clock, Consistency, EmbedRole, Embedder, EmbedderProfile, EntityId,
    EntityStats, ErrorKind, Fingerprint, Generation, InvalidInput, LanguageModel, LimitPolicy,
    ListPage, ListRequest, ListScope, ManualClock, Memory, MemoryBatchItem, MemoryConfig,
    MemoryError, MemoryFilter, MemoryId, MemoryKind, MemoryPatch, MemoryResult, MemoryTagMode,
    PageCursor, ScoreStats, Store, SystemClock, TierStats, limits,
};
pub use memory_engine::{
    ConsolidateRequest, ConsolidatedSummary, ConsolidationReport, Explanation, LinkDirection,
    Ranking, RecallHit, RecallPath, RecallRequest, ReflectRequest, Reflection, RelatedMemory,
    ScoreFusion,
};
pub use memory_moka::MokaBackend;
#[cfg(feature = "onnx")]
pub use memory_onnx::{OnnxEmbedder, OnnxOptions, Precision};
#[cfg(feature = "openai")]
pub use memory_openai::{OpenAi, OpenAiOptions};
#[cfg(feature = "postgres")]
pub use memory_pg::{PgOptions, PgPool, PgStore};
#[cfg(feature = "sqlite")]
pub use memory_sqlite::{SqliteOptions, SqliteStore};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The guide's story runs.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
struct Guide;
