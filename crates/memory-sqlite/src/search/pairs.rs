//! Candidates by pairs of adjacent words, see [`PairPostings`](memory_text::PairPostings).

use std::collections::HashSet;

use memory_text::{QueryTerms, TextsWithPairs};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, query};

use crate::connections::blocking::fold_long_rows;
use crate::error::Failure;
use crate::rows::row_keys;
use crate::rows::{EntityRow, to_json};
use crate::search::page;

/// Whether candidates by pairs are worth their time: without pages, the other
/// retrievers find most of an entity.
pub(crate) fn are_searched(entity: &EntityRow) -> bool {
    !page::complete_pages(entity.next_number).is_empty()
}

/// Reads the texts with these numbers, except those that are `known`, and returns the
/// keys of up to `limit` that contain a pair, of the rarest pairs.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    terms: QueryTerms,
    numbers: &[u32],
    known: &HashSet<i64>,
    limit: usize,
) -> Result<Vec<i64>, Failure> {
    let keys = numbers
        .iter()
        .map(|number| row_keys::key(entity.key, (*number).into()));
    let keys: Vec<i64> = keys.filter(|key| !known.contains(key)).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = query(
        "SELECT m.memory_key, m.content FROM json_each(?1) AS wanted
         CROSS JOIN memory AS m ON m.memory_key = wanted.value",
    )
    .bind(to_json(&keys)?)
    .fetch(conn);
    let texts = fold_long_rows(rows, TextsWithPairs::new(terms), read).await?;
    Ok(texts.rarest(limit))
}

fn read(texts: &mut TextsWithPairs<i64>, row: &SqliteRow) -> Result<(), Failure> {
    texts.read(row.try_get(0)?, row.try_get(1)?);
    Ok(())
}
