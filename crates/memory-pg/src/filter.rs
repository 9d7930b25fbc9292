//! A [`MemoryFilter`] as conditions on the table `memory`, which goes by `m`.

use memory_core::{MemoryFilter, MemoryTagMode};
use sqlx::types::Json;

use crate::sql::Sql;

/// Adds ` AND …` for each condition that is set. None that is not: a condition
/// that may or may not apply would hide from the planner which index serves.
pub(crate) fn push_conditions(sql: &mut Sql, filter: &MemoryFilter) {
    if !filter.kinds.is_empty() {
        let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
        let kinds = sql.value(kinds, "text[]");
        sql.push(format!(" AND m.kind = ANY ({kinds})"));
    }
    if let Some(from) = filter.from {
        let from = sql.value(from, "timestamptz");
        sql.push(format!(" AND m.timestamp >= {from}"));
    }
    if let Some(until) = filter.until {
        let until = sql.value(until, "timestamptz");
        sql.push(format!(" AND m.timestamp < {until}"));
    }
    if !filter.tags.is_empty() {
        push_tags(sql, filter);
    }
    if !filter.metadata.is_empty() {
        let metadata = sql.value(Json(&filter.metadata), "jsonb");
        sql.push(format!(" AND m.metadata @> {metadata}"));
    }
    if let Some(who) = &filter.involves {
        let who = sql.value(who.as_str(), "text");
        sql.push(format!(
            " AND EXISTS (SELECT FROM memory_entity i WHERE i.entity_id = m.entity_id \
             AND i.involved_entity_id = {who} AND i.memory_id = m.memory_id)"
        ));
    }
}

fn push_tags(sql: &mut Sql, filter: &MemoryFilter) {
    let tags: Vec<&str> = filter.tags.iter().map(String::as_str).collect();
    let tags = sql.value(tags, "text[]");
    let mode: MemoryTagMode = filter.tag_mode;
    let operator = if mode.needs_all() { "@>" } else { "&&" };
    let untagged = if mode.admits_untagged() {
        " OR m.tags = '{}'"
    } else {
        ""
    };
    sql.push(format!(" AND (m.tags {operator} {tags}{untagged})"));
}
