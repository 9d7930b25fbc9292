//! A [`MemoryFilter`] as conditions on the table `memory`, which goes by `m`.

use memory_core::{MemoryFilter, MemoryTagMode};
use sqlx::types::Json;

use crate::sql::Sql;

/// The condition that a memory is live.
pub(crate) const LIVE: &str = " AND m.archived_by IS NULL";

/// ` AND …` for each condition that is set, to be used any number of times.
/// None for what is not: a condition that may or may not apply would hide from
/// the planner which index serves.
pub(crate) fn conditions(sql: &mut Sql, filter: &MemoryFilter) -> String {
    let mut conditions = String::new();
    let mut add = |condition: String| {
        conditions.push_str(" AND ");
        conditions.push_str(&condition);
    };
    let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
    match kinds.as_slice() {
        [] => {}
        // The index has a kind's memories in the order of time, several do not.
        [kind] => add(format!("m.kind = {}", sql.value(*kind, "text"))),
        _ => add(format!("m.kind = ANY ({})", sql.value(kinds, "text[]"))),
    }
    if let Some(since) = filter.since {
        add(format!(
            "m.timestamp >= {}",
            sql.value(since, "timestamptz")
        ));
    }
    if let Some(until) = filter.until {
        add(format!("m.timestamp < {}", sql.value(until, "timestamptz")));
    }
    if !filter.tags.is_empty() {
        add(tags(sql, filter));
    }
    if !filter.metadata.is_empty() {
        let wanted = sql.value(Json(&filter.metadata), "jsonb");
        add(format!("m.metadata @> {wanted}"));
    }
    if let Some(who) = &filter.involves {
        let who = sql.value(who.as_str(), "text");
        add(format!(
            "EXISTS (SELECT FROM memory_entity i WHERE i.entity_id = m.entity_id \
             AND i.involved_entity_id = {who} AND i.memory_id = m.memory_id)"
        ));
    }
    if let Some(other) = filter.relates_to {
        let other = sql.value(other.to_string(), "text");
        // The index has memories with links alone.
        add(format!("m.related <> '{{}}' AND m.related ? {other}"));
    }
    conditions
}

fn tags(sql: &mut Sql, filter: &MemoryFilter) -> String {
    let tags: Vec<&str> = filter.tags.iter().map(String::as_str).collect();
    let tags = sql.value(tags, "text[]");
    let mode: MemoryTagMode = filter.tag_mode;
    let operator = if mode.requires_all() { "@>" } else { "&&" };
    let untagged = if mode.matches_untagged() {
        " OR m.tags = '{}'"
    } else {
        ""
    };
    format!("(m.tags {operator} {tags}{untagged})")
}
