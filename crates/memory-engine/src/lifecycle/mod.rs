//! The life of a memory after it was retained: what is counted, grouped,
//! summarized, quoted and thrown out. What a caller can ask of it is in
//! `verbs/`; here are the parts that need no store.

mod accesses;
mod candidates;
mod cluster;
mod extract;
mod looked_at;
mod prompt;
mod quote;
mod requests;
mod summary;
mod turns;
mod worth;

pub(crate) use accesses::{Accesses, FLUSH_AFTER};
pub(crate) use candidates::ClusterItem;
pub(crate) use looked_at::LookedAt;
pub(crate) use prompt::{context, question_prompt, summary_prompt};
pub(crate) use summary::{Group, content_of, is_summary, read_at};
pub(crate) use turns::{Turns, pause};
pub(crate) use worth::{Least, Worth};

pub(crate) use cluster::groups;
pub(crate) use extract::extract;

pub use requests::{
    ConsolidateRequest, ConsolidatedSummary, ConsolidationReport, LinkDirection, ReflectRequest,
    Reflection, RelatedMemory,
};
