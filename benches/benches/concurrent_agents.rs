//! Many agents in one process: tasks that retain and recall at the same time, on
//! SQLite in a file.
//!
//! `cargo bench -p memory-benches --bench concurrent_agents -- [--tasks 16]
//! [--entities 200] [--memories 100] [--operations 20000] [--reads 0]`
//!
//! Each operation is on an entity drawn at random; one in five retains a memory,
//! the others recall a new question, and each is followed by as many reads by id as
//! `--reads` says. The corpus is that of
//! [`memory_benches::corpus`], the embedder the testkit's hashing one with 384
//! dimensions, so that no model is included.

#![allow(clippy::print_stdout, reason = "the program prints a report")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use memory::{MemoryBatchItem, MemorySystem};
use memory_benches::arguments::argument;
use memory_benches::corpus::Corpus;
use memory_benches::metrics::Timings;
use memory_testkit::{HashEmbedder, SeededRng};

/// One operation in so many retains; the others recall.
const OPERATIONS_PER_RETAIN: usize = 5;

struct Options {
    tasks: usize,
    entities: usize,
    memories: usize,
    operations: usize,
    /// Reads by id after each operation.
    reads: usize,
}

#[derive(Default)]
struct Results {
    retain: Timings,
    recall: Timings,
    read: Timings,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(measure(options))
}

fn options() -> Result<Options, Box<dyn Error>> {
    let number = |name: &str, default: usize| -> Result<usize, Box<dyn Error>> {
        Ok(argument(name).map_or(Ok(default), |value| value.parse())?)
    };
    Ok(Options {
        tasks: number("--tasks", 16)?,
        entities: number("--entities", 200)?,
        memories: number("--memories", 100)?,
        operations: number("--operations", 20_000)?,
        reads: number("--reads", 0)?,
    })
}

async fn measure(options: Options) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let memory = MemorySystem::builder()
        .url(format!(
            "sqlite://{}",
            folder.path().join("agents.db").display()
        ))
        .embedder(Arc::new(HashEmbedder::new().with_dimensions(384)))
        .build()
        .await?;
    let memory = Arc::new(memory);
    let mut corpus = Corpus::new();
    let mut ids = Vec::with_capacity(options.entities);
    for entity in 0..options.entities {
        let batch = (0..options.memories).map(|_| of_entity(corpus.memory(), entity));
        ids.push(memory.retain_batch(batch).await?);
    }
    let ids = Arc::new(ids);
    let next = Arc::new(AtomicUsize::new(0));
    let work = Arc::new(work(&mut corpus, &options));
    let start = Instant::now();
    let tasks: Vec<_> = (0..options.tasks)
        .map(|_| {
            let (memory, next, work) = (memory.clone(), next.clone(), work.clone());
            let ids = ids.clone();
            tokio::spawn(async move {
                let mut results = Results::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some((entity, operation)) = work.get(number) else {
                        break;
                    };
                    operation.run(&memory, &mut results).await?;
                    for read in 0..options.reads {
                        let id = ids[*entity][(number * 31 + read * 7) % options.memories];
                        let start = Instant::now();
                        memory.get_memory(name(*entity), id).await?;
                        results.read.push(start.elapsed());
                    }
                }
                Ok::<_, memory::MemoryError>(results)
            })
        })
        .collect();
    let mut results = Results::default();
    for task in tasks {
        let one = task.await??;
        results.retain.extend(one.retain);
        results.recall.extend(one.recall);
        results.read.extend(one.read);
    }
    let elapsed = start.elapsed();
    let stats = memory.cache_stats();
    memory.close().await?;
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let rate = work.len() as f64 / elapsed.as_secs_f64();
    println!(
        "{} tasks on {} entities of {} memories: {rate:.0} operations/s",
        options.tasks, options.entities, options.memories
    );
    for (name, timings) in [
        ("retain", &results.retain),
        ("recall", &results.recall),
        ("read by id", &results.read),
    ] {
        if timings.percentile(1.0).is_zero() {
            continue;
        }
        println!(
            "- {name}: p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms",
            milliseconds(timings.percentile(0.5)),
            milliseconds(timings.percentile(0.95)),
            milliseconds(timings.percentile(0.99)),
        );
    }
    println!(
        "- hits: memory tier {:.1} %, entity tier {:.1} %",
        stats.memory.hit_rate() * 100.0,
        stats.entity.hit_rate() * 100.0
    );
    Ok(())
}

enum Operation {
    Retain(MemoryBatchItem),
    Recall(String, String),
}

impl Operation {
    async fn run(&self, memory: &MemorySystem, results: &mut Results) -> memory::MemoryResult<()> {
        let start = Instant::now();
        match self {
            Self::Retain(item) => {
                memory.retain_batch([item.clone()]).await?;
                results.retain.push(start.elapsed());
            }
            Self::Recall(entity, question) => {
                memory.recall(entity.as_str(), question.as_str()).await?;
                results.recall.push(start.elapsed());
            }
        }
        Ok(())
    }
}

/// The operations, each with its entity, made before the clock starts.
fn work(corpus: &mut Corpus, options: &Options) -> Vec<(usize, Operation)> {
    // Not in turn: where the number of entities is a multiple of five, memories would be
    // retained to a fifth of them, and only the others recalled.
    let mut entities = SeededRng::new(0xa6e7);
    (0..options.operations)
        .map(|number| {
            let entity = entities.below(options.entities);
            let operation = if number % OPERATIONS_PER_RETAIN == 0 {
                Operation::Retain(of_entity(corpus.memory(), entity))
            } else {
                Operation::Recall(name(entity), corpus.question())
            };
            (entity, operation)
        })
        .collect()
}

fn of_entity(mut item: MemoryBatchItem, entity: usize) -> MemoryBatchItem {
    item.entity_id = name(entity).into();
    item
}

fn name(entity: usize) -> String {
    format!("agent-{entity}")
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
