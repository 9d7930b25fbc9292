//! The memories that a search's filter matches: evaluated once, used by every
//! retriever.

use std::sync::Arc;

use memory_core::{ListScope, MemoryFilter};
use serde_json::json;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, query_scalar};

use crate::connections::blocking::run_blocking;
use crate::error::Failure;
use crate::rows::EntityRow;
use crate::rows::row_keys;
use crate::search::filter::{push_conditions, push_scope};
use crate::search::filter_terms;
use crate::search::number_set::NumberSet;

/// The live memories that a filter matches.
#[derive(Debug, Clone)]
pub(crate) enum Matching {
    /// All of them, as many as the entity has.
    All(u64),
    /// Those with these numbers: of a filter, or all where they are few of the numbers given.
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
    if filter.is_empty() && !is_sparse(entity) {
        return Ok(Matching::All(entity.memory_count));
    }
    let (rest, term_sets) = split_terms(filter);
    let mut term_sets = term_sets.iter();
    let mut numbers = if rest.is_empty()
        && let Some(first) = term_sets.next()
    {
        // Archived memories keep their terms.
        let archived = find_archived(conn, entity).await?;
        let numbers = find_with(conn, entity, first).await?;
        combine(numbers, archived, |is_archived| !is_archived).await?
    } else {
        find_by_rows(conn, entity, &rest).await?
    };
    for terms in term_sets {
        let with_terms = find_with(conn, entity, terms).await?;
        numbers = combine(numbers, with_terms, |has_terms| has_terms).await?;
    }
    Ok(Matching::Some(Arc::new(numbers)))
}

/// Whether so few of the numbers that were ever given are those of live memories that a search
/// looks these up, in place of trying numbers and reading pages that are nearly empty.
fn is_sparse(entity: &EntityRow) -> bool {
    const NUMBERS_OF_ONE: u64 = 64;
    let numbers = entity.next_number.unsigned_abs();
    entity.memory_count.saturating_mul(NUMBERS_OF_ONE) < numbers
}

/// Splits a filter into the sets of filter terms of which a memory needs one each,
/// and the other conditions.
fn split_terms(filter: &MemoryFilter) -> (MemoryFilter, Vec<Vec<String>>) {
    let (mut rest, mut term_sets) = (filter.clone(), Vec::new());
    if !filter.tag_mode.matches_untagged() {
        let tags = std::mem::take(&mut rest.tags);
        let terms = tags.iter().map(|tag| filter_terms::tag(tag));
        if filter.tag_mode.requires_all() {
            term_sets.extend(terms.map(|term| vec![term]));
        } else if !tags.is_empty() {
            term_sets.push(terms.collect());
        }
    }
    let involved = rest.involves.take();
    term_sets.extend(involved.map(|entity| vec![filter_terms::involved(&entity)]));
    let link = rest.relates_to.take();
    term_sets.extend(link.map(|id| vec![filter_terms::link(&id)]));
    (rest, term_sets)
}

/// The live memories whose rows meet the conditions.
async fn find_by_rows(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    filter: &MemoryFilter,
) -> Result<NumberSet, Failure> {
    // In one row: the driver takes some microseconds for each.
    let mut query = QueryBuilder::new("SELECT group_concat(m.memory_key - ");
    query
        .push_bind(row_keys::key(entity.key, 0))
        .push(") FROM memory AS m WHERE m.entity_key = ")
        .push_bind(entity.key);
    push_scope(&mut query, ListScope::Live);
    push_conditions(&mut query, entity.key, filter);
    parse(query.build_query_scalar().fetch_one(conn).await?).await
}

/// The memories, live and archived, with one of these filter terms.
async fn find_with(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    terms: &[String],
) -> Result<NumberSet, Failure> {
    let list = query_scalar(
        "SELECT group_concat(memory_key - ?1) FROM memory_label
         WHERE entity_key = ?2 AND label IN (SELECT value FROM json_each(?3))",
    )
    .bind(row_keys::key(entity.key, 0))
    .bind(entity.key)
    .bind(json!(terms).to_string())
    .fetch_one(conn)
    .await?;
    parse(list).await
}

async fn find_archived(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
) -> Result<NumberSet, Failure> {
    if entity.archived_count == 0 {
        return Ok(NumberSet::default());
    }
    let list = query_scalar(
        "SELECT group_concat(memory_key - ?1) FROM memory
         WHERE entity_key = ?2 AND archived_by IS NOT NULL",
    )
    .bind(row_keys::key(entity.key, 0))
    .bind(entity.key)
    .fetch_one(conn)
    .await?;
    parse(list).await
}

/// The numbers of which it is wanted that, or that not, they are in another set.
async fn combine(
    numbers: NumberSet,
    other: NumberSet,
    is_wanted: impl Fn(bool) -> bool + Send + 'static,
) -> Result<NumberSet, Failure> {
    run_blocking(numbers.len(), move || {
        let numbers = numbers.iter();
        numbers
            .filter(|number| is_wanted(other.contains(*number)))
            .collect()
    })
    .await
}

/// Numbers separated by commas.
async fn parse(list: Option<String>) -> Result<NumberSet, Failure> {
    let list = list.unwrap_or_default();
    run_blocking(list.len(), move || {
        let numbers = list.split(',').filter(|number| !number.is_empty());
        numbers
            .map(|number| number.parse())
            .collect::<Result<_, _>>()
            .map_err(|_| Failure::Damaged("the number of a memory is out of range"))
    })
    .await?
}
