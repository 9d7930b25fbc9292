//! The engine of the memory system: three tiers, coherence, ranking, batching.
//!
//! It knows the traits of `memory-core` and nothing of any backend. Data flows
//! one way through it:
//!
//! ```text
//! verbs (what a caller asks)  →  tiers (what is held)  →  Store, Embedder
//!          │                        │
//!          └→ ranking ←─ snapshot ←─┘
//! ```
//!
//! | folder | what it holds |
//! |---|---|
//! | `verbs/` | one file per verb: retain, recall, read, alter, delete, consolidate, … |
//! | `consolidation/` | grouping, summarizing, quoting for a prompt, counting accesses |
//! | `tiers/` | the memory, entity and embedding tiers; single flight; coherence |
//! | `snapshot/` | an entity's memories and vectors as one searchable value |
//! | `ranking/` | from similarity, importance and recency to a score |
//!
//! [`Engine`] holds its three caches erased: a look-up costs one dynamic call.
//! Its operations are inherent methods; the facade `memory` declares them for
//! users, with documentation.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod consolidation;
mod engine;
mod found;
mod news;
mod ranking;
mod recall;
mod snapshot;
mod tiers;
mod verbs;

pub use consolidation::{
    ConsolidateRequest, ConsolidatedSummary, ConsolidationReport, LinkDirection, ReflectRequest,
    Reflection, RelatedMemory,
};
pub use engine::{Engine, EngineBuilder};
pub use ranking::{Explanation, Ranking, RecallPath, ScoreFusion};
pub use recall::{RecallHit, RecallRequest};
