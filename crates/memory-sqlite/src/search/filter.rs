//! Translation of a filter to SQL conditions that agree exactly with
//! [`MemoryFilter::matches`](memory_core::MemoryFilter::matches).

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{ListScope, MemoryFilter, MemoryTagMode, limits};
use serde_json::json;
use sqlx::QueryBuilder;
use sqlx::sqlite::Sqlite;

use crate::rows::encode_kind;
use crate::search::filter_terms;

/// How the filter terms of a memory are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TermLookup {
    /// All memories with the terms are read first, for statements over many rows.
    All,
    /// Each row's terms are looked up, for statements over few rows.
    PerRow,
}

/// Appends ` AND …` for every condition of the filter; the memory's row is `m`.
///
/// Only fixed text is appended; the caller's values are bound. Lists of any
/// length are bound as one JSON array, so that the statement does not grow with
/// the filter.
pub(crate) fn push_conditions(
    query: &mut QueryBuilder<Sqlite>,
    entity_key: i64,
    filter: &MemoryFilter,
) {
    push_all(query, entity_key, filter, TermLookup::All);
}

/// As [`push_conditions`], for a statement that tests few rows.
pub(crate) fn push_row_conditions(
    query: &mut QueryBuilder<Sqlite>,
    entity_key: i64,
    filter: &MemoryFilter,
) {
    push_all(query, entity_key, filter, TermLookup::PerRow);
}

fn push_all(
    query: &mut QueryBuilder<Sqlite>,
    entity_key: i64,
    filter: &MemoryFilter,
    lookup: TermLookup,
) {
    if !filter.kinds.is_empty() {
        query.push(" AND m.kind IN (");
        let mut kinds = query.separated(", ");
        for kind in &filter.kinds {
            kinds.push_bind(encode_kind(*kind));
        }
        query.push(")");
    }
    if let Some(since) = filter.since {
        query
            .push(" AND m.timestamp >= ")
            .push_bind(limits::micros_rounded_up(since));
    }
    if let Some(until) = filter.until {
        query
            .push(" AND m.timestamp < ")
            .push_bind(limits::micros_rounded_up(until));
    }
    let mut push_terms = |query: &mut QueryBuilder<Sqlite>, terms: &BTreeSet<String>, required| {
        push_has_terms(query, entity_key, terms, required, lookup);
    };
    push_tags(query, &filter.tags, filter.tag_mode, &mut push_terms);
    push_metadata(query, &filter.metadata, &mut push_terms);
    if let Some(entity) = &filter.involves {
        query.push(" AND ");
        push_terms(query, &[filter_terms::involved(entity)].into(), 1);
    }
    if let Some(id) = &filter.relates_to {
        query.push(" AND ");
        push_terms(query, &[filter_terms::link(id)].into(), 1);
    }
}

/// Appends ` AND …` for the scope of a list.
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

fn push_tags(
    query: &mut QueryBuilder<Sqlite>,
    tags: &BTreeSet<String>,
    mode: MemoryTagMode,
    push_terms: &mut impl FnMut(&mut QueryBuilder<Sqlite>, &BTreeSet<String>, usize),
) {
    if tags.is_empty() {
        return;
    }
    query.push(" AND (");
    if mode.matches_untagged() {
        query.push("m.tags IS NULL OR ");
    }
    let terms: BTreeSet<String> = tags.iter().map(|tag| filter_terms::tag(tag)).collect();
    let required = if mode.requires_all() { terms.len() } else { 1 };
    push_terms(query, &terms, required);
    query.push(")");
}

/// The terms, which may be truncated, preselect; then the row is compared.
fn push_metadata(
    query: &mut QueryBuilder<Sqlite>,
    metadata: &BTreeMap<String, String>,
    push_terms: &mut impl FnMut(&mut QueryBuilder<Sqlite>, &BTreeSet<String>, usize),
) {
    if metadata.is_empty() {
        return;
    }
    let terms: BTreeSet<String> = metadata
        .iter()
        .map(|(key, value)| filter_terms::metadata(key, value))
        .collect();
    query.push(" AND ");
    push_terms(query, &terms, terms.len());
    query
        .push(" AND NOT EXISTS (SELECT 1 FROM json_each(")
        .push_bind(json!(metadata).to_string())
        .push(
            ") AS wanted WHERE NOT EXISTS (SELECT 1 FROM json_each(m.metadata) AS held
             WHERE held.key = wanted.key AND held.value = wanted.value))",
        );
}

/// Appends a condition: the memory has at least `required` of these terms.
fn push_has_terms(
    query: &mut QueryBuilder<Sqlite>,
    entity_key: i64,
    terms: &BTreeSet<String>,
    required: usize,
    lookup: TermLookup,
) {
    let required = i64::try_from(required).unwrap_or(i64::MAX);
    query.push(match lookup {
        TermLookup::All => "m.memory_key IN (SELECT memory_key",
        TermLookup::PerRow => "(SELECT count(*)",
    });
    query
        .push(" FROM memory_label WHERE entity_key = ")
        .push_bind(entity_key)
        .push(" AND label IN (SELECT value FROM json_each(")
        .push_bind(json!(terms).to_string())
        .push("))");
    match lookup {
        TermLookup::All if required > 1 => {
            query
                .push(" GROUP BY memory_key HAVING count(*) >= ")
                .push_bind(required)
                .push(")");
        }
        TermLookup::All => {
            query.push(")");
        }
        TermLookup::PerRow => {
            query
                .push(" AND memory_key = m.memory_key) >= ")
                .push_bind(required);
        }
    }
}
