//! From a filter to SQL that admits exactly what
//! [`MemoryFilter::matches`](memory_core::MemoryFilter::matches) does.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use memory_core::{ListScope, MemoryFilter, MemoryTagMode};
use serde_json::json;
use sqlx::QueryBuilder;
use sqlx::sqlite::Sqlite;

use crate::labels;
use crate::row::kind_code;

/// Appends ` AND …` for every condition of the filter; the memory's row is `m`.
///
/// Only fixed text is appended; whatever the caller brought is bound. Lists of
/// any length are bound as one JSON array, so that the statement does not grow
/// with the filter.
pub(crate) fn push_conditions(
    query: &mut QueryBuilder<Sqlite>,
    entity_key: i64,
    filter: &MemoryFilter,
) {
    if !filter.kinds.is_empty() {
        query.push(" AND m.kind IN (");
        let mut kinds = query.separated(", ");
        for kind in &filter.kinds {
            kinds.push_bind(kind_code(*kind));
        }
        query.push(")");
    }
    if let Some(since) = filter.since {
        query.push(" AND m.timestamp >= ").push_bind(micros(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND m.timestamp < ").push_bind(micros(until));
    }
    push_tags(query, entity_key, &filter.tags, filter.tag_mode);
    push_metadata(query, entity_key, &filter.metadata);
    if let Some(entity) = &filter.involves {
        query.push(" AND ");
        push_labelled(query, entity_key, &[labels::involved(entity)].into(), 1);
    }
    if let Some(id) = &filter.relates_to {
        query.push(" AND ");
        push_labelled(query, entity_key, &[labels::link(id)].into(), 1);
    }
}

/// Appends ` AND …` for the memories that a list goes through.
pub(crate) fn push_scope(query: &mut QueryBuilder<Sqlite>, scope: ListScope) {
    match scope {
        ListScope::SourcesOf(summary) => {
            let summary = summary.as_uuid().as_bytes().to_vec();
            query.push(" AND m.archived_by = ").push_bind(summary);
        }
        ListScope::Archived => {
            query.push(" AND m.archived_by IS NOT NULL");
        }
        _ => {
            query.push(" AND m.archived_by IS NULL");
        }
    }
}

/// A bound in whole microseconds, as memories have them: one that lies between
/// two of them parts the memories where the later one does.
fn micros(bound: DateTime<Utc>) -> i64 {
    let between = !bound.timestamp_subsec_nanos().is_multiple_of(1_000);
    bound.timestamp_micros() + i64::from(between)
}

fn push_tags(
    query: &mut QueryBuilder<Sqlite>,
    entity_key: i64,
    tags: &BTreeSet<String>,
    mode: MemoryTagMode,
) {
    if tags.is_empty() {
        return;
    }
    query.push(" AND (");
    if mode.matches_untagged() {
        query.push("m.tags IS NULL OR ");
    }
    let labels: BTreeSet<String> = tags.iter().map(|tag| labels::tag(tag)).collect();
    let needed = if mode.requires_all() { labels.len() } else { 1 };
    push_labelled(query, entity_key, &labels, needed);
    query.push(")");
}

/// The labels, which may be cut, narrow it down; what stands in the row decides.
fn push_metadata(
    query: &mut QueryBuilder<Sqlite>,
    entity_key: i64,
    metadata: &BTreeMap<String, String>,
) {
    if metadata.is_empty() {
        return;
    }
    let labels: BTreeSet<String> = metadata
        .iter()
        .map(|(key, value)| labels::metadata(key, value))
        .collect();
    query.push(" AND ");
    push_labelled(query, entity_key, &labels, labels.len());
    query
        .push(" AND NOT EXISTS (SELECT 1 FROM json_each(")
        .push_bind(json!(metadata).to_string())
        .push(
            ") AS wanted WHERE NOT EXISTS (SELECT 1 FROM json_each(m.metadata) AS held
             WHERE held.key = wanted.key AND held.value = wanted.value))",
        );
}

/// Appends a condition: the memory bears at least `needed` of these labels.
fn push_labelled(
    query: &mut QueryBuilder<Sqlite>,
    entity_key: i64,
    labels: &BTreeSet<String>,
    needed: usize,
) {
    query
        .push("m.memory_key IN (SELECT memory_key FROM memory_label WHERE entity_key = ")
        .push_bind(entity_key)
        .push(" AND label IN (SELECT value FROM json_each(")
        .push_bind(json!(labels).to_string())
        .push("))");
    if needed > 1 {
        let needed = i64::try_from(needed).unwrap_or(i64::MAX);
        query
            .push(" GROUP BY memory_key HAVING count(*) >= ")
            .push_bind(needed);
    }
    query.push(")");
}
