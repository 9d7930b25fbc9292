//! The check itself; shared with the tests, which run a short one.
//!
//! A child process opens the file and writes: it retains batches and forgets memories, each
//! write after the one before, and says when a write has returned. It is killed (SIGKILL) at
//! a random moment after that, while it
//!
//! - loads snapshots again and again, which writes and merges their pages, or
//! - converts the file, which is marked as one of an older version of the analysis of texts.
//!
//! After each kill the file has every acknowledged write, at most the one that had not
//! returned besides, and no damaged page; and a snapshot and the store answer questions
//! alike.

mod child;
mod fixtures;
mod report;

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{Embedder, MemoryId, SnapshotPart, Store};
use memory_engine::RecallPath;
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::SeededRng;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use uuid::Uuid;

use child::{CONVERTS, LOADED, TOOK, WRITTEN, write_elsewhere};
pub(crate) use child::{Child, Workload};
use fixtures::{
    BATCH, FIRST, KilledWrite, Outcome, embedded, embedder, engine, entity, first_id,
    load_snapshot, open, own_word, path_of, recall, text, word, write,
};
use report::ConversionReport;
pub(crate) use report::KillReport;

/// How many of them both have, at least. In a large entity the store looks at some memories
/// with the rarest pairs of words only.
const MIN_COMMON: usize = 7;

/// How many more children are killed at once, where each kill before came after the end of
/// the conversion.
const MAX_MORE_KILLS: u64 = 20;

/// A check with one file.
pub(crate) struct KillCheck {
    pub(crate) path: PathBuf,
    pub(crate) workload: Workload,
    pub(crate) memories: u64,
    pub(crate) dimensions: usize,
    /// At least so many.
    pub(crate) kills: u64,
    /// The longest time until a kill, after the first write of a child, and its first snapshot
    /// or the beginning of its conversion.
    pub(crate) max_delay: Duration,
}

/// The memories that the file has to have.
struct Expected {
    ids: HashSet<MemoryId>,
    writes: u64,
    /// The last memory that was forgotten.
    forgotten: Option<MemoryId>,
    /// One that was retained.
    retained: Option<MemoryId>,
}

impl KillCheck {
    /// Makes the file and kills children. `command` starts this program again.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    pub(crate) async fn run(
        &self,
        command: &dyn Fn() -> Command,
        log: &dyn Fn(&str),
    ) -> Outcome<KillReport> {
        let mut report = KillReport {
            memories: self.memories,
            common: FIRST,
            ..KillReport::default()
        };
        let started = Instant::now();
        self.fill().await?;
        log(&format!("filled in {:.1?}", started.elapsed()));
        let mut expected = Expected {
            ids: (0..self.memories).map(first_id).collect(),
            writes: 0,
            forgotten: None,
            retained: None,
        };
        let mut rng = SeededRng::new(7);
        for kill in 1.. {
            let is_enough = self.workload != Workload::Conversion
                || report.while_converting > 0
                || kill > self.kills + MAX_MORE_KILLS;
            if kill > self.kills && is_enough {
                break;
            }
            if self.workload == Workload::Conversion && !self.is_converting().await? {
                self.make_old_entries().await?;
                self.mark_as_older().await?;
            }
            let delay = match kill <= self.kills {
                true => self.max_delay.mul_f64(rng.below(1_000) as f64 / 1_000.0),
                false => Duration::ZERO,
            };
            let (acknowledged, loads) = self.start_and_kill(command, delay)?;
            report.loads += loads;
            let opened = self.open_and_close().await?;
            report.while_converting += u64::from(self.is_converting().await?);
            self.check(acknowledged, &mut expected, &mut report).await?;
            report.opening = report.opening.max(opened);
            report.kills = kill;
            log(&format!(
                "{}: kill {kill} after {delay:.1?}, {acknowledged} writes, opened in {opened:.1?}",
                self.workload
            ));
        }
        if self.workload == Workload::Conversion {
            self.wait_for_conversion().await?;
            self.check_entries().await?;
            self.make_old_entries().await?;
            self.mark_as_older().await?;
            report.conversion = Some(self.measure_conversion(command).await?);
            log("the conversion was measured");
            self.check_entries().await?;
            self.check(expected.writes, &mut expected, &mut report)
                .await?;
        }
        report.writes = expected.writes;
        let mut conn = self.connect().await?;
        let verdict = sqlx::query_scalar::<_, String>("PRAGMA integrity_check");
        let verdict = verdict.fetch_one(&mut conn).await?;
        conn.close().await?;
        require(verdict == "ok", || format!("integrity check: {verdict}"))?;
        report.file_bytes = std::fs::metadata(&self.path)?.len();
        Ok(report)
    }

    async fn fill(&self) -> Outcome<()> {
        let (store, embedder) = (open(&self.path).await?, embedder(self.dimensions));
        for start in (0..self.memories).step_by(BATCH.try_into()?) {
            let numbers = start..self.memories.min(start + BATCH);
            let batch = numbers.map(|number| {
                let id = first_id(number);
                embedded(entity(), id, text(id), &embedder)
            });
            store.insert(&batch.collect::<Outcome<Vec<_>>>()?).await?;
        }
        store.close().await?;
        Ok(())
    }

    async fn connect(&self) -> Outcome<SqliteConnection> {
        let options = SqliteConnectOptions::new().filename(&self.path);
        let options = options.busy_timeout(Duration::from_secs(60));
        Ok(options.disable_statement_logging().connect().await?)
    }

    async fn execute(&self, sql: &str) -> Outcome<()> {
        let mut conn = self.connect().await?;
        let sql = AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql).execute(&mut conn).await?;
        conn.close().await?;
        Ok(())
    }

    /// Makes a tenth of the entries such as an older version would have left them: with
    /// another word.
    async fn make_old_entries(&self) -> Outcome<()> {
        self.execute(
            "UPDATE memory_words SET words = words || ' 1_older' WHERE rowid % 10 = 0;
             UPDATE memory SET word_count = word_count + 1 WHERE memory_key % 10 = 0;
             UPDATE entity SET word_count = (SELECT sum(m.word_count) FROM memory AS m
                 WHERE m.entity_key = entity.entity_key AND m.archived_by IS NULL);",
        )
        .await
    }

    /// That no entry is of an older analysis, and all words are counted.
    async fn check_entries(&self) -> Outcome<()> {
        let mut conn = self.connect().await?;
        let sql = "SELECT (SELECT count(*) FROM memory_words WHERE words LIKE '%older'),
                (SELECT count(*) FROM entity WHERE word_count <> (SELECT coalesce(sum(m.word_count), 0)
                    FROM memory AS m
                    WHERE m.entity_key = entity.entity_key AND m.archived_by IS NULL))";
        let (older, miscounted): (i64, i64) = sqlx::query_as(sql).fetch_one(&mut conn).await?;
        conn.close().await?;
        require(older == 0 && miscounted == 0, || {
            format!("{older} entries are of an older analysis, {miscounted} entities miscounted")
        })
    }

    async fn mark_as_older(&self) -> Outcome<()> {
        let mark = "UPDATE text_analysis SET version = 4, converted_key = 0";
        self.execute(mark).await
    }

    async fn is_converting(&self) -> Outcome<bool> {
        let mut conn = self.connect().await?;
        let sql = "SELECT version < 0 FROM text_analysis";
        let is_converting = sqlx::query_scalar(sql).fetch_one(&mut conn).await?;
        conn.close().await?;
        Ok(is_converting)
    }

    async fn wait_for_conversion(&self) -> Outcome<()> {
        let store = open(&self.path).await?;
        while self.is_converting().await? {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        store.close().await?;
        Ok(())
    }

    /// Starts a child and kills it. Returns the number of the last acknowledged write, and
    /// how many snapshots it loaded.
    fn start_and_kill(
        &self,
        command: &dyn Fn() -> Command,
        delay: Duration,
    ) -> Outcome<(u64, u64)> {
        let mut process = self.child(self.workload).start(command)?;
        let mut lines = BufReader::new(process.output()?).lines();
        let (mut written, mut loads, mut converts) = (None, 0, false);
        let mut read = |line: String| {
            loads += u64::from(line == LOADED);
            converts |= line == CONVERTS;
            if let Some(number) = line.strip_prefix(WRITTEN) {
                written = number.parse().ok();
            }
            (written, loads, loads > 0 || converts)
        };
        loop {
            let line = lines.next().ok_or("the child ended before a write")??;
            if let (Some(_), _, true) = read(line) {
                break;
            }
        }
        // What it prints meanwhile is read, so that it does not wait for that.
        let killer = std::thread::spawn(move || {
            std::thread::sleep(delay);
            process.kill()
        });
        for line in lines {
            read(line?);
        }
        let status = killer
            .join()
            .map_err(|_| "the thread that kills has ended")??;
        require(was_killed(status), || {
            format!("a child ended by itself: {status}")
        })?;
        Ok((written.unwrap_or_default(), loads))
    }

    fn child(&self, workload: Workload) -> Child {
        Child {
            workload,
            memories: self.memories,
            dimensions: self.dimensions,
            path: self.path.clone(),
        }
    }

    /// Compares the file with what it has to have.
    async fn check(
        &self,
        acknowledged: u64,
        expected: &mut Expected,
        report: &mut KillReport,
    ) -> Outcome<()> {
        // It leaves the conversion to children.
        let options = SqliteOptions::new(&self.path).migrate(false);
        let store = Arc::new(SqliteStore::open_with(options).await?);
        let generation = store.entity_stats(&entity()).await?.generation.0;
        let writes = generation - self.memories.div_ceil(BATCH);
        require((acknowledged..=acknowledged + 1).contains(&writes), || {
            format!("{acknowledged} writes were acknowledged, {writes} are in the file")
        })?;
        expected.extend(writes, self.memories);
        self.compare_ids(expected).await?;
        let damaged = self.damaged_pages(&store).await?;
        require(damaged == 0, || format!("{damaged} pages are damaged"))?;
        let common = self.compare_answers(&store, expected).await?;
        report.common = report.common.min(common);
        store.close().await?;
        Ok(())
    }

    /// Opens the file as applications do. Returns how long that took.
    async fn open_and_close(&self) -> Outcome<Duration> {
        let started = Instant::now();
        let store = open(&self.path).await?;
        let took = started.elapsed();
        store.close().await?;
        Ok(took)
    }

    async fn compare_ids(&self, expected: &Expected) -> Outcome<()> {
        let mut conn = self.connect().await?;
        let rows = sqlx::query(
            "SELECT memory_id FROM memory AS m JOIN entity AS e USING (entity_key)
             WHERE e.entity_id = ?1",
        );
        let rows = rows.bind(entity().as_str().to_owned()).fetch_all(&mut conn);
        let rows = rows.await?;
        conn.close().await?;
        require(rows.len() == expected.ids.len(), || {
            let (found, wanted) = (rows.len(), expected.ids.len());
            format!("the file has {found} memories, and {wanted} were acknowledged")
        })?;
        for row in rows {
            let id = MemoryId::from(Uuid::from_slice(row.try_get(0)?)?);
            require(expected.ids.contains(&id), || "a memory came back".into())?;
        }
        Ok(())
    }

    /// Counts the pages whose checksum is not that of their content.
    async fn damaged_pages(&self, store: &Arc<SqliteStore>) -> Outcome<u64> {
        let mut conn = self.connect().await?;
        let mut damaged = 0;
        for table in ["word_page", "vector_page"] {
            let mut after = i64::MIN;
            loop {
                let sql = format!(
                    "SELECT page_key, checksum, content FROM {table} WHERE page_key > ?1
                     ORDER BY page_key LIMIT 100"
                );
                let pages = sqlx::query(AssertSqlSafe(sql)).bind(after);
                let pages = pages.fetch_all(&mut conn).await?;
                let Some(last) = pages.last() else { break };
                after = last.try_get(0)?;
                for page in pages {
                    let checksum = i64::from(crc32fast::hash(page.try_get(2)?));
                    damaged += u64::from(checksum != page.try_get::<i64, _>(1)?);
                }
            }
        }
        let formats = "SELECT DISTINCT format FROM snapshot_page";
        let formats: Vec<i64> = sqlx::query_scalar(formats).fetch_all(&mut conn).await?;
        conn.close().await?;
        let pages = store.snapshot_pages().ok_or("the store keeps no pages")?;
        let model = embedder(self.dimensions).profile().fingerprint.clone();
        for format in formats {
            let format = format.cast_unsigned();
            let all = pages.count(&entity(), &model, format).await?;
            let state = pages.read(&entity(), &model, format).await?;
            let read = state.parts.iter();
            let read = read.filter(|part| matches!(part, SnapshotPart::Page(_)));
            damaged += all - read.count() as u64;
        }
        Ok(damaged)
    }

    /// Compares the answers of a snapshot with those of the store. Returns how many of the
    /// first are in both, at least.
    async fn compare_answers(
        &self,
        store: &Arc<SqliteStore>,
        expected: &Expected,
    ) -> Outcome<usize> {
        let from_snapshot = engine(store, self.dimensions, true)?;
        let from_store = engine(store, self.dimensions, false)?;
        load_snapshot(&from_snapshot).await?;
        let ids = [Some(first_id(1)), expected.retained, expected.forgotten];
        for id in ids.into_iter().flatten() {
            for engine in [&from_snapshot, &from_store] {
                let hits = recall(engine, &own_word(id)).await?;
                let is_first = hits.first().is_some_and(|hit| hit.memory.id == id);
                let is_found = hits.iter().any(|hit| hit.memory.id == id);
                let wanted = expected.ids.contains(&id);
                require(is_first == wanted && is_found == wanted, || {
                    let path = path_of(&hits);
                    format!("by its own word, {id} is first: {is_first}, {wanted} ({path:?})")
                })?;
            }
        }
        let mut common = FIRST;
        for rank in [3, 40, 700, 4_000] {
            let question = format!("{} {} {}", word(rank), word(rank / 2), word(rank / 3));
            let first = recall(&from_snapshot, &question).await?;
            let second = recall(&from_store, &question).await?;
            let paths = [path_of(&first), path_of(&second)];
            require(
                paths == [Some(RecallPath::Snapshot), Some(RecallPath::Store)],
                || format!("answers came from {paths:?}"),
            )?;
            let second: HashSet<MemoryId> = second.iter().map(|hit| hit.memory.id).collect();
            let both = first.iter().filter(|hit| second.contains(&hit.memory.id));
            common = common.min(both.count() + FIRST.saturating_sub(first.len()));
        }
        require(common >= MIN_COMMON, || {
            format!("of the first {FIRST} of a snapshot, the store finds {common}")
        })?;
        Ok(common)
    }

    /// Converts the file in this process, while this process and another write.
    async fn measure_conversion(&self, command: &dyn Fn() -> Command) -> Outcome<ConversionReport> {
        let mut report = ConversionReport::default();
        let started = Instant::now();
        let store = open(&self.path).await?;
        let mut process = self.child(Workload::Measure).start(command)?;
        let lines = process.output()?;
        let reader = std::thread::spawn(move || {
            let lines = BufReader::new(lines).lines().map_while(Result::ok);
            let times = lines.filter_map(|line| line.strip_prefix(TOOK)?.parse().ok());
            times.map(Duration::from_micros).collect::<Vec<_>>()
        });
        let searcher = engine(&store, self.dimensions, false)?;
        let searches = tokio::spawn(async move {
            let mut times = Vec::new();
            loop {
                let started = Instant::now();
                if recall(&searcher, &own_word(first_id(2))).await.is_err() {
                    return times;
                }
                times.push(started.elapsed());
            }
        });
        while self.is_converting().await? {
            for _ in 0..20 {
                let took = write_elsewhere(&store, self.dimensions).await?;
                report.own_writes.push(took);
            }
        }
        report.took = started.elapsed();
        process.kill()?;
        let times = reader
            .join()
            .map_err(|_| "the thread that reads has ended")?;
        report.other_writes = times;
        // Its next search is refused.
        store.close().await?;
        report.searches = searches.await?;
        Ok(report)
    }
}

impl Expected {
    /// Adds the writes up to this number.
    fn extend(&mut self, writes: u64, memories: u64) {
        for number in self.writes + 1..=writes {
            match write(number, memories) {
                KilledWrite::Retain(ids) => {
                    self.retained = ids.last().copied();
                    self.ids.extend(ids);
                }
                KilledWrite::Forget(id) => {
                    self.ids.remove(&id);
                    self.forgotten = Some(id);
                }
            }
        }
        self.writes = writes;
    }
}

fn require(is_so: bool, otherwise: impl FnOnce() -> String) -> Outcome<()> {
    if is_so {
        Ok(())
    } else {
        Err(otherwise().into())
    }
}

#[cfg(unix)]
fn was_killed(status: std::process::ExitStatus) -> bool {
    const SIGKILL: i32 = 9;
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGKILL)
}

#[cfg(not(unix))]
fn was_killed(status: std::process::ExitStatus) -> bool {
    !status.success()
}
