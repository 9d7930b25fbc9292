//! The memories that a search's filter matches: evaluated once, used by every
//! retriever.

use std::sync::Arc;

use memory_core::{ListScope, MemoryFilter};
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteConnection;

use crate::blocking::run_blocking;
use crate::error::Failure;
use crate::filter::{push_conditions, push_scope};
use crate::number_set::NumberSet;
use crate::row_keys;
use crate::rows::EntityRow;

/// The live memories that a filter matches.
#[derive(Debug, Clone)]
pub(crate) enum Matching {
    /// All of them, as many as the entity has.
    All(u64),
    /// Those with these numbers.
    Some(Arc<NumberSet>),
}

impl Matching {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::All(count) => *count,
            Self::Some(numbers) => numbers.len() as u64,
        }
    }

    /// Whether a live memory matches.
    pub(crate) fn contains(&self, number: u32) -> bool {
        match self {
            Self::All(_) => true,
            Self::Some(numbers) => numbers.contains(number),
        }
    }
}

/// Evaluates a filter.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    filter: &MemoryFilter,
) -> Result<Matching, Failure> {
    if filter.is_empty() {
        return Ok(Matching::All(entity.memory_count));
    }
    // In one row: the driver takes some microseconds for each.
    let mut query = QueryBuilder::new("SELECT group_concat(m.memory_key - ");
    query
        .push_bind(row_keys::key(entity.key, 0))
        .push(") FROM memory AS m WHERE m.entity_key = ")
        .push_bind(entity.key);
    push_scope(&mut query, ListScope::Live);
    push_conditions(&mut query, entity.key, filter);
    let list: Option<String> = query.build_query_scalar().fetch_one(conn).await?;
    let list = list.unwrap_or_default();
    let numbers = run_blocking(list.len(), move || parse(&list)).await??;
    Ok(Matching::Some(Arc::new(numbers)))
}

fn parse(list: &str) -> Result<NumberSet, Failure> {
    let numbers = list.split(',').filter(|number| !number.is_empty());
    numbers
        .map(|number| number.parse())
        .collect::<Result<_, _>>()
        .map_err(|_| Failure::Damaged("the number of a memory is out of range"))
}
