//! The engine of the memory system: three tiers, coherence, ranking, batching.
//!
//! It knows the traits of `memory-core` and nothing of any backend. [`Engine`]
//! holds its three caches erased: a lookup costs one dynamic call. Its
//! operations are inherent methods, one file each in `ops/`; the facade
//! `memory` declares them for users, with documentation.
//!
//! Each operation is composed of a few components, which `EngineInner` holds.
//! Data flows one way:
//!
//! ```text
//!                 ┌→ Reader ───────────→ Tiers ─→ Store
//! Engine (ops/) ──┼→ ContentEmbedder ──→ Tiers ─→ Embedder
//!        │        └→ Inserter → Writer ─→ Store ─→ Tiers
//!        └→ ranking ← snapshot
//! ```
//!
//! | component | job |
//! |---|---|
//! | `Reader` (`reader`, `recall_source`, `page_source`) | loads memories, snapshots and pages of lists, through the tiers |
//! | `Writer` | commits a write in a task of its own and applies it to the tiers |
//! | `Inserter` | inserts a batch within limits, and plans evictions |
//! | `ContentEmbedder` | chunks and embeds contents, through the embedding tier |
//! | `AccessRecorder` | counts recalls and writes the counts in the background |
//! | `ChangeListener` | applies other processes' change events to the tiers |
//! | `SecondStage` | has the reranker, where there is one, order the first hits of a recall |
//! | `BackgroundLoads` | loads large snapshots that were asked for, while the store answers |
//! | `Warming` | loads the snapshots of the entities that were used last, after a start |
//! | `metrics` | reports what the components count to `memory-metrics` |
//! | `history` | the state of an entity as of an earlier moment |
//! | `Tiers` | the memory, entity and embedding tiers; single flight; coherence |
//!
//! | folder | contents |
//! |---|---|
//! | `ops/` | one file per operation: retain, recall, alter, delete, consolidate, … |
//! | `consolidation/` | grouping, summarizing, quoting for a prompt |
//! | `accesses/` | access counts: pending ones, and writing them in the background |
//! | `eviction/` | the order of eviction, candidates that are kept, locks |
//! | `tiers/` | the three caches and what keeps them coherent with the store |
//! | `snapshot/` | an entity's memories and vectors as one searchable value |
//! | `ranking/` | from similarity, importance and recency to a score |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod accesses;
mod background_loads;
mod backoff;
mod blocking;
mod change_listener;
mod consolidation;
mod content_embedder;
mod engine;
mod eviction;
mod history;
mod insert;
mod metrics;
mod ops;
mod page_source;
mod query;
mod ranking;
mod reader;
mod recall;
mod recall_source;
mod second_stage;
mod snapshot;
mod store_scan;
mod tiers;
mod warming;
mod writer;

pub use consolidation::{
    ConsolidateRequest, ConsolidatedSummary, ConsolidationReport, SkipReason, SkippedGroup,
};
pub use engine::{Engine, EngineBuilder};
pub use ops::{
    LinkDirection, ReembedReport, ReembedRequest, Reembedding, ReflectRequest, Reflection,
    RelatedMemory, RestoreItem,
};
pub use ranking::{Explanation, Ranking, RecallPath, RelevanceInputs, RelevanceModel, ScoreFusion};
pub use recall::{ExcludedHits, RecallHit, RecallReport, RecallRequest};
pub use tiers::shared::DEFAULT_SHARED_CACHE_BUDGET;
