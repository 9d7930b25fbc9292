//! From a filter to SQL that admits exactly what
//! [`MemoryFilter::admits`](memory_core::MemoryFilter::admits) does.

use chrono::{DateTime, Utc};
use memory_core::MemoryFilter;
use sqlx::QueryBuilder;
use sqlx::sqlite::Sqlite;

use crate::labels;
use crate::row::kind_code;

/// Appends ` AND …` for every condition of the filter; the memory's row is `m`.
///
/// Only fixed text is appended; whatever the caller brought is bound.
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
    if let Some(from) = filter.from {
        query.push(" AND m.timestamp >= ").push_bind(micros(from));
    }
    if let Some(until) = filter.until {
        query.push(" AND m.timestamp < ").push_bind(micros(until));
    }
    push_tags(query, entity_key, filter);
    for (key, value) in &filter.metadata {
        query.push(" AND ");
        push_labelled(query, entity_key, [labels::metadata(key, value)], 1);
        query
            .push(" AND EXISTS (SELECT 1 FROM json_each(m.metadata) WHERE key = ")
            .push_bind(key.clone())
            .push(" AND value = ")
            .push_bind(value.clone())
            .push(")");
    }
    if let Some(entity) = &filter.involves {
        query.push(" AND ");
        push_labelled(query, entity_key, [labels::involved(entity)], 1);
    }
}

/// A bound in whole microseconds, as memories have them: one that lies between
/// two of them parts the memories where the later one does.
fn micros(bound: DateTime<Utc>) -> i64 {
    let between = !bound.timestamp_subsec_nanos().is_multiple_of(1_000);
    bound.timestamp_micros() + i64::from(between)
}

fn push_tags(query: &mut QueryBuilder<Sqlite>, entity_key: i64, filter: &MemoryFilter) {
    if filter.tags.is_empty() {
        return;
    }
    query.push(" AND (");
    if filter.tag_mode.admits_untagged() {
        query.push("m.tags IS NULL OR ");
    }
    let needed = if filter.tag_mode.needs_all() {
        filter.tags.len()
    } else {
        1
    };
    push_labelled(
        query,
        entity_key,
        filter.tags.iter().map(|tag| labels::tag(tag)),
        needed,
    );
    query.push(")");
}

/// Appends a condition: the memory bears at least `needed` of these labels.
fn push_labelled(
    query: &mut QueryBuilder<Sqlite>,
    entity_key: i64,
    wanted: impl IntoIterator<Item = String>,
    needed: usize,
) {
    query
        .push("m.memory_key IN (SELECT memory_key FROM memory_label WHERE entity_key = ")
        .push_bind(entity_key)
        .push(" AND label IN (");
    let mut list = query.separated(", ");
    for label in wanted {
        list.push_bind(label);
    }
    query.push(")");
    if needed > 1 {
        let needed = i64::try_from(needed).unwrap_or(i64::MAX);
        query
            .push(" GROUP BY memory_key HAVING count(*) >= ")
            .push_bind(needed);
    }
    query.push(")");
}
