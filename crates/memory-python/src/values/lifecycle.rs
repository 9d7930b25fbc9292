//! Reports of consolidation and re-embedding, and related memories.

use pyo3::prelude::*;

use super::memory::Memory;
use super::repr::excerpt;
use crate::identifiers::{Id, to_ids};

/// A memory that is linked to the memory in question.
#[pyclass(frozen, get_all, module = "memory")]
#[derive(Debug, Clone)]
pub(crate) struct RelatedMemory {
    memory: Memory,
    relation: String,
    direction: &'static str,
}

#[pymethods]
impl RelatedMemory {
    fn __repr__(&self) -> String {
        format!(
            "RelatedMemory(relation={}, direction='{}', memory={})",
            excerpt(&self.relation),
            self.direction,
            self.memory.__repr__(),
        )
    }
}

impl From<memory::RelatedMemory> for RelatedMemory {
    fn from(related: memory::RelatedMemory) -> Self {
        Self {
            memory: Memory(related.memory),
            relation: related.relation,
            direction: match related.direction {
                memory::LinkDirection::Outgoing => "outgoing",
                memory::LinkDirection::Incoming => "incoming",
            },
        }
    }
}

/// A memory that replaces others since a consolidation.
#[pyclass(frozen, get_all, module = "memory")]
#[derive(Debug, Clone)]
pub(crate) struct ConsolidatedSummary {
    id: Id,
    sources: Vec<Id>,
}

#[pymethods]
impl ConsolidatedSummary {
    fn __repr__(&self) -> String {
        format!(
            "ConsolidatedSummary(id=UUID('{}'), {} sources)",
            self.id.0,
            self.sources.len()
        )
    }
}

/// A group that was not summarized; its memories stay live.
#[pyclass(frozen, get_all, module = "memory")]
#[derive(Debug, Clone)]
pub(crate) struct SkippedGroup {
    sources: Vec<Id>,
    reason: String,
}

#[pymethods]
impl SkippedGroup {
    fn __repr__(&self) -> String {
        format!(
            "SkippedGroup({} sources, reason='{}')",
            self.sources.len(),
            self.reason
        )
    }
}

/// The result of a consolidation.
#[pyclass(frozen, get_all, module = "memory")]
#[derive(Debug, Clone)]
pub(crate) struct ConsolidationReport {
    summaries: Vec<ConsolidatedSummary>,
    skipped: Vec<SkippedGroup>,
}

#[pymethods]
impl ConsolidationReport {
    fn __repr__(&self) -> String {
        format!(
            "ConsolidationReport({} summaries, {} skipped)",
            self.summaries.len(),
            self.skipped.len()
        )
    }
}

impl From<memory::ConsolidationReport> for ConsolidationReport {
    fn from(report: memory::ConsolidationReport) -> Self {
        let summaries = report.summaries.into_iter();
        let skipped = report.skipped.into_iter();
        Self {
            summaries: summaries
                .map(|summary| ConsolidatedSummary {
                    id: Id(summary.id),
                    sources: to_ids(summary.sources),
                })
                .collect(),
            skipped: skipped
                .map(|group| SkippedGroup {
                    sources: to_ids(group.sources),
                    reason: reason_name(group.reason),
                })
                .collect(),
        }
    }
}

/// The name of a reason in JSON, also of one that is added later.
fn reason_name(reason: memory::SkipReason) -> String {
    match serde_json::to_value(reason) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{reason:?}"),
    }
}

/// What re-embedding did.
#[pyclass(frozen, get_all, module = "memory")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReembedReport {
    total: u64,
    checked: u64,
    lacking: u64,
    reembedded: u64,
    changed: u64,
    cleared: u64,
    is_complete: bool,
}

#[pymethods]
impl ReembedReport {
    fn __repr__(&self) -> String {
        format!(
            "ReembedReport(total={}, checked={}, lacking={}, reembedded={}, changed={}, \
             cleared={}, is_complete={})",
            self.total,
            self.checked,
            self.lacking,
            self.reembedded,
            self.changed,
            self.cleared,
            if self.is_complete { "True" } else { "False" },
        )
    }
}

impl From<memory::ReembedReport> for ReembedReport {
    fn from(report: memory::ReembedReport) -> Self {
        Self {
            total: report.total,
            checked: report.checked,
            lacking: report.lacking,
            reembedded: report.reembedded,
            changed: report.changed,
            cleared: report.cleared,
            is_complete: report.is_complete,
        }
    }
}
