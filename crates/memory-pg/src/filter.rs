//! [`MemoryFilter`] as SQL conditions on the table `memory` with the alias `m`.

use memory_core::{MemoryFilter, MemoryTagMode};
use sqlx::types::Json;

use crate::sql::SqlBuilder;

/// The condition that a memory is live.
pub(crate) const LIVE: &str = " AND m.archived_by IS NULL";

/// ` AND …` for each condition that is set; the text may be repeated in a
/// statement. A condition that is not set adds nothing: `$1 IS NULL OR …` would
/// keep the planner from using the index.
pub(crate) fn conditions(
    sql: &mut SqlBuilder,
    entity_param: &str,
    filter: &MemoryFilter,
) -> String {
    let mut conditions = String::new();
    let mut add = |condition: String| {
        conditions.push_str(" AND ");
        conditions.push_str(&condition);
    };
    let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
    match kinds.as_slice() {
        [] => {}
        // The index has one kind's memories in the order of time, not several'.
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
    if let Some(involved) = &filter.involves {
        let involved = sql.value(involved.as_str(), "text");
        add(format!(
            "EXISTS (SELECT FROM memory_entity i WHERE i.entity_id = {entity_param} \
             AND i.involved_entity_id = {involved} AND i.memory_id = m.memory_id)"
        ));
    }
    if let Some(other) = filter.relates_to {
        let other = sql.value(other.to_string(), "text");
        // The index holds only memories with links.
        add(format!("m.related <> '{{}}' AND m.related ? {other}"));
    }
    conditions
}

fn tags(sql: &mut SqlBuilder, filter: &MemoryFilter) -> String {
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
