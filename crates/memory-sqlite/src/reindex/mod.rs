//! Making the entries of the lexical index again, in the background, where an older
//! analysis of texts made them.
//!
//! Entries are converted in the order of their keys, some of them in each transaction, which
//! also writes how far it has come: a process that is killed is continued from there by the
//! next that opens the file. Every write makes entries of the current version. Searches read
//! the texts of memories whose entries are not converted yet: see `lexical`.
//!
//! Of several processes that opened the file, one converts: see [`Progress::Elsewhere`].

pub(crate) mod analysis_state;
pub(crate) mod conversion_progress;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use memory_core::{ErrorKind, Language, MemoryResult};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row, query};

use crate::connections::blocking::run_blocking;
use crate::connections::database;
use crate::connections::stop_signal::StopSignal;
use crate::connections::transaction::Transaction;
use crate::connections::writer::Writer;
use crate::error::Failure;
use crate::open::connection::OPERATION;
use crate::reindex::analysis_state::{AnalysisState, VERSION};
use crate::rows::to_json;
use crate::search::lexical::{self, DELETE_ENTRIES, INSERT_ENTRIES};
use crate::wal::own_commits::Origin;

/// How long a transaction takes: other writers wait for it.
const TARGET: Duration = Duration::from_millis(10);

/// The cost of a memory besides that of its text, in bytes of text that take as long.
const ROW_COST: u64 = 256;

/// The cost of a transaction's memories, in bytes: the lowest, so that a transaction is worth
/// its commit where that alone takes longer than [`TARGET`]; that of the first; the highest.
const MIN_COST: u64 = 16 * 1024;
const FIRST_COST: u64 = 32 * 1024;
const MAX_COST: u64 = 1024 * 1024;

/// Maximum number of memories of a transaction.
const MAX_ROWS: u32 = 2_048;

/// The pause where another process converts, and after the database was locked or full.
const LONG_PAUSE: Duration = Duration::from_secs(1);

/// Begins a conversion where the version is older than this program's. Nothing has to be
/// converted in a database without memories. Takes as long for any number of memories.
///
/// # Errors
/// `NewerSchema` for a newer version.
pub(crate) async fn begin(conn: &mut SqliteConnection) -> Result<(), Failure> {
    if !AnalysisState::read(conn)
        .await?
        .check(OPERATION)?
        .is_outdated()
    {
        return Ok(());
    }
    let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
    // Another process may have been here.
    let state = AnalysisState::read(&mut transaction).await?;
    if state.check(OPERATION)?.is_outdated() {
        query(
            "UPDATE text_analysis SET converted_key = 0,
                 conversion = conversion + EXISTS (SELECT 1 FROM memory),
                 version = CASE WHEN EXISTS (SELECT 1 FROM memory) THEN -?1 ELSE ?1 END",
        )
        .bind(VERSION)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Converts entries in a task of its own, until all are converted or the signal comes.
pub(crate) fn start(writer: Writer, language: Option<Language>, stop: StopSignal) {
    let conversion = Conversion {
        writer,
        language,
        stop,
        max_cost: FIRST_COST,
        seen_key: None,
        converted: 0,
    };
    // Without a runtime, the next process that opens the file converts.
    drop(database::spawn_detached(
        ConvertEntries::OPERATION,
        conversion.run(),
    ));
}

/// The conversion of a database by this process.
struct Conversion {
    writer: Writer,
    language: Option<Language>,
    stop: StopSignal,
    /// The cost of the next transaction's memories.
    max_cost: u64,
    /// How far it had come when this process last looked.
    seen_key: Option<i64>,
    /// Memories that this process has converted.
    converted: u64,
}

impl Conversion {
    async fn run(mut self) {
        let started = Instant::now();
        while !self.stop.is_stopped() {
            let pause = match self.convert_some().await {
                Ok(Progress::Complete) => {
                    tracing::info!(
                        memories = self.converted,
                        seconds = started.elapsed().as_secs_f64(),
                        version = VERSION,
                        "the words of all memories are of the current analysis of texts"
                    );
                    return;
                }
                Ok(Progress::Superseded) => return,
                Ok(Progress::Elsewhere(key)) => {
                    self.seen_key = Some(key);
                    LONG_PAUSE
                }
                Ok(Progress::Converted(batch)) => self.add(batch),
                Err(_) if self.stop.is_stopped() => return,
                // Others may free space, on the disk or in the database.
                Err(error) if error.is_retryable() || error.kind() == ErrorKind::Full => {
                    tracing::debug!(kind = ?error.kind(), "the conversion of words is interrupted");
                    LONG_PAUSE
                }
                Err(error) => {
                    tracing::warn!(
                        kind = ?error.kind(),
                        memories = self.converted,
                        "the conversion of words has ended; searches read the texts of the other \
                         memories, and opening the database again continues it"
                    );
                    return;
                }
            };
            self.stop.sleep(pause).await;
        }
    }

    async fn convert_some(&self) -> MemoryResult<Progress> {
        let convert = ConvertEntries {
            seen_key: self.seen_key,
            max_cost: self.max_cost,
            language: self.language,
        };
        self.writer.clone().transact(convert, Origin::Upkeep).await
    }

    /// Counts what was converted, and returns the pause after it: as long as the
    /// transaction, so that others have the database half of the time.
    fn add(&mut self, batch: Batch) -> Duration {
        if self.seen_key.is_none() {
            tracing::info!(
                version = VERSION,
                "the texts of memories are analyzed again in the background, for words of the \
                 current analysis"
            );
        }
        let took = batch.began.elapsed();
        self.max_cost = next_cost(batch.cost, took);
        self.seen_key = Some(batch.last);
        self.converted += batch.memories;
        took
    }
}

/// The cost of memories that take [`TARGET`], where those of `cost` have taken `took`.
fn next_cost(cost: u64, took: Duration) -> u64 {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    let target = u64::try_from(TARGET.as_micros()).unwrap_or(u64::MAX);
    // One that was quick by chance is not followed by one that takes long.
    let wanted = cost.saturating_mul(target) / micros;
    wanted.clamp(MIN_COST, cost.saturating_mul(2).clamp(FIRST_COST, MAX_COST))
}

/// The transaction that converts the next entries.
struct ConvertEntries {
    /// How far the conversion had come when this process last looked.
    seen_key: Option<i64>,
    max_cost: u64,
    language: Option<Language>,
}

/// What came of a [`ConvertEntries`].
enum Progress {
    Converted(Batch),
    /// Another process has converted up to this key since: it goes on with that.
    Elsewhere(i64),
    /// All entries are converted.
    Complete,
    /// The database was marked to be converted to another version.
    Superseded,
}

/// What a transaction has converted.
struct Batch {
    began: Instant,
    memories: u64,
    cost: u64,
    /// The key of the last of them.
    last: i64,
}

impl Transaction for ConvertEntries {
    type Output = Progress;
    const OPERATION: &'static str = "convert_words";
    /// It goes on later: neither writes nor a close should wait for it.
    const MAX_BUSY_TIMEOUT: Option<Duration> = Some(Duration::from_millis(100));
    /// They can be converted again.
    const SURVIVES_POWER_FAILURE: bool = false;

    async fn run(self, conn: &mut SqliteConnection) -> Result<Progress, Failure> {
        let began = Instant::now();
        let state = AnalysisState::read(conn).await?;
        if state.is_outdated() {
            return Ok(Progress::Superseded);
        }
        if !state.is_converting() {
            return Ok(Progress::Complete);
        }
        let after = state.converted_key();
        if self.seen_key.is_some_and(|key| key != after) {
            return Ok(Progress::Elsewhere(after));
        }
        let Some((last, cost)) = self.select(conn, after).await? else {
            set_state(conn, VERSION, 0).await?;
            return Ok(Progress::Complete);
        };
        let memories = convert(conn, after, last, self.language).await?;
        set_state(conn, -VERSION, last).await?;
        Ok(Progress::Converted(Batch {
            began,
            memories,
            cost,
            last,
        }))
    }
}

impl ConvertEntries {
    /// The last key of the next memories, and what they cost; `None` at the end.
    async fn select(
        &self,
        conn: &mut SqliteConnection,
        after: i64,
    ) -> Result<Option<(i64, u64)>, Failure> {
        let sizes: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT memory_key, octet_length(content) FROM memory
             WHERE memory_key > ?1 ORDER BY memory_key LIMIT ?2",
        )
        .bind(after)
        .bind(
            (self.max_cost / ROW_COST)
                .clamp(1, MAX_ROWS.into())
                .cast_signed(),
        )
        .fetch_all(conn)
        .await?;
        let mut selected: Option<(i64, u64)> = None;
        for (key, bytes) in sizes {
            let cost = selected.map_or(0, |(_, cost)| cost) + bytes.unsigned_abs() + ROW_COST;
            if selected.is_some() && cost > self.max_cost {
                break;
            }
            selected = Some((key, cost));
        }
        Ok(selected)
    }
}

async fn set_state(conn: &mut SqliteConnection, version: i64, key: i64) -> Result<(), Failure> {
    query("UPDATE text_analysis SET version = ?1, converted_key = ?2")
        .bind(version)
        .bind(key)
        .execute(conn)
        .await?;
    Ok(())
}

/// Makes the entries after one key and up to another again, and returns how many
/// memories they are of.
async fn convert(
    conn: &mut SqliteConnection,
    after: i64,
    last: i64,
    language: Option<Language>,
) -> Result<u64, Failure> {
    let rows = query(
        "SELECT m.memory_key, m.entity_key, m.content, m.word_count, m.archived_by IS NULL, w.words
         FROM memory AS m LEFT JOIN memory_words AS w ON w.rowid = m.memory_key
         WHERE m.memory_key > ?1 AND m.memory_key <= ?2 ORDER BY m.memory_key",
    )
    .bind(after)
    .bind(last)
    .fetch_all(&mut *conn)
    .await?;
    let memories = rows.len();
    let changes = run_blocking(memories, move || Changes::of(&rows, language)).await??;
    changes.write(conn).await?;
    // Those of this conversion have the words that these entries have now.
    query(
        "DELETE FROM word_page WHERE page_key >= ?1 >> 9 AND page_key <= ?2 >> 9
             AND conversion <> (SELECT conversion FROM text_analysis)",
    )
    .bind(after + 1)
    .bind(last)
    .execute(conn)
    .await?;
    Ok(memories as u64)
}

/// What differs from the stored entries.
#[derive(Default)]
struct Changes {
    /// Keys and entries of memories that are not archived.
    entries: Vec<(i64, String)>,
    counts: WordCounts,
}

impl Changes {
    fn of(rows: &[SqliteRow], language: Option<Language>) -> Result<Self, Failure> {
        let mut changes = Self::default();
        for row in rows {
            let (key, entity): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let is_live: bool = row.try_get(4)?;
            let (entry, count) = lexical::index_entry(entity, row.try_get(2)?, language);
            changes
                .counts
                .add(key, entity, is_live, row.try_get(3)?, count);
            // An archived memory has no entry.
            if is_live && row.try_get::<Option<&str>, _>(5)? != Some(&entry) {
                changes.entries.push((key, entry));
            }
        }
        Ok(changes)
    }

    async fn write(self, conn: &mut SqliteConnection) -> Result<(), Failure> {
        if !self.entries.is_empty() {
            let keys: Vec<i64> = self.entries.iter().map(|(key, _)| *key).collect();
            for (sql, json) in [
                (DELETE_ENTRIES, &to_json(&keys)?),
                (INSERT_ENTRIES, &to_json(&self.entries)?),
            ] {
                query(sql).bind(json).execute(&mut *conn).await?;
            }
        }
        self.counts.write(conn).await
    }
}

/// Word counts that differ from the stored ones.
#[derive(Default)]
pub(crate) struct WordCounts {
    /// Keys and word counts.
    memories: Vec<(i64, i64)>,
    /// By entity, what is added to its word count.
    entities: BTreeMap<i64, i64>,
}

impl WordCounts {
    /// Adds the word count of a memory. Archived ones do not count for their entity.
    pub(crate) fn add(&mut self, key: i64, entity: i64, is_live: bool, stored: i64, count: i64) {
        if count != stored {
            self.memories.push((key, count));
            if is_live {
                *self.entities.entry(entity).or_default() += count - stored;
            }
        }
    }

    pub(crate) async fn write(self, conn: &mut SqliteConnection) -> Result<(), Failure> {
        const SET_COUNTS: &str = "UPDATE memory SET word_count = change.value ->> 1
            FROM jsonb_each(?1) AS change WHERE memory_key = change.value ->> 0";
        const ADD_WORDS: &str = "UPDATE entity SET word_count = word_count + (change.value ->> 1)
            FROM jsonb_each(?1) AS change WHERE entity_key = change.value ->> 0";
        if self.memories.is_empty() {
            return Ok(());
        }
        let entities: Vec<(i64, i64)> = self.entities.into_iter().collect();
        for (sql, json) in [
            (SET_COUNTS, &to_json(&self.memories)?),
            (ADD_WORDS, &to_json(&entities)?),
        ] {
            query(sql).bind(json).execute(&mut *conn).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_take_about_the_time_that_is_wanted() {
        let next = |cost, millis| next_cost(cost, Duration::from_millis(millis));
        assert_eq!(next(40_000, 20), 20_000);
        assert_eq!(next(40_000, 8), 50_000);
        assert_eq!(next(40_000, 1), 80_000, "not more than twice");
        assert_eq!(next(900_000, 1), MAX_COST);
        assert_eq!(next(2_000, 1), 20_000);
        assert_eq!(next(40_000, 60_000), MIN_COST, "worth its commit");
        assert_eq!(next(300, 0), FIRST_COST);
    }
}
