//! Four processes that ask the same questions: each alone, with a shared cache, with one
//! in which nothing is shared, which shows what it costs, and with a shared cache and reads
//! that ask the database once a second.
//!
//! ```sh
//! cargo run --release -p memory --features postgres,valkey --example shared_cache -- \
//!     SERVER [DATABASE] [MEMORIES...]
//! ```
//!
//! SERVER is the URL of a Valkey server without parameters, DATABASE that of a
//! PostgreSQL database; without it, each process opens a copy of one SQLite database.
//! For entities of several sizes, this prints two tables: how long the first recall of a
//! process takes that has just begun, and what four processes need that ask 200 questions,
//! each in an order of its own: the vectors that their models compute, the statements at
//! the database (on SQLite, the calls of the store) and the times of their recalls. The
//! processes run one after the other, so that the times are not those of a busy machine,
//! and the cases in turn, so that what else the machine does is the same for each.
//! There are snapshot pages where the entity has 512 memories or more, as after the first
//! questions to it. The vectors of the memories are random: what matters here is not what
//! is found.
//!
//! Statements are counted where the server has `pg_stat_statements` in
//! `shared_preload_libraries` and the user may create that extension, or it is there;
//! elsewhere the table has `-`, and its ratio is that of the calls of the store.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example prints, and ends where it fails"
)]

#[path = "shared_cache/paged_entity.rs"]
mod paged_entity;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use memory::sqlite::SqliteStore;
use memory::store::Store;
use memory::{Consistency, MemoryConfig, MemoryId, MemoryResult, MemorySystem};
use memory_testkit::{HookedStore, StoreCall, StoreHooks};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use paged_entity::{Outcome, milliseconds};

const PROCESSES: usize = 4;
const QUESTIONS: usize = 200;

/// Processes of each case whose first recall is measured; the medians are printed.
const FIRST_RECALLS: usize = 7;

/// What a process has in common with the others.
#[derive(Clone, Copy, PartialEq)]
enum Case {
    /// It has no shared cache.
    Alone,
    /// All use the same.
    Shared,
    /// Each has its own, so that it pays for one and finds nothing.
    NothingShared,
    /// All use the same, and a read may lack what others wrote in the last second.
    SharedAndBounded,
}

const CASES: [Case; 4] = [
    Case::Alone,
    Case::Shared,
    Case::NothingShared,
    Case::SharedAndBounded,
];

/// The bound of [`Case::SharedAndBounded`].
const BOUND: Duration = Duration::from_secs(1);

impl Case {
    const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Shared => "shared",
            Self::NothingShared => "nothing shared",
            Self::SharedAndBounded => "shared, `Bounded`",
        }
    }
}

const WHO: [&str; 8] = [
    "miller", "smith", "baker", "guard", "sailor", "monk", "queen", "thief",
];
const WHAT: [&str; 10] = [
    "saw the storm",
    "sold a horse",
    "hid the letter",
    "crossed the bridge",
    "lit the beacon",
    "broke the seal",
    "met the envoy",
    "lost the key",
    "heard the bell",
    "buried the coin",
];
const WHEN: [&str; 13] = [
    "at dawn",
    "in the harvest month",
    "after the siege",
    "on the longest night",
    "last spring",
    "before the wedding",
    "during the flood",
    "at the autumn fair",
    "while the king slept",
    "in the first snow",
    "after the feast",
    "at noon",
    "on the way to the coast",
];

fn sentence(n: usize) -> String {
    let (who, what) = (WHO[n % WHO.len()], WHAT[n % WHAT.len()]);
    format!("the {who} {what} {}", WHEN[n / 7 % WHEN.len()])
}

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [
            "child",
            database,
            entity,
            number,
            questions,
            server,
            consistency,
        ] => {
            let process = Process {
                database,
                entity,
                number: number.parse().unwrap(),
                questions: questions.parse().unwrap(),
                server,
                is_bounded: consistency == "bounded",
            };
            Ok(process.ask().await?)
        }
        [server, database, ref sizes @ ..] if database.contains("://") => {
            compare_sizes(server, Some(database), sizes).await
        }
        [server, ref sizes @ ..] => compare_sizes(server, None, sizes).await,
        [] => {
            println!(
                "usage: shared_cache SERVER [DATABASE] [MEMORIES...], such as valkey://localhost"
            );
            Ok(())
        }
    }
}

async fn compare_sizes(server: &str, database: Option<&str>, sizes: &[&str]) -> Outcome {
    for size in paged_entity::parse_sizes(sizes)? {
        // Nothing of an earlier run is in the way.
        let comparison = Comparison::new(server, database, MemoryId::new().to_string());
        comparison.fill(size).await?;
        println!("{size} memories");
        println!();
        let computed_before = comparison.first_recalls();
        println!();
        comparison.questions(computed_before).await;
        println!();
    }
    Ok(())
}

/// An entity that processes ask about.
struct Comparison {
    server: String,
    database: String,
    /// The name of the entity, and the beginning of the namespaces.
    run: String,
    /// The folder of the databases on SQLite, and the database that is copied.
    folder: tempfile::TempDir,
    original: Option<PathBuf>,
}

/// What a process says of its recalls.
#[derive(Clone, Copy)]
struct Answers {
    computed: u64,
    calls: u64,
    first: f64,
    p50: f64,
}

/// The statements that a database has run, and its time for them in milliseconds.
#[derive(Clone, Copy)]
struct Statements {
    count: i64,
    milliseconds: f64,
}

impl Comparison {
    fn new(server: &str, database: Option<&str>, run: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let original = database.is_none().then(|| folder.path().join("memory.db"));
        let url = original.as_deref().map(database_url);
        Self {
            server: server.to_owned(),
            database: url.or(database.map(str::to_owned)).unwrap_or_default(),
            run,
            folder,
            original,
        }
    }

    /// Makes the entity, with snapshot pages.
    async fn fill(&self, size: usize) -> Outcome {
        let memory = MemorySystem::open(&self.database).await?;
        let content = |n: usize| format!("{}, story {n}", sentence(n * 3));
        paged_entity::fill(&memory, &self.run, size, content).await?;
        let count = async || self.count_pages().await;
        paged_entity::make_pages(&memory, &self.run, size, count).await?;
        Ok(memory.close().await?)
    }

    async fn count_pages(&self) -> Outcome<usize> {
        #[cfg(feature = "postgres")]
        if self.original.is_none() {
            return paged_entity::count_pages(&self.database, &self.run).await;
        }
        let connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&self.database);
        let connection = &mut connection.await?;
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM snapshot_page");
        Ok(usize::try_from(count.fetch_one(connection).await?)?)
    }

    /// Runs a process that asks so many questions.
    fn run(&self, case: Case, number: usize, questions: usize) -> Answers {
        let mut database = self.database.clone();
        if let Some(original) = &self.original {
            let copy = format!("{} {}.db", case.name(), MemoryId::new());
            let copy = self.folder.path().join(copy);
            std::fs::copy(original, &copy).unwrap();
            database = database_url(&copy);
        }
        let (server, run) = (&self.server, &self.run);
        let cache = match case {
            Case::Alone => "none".to_owned(),
            Case::Shared => format!("{server}?namespace={run}"),
            Case::SharedAndBounded => format!("{server}?namespace={run}.bounded"),
            Case::NothingShared => format!("{server}?namespace={}", MemoryId::new()),
        };
        let mut child = Command::new(std::env::current_exe().unwrap());
        let consistency = match case {
            Case::SharedAndBounded => "bounded",
            _ => "checked",
        };
        child.args(["child", &database, &self.run, &number.to_string()]);
        let output = child
            .args([&questions.to_string(), &cache, consistency])
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        let line = String::from_utf8(output.stdout).unwrap();
        let values: Vec<&str> = line.split_whitespace().collect();
        Answers {
            computed: values[0].parse().unwrap(),
            calls: values[1].parse().unwrap(),
            first: values[2].parse().unwrap(),
            p50: values[3].parse().unwrap(),
        }
    }

    /// Prints the times of first recalls. Returns how many vectors were computed for the
    /// shared cache of each case: they are of a question that is asked again.
    fn first_recalls(&self) -> [u64; CASES.len()] {
        println!("| first recall of a process | p50 | least | ratio |");
        println!("|---|---:|---:|---:|");
        let mut times = [(); CASES.len()].map(|()| Vec::new());
        // Its vector is in the shared caches from now on.
        let computed_before = CASES.map(|case| match case {
            Case::Alone | Case::NothingShared => 0,
            Case::Shared | Case::SharedAndBounded => self.run(case, 0, 1).computed,
        });
        for _ in 0..FIRST_RECALLS {
            for (case, times) in CASES.into_iter().zip(&mut times) {
                times.push(self.run(case, 0, 1).first);
            }
        }
        let mut alone = None;
        for (case, mut times) in CASES.into_iter().zip(times) {
            times.sort_unstable_by(f64::total_cmp);
            let p50 = times[FIRST_RECALLS / 2];
            let ratio = p50 / *alone.get_or_insert(p50);
            let name = case.name();
            println!("| {name} | {p50:.2} ms | {:.2} ms | {ratio:.2} |", times[0]);
        }
        computed_before
    }

    /// Prints what all questions cost, with the vectors that were computed before for one
    /// of them.
    async fn questions(&self, computed_before: [u64; CASES.len()]) {
        println!(
            "| four processes | vectors computed | ratio | statements, calls of the store | ratio | time of the database | recall p50, first process | p50, median of the others | ratio |"
        );
        println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
        let mut answers = [(); CASES.len()].map(|()| Vec::new());
        let mut statements = [Some(Statements::NONE); CASES.len()];
        for number in 0..PROCESSES {
            for (n, case) in CASES.into_iter().enumerate() {
                let before = self.statements().await;
                answers[n].push(self.run(case, number, QUESTIONS));
                let after = self.statements().await;
                statements[n] = Statements::add(statements[n], before, after);
            }
        }
        let mut alone = None;
        let measured = answers.into_iter().zip(statements).zip(computed_before);
        for (case, ((answers, statements), computed_before)) in CASES.into_iter().zip(measured) {
            let computed: u64 = answers.iter().map(|answers| answers.computed).sum();
            let computed = computed_before + computed;
            let calls: u64 = answers.iter().map(|answers| answers.calls).sum();
            let count = statements.map_or(calls.cast_signed(), |statements| statements.count);
            let mut others: Vec<f64> = answers[1..].iter().map(|answers| answers.p50).collect();
            others.sort_unstable_by(f64::total_cmp);
            let others = others[others.len() / 2];
            let (computed_alone, count_alone, others_alone) =
                *alone.get_or_insert((computed, count, others));
            println!(
                "| {} | {computed} | {:.2} | {}, {calls} | {:.2} | {} | {:.2} ms | {others:.2} ms | {:.2} |",
                case.name(),
                ratio(computed.cast_signed(), computed_alone.cast_signed()),
                statements.map_or_else(|| "-".to_owned(), |some| some.count.to_string()),
                ratio(count, count_alone),
                statements.map_or_else(
                    || "-".to_owned(),
                    |some| format!("{:.0} ms", some.milliseconds)
                ),
                answers[0].p50,
                others / others_alone,
            );
        }
    }

    /// What the database counts, where it does (`pg_stat_statements`).
    async fn statements(&self) -> Option<Statements> {
        #[cfg(feature = "postgres")]
        if self.original.is_none() {
            let mut connection = paged_entity::connect(&self.database).await.ok()?;
            let extension = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements";
            sqlx::query(extension).execute(&mut connection).await.ok()?;
            let sql = "SELECT sum(calls)::bigint, sum(total_exec_time) FROM pg_stat_statements \
                 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
                 AND query NOT LIKE '%pg_stat_statements%'";
            let (count, milliseconds) =
                sqlx::query_as(sql).fetch_one(&mut connection).await.ok()?;
            return Some(Statements {
                count,
                milliseconds,
            });
        }
        None
    }
}

impl Statements {
    const NONE: Self = Self {
        count: 0,
        milliseconds: 0.0,
    };

    /// Those until now, and those of one more process.
    fn add(sum: Option<Self>, before: Option<Self>, after: Option<Self>) -> Option<Self> {
        let (sum, before, after) = (sum?, before?, after?);
        Some(Self {
            count: sum.count + after.count - before.count,
            milliseconds: sum.milliseconds + after.milliseconds - before.milliseconds,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for a table")]
fn ratio(count: i64, of: i64) -> f64 {
    count as f64 / of as f64
}

fn database_url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

async fn open_store(url: &str) -> MemoryResult<Arc<dyn Store>> {
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres") {
        return Ok(Arc::new(memory::postgres::PgStore::connect(url).await?));
    }
    Ok(Arc::new(SqliteStore::open(url).await?))
}

#[derive(Debug, Default)]
struct CallCounter(AtomicU64);

#[async_trait]
impl StoreHooks for CallCounter {
    async fn before(&self, _: StoreCall<'_>) -> MemoryResult<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// One process.
struct Process<'a> {
    database: &'a str,
    entity: &'a str,
    number: usize,
    questions: usize,
    server: &'a str,
    is_bounded: bool,
}

impl Process<'_> {
    /// Asks questions, from another one on and with another step than the others.
    async fn ask(&self) -> MemoryResult<()> {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        recorder.install().unwrap();
        let calls = Arc::new(CallCounter::default());
        let store = HookedStore::new(open_store(self.database).await?, calls.clone());
        let mut config = MemoryConfig::default();
        if self.is_bounded {
            config.consistency = Some(Consistency::Bounded(BOUND));
        }
        let builder = MemorySystem::builder().store(store).config(config);
        let builder = match self.server {
            "none" => builder,
            url => builder.shared_cache_url(url),
        };
        let memory = builder.build().await?;
        let step = [1, 3, 7, 9][self.number];
        let mut times = Vec::with_capacity(self.questions);
        for n in 0..self.questions {
            let n = (self.number + n * step) % QUESTIONS;
            let question = format!("who {}? ({n})", sentence(n));
            let began = Instant::now();
            memory.recall(self.entity, question).await?;
            times.push(began.elapsed());
        }
        let calls = calls.0.load(Ordering::Relaxed);
        memory.close().await?;
        let first = times[0];
        times.sort_unstable();
        println!(
            "{} {calls} {} {}",
            computed(&snapshotter),
            milliseconds(first),
            milliseconds(times[self.questions / 2]),
        );
        Ok(())
    }
}

fn computed(snapshotter: &Snapshotter) -> u64 {
    let values = snapshotter.snapshot().into_vec();
    let vectors = values
        .into_iter()
        .filter_map(|(key, _, _, value)| match value {
            DebugValue::Counter(count) if key.key().name() == "memory.embeddings.generated" => {
                Some(count)
            }
            _ => None,
        });
    vectors.sum()
}
