//! Making the terms of memories again, in the background, where an older analysis of
//! texts made them.
//!
//! Each transaction converts some memories of one entity, whose row it locks as every
//! write does; an entity that another process is writing to or converting is left for
//! later. Searches find memories of both kinds meanwhile: see `lexical`.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use memory_core::{EntityId, Language, MemoryResult};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use crate::connections::blocking::decode_rows;
use crate::connections::connection::{Connection, Scope};
use crate::connections::database::{Database, ReadTarget};
use crate::connections::transaction::{Transaction, TxOutcome};
use crate::error::Failure;
use crate::operations::stats;
use crate::rows::sql::SqlBuilder;
use crate::search::lexical::{ANALYSIS, IndexEntry, OUTDATED, index_contents};

const OPERATION: &str = "reindex";

/// Memories of one transaction: other writers of the entity wait for it some ten
/// milliseconds.
const BATCH: i64 = 100;

/// Entities that are read in one statement, where all have to be looked at.
const ENTITIES: usize = 500;

/// How often an entity is tried that others are writing to, and the pause in between.
const MAX_ATTEMPTS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// The pause after a round that left entities, and after the server could not be
/// reached; it doubles up to the longest.
const INITIAL_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Starts converting in the background, if there is something to convert and the store
/// may write.
pub(crate) async fn start(database: &Arc<Database>) -> MemoryResult<()> {
    if database.options.read_only || database.is_standby() {
        return Ok(());
    }
    // Policies hide which entities have older terms, so that each has to be asked.
    let may_see_all = !database.options.row_level_security;
    if may_see_all && find_outdated(database, None).await?.is_none() {
        return Ok(());
    }
    let reindex = Reindex {
        database: Arc::downgrade(database),
        may_see_all,
    };
    tokio::spawn(reindex.run());
    Ok(())
}

/// The conversion of a database. It ends when the store is dropped or closed.
struct Reindex {
    database: Weak<Database>,
    may_see_all: bool,
}

/// What came of a round over all entities, or of one of them.
enum RoundOutcome {
    /// Nothing is left.
    Complete,
    /// Others were writing to an entity.
    Incomplete,
    /// The store was closed or dropped.
    Closed,
}

impl Reindex {
    async fn run(self) {
        let mut pause = INITIAL_PAUSE;
        loop {
            match self.run_round().await {
                Ok(RoundOutcome::Complete) => {
                    tracing::debug!("the terms of all memories are of the current analysis");
                    return;
                }
                Ok(RoundOutcome::Incomplete) => {}
                Ok(RoundOutcome::Closed) => return,
                // It was closed meanwhile.
                Err(_) if self.open_database().is_none() => return,
                Err(error) if error.is_retryable() => {
                    tracing::debug!(kind = ?error.kind(), "the conversion of terms is interrupted");
                }
                Err(error) => {
                    tracing::warn!(
                        kind = ?error.kind(),
                        "the conversion of terms has ended; opening a store starts it again"
                    );
                    return;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    async fn run_round(&self) -> MemoryResult<RoundOutcome> {
        let (mut after, mut round) = (None, RoundOutcome::Complete);
        loop {
            let Some(database) = self.open_database() else {
                return Ok(RoundOutcome::Closed);
            };
            let entities = self.next_entities(&database, after.as_ref()).await?;
            drop(database);
            for entity in &entities {
                match self.convert(entity).await? {
                    RoundOutcome::Complete => {}
                    RoundOutcome::Incomplete => round = RoundOutcome::Incomplete,
                    RoundOutcome::Closed => return Ok(RoundOutcome::Closed),
                }
            }
            after = entities.into_iter().next_back();
            if after.is_none() {
                return Ok(round);
            }
        }
    }

    /// The database, unless the store was dropped or closed.
    fn open_database(&self) -> Option<Arc<Database>> {
        let database = self.database.upgrade()?;
        database.check_open(OPERATION).is_ok().then_some(database)
    }

    /// Entities that may have something to convert, in the order of their names.
    async fn next_entities(
        &self,
        database: &Database,
        after: Option<&EntityId>,
    ) -> MemoryResult<Vec<EntityId>> {
        if self.may_see_all {
            let next = find_outdated(database, after).await?;
            return Ok(next.into_iter().collect());
        }
        stats::list_entities(database, after, ENTITIES).await
    }

    /// Converts an entity.
    async fn convert(&self, entity: &EntityId) -> MemoryResult<RoundOutcome> {
        let (mut after, mut attempt) = (Uuid::nil(), 1);
        loop {
            let Some(database) = self.open_database() else {
                return Ok(RoundOutcome::Closed);
            };
            if !self.may_see_all && !is_outdated(&database, entity).await? {
                return Ok(RoundOutcome::Complete);
            }
            let started = Instant::now();
            let convert = Convert {
                entity: entity.clone(),
                after,
                language: database.options.language,
            };
            let progress = database.write(convert).await?;
            drop(database);
            match progress {
                Progress::Complete => return Ok(RoundOutcome::Complete),
                Progress::Locked if attempt == MAX_ATTEMPTS => {
                    return Ok(RoundOutcome::Incomplete);
                }
                Progress::Locked => {
                    attempt += 1;
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                Progress::Converted(last) => {
                    (after, attempt) = (last, 1);
                    // So that it takes half of the time of one connection.
                    tokio::time::sleep(started.elapsed()).await;
                }
            }
        }
    }
}

/// The next entity that has terms of an older version.
async fn find_outdated(
    database: &Database,
    after: Option<&EntityId>,
) -> MemoryResult<Option<EntityId>> {
    let target = ReadTarget {
        allows_replica: false,
        ..ReadTarget::new(Scope::EntityNames)
    };
    let decode = |rows: &[PgRow]| {
        let entity = rows.first().map(|row| row.try_get::<&str, _>("entity_id"));
        Ok(entity.transpose()?.map(EntityId::from))
    };
    let sql = outdated_statement(after);
    database.read_target(OPERATION, target, sql, decode).await
}

pub(crate) fn outdated_statement(after: Option<&EntityId>) -> SqlBuilder {
    let mut sql = SqlBuilder::new();
    sql.push(format!("SELECT m.entity_id FROM memory m WHERE {OUTDATED}"));
    if let Some(after) = after {
        let after = sql.value(after.as_str(), "text");
        sql.push(format!(" AND m.entity_id > {after}"));
    }
    sql.push(" ORDER BY m.entity_id LIMIT 1");
    sql
}

/// Whether an entity has terms of an older version.
async fn is_outdated(database: &Database, entity: &EntityId) -> MemoryResult<bool> {
    let mut sql = SqlBuilder::new();
    let entity_param = sql.value(entity.as_str(), "text");
    sql.push(format!(
        "SELECT EXISTS (SELECT FROM memory m WHERE m.entity_id = {entity_param} AND {OUTDATED}) \
         AS is_outdated"
    ));
    let entities = [entity];
    let target = ReadTarget::small(&entities);
    let decode = |rows: &[PgRow]| {
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        row.try_get("is_outdated")
    };
    database.read_target(OPERATION, target, sql, decode).await
}

/// The transaction that converts the next memories of an entity.
struct Convert {
    entity: EntityId,
    /// Those up to this id are done.
    after: Uuid,
    language: Option<Language>,
}

enum Progress {
    /// Another transaction writes to the entity.
    Locked,
    /// The memories up to this id were converted.
    Converted(Uuid),
    /// There was nothing to convert.
    Complete,
}

impl Transaction for Convert {
    const OPERATION: &'static str = OPERATION;
    type Output = Progress;

    fn entities(&self) -> Vec<&EntityId> {
        vec![&self.entity]
    }

    async fn run(&self, connection: &mut Connection) -> Result<TxOutcome<Progress>, Failure> {
        let lock = sqlx::query(
            "SELECT 1 FROM entity e WHERE e.entity_id = $1::text FOR NO KEY UPDATE SKIP LOCKED",
        );
        let locked = connection
            .fetch_all(lock.bind(self.entity.as_str()))
            .await?;
        if locked.is_empty() {
            return Ok(TxOutcome::Rollback(Progress::Locked));
        }
        let (memories, contents) = self.next_memories(connection).await?;
        let Some(last) = memories.last() else {
            return Ok(TxOutcome::Rollback(Progress::Complete));
        };
        let entries = index_contents(OPERATION, contents, self.language).await?;
        self.write(connection, &memories, &entries).await?;
        Ok(TxOutcome::Commit(Progress::Converted(last.id)))
    }
}

/// A memory with terms of an older version.
struct OutdatedMemory {
    id: Uuid,
    words: i32,
    is_live: bool,
}

impl Convert {
    /// With their contents.
    async fn next_memories(
        &self,
        connection: &mut Connection,
    ) -> Result<(Vec<OutdatedMemory>, Vec<String>), Failure> {
        let text = format!(
            "SELECT m.memory_id, m.content, m.word_count, m.archived_by IS NULL AS is_live \
             FROM memory m WHERE m.entity_id = $1::text AND m.memory_id > $2::uuid \
             AND {OUTDATED} ORDER BY m.memory_id LIMIT $3::bigint"
        );
        let query = sqlx::query(AssertSqlSafe(text)).bind(self.entity.as_str());
        let query = query.bind(self.after).bind(BATCH);
        let rows = connection.fetch_all(query).await?;
        let decode = |rows: &[PgRow]| {
            let memory = |row: &PgRow| {
                let memory = OutdatedMemory {
                    id: row.try_get("memory_id")?,
                    words: row.try_get("word_count")?,
                    is_live: row.try_get("is_live")?,
                };
                Ok((memory, row.try_get("content")?))
            };
            rows.iter().map(memory).collect()
        };
        Ok(decode_rows(OPERATION, rows, decode).await?)
    }

    /// The lock on the entity keeps the memories unchanged since they were read.
    /// Generations stay: nothing that a reader may have cached is different.
    async fn write(
        &self,
        connection: &mut Connection,
        memories: &[OutdatedMemory],
        entries: &[IndexEntry],
    ) -> Result<(), Failure> {
        let ids: Vec<Uuid> = memories.iter().map(|it| it.id).collect();
        let lexemes: Vec<&str> = entries.iter().map(|it| &*it.lexemes).collect();
        let words: Vec<i32> = entries.iter().map(|it| it.word_count).collect();
        let query = sqlx::query(
            "UPDATE memory m SET lexemes = u.lexemes::tsvector, word_count = u.words, \
             analysis = $5::integer \
             FROM (SELECT unnest($2::uuid[]) AS memory_id, unnest($3::text[]) AS lexemes, \
               unnest($4::integer[]) AS words) u \
             WHERE m.entity_id = $1::text AND m.memory_id = u.memory_id \
               AND m.memory_id = ANY ($2::uuid[])",
        );
        let query = query.bind(self.entity.as_str()).bind(ids);
        let query = query.bind(lexemes).bind(words).bind(ANALYSIS);
        connection.execute(query).await?;
        // The entity has those of its live memories.
        let both = memories.iter().zip(entries);
        let live = both.filter(|(memory, _)| memory.is_live);
        let added =
            live.map(|(memory, entry)| i64::from(entry.word_count) - i64::from(memory.words));
        let query = sqlx::query(
            "UPDATE entity e SET word_count = e.word_count + $2::bigint \
             WHERE e.entity_id = $1::text",
        );
        let query = query.bind(self.entity.as_str()).bind(added.sum::<i64>());
        connection.execute(query).await.map(drop)
    }
}
