//! [`MemoryFilter`] as SQL conditions on the table `memory` with the alias `m`.

use chrono::{DateTime, Utc};
use memory_core::{EntityId, MemoryFilter, MemoryTagMode, limits};
use sqlx::types::Json;

use crate::rows::sql::SqlBuilder;

/// The condition that a memory is live.
pub(crate) const LIVE: &str = " AND m.archived_by IS NULL";

/// The conditions of a filter, as texts that may be repeated in a statement.
///
/// None joins a memory with what involves the entity of the filter: where its statistics know
/// of few memories of an entity yet, the server would read all of that for each memory.
pub(crate) struct Conditions {
    /// ` AND …` for each condition: where a few memories are read. What involves each of them
    /// is looked up.
    pub(crate) of_few: String,
    /// As `of_few`, for a value that many rows have: what involves the entity of the filter may
    /// also be read once.
    pub(crate) of_many: String,
    /// `FROM …`: all live memories that match, each once, with the column `m.memory_id`.
    pub(crate) all: String,
}

impl Conditions {
    pub(crate) fn new(sql: &mut SqlBuilder, entity_param: &str, filter: &MemoryFilter) -> Self {
        let others = without_involved(sql, filter);
        let of_entity = format!("FROM memory m WHERE m.entity_id = {entity_param}{LIVE}{others}");
        let Some(involved) = &filter.involves else {
            return Self {
                of_few: others.clone(),
                of_many: others,
                all: of_entity,
            };
        };
        let of_involved = of_involved(sql, entity_param, involved);
        let of_memory = format!("{of_involved} AND i.memory_id = m.memory_id");
        Self {
            of_few: format!("{others} AND EXISTS (SELECT {of_memory} OFFSET 0)"),
            of_many: format!("{others} AND EXISTS (SELECT {of_memory})"),
            all: format!(
                "FROM (SELECT i.memory_id {of_involved}) i CROSS JOIN LATERAL \
                 (SELECT m.memory_id {of_entity} AND m.memory_id = i.memory_id OFFSET 0) m"
            ),
        }
    }

    /// Whether every memory matches.
    pub(crate) fn are_empty(&self) -> bool {
        self.of_few.is_empty()
    }
}

/// `FROM … WHERE …`: what involves an entity, as `i`.
pub(crate) fn of_involved(sql: &mut SqlBuilder, entity_param: &str, involved: &EntityId) -> String {
    let involved = sql.value(involved.as_str(), "text");
    format!(
        "FROM memory_entity i WHERE i.entity_id = {entity_param} \
         AND i.involved_entity_id = {involved}"
    )
}

/// ` AND …` for each condition that is set, but for the involved entity. A condition that is
/// not set adds nothing: `$1 IS NULL OR …` would keep the planner from using the index.
pub(crate) fn without_involved(sql: &mut SqlBuilder, filter: &MemoryFilter) -> String {
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
        let since = first_stored_at(since);
        add(format!(
            "m.timestamp >= {}",
            sql.value(since, "timestamptz")
        ));
    }
    if let Some(until) = filter.until {
        let until = first_stored_at(until);
        add(format!("m.timestamp < {}", sql.value(until, "timestamptz")));
    }
    if !filter.tags.is_empty() {
        add(tags(sql, filter));
    }
    if !filter.metadata.is_empty() {
        let wanted = sql.value(Json(&filter.metadata), "jsonb");
        add(format!("m.metadata @> {wanted}"));
    }
    if let Some(other) = filter.relates_to {
        let other = sql.value(other.to_string(), "text");
        // The index holds only memories with links.
        add(format!("m.related <> '{{}}' AND m.related ? {other}"));
    }
    conditions
}

/// The first time that a memory may have at or after a moment: times are stored in whole
/// microseconds. As it is, the moment would be sent cut off to one before it.
fn first_stored_at(moment: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(limits::micros_rounded_up(moment)).unwrap_or(moment)
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
