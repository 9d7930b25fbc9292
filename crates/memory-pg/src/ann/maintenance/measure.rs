//! Measuring an ANN index: how many of the nearest it finds for a sample of stored vectors,
//! how widely it has to be searched for that, and how long searches take.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use memory_core::{
    DenseQuery, IndexMeasurement, IndexMethod, IndexReason, MemoryFilter, MemoryId, SearchRequest,
};
use pgvector::HalfVector;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::Run;
use super::required::RequiredIndex;
use super::width_search::WidthSearch;
use crate::ann::ann_index::{MAX_EF_SEARCH, lists, search_settings};
use crate::ann::ann_search;
use crate::ann::recall_estimate::RecallEstimate;
use crate::connections::connection::Scope;
use crate::error::Failure;
use crate::rows;
use crate::rows::sql::SqlBuilder;
use crate::search;

/// How many stored vectors are searched for: enough to tell 0.96 from 0.95.
const QUESTIONS: usize = 200;
/// Fewer are searched for only where there are fewer.
const MIN_QUESTIONS: usize = 30;
/// After this time no more than [`MIN_QUESTIONS`] are searched for exactly.
const SAMPLE_TIME: Duration = Duration::from_secs(60);
/// How many of them are timed.
const TIMED_QUESTIONS: usize = 11;
/// Recall is that of the ten nearest, as is usual (M. Aumüller, E. Bernhardsson, A.
/// Faithfull, *ANN-Benchmarks*, 2020).
const NEAREST: usize = 10;
/// How many questions are asked before it is checked whether the target can be reached.
const ROUND: usize = 10;
/// One more is searched for: the vector itself is left out.
const LIMIT: usize = NEAREST + 1;
/// Selects the same sample in every run, as long as the memories are the same.
const SEED: i64 = 15;
/// An index has to save at least a fifth of the time. Less is lost again when an entity is
/// written to, and is within what measuring in turn on a busy machine varies by.
const MAX_TIME_SHARE: f64 = 0.8;

/// An index that exists.
#[derive(Clone, Copy)]
pub(super) struct BuiltIndex<'a> {
    pub(super) vectors: &'a RequiredIndex,
    pub(super) method: IndexMethod,
    pub(super) name: &'a str,
}

/// A stored vector and its nearest neighbors.
pub(super) struct Question {
    id: MemoryId,
    query: DenseQuery,
    /// The similarities of the nearest other memories, highest first.
    nearest: Vec<f32>,
}

/// What was measured of an index.
#[derive(Clone, Copy)]
pub(super) struct Tuning {
    /// The smallest width that reaches the target, or the largest possible.
    pub(super) width: u32,
    pub(super) estimate: RecallEstimate,
    pub(super) exact_ms: f64,
    pub(super) approximate_ms: f64,
    /// Whether the planner uses the index.
    pub(super) is_planned: bool,
}

impl Tuning {
    /// Whether the index is of use.
    pub(super) fn verdict(&self, target: f64) -> IndexReason {
        if self.estimate.at_least < target {
            IndexReason::BelowTarget
        } else if !self.is_planned || self.approximate_ms > self.exact_ms * MAX_TIME_SHARE {
            IndexReason::NotFaster
        } else {
            IndexReason::TargetReached
        }
    }

    pub(super) fn measurement(&self) -> IndexMeasurement {
        let mut measurement = IndexMeasurement::default();
        measurement.questions = self.estimate.questions;
        measurement.recall = Some(self.estimate.recall);
        measurement.recall_at_least = Some(self.estimate.at_least);
        measurement.exact_ms = self.exact_ms;
        measurement.approximate_ms = Some(self.approximate_ms);
        measurement
    }
}

impl Run<'_> {
    /// Draws a sample of the stored vectors and finds the nearest of each exactly.
    pub(super) async fn sample(&mut self, index: &RequiredIndex) -> Result<Vec<Question>, Failure> {
        let mut questions = self.draw(index, QUESTIONS).await?;
        let started = Instant::now();
        for count in 0..questions.len() {
            if count >= MIN_QUESTIONS && started.elapsed() > SAMPLE_TIME {
                questions.truncate(count);
                break;
            }
            let Question { id, query, .. } = &questions[count];
            let (id, sql) = (*id, exact_statement(index, query));
            let rows = self.read(index, &[], sql).await?;
            questions[count].nearest = nearest(&rows, id)?;
        }
        Ok(questions)
    }

    /// Times the exact search of some stored vectors.
    pub(super) async fn measure_exact(
        &mut self,
        index: &RequiredIndex,
    ) -> Result<IndexMeasurement, Failure> {
        let questions = self.draw(index, TIMED_QUESTIONS).await?;
        let mut times = Vec::new();
        for question in &questions {
            let exact = exact_statement(index, &question.query);
            times.push(self.explain(index, &[], exact).await?.0);
        }
        let mut measurement = IndexMeasurement::default();
        measurement.questions = u32::try_from(questions.len()).unwrap_or(u32::MAX);
        measurement.exact_ms = median(times);
        Ok(measurement)
    }

    /// Finds the smallest width that reaches the target, within an eighth, beginning with
    /// the one that was found `before`. The recall of several widths is measured with the
    /// same questions, so the confidence in the choice is a little lower than that in one
    /// measurement.
    pub(super) async fn tune(
        &mut self,
        index: BuiltIndex<'_>,
        questions: &[Question],
        before: Option<u32>,
    ) -> Result<Tuning, Failure> {
        let (first, largest) = widths(index.method, index.vectors.rows);
        let mut search = WidthSearch::new(first, largest, before);
        let mut best = (first, RecallEstimate::of(&[]));
        while let Some(width) = search.next_width() {
            let may_stop = width < largest;
            let estimate = self.estimate(index, width, questions, may_stop).await?;
            let is_enough = estimate.at_least >= self.target;
            search.record(width, is_enough);
            if is_enough || search.enough().is_none() {
                best = (width, estimate);
            }
        }
        self.time(index, best, questions).await
    }

    /// Measures an index at one width.
    pub(super) async fn measure_width(
        &mut self,
        index: BuiltIndex<'_>,
        width: u32,
        questions: &[Question],
    ) -> Result<Tuning, Failure> {
        let estimate = self.estimate(index, width, questions, false).await?;
        self.time(index, (width, estimate), questions).await
    }

    /// Chooses stored memories by a hash of their ids, and takes one vector of each.
    async fn draw(
        &mut self,
        index: &RequiredIndex,
        count: usize,
    ) -> Result<Vec<Question>, Failure> {
        let mut sql = SqlBuilder::new();
        let entity = sql.value(index.key.entity.as_str(), "text");
        let model = sql.value(index.key.model.as_str(), "text");
        let seed = sql.value(SEED, "bigint");
        let limit = sql.value(rows::signed(count as u64), "bigint");
        let ids = |which: &str| {
            format!(
                "SELECT v.memory_id FROM memory_embedding v WHERE v.entity_id = {entity} \
                 AND v.model = {model} AND NOT v.archived AND {which}"
            )
        };
        sql.push(format!(
            "SELECT s.memory_id FROM ({} UNION {}) s \
             ORDER BY uuid_hash_extended(s.memory_id, {seed}), s.memory_id LIMIT {limit}",
            ids("v.compact"),
            ids("NOT v.compact"),
        ));
        let rows = self.read(index, &[], sql).await?;
        let ids: Result<Vec<Uuid>, _> = rows.iter().map(|row| row.try_get("memory_id")).collect();
        let ids = ids?;
        let mut sql = SqlBuilder::new();
        let entity = sql.value(index.key.entity.as_str(), "text");
        let model = sql.value(index.key.model.as_str(), "text");
        let wanted = sql.value(ids.clone(), "uuid[]");
        sql.push(format!(
            "SELECT DISTINCT ON (v.memory_id) v.memory_id, v.half FROM memory_embedding v \
             WHERE v.entity_id = {entity} AND v.memory_id = ANY({wanted}) AND v.model = {model} \
             AND NOT v.archived AND v.half IS NOT NULL ORDER BY v.memory_id, v.chunk"
        ));
        let mut vectors = HashMap::new();
        for row in self.read(index, &[], sql).await? {
            let id: Uuid = row.try_get("memory_id")?;
            let half: HalfVector = row.try_get("half")?;
            let vector: Vec<f32> = half.as_slice().iter().map(|x| x.to_f32()).collect();
            vectors.insert(id, vector);
        }
        // In the order of the hash: a sample that is cut short is still a random one.
        let questions = ids.into_iter().filter_map(|id| {
            Some(Question {
                query: DenseQuery::new(index.key.model.clone(), vectors.remove(&id)?),
                id: MemoryId::from(id),
                nearest: Vec::new(),
            })
        });
        Ok(questions.collect())
    }

    /// Measures the recall at a width. With `may_stop` it ends once the target is missed,
    /// whatever the other questions find.
    async fn estimate(
        &mut self,
        index: BuiltIndex<'_>,
        width: u32,
        questions: &[Question],
        may_stop: bool,
    ) -> Result<RecallEstimate, Failure> {
        let BuiltIndex {
            vectors, method, ..
        } = index;
        let settings = settings(method, width);
        let mut found = Vec::with_capacity(questions.len());
        for question in questions {
            let sql = approximate_statement(vectors, method, &question.query);
            let rows = self.read(vectors, &settings, sql).await?;
            let similarities = nearest(&rows, question.id)?;
            found.push(count_found(&similarities, &question.nearest));
            let is_round = found.len().is_multiple_of(ROUND);
            if may_stop && is_round && self.is_out_of_reach(&found, questions) {
                break;
            }
        }
        Ok(RecallEstimate::of(&found))
    }

    fn is_out_of_reach(&self, found: &[(u32, u32)], questions: &[Question]) -> bool {
        let others = questions.iter().skip(found.len());
        let all_found = others.map(|it| count_found(&it.nearest, &it.nearest));
        let best: Vec<(u32, u32)> = found.iter().copied().chain(all_found).collect();
        RecallEstimate::of(&best).at_least < self.target
    }

    /// Times both searches in turn.
    async fn time(
        &mut self,
        index: BuiltIndex<'_>,
        (width, estimate): (u32, RecallEstimate),
        questions: &[Question],
    ) -> Result<Tuning, Failure> {
        let BuiltIndex {
            vectors,
            method,
            name,
        } = index;
        let settings = settings(method, width);
        let (mut exact_times, mut times) = (Vec::new(), Vec::new());
        let mut is_planned = !questions.is_empty();
        for question in questions.iter().take(TIMED_QUESTIONS) {
            let exact = exact_statement(vectors, &question.query);
            exact_times.push(self.explain(vectors, &[], exact).await?.0);
            let approximate = approximate_statement(vectors, method, &question.query);
            let (time, plan) = self.explain(vectors, &settings, approximate).await?;
            times.push(time);
            is_planned &= plan.contains(name);
        }
        Ok(Tuning {
            width,
            estimate,
            exact_ms: median(exact_times),
            approximate_ms: median(times),
            is_planned,
        })
    }

    /// The time that the server takes for a statement, in milliseconds, and its plan.
    async fn explain(
        &mut self,
        index: &RequiredIndex,
        settings: &[String],
        mut sql: SqlBuilder,
    ) -> Result<(f64, String), Failure> {
        const LABEL: &str = "Execution Time: ";
        sql.prepend("EXPLAIN (ANALYZE, TIMING OFF) ");
        let rows = self.read(index, settings, sql).await?;
        let lines: Result<Vec<&str>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        let lines = lines?;
        let time = lines.iter().find_map(|line| line.strip_prefix(LABEL));
        let time = time.and_then(|time| time.trim_end_matches(" ms").parse().ok());
        let time = time.ok_or(sqlx::Error::RowNotFound)?;
        Ok((time, lines.join("\n")))
    }

    /// Runs one statement that reads, with these settings and the time limit of a search.
    async fn read(
        &mut self,
        index: &RequiredIndex,
        settings: &[String],
        sql: SqlBuilder,
    ) -> Result<Vec<PgRow>, Failure> {
        let limit = self.database.options.statement_timeout.as_millis();
        let mut settings = settings.to_vec();
        settings.push(format!("statement_timeout = {limit}"));
        let query = sql.query()?;
        self.connection.restore_timeout();
        if self.connection.is_distributed() {
            // The nodes get the settings of a transaction, and none of a session.
            let entities = [&index.key.entity];
            self.connection
                .begin_read(Scope::Entities(&entities), &settings)
                .await?;
            let rows = self.connection.fetch_all(query).await?;
            self.connection.execute_batch("ROLLBACK").await?;
            return Ok(rows);
        }
        // The session is this run's own. Other searches' settings do not matter.
        if self.settings != settings {
            let set = settings.iter().map(|setting| format!("SET {setting}"));
            let set: Vec<String> = set.collect();
            self.connection.execute_batch(&set.join("; ")).await?;
            self.settings = settings;
        }
        self.connection.fetch_all(query).await
    }

    /// Takes the time limits off, for what takes long.
    pub(super) async fn unlimit(&mut self) -> Result<(), Failure> {
        self.connection.disable_timeout();
        self.settings.clear();
        self.connection
            .execute_batch("SET statement_timeout = 0; SET lock_timeout = 0")
            .await
    }
}

/// The smallest and the largest width that is tried. A search for ten requests
/// [`LIMIT`] times [`OVERSAMPLING`](ann_search::OVERSAMPLING) vectors, and considers no
/// fewer; one that scans half of all lists takes about as long as an exact one.
fn widths(method: IndexMethod, rows: u64) -> (u32, u32) {
    match method {
        IndexMethod::IvfFlat => (1, (lists(rows) / 2).max(1)),
        _ => {
            let smallest = u32::try_from(LIMIT * ann_search::OVERSAMPLING).unwrap_or(u32::MAX);
            (smallest, MAX_EF_SEARCH)
        }
    }
}

fn settings(method: IndexMethod, width: u32) -> Vec<String> {
    search_settings(method, width, LIMIT * ann_search::OVERSAMPLING)
}

fn request(query: &DenseQuery) -> SearchRequest {
    SearchRequest::new(MemoryFilter::new(), LIMIT).dense(query.clone())
}

/// The statement of an exact search. The planner cannot use an ANN index for it, so no
/// setting has to keep it from that; it uses the index that stores the vectors.
fn exact_statement(index: &RequiredIndex, query: &DenseQuery) -> SqlBuilder {
    let mut sql = SqlBuilder::new();
    search::push_statement(&mut sql, &index.key.entity, &request(query), None);
    sql
}

fn approximate_statement(
    index: &RequiredIndex,
    method: IndexMethod,
    query: &DenseQuery,
) -> SqlBuilder {
    let mut sql = SqlBuilder::new();
    let request = request(query);
    ann_search::push_statement(&mut sql, method, &index.key.entity, &request, query, None);
    sql
}

/// The similarities of the nearest memories but one, highest first.
fn nearest(rows: &[PgRow], except: MemoryId) -> Result<Vec<f32>, sqlx::Error> {
    let mut similarities = Vec::with_capacity(rows.len());
    for row in rows {
        let id: Option<Uuid> = row.try_get("memory_id")?;
        let similarity: Option<f32> = row.try_get("similarity")?;
        let is_other = id.is_some_and(|id| MemoryId::from(id) != except);
        similarities.extend(similarity.filter(|_| is_other));
    }
    similarities.sort_by(|a, b| b.total_cmp(a));
    similarities.truncate(NEAREST);
    Ok(similarities)
}

/// How many of the nearest were found, and how many there are. By similarity: of several
/// that are equally near, each is as good as the others.
fn count_found(found: &[f32], nearest: &[f32]) -> (u32, u32) {
    let Some(farthest) = nearest.last() else {
        return (0, 0);
    };
    let count = found.iter().filter(|it| *it >= farthest).count();
    let count = count.min(nearest.len());
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    (number(count), number(nearest.len()))
}

/// The median; infinite without a value, so that what could not be measured never wins.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equally_near_memories_count_as_found() {
        assert_eq!(count_found(&[0.9, 0.8, 0.8], &[0.9, 0.8]), (2, 2));
        assert_eq!(count_found(&[0.9, 0.7], &[0.9, 0.8]), (1, 2));
        assert_eq!(count_found(&[], &[0.9, 0.8]), (0, 2));
        assert_eq!(count_found(&[0.9], &[]), (0, 0));
    }

    #[test]
    fn an_index_is_of_use_if_it_reaches_the_target_in_less_time() {
        let tuning = |at_least, approximate_ms, is_planned| Tuning {
            width: 40,
            estimate: RecallEstimate {
                questions: 200,
                recall: 0.99,
                at_least,
            },
            exact_ms: 10.0,
            approximate_ms,
            is_planned,
        };
        for (tuning, expected) in [
            (tuning(0.95, 8.0, true), IndexReason::TargetReached),
            (tuning(0.949, 1.0, true), IndexReason::BelowTarget),
            (tuning(0.96, 8.1, true), IndexReason::NotFaster),
            (tuning(0.96, 1.0, false), IndexReason::NotFaster),
            (tuning(0.96, f64::INFINITY, true), IndexReason::NotFaster),
        ] {
            assert_eq!(tuning.verdict(0.95), expected);
        }
    }
}
