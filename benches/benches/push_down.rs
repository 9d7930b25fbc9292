//! Recalls that the store answers: an entity with more memories than a snapshot
//! may have, on SQLite in a file and, with a server, on PostgreSQL.
//!
//! `cargo xtask pg run -- cargo bench -p memory-benches --bench push_down --
//! [--sizes 1000,10000,100000] [--rounds 50] [--stores sqlite,postgres] [--overlap]`
//!
//! The corpus is that of [`memory_benches::corpus`], the embedder the testkit's
//! hashing one with 384 dimensions, so that no model is included. Besides the time
//! that a caller waits, the CPU time of this process is measured (Linux only),
//! which other work on the machine changes less; a server's is not in it. With
//! `--overlap`, the ten best are compared with those of a snapshot, whose RAM must
//! suffice.

#![allow(clippy::print_stdout, reason = "the program prints a report")]

use std::collections::BTreeSet;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory::store::Store;
use memory::{
    ByteSize, MemoryConfig, MemoryFilter, MemoryId, MemorySystem, MemoryTagMode, RecallPath,
    RecallRequest,
};
use memory_benches::arguments::argument;
use memory_benches::corpus::{Corpus, ENTITY, TAGS};
use memory_benches::records::{Record, RecordWriter};
use memory_benches::samples::Samples;
use memory_benches::test_schema::TestSchema;
use memory_benches::warm_up::load_snapshot;
use memory_pg::PgOptions;
use memory_sqlite::SqliteStore;
use memory_testkit::HashEmbedder;

/// Memories retained in one call.
const BATCH: usize = 1_000;

/// Recalls before anything is measured.
const WARM_UP: usize = 5;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

struct Options {
    sizes: Vec<usize>,
    rounds: usize,
    stores: String,
    overlap: bool,
}

fn main() -> Outcome {
    let options = options()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut records = RecordWriter::start("push_down")?;
    for &size in &options.sizes {
        if options.stores.contains("sqlite") {
            runtime.block_on(on_sqlite(&mut records, &options, size))?;
        }
        if options.stores.contains("postgres") {
            runtime.block_on(on_postgres(&mut records, &options, size))?;
        }
    }
    records.finish()
}

fn options() -> Outcome<Options> {
    let value = |name, default: &str| argument(name).unwrap_or_else(|| default.to_owned());
    let sizes = value("--sizes", "1000,10000,100000");
    let sizes = sizes.split(',').map(|size| Ok(size.trim().parse()?));
    Ok(Options {
        sizes: sizes.collect::<Outcome<_>>()?,
        rounds: value("--rounds", "50").parse()?,
        stores: value("--stores", "sqlite,postgres"),
        overlap: std::env::args().any(|argument| argument == "--overlap"),
    })
}

async fn on_sqlite(records: &mut RecordWriter, options: &Options, size: usize) -> Outcome {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("push_down.db").display());
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&url).await?);
    let mut measurement = Measurement::fill("sqlite", store, size).await?;
    measurement.run(records, options).await
}

async fn on_postgres(records: &mut RecordWriter, options: &Options, size: usize) -> Outcome {
    let Some(schema) = TestSchema::create().await? else {
        return Ok(());
    };
    let store: Arc<dyn Store> = Arc::new(PgOptions::new().with_pool(schema.pool.clone()).await?);
    let mut measurement = Measurement::fill("postgres", store, size).await?;
    schema.analyze().await?;
    measurement.run(records, options).await?;
    schema.remove().await
}

async fn system(store: &Arc<dyn Store>, entity_cache_max_bytes: ByteSize) -> Outcome<MemorySystem> {
    let config = MemoryConfig {
        entity_cache_max_bytes,
        ..MemoryConfig::default()
    };
    let builder = MemorySystem::builder()
        .store(Arc::clone(store))
        .embedder(Arc::new(HashEmbedder::new().with_dimensions(384)))
        .config(config);
    Ok(builder.build().await?)
}

struct Measurement {
    subject: &'static str,
    store: Arc<dyn Store>,
    /// Searches in the store, since no snapshot fits.
    system: MemorySystem,
    corpus: Corpus,
    size: usize,
}

impl Measurement {
    async fn fill(subject: &'static str, store: Arc<dyn Store>, size: usize) -> Outcome<Self> {
        let system = system(&store, ByteSize(0)).await?;
        let mut corpus = Corpus::new();
        let mut count = 0;
        while count < size {
            let batch = corpus.memories(BATCH.min(size - count));
            count += batch.len();
            system.retain_batch(batch).await?;
        }
        Ok(Self {
            subject,
            store,
            system,
            corpus,
            size,
        })
    }

    async fn run(&mut self, records: &mut RecordWriter, options: &Options) -> Outcome {
        let one_tag = MemoryFilter::new().tags([TAGS[0]], MemoryTagMode::AnyStrict);
        let filters = [
            ("new_question", MemoryFilter::new()),
            ("new_question_one_tag", one_tag),
        ];
        for _ in 0..WARM_UP {
            let request = RecallRequest::new(self.corpus.question());
            let found = self.system.recall(ENTITY, request).await?;
            let path = found.first().map(|hit| hit.explanation.path);
            assert_eq!(path, Some(RecallPath::Store), "answered by the store");
        }
        for (operation, filter) in filters {
            let samples = Samples::default();
            let before = cpu_time();
            for _ in 0..options.rounds {
                let request = RecallRequest::new(self.corpus.question()).filter(filter.clone());
                let start = Instant::now();
                black_box(self.system.recall(ENTITY, request).await?);
                samples.push(start.elapsed());
            }
            let Some(mut record) = samples.record(self.subject, operation, self.size as u64) else {
                continue;
            };
            if let (Some(before), Some(after)) = (before, cpu_time()) {
                let each = (after - before) / u32::try_from(options.rounds)?;
                record = record.with("cpu_ns", each.as_secs_f64() * 1e9);
            }
            self.print(records, record)?;
        }
        if options.overlap {
            let record = self.overlap(options.rounds).await?;
            self.print(records, record)?;
        }
        Ok(())
    }

    /// The share of the ten best that the store and a snapshot have in common.
    async fn overlap(&mut self, rounds: usize) -> Outcome<Record> {
        let held = system(&self.store, ByteSize::mebibytes(64 * 1_024)).await?;
        load_snapshot(&held, ENTITY, "warm up").await?;
        let (mut alike, mut asked) = (0u32, 0u32);
        for _ in 0..rounds {
            let question = self.corpus.question();
            let snapshot = held.recall(ENTITY, question.as_str()).await?;
            let path = snapshot.first().map(|hit| hit.explanation.path);
            assert_eq!(path, Some(RecallPath::Snapshot), "answered by a snapshot");
            let found = self.system.recall(ENTITY, question).await?;
            let ids: BTreeSet<MemoryId> = found.iter().map(|hit| hit.memory.id).collect();
            let common = snapshot.iter().filter(|hit| ids.contains(&hit.memory.id));
            alike += u32::try_from(common.count())?;
            asked += u32::try_from(snapshot.len())?;
        }
        let share = f64::from(alike) / f64::from(asked.max(1));
        let record = Record::new(self.subject, "overlap_at_10", self.size as u64);
        Ok(record.with("share", share))
    }

    fn print(&self, records: &mut RecordWriter, record: Record) -> Outcome {
        println!(
            "{:>7} {}: {}: {}",
            self.size,
            record.subject,
            record.operation,
            serde_json::to_string(&record.values)?
        );
        records.push(record)
    }
}

/// The CPU time of this process in user mode and in the kernel; `None` where the
/// system has no procfs.
fn cpu_time() -> Option<Duration> {
    /// The unit of the file, 100 a second on every architecture in use.
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may contain spaces; after it, utime is field 12.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}
