//! A [`MemoryFilter`] as conditions on the table `memory`, which goes by `m`.

use memory_core::{MemoryFilter, MemoryTagMode};
use sqlx::types::Json;

use crate::sql::Sql;

/// ` AND …` for each condition that is set, to be used any number of times.
/// None for what is not: a condition that may or may not apply would hide from
/// the planner which index serves.
pub(crate) fn conditions(sql: &mut Sql, filter: &MemoryFilter) -> String {
    let mut conditions = String::new();
    let mut add = |condition: String| {
        conditions.push_str(" AND ");
        conditions.push_str(&condition);
    };
    if !filter.kinds.is_empty() {
        let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
        add(format!("m.kind = ANY ({})", sql.value(kinds, "text[]")));
    }
    if let Some(from) = filter.from {
        add(format!("m.timestamp >= {}", sql.value(from, "timestamptz")));
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
    conditions
}

fn tags(sql: &mut Sql, filter: &MemoryFilter) -> String {
    let tags: Vec<&str> = filter.tags.iter().map(String::as_str).collect();
    let tags = sql.value(tags, "text[]");
    let mode: MemoryTagMode = filter.tag_mode;
    let operator = if mode.needs_all() { "@>" } else { "&&" };
    let untagged = if mode.admits_untagged() {
        " OR m.tags = '{}'"
    } else {
        ""
    };
    format!("(m.tags {operator} {tags}{untagged})")
}
