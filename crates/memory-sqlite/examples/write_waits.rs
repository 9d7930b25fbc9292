//! How long inserts of several processes take that write to one SQLite file at full speed,
//! while reads overlap.
//!
//! `cargo run -p memory-sqlite --example write_waits -- 50000` (`--processes 2`,
//! `--seconds 60`, `--singles 3` and `--batches 1` for the tasks of a process that insert one
//! memory or 1,000, `--readers 2` for its reads that overlap, `--read-millis 2000`,
//! `--dimensions 384`, `--folder` for the file, and `--convert` for a file that one of the
//! processes converts).

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memory_core::{EmbeddedMemory, Embedding, EntityId, MemoryId, Store};
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::{SeededRng, fixtures};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Executor};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The argument of a process that writes, before its load.
const LOAD: &str = "--load";

/// Memories of a large insert.
const BATCH: usize = 1_000;

/// What a process does, in the order of its argument.
#[derive(Debug, Clone)]
struct Load {
    number: usize,
    seconds: u64,
    singles: usize,
    batches: usize,
    readers: usize,
    read_millis: u64,
    dimensions: usize,
    path: PathBuf,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [first, load] = arguments.as_slice()
        && first == LOAD
    {
        std::thread::spawn(end_with_parent);
        return Load::parse(load)?.run().await;
    }
    let value = |name: &str| {
        let position = arguments.iter().position(|argument| argument == name);
        position.and_then(|position| arguments.get(position + 1))
    };
    let number = |name: &str, default: usize| value(name).map_or(Ok(default), |it| it.parse());
    let parent = value("--folder").map_or_else(env::temp_dir, PathBuf::from);
    let folder = tempfile::Builder::new()
        .prefix("memory-write-waits-")
        .tempdir_in(&parent)?;
    let load = Load {
        number: 0,
        seconds: number("--seconds", 60)?.try_into()?,
        singles: number("--singles", 3)?,
        batches: number("--batches", 1)?,
        readers: number("--readers", 2)?,
        read_millis: number("--read-millis", 2_000)?.try_into()?,
        dimensions: number("--dimensions", 384)?,
        path: folder.path().join("agent.db"),
    };
    let memories = arguments.first().map_or(Ok(50_000), |it| it.parse())?;
    load.create(memories).await?;
    if arguments.iter().any(|argument| argument == "--convert") {
        let mut conn = connect(&load.path).await?;
        let mark = "UPDATE text_analysis SET version = 4, converted_key = 0;
             UPDATE memory_words SET words = words || ' 1_wrong'";
        sqlx::raw_sql(mark).execute(&mut conn).await?;
        conn.close().await?;
    }
    let program = env::current_exe()?;
    let mut children = Vec::new();
    for number in 1..=number("--processes", 2)? {
        let load = Load {
            number,
            ..load.clone()
        };
        let mut command = Command::new(&program);
        command.args([LOAD, &load.to_argument()]);
        children.push(Running(command.stdin(Stdio::piped()).spawn()?));
    }
    let largest = Arc::new(AtomicU64::new(0));
    let log = PathBuf::from(format!("{}-wal", load.path.display()));
    let sampled = tokio::spawn(sample(log, Arc::clone(&largest)));
    for child in children {
        tokio::task::spawn_blocking(move || child.wait()).await??;
    }
    sampled.abort();
    println!(
        "the log had at most {} MB",
        largest.load(Ordering::Relaxed) / 1_000_000
    );
    Ok(())
}

/// A process that does not outlive this one.
struct Running(Child);

impl Running {
    fn wait(mut self) -> Outcome<()> {
        // Waiting would close it, which ends the process.
        let _input = self.0.stdin.take();
        match self.0.wait()?.success() {
            true => Ok(()),
            false => Err("a process failed".into()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ends this process when its parent has ended, which has the other end of its input.
fn end_with_parent() {
    // Nothing is ever written to it.
    let _ = std::io::stdin().read(&mut [0]);
    process::exit(1);
}

async fn sample(log: PathBuf, largest: Arc<AtomicU64>) {
    loop {
        let bytes = std::fs::metadata(&log).map_or(0, |found| found.len());
        largest.fetch_max(bytes, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Load {
    fn to_argument(&self) -> String {
        let path = self.path.display();
        let Self {
            number,
            seconds,
            singles,
            batches,
            readers,
            read_millis,
            dimensions,
            ..
        } = self;
        format!(
            "{number} {seconds} {singles} {batches} {readers} {read_millis} {dimensions} {path}"
        )
    }

    fn parse(value: &str) -> Outcome<Self> {
        let mut parts = value.splitn(8, ' ');
        let mut next = || parts.next().ok_or("a part of the load is missing");
        Ok(Self {
            number: next()?.parse()?,
            seconds: next()?.parse()?,
            singles: next()?.parse()?,
            batches: next()?.parse()?,
            readers: next()?.parse()?,
            read_millis: next()?.parse()?,
            dimensions: next()?.parse()?,
            path: next()?.into(),
        })
    }

    async fn create(&self, memories: usize) -> Outcome<()> {
        let store = open(&self.path).await?;
        let mut rng = SeededRng::new(1);
        let entity = EntityId::from("first");
        for first in (0..memories).step_by(BATCH) {
            let size = BATCH.min(memories - first);
            store.insert(&self.batch(&entity, size, &mut rng)).await?;
        }
        store.close().await?;
        Ok(())
    }

    fn batch(&self, entity: &EntityId, size: usize, rng: &mut SeededRng) -> Vec<EmbeddedMemory> {
        let mut batch = fixtures::varied_memories(entity, size, rng);
        for one in &mut batch {
            one.embedding = Embedding {
                fingerprint: fixtures::fingerprint(),
                vectors: vec![rng.vector(self.dimensions)],
            };
        }
        batch
    }

    async fn run(self) -> Outcome<()> {
        let store = open(&self.path).await?;
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let mut tasks = Vec::new();
        for task in 0..self.batches + self.singles {
            let size = if task < self.batches { BATCH } else { 1 };
            let entity = EntityId::from(format!("writer {} {task}", self.number));
            let mut rng = SeededRng::new((100 * self.number + task) as u64);
            let batch = self.batch(&entity, size, &mut rng);
            let name = match size {
                1 => "single memories",
                _ => "batches of 1,000",
            };
            tasks.push((name, tokio::spawn(insert(Arc::clone(&store), batch, end))));
        }
        for reader in 0..self.readers {
            tokio::spawn(read_again_and_again(self.clone(), reader));
        }
        let mut waits: BTreeMap<&str, Latencies> = BTreeMap::new();
        for (name, task) in tasks {
            waits.entry(name).or_default().add(task.await??);
        }
        store.close().await?;
        for (name, waits) in waits {
            println!(
                "process {}, {name}: {}",
                self.number,
                waits.describe(self.seconds)
            );
        }
        Ok(())
    }
}

async fn open(path: &Path) -> Outcome<Arc<SqliteStore>> {
    let store = SqliteStore::open_with(SqliteOptions::new(path)).await?;
    Ok(Arc::new(store))
}

#[derive(Default)]
struct Latencies {
    took: Vec<Duration>,
    failures: usize,
}

impl Latencies {
    fn add(&mut self, mut more: Self) {
        self.took.append(&mut more.took);
        self.failures += more.failures;
    }

    fn describe(mut self, seconds: u64) -> String {
        self.took.sort_unstable();
        let count = self.took.len();
        let at = |percent: usize| {
            let index = count * percent / 100;
            let took = self.took.get(index.min(count.saturating_sub(1)));
            took.map_or(0.0, |took| took.as_secs_f64() * 1_000.0)
        };
        format!(
            "{} a second, p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms, {} failed",
            count as u64 / seconds.max(1),
            at(50),
            at(99),
            at(100),
            self.failures
        )
    }
}

async fn insert(
    store: Arc<SqliteStore>,
    mut batch: Vec<EmbeddedMemory>,
    end: Instant,
) -> Outcome<Latencies> {
    let mut waits = Latencies::default();
    while Instant::now() < end {
        for one in &mut batch {
            one.memory.id = MemoryId::new();
        }
        let began = Instant::now();
        if let Err(error) = store.insert(&batch).await {
            println!("{error} after {:?}", began.elapsed());
            waits.failures += 1;
        }
        waits.took.push(began.elapsed());
    }
    Ok(waits)
}

/// Reads of a state of the database, which overlap with those of other readers.
async fn read_again_and_again(load: Load, reader: usize) -> Outcome<()> {
    let mut conn = connect(&load.path).await?;
    let millis = Duration::from_millis(load.read_millis);
    tokio::time::sleep(millis * u32::try_from(reader)? / u32::try_from(load.readers)?).await;
    loop {
        conn.execute("BEGIN; SELECT count(*) FROM entity").await?;
        tokio::time::sleep(millis).await;
        conn.execute("COMMIT").await?;
    }
}

async fn connect(path: &Path) -> Outcome<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(path);
    Ok(options.connect().await?)
}
