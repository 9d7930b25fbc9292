//! An insert in one call of the driver, where the inserts before tell all that it has to
//! know.
//!
//! A call passes statements to the connection's thread and their results back. On a busy
//! machine both threads wait for a processor each time, which takes longer than the
//! statements of a small batch. So what an insert reads (the rows of its entities and
//! their embedding spaces) is kept, and the keys of new rows are assigned before the
//! transaction begins.
//!
//! The transaction first compares the rows of its entities with those that are known: all
//! that keys and limits follow from, as the generation alone would be that of another write
//! where the one that was remembered has failed. Embedding spaces are never deleted. Where a
//! row differs, where a newer program has converted the words of the database, where an id
//! is stored already, and where anything else fails, the transaction is rolled back, and the
//! insert runs in steps (`insert`), which tells what is wrong.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use memory_core::{EntityId, Fingerprint, InsertOutcome};
use sqlx::query;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use crate::error::Failure;
use crate::operations::insert::Insert;
use crate::operations::insert::lookup::{Entities, Spaces};
use crate::operations::insert::rows::{InsertRows, insert_all};
use crate::reindex::analysis_state;
use crate::rows::embedding_space::EmbeddingSpace;
use crate::rows::entity::{self, CountDelta};
use crate::rows::row_keys::{self, RowKeys};
use crate::rows::{EntityRow, to_json};

/// Maximum number of memories of one call: for more, its share of the time is small.
const MAX_MEMORIES: usize = 512;

/// Maximum number of entities that are known, some 300 bytes each. Beyond it all are forgotten.
const MAX_ENTITIES: usize = 10_000;

/// The rows of entities as this store left them.
#[derive(Debug, Default)]
pub(crate) struct KnownEntities(Mutex<HashMap<EntityId, Known>>);

#[derive(Debug, Clone)]
struct Known {
    row: EntityRow,
    spaces: Vec<(Fingerprint, EmbeddingSpace)>,
}

/// An insert whose rows are encoded.
pub(crate) struct QuickInsert {
    rows: InsertRows,
    /// What its keys and limits follow from, for each of its entities.
    guard: String,
    deltas: BTreeMap<i64, CountDelta>,
}

/// The error where a row differs is an overflow of an integer. The row of the marker says
/// that the transaction was committed, whatever becomes of the last statement.
const INSERT: &str = concat!(
    "BEGIN IMMEDIATE;

     SELECT CASE WHEN EXISTS (
         SELECT 1 FROM jsonb_each(?) AS known
         LEFT JOIN entity AS e ON e.entity_key = known.value ->> 0
         WHERE (e.generation, e.next_number, e.memory_count, e.tombstone_count) IS NOT
             (known.value ->> 1, known.value ->> 2, known.value ->> 3, known.value ->> 4)
     ) OR EXISTS (
         SELECT 1 FROM text_analysis WHERE abs(version) > ?
     ) THEN abs(-9223372036854775807 - 1) END;

     ",
    insert_all!(),
    ";

     COMMIT;

     SELECT 'committed';

     PRAGMA data_version"
);

impl KnownEntities {
    /// Remembers the rows of entities after a transaction that is not committed yet: should
    /// it fail, the next insert that expects these rows does not find them.
    pub(crate) fn learn(
        &self,
        entities: &Entities<'_>,
        spaces: &Spaces,
        deltas: &BTreeMap<i64, CountDelta>,
    ) {
        let mut known = self.lock();
        for (name, row) in entities {
            let own = spaces.range((row.key, Fingerprint::from(""))..);
            let own = own.take_while(|((entity_key, _), _)| *entity_key == row.key);
            let spaces = own.map(|((_, fingerprint), space)| (fingerprint.clone(), *space));
            let after = Known {
                row: deltas.get(&row.key).map_or(*row, |delta| row.after(delta)),
                spaces: spaces.collect(),
            };
            if known.len() >= MAX_ENTITIES {
                known.clear();
            }
            known.insert((*name).clone(), after);
        }
    }

    /// Encodes an insert, and returns its outcome in case that it succeeds; `None` where
    /// it has to run in steps.
    pub(crate) fn plan(
        &self,
        insert: &Insert,
    ) -> Result<Option<(QuickInsert, InsertOutcome)>, Failure> {
        let Some((keys, before)) = self.assign_keys(insert) else {
            return Ok(None);
        };
        let mut rows = InsertRows::encode(&insert.batch, &keys, insert.language)?;
        let mut deltas = BTreeMap::new();
        rows.take_deltas(&mut deltas);
        let guard: Vec<_> = before
            .values()
            .map(|row| {
                let counts = (row.memory_count, row.tombstone_count);
                (
                    row.key,
                    row.generation.0,
                    row.next_number,
                    counts.0,
                    counts.1,
                )
            })
            .collect();
        let generations = before
            .into_iter()
            .map(|(name, row)| (name.clone(), row.generation.next()))
            .collect();
        let outcome = InsertOutcome::new(vec![true; insert.batch.len()], generations);
        let quick = QuickInsert {
            rows,
            guard: to_json(&guard)?,
            deltas,
        };
        Ok(Some((quick, outcome)))
    }

    /// The keys of all rows of a batch, and the rows of its entities.
    fn assign_keys<'i>(
        &self,
        insert: &'i Insert,
    ) -> Option<(Vec<RowKeys>, BTreeMap<&'i EntityId, EntityRow>)> {
        if insert.batch.len() > MAX_MEMORIES || !insert.options.evict.is_empty() {
            return None;
        }
        let known = self.lock();
        let mut new: BTreeMap<&EntityId, u64> = BTreeMap::new();
        let mut rows: BTreeMap<&EntityId, EntityRow> = BTreeMap::new();
        let mut keys = Vec::with_capacity(insert.batch.len());
        for (item, one) in insert.batch.iter().enumerate() {
            let name = &one.memory.entity_id;
            let Known { row, spaces } = known.get(name)?;
            let model = &one.embedding.fingerprint;
            let (_, space) = spaces.iter().find(|(known, _)| known == model)?;
            if space.dimensions != one.embedding.dimensions() {
                return None;
            }
            let count = new.entry(name).or_default();
            let number = row.next_number.checked_add_unsigned(*count)?;
            *count += 1;
            let max = insert.options.max_memories.unwrap_or(u64::MAX);
            if row.memory_count.saturating_add(*count) > max {
                return None;
            }
            rows.insert(name, *row);
            keys.push(RowKeys {
                item,
                entity_key: row.key,
                memory_key: row_keys::key(row.key, number),
                embedding_key: row_keys::key(space.key, number),
                version: row.generation.next().0.cast_signed(),
                may_have_tombstone: row.tombstone_count > 0,
            });
        }
        Some((keys, rows))
    }

    /// Remembers what a quick insert did to its entities.
    pub(crate) fn inserted(&self, insert: &Insert, deltas: &BTreeMap<i64, CountDelta>) {
        let mut known = self.lock();
        let names: BTreeSet<&EntityId> = insert.entities().collect();
        for name in names {
            if let Some(Known { row, .. }) = known.get_mut(name)
                && let Some(delta) = deltas.get(&row.key)
            {
                *row = row.after(delta);
            }
        }
    }

    /// Forgets the entities of an insert that failed.
    pub(crate) fn forget(&self, insert: &Insert) {
        let mut known = self.lock();
        for name in insert.entities() {
            known.remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EntityId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QuickInsert {
    /// The text of the whole transaction, whose last row is the data version after it,
    /// and what it does to the counts of each entity, by its key.
    pub(crate) fn into_query(self) -> Result<WholeTransaction, Failure> {
        let query = query(INSERT).bind(self.guard).bind(analysis_state::VERSION);
        let query = self
            .rows
            .bind(query, Some(entity::encode_deltas(&self.deltas)?));
        Ok((query, self.deltas))
    }
}

/// See [`QuickInsert::into_query`].
type WholeTransaction = (
    Query<'static, Sqlite, SqliteArguments>,
    BTreeMap<i64, CountDelta>,
);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use memory_core::{EmbeddedMemory, InsertOptions, MemoryResult};
    use memory_testkit::{SeededRng, fixtures};
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
    use sqlx::{AssertSqlSafe, ConnectOptions, Connection, query_scalar};

    use super::*;
    use crate::connections::database::Database;
    use crate::open::connection;
    use crate::operations::delete::Delete;
    use crate::options::SqliteOptions;
    use crate::wal::own_commits::Origin;

    const NAMES: [&str; 3] = ["mira", "otto", "vera"];

    async fn open(path: &Path) -> Database {
        connection::open(&SqliteOptions::new(path)).await.unwrap()
    }

    fn batch(name: &str, rng: &mut SeededRng) -> Vec<EmbeddedMemory> {
        fixtures::varied_memories(&EntityId::from(name), 2, rng)
    }

    /// Runs the insert in one call, and says whether that succeeded.
    async fn run_at_once(database: &Database, insert: &Insert) -> bool {
        let plan = database.known.plan(insert).unwrap();
        let (quick, _) = plan.unwrap();
        let writer = database.writer.as_ref().unwrap();
        let mut session = writer.acquire("test").await.unwrap();
        let committed = writer.run_at_once(&mut session, quick, &Origin::Others);
        committed.await.unwrap().is_some()
    }

    /// Every row of the database, apart from when entities were created.
    async fn dump(path: &Path) -> Vec<String> {
        let mut conn: SqliteConnection = SqliteConnectOptions::new()
            .filename(path)
            .connect()
            .await
            .unwrap();
        let mut rows = Vec::new();
        for (table, columns) in [
            (
                "entity",
                "entity_id, generation, memory_count, word_count, next_number, tombstone_count",
            ),
            (
                "memory",
                "memory_key, memory_id, kind, content, timestamp, importance, decay_rate, context,
                 metadata, related, entities, tags, word_count, version",
            ),
            ("memory_access", "memory_key, access_count, last_accessed"),
            ("memory_label", "entity_key, label, memory_key"),
            ("memory_tombstone", "entity_key, memory_id, version"),
            ("memory_embedding", "embedding_key, vectors"),
            (
                "embedding_space",
                "space_key, entity_key, fingerprint, dimensions",
            ),
            ("memory_words", "rowid, words"),
        ] {
            let quoted: Vec<String> = columns
                .split(',')
                .map(|column| format!("quote({})", column.trim()))
                .collect();
            let sql = format!(
                "SELECT '{table}' || ':' || {} FROM {table} ORDER BY 1",
                quoted.join(" || ',' || ")
            );
            let found: Vec<String> = query_scalar(AssertSqlSafe(sql))
                .fetch_all(&mut conn)
                .await
                .unwrap();
            rows.extend(found);
        }
        conn.close().await.unwrap();
        rows
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_insert_runs_at_once_while_nobody_else_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.db");
        let (database, other) = (open(&path).await, open(&path).await);
        let mut rng = SeededRng::new(7);
        let mut next = || Insert::unlimited(batch("mira", &mut rng), None);
        let first = next();
        assert!(database.known.plan(&first).unwrap().is_none());
        database.insert(first, Origin::Others).await.unwrap();
        // The first created the embedding space.
        database.insert(next(), Origin::Others).await.unwrap();
        assert!(run_at_once(&database, &next()).await);
        // That was not told to the others.
        assert!(
            !run_at_once(&database, &next()).await,
            "an older generation"
        );
        database.insert(next(), Origin::Others).await.unwrap();
        let known = next();
        database
            .insert(known.clone(), Origin::Others)
            .await
            .unwrap();
        other.insert(next(), Origin::Others).await.unwrap();
        assert!(
            !run_at_once(&database, &next()).await,
            "another store wrote"
        );
        let before = dump(&path).await;
        let outcome = database
            .insert(known.clone(), Origin::Others)
            .await
            .unwrap();
        assert_eq!(outcome.inserted, [false, false], "stored already");
        assert_eq!(dump(&path).await, before);
        assert!(!run_at_once(&database, &known).await, "stored already");
        assert_eq!(dump(&path).await, before);
        database.insert(next(), Origin::Others).await.unwrap();
        for database in [database, other] {
            database.close().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_insert_that_was_rolled_back_leaves_nothing_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder.path().join("agent.db")).await;
        let mut rng = SeededRng::new(5);
        let mut next = || Insert::unlimited(batch("mira", &mut rng), None);
        let stored = next();
        for insert in [stored.clone(), next()] {
            database.insert(insert, Origin::Others).await.unwrap();
        }
        let known = &database.known;
        let failed = next();
        let (quick, _) = known.plan(&failed).unwrap().unwrap();
        known.inserted(&failed, &quick.deltas);
        // Another write has the generation that the insert would have had.
        let id = stored.batch[0].memory.id;
        let delete = || Delete {
            entity: EntityId::from("mira"),
            ids: vec![id],
            language: None,
        };
        database.write(delete(), Origin::Others).await.unwrap();
        assert!(!run_at_once(&database, &stored).await);
        let outcome = database.insert(stored, Origin::Others).await.unwrap();
        assert_eq!(outcome.inserted, [true, false]);
        database.insert(next(), Origin::Others).await.unwrap();
        database.write(delete(), Origin::Others).await.unwrap();
        database.close().await;
    }

    /// An insert with all that decides its outcome, as the seed has it.
    fn random_insert(rng: &mut SeededRng, stored: &mut Vec<EmbeddedMemory>) -> Insert {
        let name = NAMES[rng.below(NAMES.len())];
        let mut items = batch(name, rng);
        let some = |rng: &mut SeededRng| stored.get(rng.below(stored.len().max(1))).cloned();
        match rng.below(10) {
            0 => items.extend(some(rng)),
            1 => {
                if let Some(mut conflict) = some(rng) {
                    conflict.memory.content.push('!');
                    items.push(conflict);
                }
            }
            2 => items[0].embedding.fingerprint = "another model".into(),
            3 => {
                let vectors = &mut items[0].embedding.vectors;
                vectors.iter_mut().for_each(|vector| vector.push(0.5));
            }
            4 => items.extend(batch("anna", rng)),
            _ => {}
        }
        let max_memories = (rng.below(4) == 0).then(|| rng.below(60) as u64 + 1);
        stored.extend(items.iter().cloned());
        Insert {
            batch: items.into(),
            options: InsertOptions {
                max_memories,
                ..InsertOptions::default()
            },
            language: None,
            known: None,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_outcomes_are_those_of_inserts_in_steps() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["quick.db", "steps.db"].map(|name| folder.path().join(name));
        let (quick, steps) = (open(&paths[0]).await, open(&paths[1]).await);
        let (mut rng, mut stored, mut planned) = (SeededRng::new(11), Vec::new(), 0);
        for _ in 0..150 {
            if rng.below(6) == 0 && !stored.is_empty() {
                let one: &EmbeddedMemory = &stored[rng.below(stored.len())];
                let delete = |_| Delete {
                    entity: one.memory.entity_id.clone(),
                    ids: vec![one.memory.id],
                    language: None,
                };
                for database in [&quick, &steps] {
                    let deleted = database.write(delete(()), Origin::Others).await;
                    deleted.unwrap();
                }
                continue;
            }
            let insert = random_insert(&mut rng, &mut stored);
            let plan = quick.known.plan(&insert).unwrap();
            planned += usize::from(plan.is_some());
            let expected = steps.write(insert.clone(), Origin::Others).await;
            let outcome = quick.insert(insert, Origin::Others).await;
            let text = |outcome: &MemoryResult<InsertOutcome>| match outcome {
                Ok(outcome) => format!("{outcome:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(text(&outcome), text(&expected));
        }
        assert!(planned > 40, "{planned} of them ran at once");
        assert_eq!(dump(&paths[0]).await, dump(&paths[1]).await);
        for database in [quick, steps] {
            database.close().await;
        }
    }
}
