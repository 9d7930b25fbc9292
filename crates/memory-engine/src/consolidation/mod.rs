//! Consolidation, reflection and eviction: the parts that need no store.
//!
//! The operations that use them are in the modules of the operations; here are
//! access counting, grouping, summaries, prompts, locks and watermarks.

mod access_counts;
mod cluster;
mod entity_locks;
mod equivalence;
mod eviction;
mod eviction_candidates;
mod facts;
mod grouping;
mod prompt;
mod quote;
mod requests;
mod statement;
mod summary;
mod watermarks;

pub(crate) use access_counts::{AccessCounts, FLUSH_AFTER, TakenCounts};
pub(crate) use entity_locks::{EntityLocks, jittered_backoff};
pub(crate) use eviction::{BottomK, EvictionRank};
pub(crate) use eviction_candidates::{EvictionCandidates, KeptCandidates};
pub(crate) use facts::lacks_facts;
pub(crate) use grouping::{Grouping, group_memories};
pub(crate) use prompt::{format_context, min_context_chars, question_prompt, summary_prompt};
pub(crate) use summary::{
    Group, created_at, is_summary, sanitize_completion, source_generation, summary_metadata,
};
pub(crate) use watermarks::Watermarks;

pub use requests::{
    ConsolidateRequest, ConsolidatedSummary, ConsolidationReport, LinkDirection, ReflectRequest,
    Reflection, RelatedMemory, SkipReason, SkippedGroup,
};
