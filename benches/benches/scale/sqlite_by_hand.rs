//! SQLite as it is often used for memories: a table with a column of vectors that
//! every search reads, FTS5 over the text, and the fusion of both lists by rank.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use memory_core::MemoryBatchItem;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};

use super::exact_scan::dot;
use super::peer::{Embedded, Peer, fuse};
use super::{LIMIT, Outcome, size_on_disk};

/// Candidates of each list.
const CANDIDATES: usize = 100;

const SCHEMA: &str = "
    CREATE TABLE memory (
        id INTEGER PRIMARY KEY, entity TEXT NOT NULL, content TEXT NOT NULL, context TEXT,
        tags TEXT, metadata TEXT, created TEXT NOT NULL, vector BLOB NOT NULL
    );
    CREATE INDEX memory_entity ON memory (entity);
    CREATE VIRTUAL TABLE memory_text USING fts5 (content);";

pub(crate) struct SqliteByHand {
    pool: SqlitePool,
    file: PathBuf,
    count: usize,
}

impl SqliteByHand {
    pub(crate) async fn create(folder: &Path) -> Outcome<Self> {
        let file = folder.join("by-hand.db");
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
        let pool = SqlitePool::connect_with(options).await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        Ok(Self {
            pool,
            file,
            count: 0,
        })
    }

    /// The numbers of the memories with the most similar vectors.
    async fn most_similar(&self, question: &Embedded<String>, count: usize) -> Outcome<Vec<usize>> {
        let rows: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT id, vector FROM memory WHERE entity = ?")
                .bind(memory_benches::corpus::ENTITY)
                .fetch_all(&self.pool)
                .await?;
        let mut vector = Vec::new();
        let mut scores = Vec::with_capacity(rows.len());
        for (id, bytes) in &rows {
            vector.clear();
            let (components, _) = bytes.as_chunks::<4>();
            vector.extend(components.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            scores.push((dot(&vector, &question.vector), usize::try_from(*id)?));
        }
        scores.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        scores.truncate(count);
        Ok(scores.into_iter().map(|(_, id)| id).collect())
    }
}

#[async_trait]
impl Peer for SqliteByHand {
    fn subject(&self) -> &'static str {
        "SQLite by hand"
    }

    async fn insert(&mut self, batch: &[Embedded<MemoryBatchItem>]) -> Outcome {
        let mut transaction = self.pool.begin().await?;
        for memory in batch {
            let id = i64::try_from(self.count)?;
            let item = &memory.value;
            let bytes: Vec<u8> = memory.vector.iter().flat_map(|x| x.to_le_bytes()).collect();
            sqlx::query("INSERT INTO memory VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(id)
                .bind(item.entity_id.as_str())
                .bind(&item.content)
                .bind(&item.context)
                .bind(serde_json::to_string(&item.tags)?)
                .bind(serde_json::to_string(&item.metadata)?)
                .bind(
                    item.timestamp
                        .map(|time| time.to_rfc3339())
                        .unwrap_or_default(),
                )
                .bind(bytes)
                .execute(&mut *transaction)
                .await?;
            sqlx::query("INSERT INTO memory_text (rowid, content) VALUES (?, ?)")
                .bind(id)
                .bind(&item.content)
                .execute(&mut *transaction)
                .await?;
            self.count += 1;
        }
        Ok(transaction.commit().await?)
    }

    async fn search(&self, question: &Embedded<String>) -> Outcome<Vec<usize>> {
        let similar = self.most_similar(question, CANDIDATES).await?;
        let words: Vec<&str> = question.value.split(' ').collect();
        let matching: Vec<(i64,)> = sqlx::query_as(
            "SELECT rowid FROM memory_text WHERE memory_text MATCH ? ORDER BY rank LIMIT ?",
        )
        .bind(words.join(" OR "))
        .bind(i64::try_from(CANDIDATES)?)
        .fetch_all(&self.pool)
        .await?;
        let matching = matching.into_iter().map(|(id,)| usize::try_from(id));
        let best = fuse([similar, matching.collect::<Result<_, _>>()?]);

        // The texts of the results.
        let marks = vec!["?"; best.len().min(LIMIT)].join(", ");
        let texts = format!("SELECT id, content, metadata FROM memory WHERE id IN ({marks})");
        let mut texts = sqlx::query(sqlx::AssertSqlSafe(texts));
        for id in &best {
            texts = texts.bind(i64::try_from(*id)?);
        }
        texts.fetch_all(&self.pool).await?;
        Ok(best)
    }

    async fn nearest(&self, question: &Embedded<String>) -> Outcome<Vec<usize>> {
        self.most_similar(question, LIMIT).await
    }

    async fn remove_last(&mut self) -> Outcome<bool> {
        self.count -= 1;
        let id = i64::try_from(self.count)?;
        let mut transaction = self.pool.begin().await?;
        for delete in [
            "DELETE FROM memory WHERE id = ?",
            "DELETE FROM memory_text WHERE rowid = ?",
        ] {
            sqlx::query(delete)
                .bind(id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    fn size_on_disk(&self) -> Outcome<Option<u64>> {
        size_on_disk(&self.file).map(Some)
    }
}
