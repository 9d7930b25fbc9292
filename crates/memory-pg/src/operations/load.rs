//! Loads: reads of the whole state of a large entity, in portions.
//!
//! A cursor gives the rows of one statement, and so of one moment, in portions whose size
//! follows the time that they take: far less than a statement may. So the timeout of a
//! statement says nothing about how large an entity may be, a load that is abandoned
//! leaves nothing running for long, and [`load_timeout`](crate::PgOptions::load_timeout)
//! limits the whole. The cursor ends with its transaction, which runs in one session also
//! behind a pooler.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;

use crate::connections::connection::Connection;
use crate::connections::database::ReadTarget;
use crate::error::Failure;
use crate::rows::sql::SqlBuilder;

/// The most memories that are read by one statement, without a transaction.
pub(crate) const MAX_IN_ONE_STATEMENT: i64 = 1_000;

/// Rows of the first portion. A row is a memory of some kilobytes, or a page of a snapshot
/// with some hundred kilobytes.
const INITIAL_ROWS: usize = 64;
const MIN_ROWS: usize = 8;
const MAX_ROWS: usize = 4_096;
/// How long a portion should take, at most.
const MAX_TARGET: Duration = Duration::from_millis(500);
/// Portions should take this part of the statement timeout, at most.
const TIMEOUT_PART: u32 = 40;

/// A statement whose rows are read in portions.
pub(crate) struct Load<'a> {
    /// The cursor's name. One name is always of one form of rows: the driver keeps what it
    /// knows of the statement that reads them.
    cursor: &'static str,
    pub(crate) target: ReadTarget<'a>,
    sql: SqlBuilder,
}

impl<'a> Load<'a> {
    pub(crate) fn new(cursor: &'static str, target: ReadTarget<'a>, mut sql: SqlBuilder) -> Self {
        sql.prepend(&format!("DECLARE {cursor} NO SCROLL CURSOR FOR "));
        Self {
            cursor,
            target,
            sql,
        }
    }

    /// The settings of its transaction: plans that give the first rows soon, since a
    /// portion should take about as long as any other. The server takes the memories that
    /// are in no page for few; to sort them, it would read all of them with their vectors
    /// before it gave the first, although an index has their order.
    pub(crate) fn settings() -> [String; 2] {
        ["cursor_tuple_fraction = 0.1", "enable_sort = off"].map(str::to_owned)
    }

    /// Reads all rows, inside a transaction that has begun, and counts the portions.
    pub(crate) async fn run(
        &self,
        connection: &mut Connection,
        statement_timeout: Duration,
        portions: &AtomicU64,
    ) -> Result<Vec<PgRow>, Failure> {
        connection.execute(self.sql.copy_query()?).await?;
        let mut size = PortionSize::new(statement_timeout);
        let mut rows = Vec::new();
        loop {
            let started = Instant::now();
            let text = format!("FETCH FORWARD {} FROM {}", size.rows, self.cursor);
            let portion = connection.fetch_all(sqlx::query(AssertSqlSafe(text)));
            let portion = portion.await?;
            portions.fetch_add(1, Ordering::Relaxed);
            let is_last = portion.len() < size.rows;
            rows.extend(portion);
            if is_last {
                return Ok(rows);
            }
            size.adapt(started.elapsed());
        }
    }
}

/// How many rows a portion has: few texts, as each is a prepared statement.
struct PortionSize {
    rows: usize,
    target: Duration,
}

impl PortionSize {
    fn new(statement_timeout: Duration) -> Self {
        Self {
            rows: INITIAL_ROWS,
            target: MAX_TARGET.min(statement_timeout / TIMEOUT_PART),
        }
    }

    /// After a portion that took so long.
    fn adapt(&mut self, took: Duration) {
        if took > self.target {
            // The next may be much slower than this: on a server that gets busy, or where
            // pages follow small rows.
            self.rows = (self.rows / 4).max(MIN_ROWS);
        } else if took < self.target / 4 {
            self.rows = (self.rows * 2).min(MAX_ROWS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_take_a_small_part_of_the_statement_timeout() {
        let mut size = PortionSize::new(Duration::from_secs(30));
        assert_eq!(size.target, MAX_TARGET);
        for rows in [128, 256, 512, 1_024, 2_048, 4_096, 4_096] {
            size.adapt(Duration::from_millis(10));
            assert_eq!(size.rows, rows);
        }
        size.adapt(Duration::from_millis(300));
        assert_eq!(size.rows, 4_096);
        for rows in [1_024, 256, 64, 16, 8, 8] {
            size.adapt(Duration::from_secs(1));
            assert_eq!(size.rows, rows);
        }
        let short = PortionSize::new(Duration::from_secs(1));
        assert_eq!(short.target, Duration::from_millis(25));
    }
}
