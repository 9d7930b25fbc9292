//! Consolidation and reflection: the parts that need no store.
//!
//! The operations that use them are in the modules of the operations; here are
//! grouping, summaries, prompts and watermarks.

mod cluster;
mod equivalence;
mod facts;
mod grouping;
mod prompt;
mod quote;
mod requests;
mod statement;
mod summary;
mod watermarks;

pub(crate) use facts::lacks_facts;
pub(crate) use grouping::{Grouping, group_memories};
pub(crate) use prompt::{format_context, min_context_chars, question_prompt, summary_prompt};
pub(crate) use summary::{
    Group, created_at, is_summary, sanitize_completion, source_generation, summary_metadata,
};
pub(crate) use watermarks::{Watermark, Watermarks};

pub use requests::{
    ConsolidateRequest, ConsolidatedSummary, ConsolidationReport, SkipReason, SkippedGroup,
};
