//! The dense retriever: cosine similarity with every vector that passes the filter.
//!
//! Vectors are read from pages of codes (see `vector_page`) where there are some.
//! The error of a code is known, so the vectors themselves are read of all memories
//! that may be among the best, and the best are those of an exact scan. Statistics
//! are of the codes for every memory that may be in a page, whether or not it is in
//! one, so that they do not depend on which pages there are.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use memory_core::{DenseQuery, ScoreStats, ScoreStatsBuilder};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, query};

use crate::connections::blocking::{fold_rows, run_blocking};
use crate::error::Failure;
use crate::rows::embedding_space::{self, EmbeddingSpace};
use crate::rows::row_keys;
use crate::rows::vectors::{BestChunk, best_chunk};
use crate::rows::{EntityRow, to_json};
use crate::search::matching::Matching;
use crate::search::page::{self, MissingPage, PageTable};
use crate::search::top_k::TopK;
use crate::search::vector_page::QuantizedQuery;

/// A filter that matches less than one memory in so many is answered from the rows
/// of those, without pages.
const SPARSE: u64 = 8;

/// What the retriever found.
#[derive(Default)]
pub(crate) struct DenseOutcome {
    /// The keys of the memories with the highest values.
    pub(crate) top: Vec<i64>,
    /// The best chunk of those, and of the memories that were found otherwise and
    /// have a vector to compare.
    pub(crate) best: HashMap<i64, BestChunk>,
    /// Statistics of every value, whether or not it is among the highest.
    pub(crate) stats: ScoreStats,
    /// How many memories were compared.
    pub(crate) compared: u64,
    pub(crate) missing: Vec<MissingPage>,
}

/// Compares the query with the vectors of all matching memories; `others` are keys
/// of memories that were found otherwise.
pub(crate) async fn scan(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    matching: &Matching,
    dense: DenseQuery,
    limit: usize,
    others: HashSet<i64>,
) -> Result<DenseOutcome, Failure> {
    let Some(space) = embedding_space::find(conn, entity.key, &dense.fingerprint).await? else {
        return Ok(DenseOutcome::default());
    };
    space.check_dimensions(dense.vector.len())?;
    let dense = Arc::new(dense);
    let scan = DenseScan {
        quantized: Arc::new(QuantizedQuery::new(&dense.vector)),
        query: Arc::clone(&dense),
        matching: matching.clone(),
        coded: page::numbers(page::complete_pages(entity.next_number).end).start,
        values: Vec::new(),
        buffer: Vec::new(),
    };
    let (scan, missing) = match matching {
        Matching::Some(numbers) if matching.len() * SPARSE < entity.next_number.unsigned_abs() => {
            let (numbers, space_key) = (Arc::clone(numbers), space.key);
            let size = usize::try_from(entity.next_number).unwrap_or(usize::MAX);
            let write_keys = move || {
                let numbers = numbers.iter();
                let keys = numbers.map(|number| row_keys::key(space_key, number.into()));
                to_json(&keys.collect::<Vec<_>>())
            };
            // Also where few match: the set has a bit for each number.
            let keys = run_blocking(size, write_keys).await??;
            (scan_keys(conn, space, keys, scan).await?, Vec::new())
        }
        _ => {
            let (mut scan, unread) = page::fold(
                conn,
                PageTable::Vectors,
                space.key,
                entity.next_number,
                scan,
                DenseScan::compare_page,
            )
            .await?;
            for numbers in unread.numbers {
                scan = scan_range(conn, space, numbers, scan).await?;
            }
            (scan, unread.missing)
        }
    };
    let entity_key = entity.key;
    let size = scan.values.len();
    let finish = move || scan.finish(limit, &others, entity_key);
    let (mut outcome, contenders, unknown) = run_blocking(size, finish).await?;
    let known = compare(conn, entity, &dense, &unknown).await?;
    outcome.best.extend(known);
    let mut top_k = TopK::new(limit);
    for key in contenders {
        if let Some(best) = outcome.best.get(&key) {
            top_k.offer(key, dense.value(best.similarity, best.chunks));
        }
    }
    outcome.top = top_k.keys().collect();
    outcome.missing = missing;
    Ok(outcome)
}

/// The state of a scan over an entity's vectors.
struct DenseScan {
    query: Arc<DenseQuery>,
    quantized: Arc<QuantizedQuery>,
    matching: Matching,
    /// Memories with lower numbers may be in a page.
    coded: i64,
    values: Vec<ScannedValue>,
    buffer: Vec<f32>,
}

/// The value of one memory.
struct ScannedValue {
    number: u32,
    chunks: u32,
    /// What the statistics are of.
    value: f32,
    /// The exact value is not lower and not higher.
    lower: f32,
    upper: f32,
    /// The exact cosine, where the vectors were read.
    similarity: Option<f32>,
}

impl DenseScan {
    fn compare_page(&mut self, page: i64, content: &[u8]) -> Result<(), Failure> {
        let Self {
            query,
            quantized,
            matching,
            values,
            ..
        } = self;
        let first = page::number(page, 0)?;
        quantized.compare_page(
            content,
            |within| matching.contains(first + u32::from(within)),
            |within, approximation| {
                let value = value(query, approximation.similarity, approximation.chunks);
                let error = approximation.error;
                values.push(ScannedValue {
                    number: first + u32::from(within),
                    chunks: approximation.chunks,
                    value,
                    lower: lower_bound(value - error),
                    upper: upper_bound(value + error),
                    similarity: None,
                });
            },
        )
    }

    fn compare_row(&mut self, row: &SqliteRow) -> Result<(), Failure> {
        let number: u32 = row.try_get(0)?;
        if !self.matching.contains(number) {
            return Ok(());
        }
        let bytes = row.try_get(1)?;
        let best = best_chunk(bytes, &self.query.vector, &mut self.buffer)?;
        let exact = value(&self.query, best.similarity, best.chunks);
        let coded = if i64::from(number) < self.coded {
            let approximation = self.quantized.compare_row(bytes)?;
            value(&self.query, approximation.similarity, best.chunks)
        } else {
            exact
        };
        self.values.push(ScannedValue {
            number,
            chunks: best.chunks,
            value: coded,
            lower: lower_bound(exact),
            upper: upper_bound(exact),
            similarity: Some(best.similarity),
        });
        Ok(())
    }

    /// The outcome as far as it is known; the keys that may be among the best; and
    /// the keys, of those and of `others`, whose vectors have to be read.
    fn finish(
        mut self,
        limit: usize,
        others: &HashSet<i64>,
        entity_key: i64,
    ) -> (DenseOutcome, Vec<i64>, Vec<i64>) {
        // Pages and rows come in another order when a page is missing.
        self.values.sort_by_key(|one| one.number);
        let mut stats = ScoreStatsBuilder::default();
        self.values.iter().for_each(|one| stats.add(one.value));
        let threshold = self.threshold(limit);
        let mut outcome = DenseOutcome {
            stats: stats.summary(),
            compared: stats.count(),
            ..DenseOutcome::default()
        };
        let (mut contenders, mut unknown) = (Vec::new(), Vec::new());
        for one in &self.values {
            let key = row_keys::key(entity_key, one.number.into());
            let is_contender = one.upper >= threshold;
            if is_contender {
                contenders.push(key);
            } else if !others.contains(&key) {
                continue;
            }
            match one.similarity {
                None => unknown.push(key),
                Some(similarity) => {
                    let chunks = one.chunks;
                    outcome.best.insert(key, BestChunk { similarity, chunks });
                }
            }
        }
        (outcome, contenders, unknown)
    }

    /// What the value of the memory at rank `limit` is at least.
    fn threshold(&self, limit: usize) -> f32 {
        let mut lower: Vec<f32> = self.values.iter().map(|one| one.lower).collect();
        if limit == 0 || lower.len() <= limit {
            return f32::NEG_INFINITY;
        }
        let (_, threshold, _) = lower.select_nth_unstable_by(limit - 1, |a, b| b.total_cmp(a));
        *threshold
    }
}

/// A bound, or none: vectors so long that products overflow have values that are no number.
const fn lower_bound(value: f32) -> f32 {
    value.max(f32::NEG_INFINITY)
}

/// As [`lower_bound`].
const fn upper_bound(value: f32) -> f32 {
    value.min(f32::INFINITY)
}

/// [`DenseQuery::value`], without a logarithm for most memories.
fn value(query: &DenseQuery, similarity: f32, chunks: u32) -> f32 {
    if chunks <= 1 {
        similarity
    } else {
        query.value(similarity, chunks)
    }
}

/// Compares the rows with these numbers: a scan over contiguous rows.
async fn scan_range(
    conn: &mut SqliteConnection,
    space: EmbeddingSpace,
    numbers: Range<i64>,
    scan: DenseScan,
) -> Result<DenseScan, Failure> {
    let rows = query(
        "SELECT embedding_key - ?1, vectors FROM memory_embedding
         WHERE embedding_key >= ?2 AND embedding_key < ?3",
    )
    .bind(row_keys::key(space.key, 0))
    .bind(row_keys::key(space.key, numbers.start))
    .bind(row_keys::key(space.key, numbers.end))
    .fetch(conn);
    fold_rows(rows, scan, DenseScan::compare_row).await
}

/// Compares the rows with these keys, in JSON.
async fn scan_keys(
    conn: &mut SqliteConnection,
    space: EmbeddingSpace,
    keys: String,
    scan: DenseScan,
) -> Result<DenseScan, Failure> {
    let rows = query(
        "SELECT wanted.value - ?1, e.vectors FROM json_each(?2) AS wanted
         CROSS JOIN memory_embedding AS e ON e.embedding_key = wanted.value",
    )
    .bind(row_keys::key(space.key, 0))
    .bind(keys)
    .fetch(conn);
    fold_rows(rows, scan, DenseScan::compare_row).await
}

/// Compares the query with the vectors of these memories, by their keys.
pub(crate) async fn compare(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    dense: &DenseQuery,
    keys: &[i64],
) -> Result<HashMap<i64, BestChunk>, Failure> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let Some(space) = embedding_space::find(conn, entity.key, &dense.fingerprint).await? else {
        return Ok(HashMap::new());
    };
    space.check_dimensions(dense.vector.len())?;
    let rows = query(
        "SELECT wanted.value, e.vectors FROM json_each(?1) AS wanted
         CROSS JOIN memory_embedding AS e ON e.embedding_key = wanted.value - ?2",
    )
    .bind(to_json(&keys)?)
    .bind(row_keys::shift(space.key, entity.key))
    .fetch(conn);
    let vector = Arc::<[f32]>::from(&*dense.vector);
    let state = (HashMap::new(), Vec::new(), vector);
    let (compared, _, _) = fold_rows(rows, state, |(compared, buffer, vector), row| {
        let best = best_chunk(row.try_get(1)?, vector, buffer)?;
        compared.insert(row.try_get(0)?, best);
        Ok(())
    })
    .await?;
    Ok(compared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_bounds_nothing() {
        assert_eq!([0.5, f32::NAN].map(lower_bound), [0.5, f32::NEG_INFINITY]);
        assert_eq!([0.5, f32::NAN].map(upper_bound), [0.5, f32::INFINITY]);
    }
}
