//! Vector search in PostgreSQL with real sentence vectors: exact, HNSW and
//! IVFFlat, in entities of 1,000, 10,000 and 100,000 memories in a table with a
//! given number of rows. Reports recall against exact search, latency and build
//! cost.
//!
//! ```sh
//! cargo xtask pg run -- cargo bench -p memory-benches --bench vectors -- \
//!     --data FILE [--rows 120000] [--indexes]
//! ```
//!
//! FILE is in the LoCoMo format. Its turns and their sentences are embedded by
//! the default model, once: the vectors stay in the folder for temporary files.
//! Each memory joins one to three sentences of a session; its vector is the mean
//! of theirs, weighted by length, which approximates mean pooling of the joined
//! text. So clusters are those of real conversations. Queries are the questions
//! of the data set. `--indexes` also prints plans with and without the indexes
//! that the schema omits. Prints the rows of docs/performance.md.

#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the program prints a report; without a server it may panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use memory::store::Store;
use memory::{EntityId, MemoryFilter, MemoryId, MemoryKind};
use memory_benches::arguments::argument;
use memory_benches::locomo;
use memory_benches::test_schema::{TestSchema, URL_ENV};
use memory_core::{
    DenseQuery, EmbedRole, EmbeddedMemory, Embedder, Embedding, Fingerprint, MaintenanceRequest,
    Memory, SearchRequest,
};
use memory_onnx::{OnnxEmbedder, OnnxOptions};
use memory_pg::{AnnIndex, PgOptions, PgPool, PgStore};
use memory_testkit::SeededRng;
use sqlx::{AssertSqlSafe, Row};

/// Texts embedded in one call, and memories inserted in one.
const BATCH: usize = 500;
/// Queries of each row of the report.
const QUERIES: usize = 60;
const LIMIT: usize = 10;
/// The sizes of the searched entities; the other rows belong to further entities.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// Seconds between two memories of an entity.
const STEP: i64 = 60;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let (Some(data), Some(_)) = (argument("--data"), std::env::var_os(URL_ENV)) else {
        // `cargo bench` without arguments runs every bench.
        println!(
            "vectors: a file of conversations (-- --data FILE) and a server (xtask pg) are required"
        );
        return Ok(());
    };
    let rows = argument("--rows").map_or(Ok(120_000), |rows| rows.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(report(Path::new(&data), rows))
}

async fn report(data: &Path, rows: usize) -> Outcome<()> {
    let corpus = Corpus::read(data).await?;
    let schema = TestSchema::create().await?.ok_or("no server")?;
    let outcome = measure(&schema.pool, &corpus, rows).await;
    schema.remove().await?;
    outcome
}

async fn measure(pool: &PgPool, corpus: &Corpus, rows: usize) -> Outcome<()> {
    let exact = PgStore::with_pool(pool.clone()).await?;
    fill(&exact, corpus, rows).await?;
    run(pool, "VACUUM (ANALYZE) memory, memory_embedding, entity").await?;
    let baseline = timed(QUERIES, || async {
        sqlx::query("SELECT 1").execute(pool).await.unwrap();
    });
    println!("SELECT 1: {}", Times(baseline.await));
    let mut exact_results = BTreeMap::new();
    for size in sizes(rows) {
        for (name, filter) in filters(size) {
            let (found, times) = ask(&exact, corpus, size, &filter).await?;
            println!("exact | {size} | {name} | 100.0 | {}", Times(times));
            exact_results.insert((size, name), found);
        }
    }
    for (kind, settings) in kinds() {
        build(pool, kind, rows).await?;
        for (setting, index) in settings {
            let store = open(pool, index, SIZES[0], 3).await?;
            for size in sizes(rows) {
                for (name, filter) in filters(size) {
                    let (found, times) = ask(&store, corpus, size, &filter).await?;
                    let recall = recall(&found, &exact_results[&(size, name)]);
                    println!(
                        "{setting} | {size} | {name} | {recall:.1} | {}",
                        Times(times)
                    );
                }
            }
        }
    }
    if std::env::args().any(|argument| argument == "--indexes") {
        indexes(pool, rows).await?;
    }
    Ok(())
}

/// Each index type with its search settings.
fn kinds() -> [(AnnIndex, Vec<(String, AnnIndex)>); 2] {
    let hnsw = |ef_search| AnnIndex::Hnsw {
        m: 16,
        ef_construction: 64,
        ef_search,
    };
    let graph = [40, 100, 200].map(|ef| (format!("HNSW, ef_search {ef}"), hnsw(ef)));
    let lists = [10, 20, 40].map(|probes| {
        let index = AnnIndex::IvfFlat { probes };
        (format!("IVFFlat, {probes} probes"), index)
    });
    [
        (AnnIndex::hnsw(), graph.to_vec()),
        (AnnIndex::ivf_flat(), lists.to_vec()),
    ]
}

fn sizes(rows: usize) -> impl Iterator<Item = usize> {
    let fits = move |size: &usize| *size * 12 / 10 <= rows;
    SIZES.into_iter().filter(fits)
}

fn filters(size: usize) -> [(&'static str, MemoryFilter); 3] {
    let tenth = i64::try_from(size / 10).unwrap_or(i64::MAX);
    [
        ("all", MemoryFilter::new()),
        (
            "one kind of four",
            MemoryFilter::new().kind(MemoryKind::World),
        ),
        (
            "last tenth of the time range",
            MemoryFilter::new().since(at(9 * tenth)),
        ),
    ]
}

async fn open(pool: &PgPool, index: AnnIndex, from: usize, most: u32) -> Outcome<PgStore> {
    let options = PgOptions::new()
        .ann_index(index)
        .ann_min_vectors(from as u64)
        .ann_max_indexes(most);
    Ok(options.with_pool(pool.clone()).await?)
}

/// Builds the index of each size, the largest first, and prints the cost.
async fn build(pool: &PgPool, index: AnnIndex, rows: usize) -> Outcome<()> {
    let sizes: Vec<usize> = sizes(rows).collect();
    for (count, size) in sizes.iter().rev().enumerate() {
        let most = u32::try_from(count + 1)?;
        let store = open(pool, index, *size, most).await?;
        let report = store.maintain_indexes(&MaintenanceRequest::new()).await?;
        for built in report.indexes {
            let Some((build_ms, after)) = built.build_ms.zip(built.after) else {
                continue;
            };
            println!(
                "build {index:?} | {size} | {:.1} s | {:.1} MB | {:?}",
                build_ms / 1e3,
                after.bytes as f64 / 1e6,
                built.measured
            );
        }
    }
    Ok(())
}

async fn ask(
    store: &PgStore,
    corpus: &Corpus,
    size: usize,
    filter: &MemoryFilter,
) -> Outcome<(Vec<BTreeSet<MemoryId>>, Vec<Duration>)> {
    let entity = name(size);
    let (mut found, mut times) = (Vec::new(), Vec::new());
    for vector in corpus.queries.iter().take(QUERIES) {
        let request = SearchRequest {
            sample: 0,
            filter: filter.clone(),
            limit: LIMIT,
            dense: Some(DenseQuery {
                chunk_discount: 0.0,
                fingerprint: corpus.fingerprint.clone(),
                vector: vector.clone(),
            }),
            lexical: None,
        };
        let start = Instant::now();
        let answer = store.search(&entity, &request).await?;
        times.push(start.elapsed());
        found.push(answer.candidates.iter().map(|it| it.memory.id).collect());
    }
    Ok((found, times))
}

#[allow(clippy::cast_precision_loss, reason = "small counts")]
fn recall(found: &[BTreeSet<MemoryId>], wanted: &[BTreeSet<MemoryId>]) -> f64 {
    let pairs = found.iter().zip(wanted);
    let hits: usize = pairs.map(|(a, b)| a.intersection(b).count()).sum();
    let all: usize = wanted.iter().map(BTreeSet::len).sum();
    hits as f64 * 100.0 / all as f64
}

/// The entity of a size; the names of further entities sort after these.
fn name(size: usize) -> EntityId {
    EntityId::from(format!("{size} memories"))
}

fn at(number: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_704_067_200 + number * STEP)
}

async fn fill(store: &PgStore, corpus: &Corpus, rows: usize) -> Outcome<()> {
    let mut rng = SeededRng::new(11);
    let mut entities: Vec<(EntityId, usize)> = sizes(rows).map(|size| (name(size), size)).collect();
    for number in 0.. {
        let taken: usize = entities.iter().map(|(_, size)| size).sum();
        if taken >= rows {
            break;
        }
        entities.push((
            EntityId::from(format!("other {number}")),
            SIZES[0].min(rows - taken),
        ));
    }
    let start = Instant::now();
    for (entity, size) in entities {
        for first in (0..size).step_by(BATCH) {
            let count = BATCH.min(size - first);
            let batch: Vec<EmbeddedMemory> = (first..first + count)
                .map(|number| corpus.memory(&entity, number, &mut rng))
                .collect();
            store.insert(&batch).await?;
        }
    }
    let took = start.elapsed().as_secs_f64();
    println!("filled: {rows} rows in {took:.0} s, in batches of {BATCH}");
    Ok(())
}

/// Real texts with their vectors.
struct Corpus {
    texts: Vec<String>,
    vectors: Vec<Vec<f32>>,
    /// The texts of each session.
    sessions: Vec<Vec<usize>>,
    queries: Vec<Vec<f32>>,
    fingerprint: Fingerprint,
}

impl Corpus {
    async fn read(data: &Path) -> Outcome<Self> {
        let conversations = locomo::read(data)?;
        let (mut texts, mut sessions) = (Vec::new(), BTreeMap::<_, Vec<usize>>::new());
        let mut questions = Vec::new();
        for conversation in &conversations {
            for turn in &conversation.turns {
                let key = (conversation.name.clone(), turn.context.clone());
                let session = sessions.entry(key).or_default();
                for text in sentences(&turn.content) {
                    session.push(texts.len());
                    texts.push(text);
                }
            }
            let asked = conversation.questions.iter().take(QUERIES / 4);
            questions.extend(asked.map(|question| question.text.clone()));
        }
        let embedder = OnnxEmbedder::open(OnnxOptions::default()).await?;
        let fingerprint = embedder.profile().fingerprint.clone();
        let dimensions = embedder.profile().dimensions;
        let vectors = cached(&embedder, &texts, dimensions).await?;
        let asked: Vec<&str> = questions.iter().map(String::as_str).collect();
        let queries = embedder.embed(&asked, EmbedRole::Query).await?;
        Ok(Self {
            texts,
            vectors,
            sessions: sessions.into_values().filter(|it| it.len() > 3).collect(),
            queries,
            fingerprint,
        })
    }

    /// One to three sentences of one session, as one memory.
    fn memory(&self, entity: &EntityId, number: usize, rng: &mut SeededRng) -> EmbeddedMemory {
        let session = rng.pick(&self.sessions);
        let count = 1 + rng.below(3);
        let parts: Vec<usize> = (0..count).map(|_| *rng.pick(session)).collect();
        let mut vector = vec![0.0; self.vectors[0].len()];
        for part in &parts {
            let weight = u16::try_from(self.texts[*part].len()).map_or(f32::MAX, f32::from);
            for (sum, value) in vector.iter_mut().zip(&self.vectors[*part]) {
                *sum += weight * value;
            }
        }
        memory_core::normalize(&mut vector).unwrap();
        let texts: Vec<&str> = parts
            .iter()
            .map(|part| self.texts[*part].as_str())
            .collect();
        let kind = *rng.pick(&MemoryKind::ALL);
        let importance = u16::try_from(rng.below(1_001)).map_or(0.0, f32::from) / 1_000.0;
        EmbeddedMemory {
            memory: Memory {
                id: MemoryId::new(),
                entity_id: entity.clone(),
                kind,
                content: texts.join(" "),
                timestamp: at(i64::try_from(number).unwrap_or(i64::MAX)),
                last_accessed: None,
                access_count: 0,
                importance,
                decay_rate: kind.decay_rate(),
                context: None,
                metadata: BTreeMap::new(),
                related: BTreeMap::new(),
                entities: BTreeMap::new(),
                tags: BTreeSet::new(),
                archived_by: None,
            },
            embedding: Embedding {
                fingerprint: self.fingerprint.clone(),
                vectors: vec![vector],
            },
        }
    }
}

/// Splits into sentences; short ones are joined with the previous one.
fn sentences(text: &str) -> Vec<String> {
    let mut sentences: Vec<String> = Vec::new();
    for part in text.split_inclusive(['.', '!', '?']) {
        match sentences.last_mut() {
            Some(last) if last.len() < 40 || part.trim().len() < 20 => last.push_str(part),
            _ => sentences.push(part.trim_start().to_owned()),
        }
    }
    sentences
}

/// The vectors of the texts, from the file of an earlier run or computed now.
async fn cached(
    embedder: &OnnxEmbedder,
    texts: &[String],
    dimensions: usize,
) -> Outcome<Vec<Vec<f32>>> {
    let file = file(texts.len());
    let bytes = std::fs::read(&file).unwrap_or_default();
    if bytes.len() == texts.len() * dimensions * 4 {
        let values = bytes
            .chunks_exact(4)
            .map(|it| f32::from_le_bytes([it[0], it[1], it[2], it[3]]));
        let values: Vec<f32> = values.collect();
        return Ok(values
            .chunks_exact(dimensions)
            .map(<[f32]>::to_vec)
            .collect());
    }
    let start = Instant::now();
    let mut vectors = Vec::with_capacity(texts.len());
    for batch in texts.chunks(BATCH) {
        let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
        vectors.extend(embedder.embed(&batch, EmbedRole::Passage).await?);
    }
    println!(
        "embedded: {} texts in {:.0} s",
        texts.len(),
        start.elapsed().as_secs_f64()
    );
    let bytes: Vec<u8> = vectors
        .iter()
        .flatten()
        .flat_map(|it| it.to_le_bytes())
        .collect();
    std::fs::write(&file, bytes)?;
    Ok(vectors)
}

fn file(count: usize) -> PathBuf {
    std::env::temp_dir().join(format!("memory-vectors-{count}.f32"))
}

/// The effect of indexes that the original schema named and this one omits, on
/// the queries that they were meant for.
async fn indexes(pool: &PgPool, rows: usize) -> Outcome<()> {
    let size = sizes(rows).last().unwrap_or(SIZES[0]);
    let recent = at(i64::try_from(size)? - 7 * 24 * 60).format("%F %T+00");
    let from = format!("FROM memory WHERE entity_id = '{size} memories' AND archived_by IS NULL");
    let important = format!("SELECT memory_id {from} AND importance > 0.7");
    let queries = [
        (
            "recent",
            format!("SELECT memory_id {from} AND timestamp >= '{recent}' ORDER BY timestamp DESC LIMIT 20"),
            format!("CREATE INDEX idx_memory_recent ON memory (entity_id, timestamp DESC) WHERE timestamp >= '{recent}'"),
        ),
        (
            "important, newest first",
            format!("{important} ORDER BY timestamp DESC LIMIT 20"),
            "CREATE INDEX idx_memory_important ON memory (entity_id, timestamp DESC) WHERE importance > 0.7".to_owned(),
        ),
        (
            "most important",
            format!("SELECT memory_id {from} ORDER BY importance DESC LIMIT 20"),
            "CREATE INDEX idx_memory_entity_importance ON memory (entity_id, importance DESC)".to_owned(),
        ),
    ];
    for (name, query, index) in queries {
        explain(pool, &format!("{name}, as it is"), &query).await?;
        let start = Instant::now();
        run(pool, &index).await?;
        println!("{index}\n  built in {:.1} s", start.elapsed().as_secs_f64());
        run(pool, "ANALYZE memory").await?;
        explain(pool, &format!("{name}, with it"), &query).await?;
    }
    Ok(())
}

async fn explain(pool: &PgPool, name: &str, query: &str) -> Outcome<()> {
    let text = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {query}");
    let mut lines = Vec::new();
    // Twice: the second run finds its pages in memory.
    for _ in 0..2 {
        let rows = sqlx::query(AssertSqlSafe(text.clone()))
            .fetch_all(pool)
            .await?;
        lines = rows.iter().map(|row| row.get::<String, _>(0)).collect();
    }
    println!("\n{name}\n  {query}");
    for line in lines {
        println!("    {line}");
    }
    Ok(())
}

async fn run(pool: &PgPool, text: &str) -> Outcome<()> {
    let text = AssertSqlSafe(text.to_owned());
    sqlx::Executor::execute(pool, sqlx::raw_sql(text)).await?;
    Ok(())
}

async fn timed<Run: Future<Output = ()>>(
    runs: usize,
    mut run: impl FnMut() -> Run,
) -> Vec<Duration> {
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        run().await;
        times.push(start.elapsed());
    }
    times
}

struct Times(Vec<Duration>);

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut times = self.0.clone();
        times.sort();
        let at = |share: usize| {
            let place = (times.len() * share / 100).min(times.len().saturating_sub(1));
            times
                .get(place)
                .map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        write!(f, "p50 {:.2} ms | p95 {:.2} ms", at(50), at(95))
    }
}
