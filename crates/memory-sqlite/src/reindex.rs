//! Making the entries of the lexical index again, where the analysis of texts changed.

use std::collections::BTreeMap;

use memory_core::Language;
use memory_text::ANALYSIS_VERSION;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row, query};

use crate::blocking::run_blocking;
use crate::error::Failure;
use crate::lexical::{self, DELETE_ENTRIES, INSERT_ENTRIES};
use crate::rows::to_json;

/// Memories of one transaction: other writers wait for it some ten milliseconds.
const BATCH: u32 = 1_000;

/// The version and the last key that was converted, see the migration. The version is that
/// of all entries; while they are made again, the negative of the one that those up to the
/// key have.
type State = (i64, i64);

const VERSION: i64 = ANALYSIS_VERSION as i64;

const READ_STATE: &str = "SELECT version, converted_key FROM text_analysis";

/// Makes every entry of an older analysis again; nothing where the version is this
/// program's or a newer one. Continues where another run of it ended.
pub(crate) async fn reindex(
    conn: &mut SqliteConnection,
    language: Option<Language>,
) -> Result<(), Failure> {
    while is_outdated(sqlx::query_as(READ_STATE).fetch_one(&mut *conn).await?) {
        let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
        // Another process may have been here.
        let state: State = sqlx::query_as(READ_STATE)
            .fetch_one(&mut *transaction)
            .await?;
        if is_outdated(state) {
            // A conversion to another version, which ended early, made other entries.
            let first = if state.0 == -VERSION { state.1 } else { 0 };
            let (version, key) = match reindex_after(&mut transaction, first, language).await? {
                Some(last) => (-VERSION, last),
                None => (VERSION, 0),
            };
            query("UPDATE text_analysis SET version = ?1, converted_key = ?2")
                .bind(version)
                .bind(key)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

fn is_outdated((version, _): State) -> bool {
    version < VERSION
}

/// Makes the entries of the next memories again. Returns the last of their keys, if
/// there are any.
async fn reindex_after(
    conn: &mut SqliteConnection,
    key: i64,
    language: Option<Language>,
) -> Result<Option<i64>, Failure> {
    let rows = query(
        "SELECT m.memory_key, m.entity_key, m.content, m.word_count, m.archived_by IS NULL, w.words
         FROM memory AS m LEFT JOIN memory_words AS w ON w.rowid = m.memory_key
         WHERE m.memory_key > ?1 ORDER BY m.memory_key LIMIT ?2",
    )
    .bind(key)
    .bind(BATCH)
    .fetch_all(&mut *conn)
    .await?;
    let Some(last) = rows.last() else {
        return Ok(None);
    };
    let last = last.try_get(0)?;
    let changes = run_blocking(rows.len(), move || Changes::of(&rows, language)).await??;
    changes.write(conn).await?;
    Ok(Some(last))
}

/// What differs from the stored entries.
#[derive(Default)]
struct Changes {
    /// Keys and entries of memories that are not archived.
    entries: Vec<(i64, String)>,
    /// Keys and word counts.
    counts: Vec<(i64, i64)>,
    /// By entity, what is added to its word count.
    words: BTreeMap<i64, i64>,
}

impl Changes {
    fn of(rows: &[SqliteRow], language: Option<Language>) -> Result<Self, Failure> {
        let mut changes = Self::default();
        for row in rows {
            let (key, entity): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let (old_count, is_live): (i64, bool) = (row.try_get(3)?, row.try_get(4)?);
            let (entry, count) = lexical::index_entry(entity, row.try_get(2)?, language);
            if count != old_count {
                changes.counts.push((key, count));
                if is_live {
                    *changes.words.entry(entity).or_default() += count - old_count;
                }
            }
            // An archived memory has no entry.
            if is_live && row.try_get::<Option<&str>, _>(5)? != Some(&entry) {
                changes.entries.push((key, entry));
            }
        }
        Ok(changes)
    }

    async fn write(self, conn: &mut SqliteConnection) -> Result<(), Failure> {
        let keys: Vec<i64> = self.entries.iter().map(|(key, _)| *key).collect();
        let keys = to_json(&keys)?;
        // A page has the words of its memories: see `page`.
        const DELETE_PAGES: &str = "DELETE FROM word_page
            WHERE page_key IN (SELECT value >> 9 FROM json_each(?1))";
        const SET_COUNTS: &str = "UPDATE memory SET word_count = change.value ->> 1
            FROM jsonb_each(?1) AS change WHERE memory_key = change.value ->> 0";
        const ADD_WORDS: &str = "UPDATE entity SET word_count = word_count + (change.value ->> 1)
            FROM jsonb_each(?1) AS change WHERE entity_key = change.value ->> 0";
        let words: Vec<(i64, i64)> = self.words.into_iter().collect();
        for (sql, json) in [
            (DELETE_PAGES, &keys),
            (DELETE_ENTRIES, &keys),
            (INSERT_ENTRIES, &to_json(&self.entries)?),
            (SET_COUNTS, &to_json(&self.counts)?),
            (ADD_WORDS, &to_json(&words)?),
        ] {
            query(sql).bind(json).execute(&mut *conn).await?;
        }
        Ok(())
    }
}
