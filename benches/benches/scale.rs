//! One entity that grows: cost of writes and recalls by the number of memories,
//! on SQLite in a file.
//!
//! `cargo bench -p memory-benches --bench scale -- [--sizes 1000,10000,100000]`;
//! the default is 1,000 and 10,000. The corpus is that of
//! [`memory_benches::corpus`], the embedder the testkit's hashing one with 384
//! dimensions, so that no model is included.

#![allow(clippy::print_stdout, reason = "the program prints a report")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory::MemorySystem;
use memory_benches::corpus::{Corpus, ENTITY};
use memory_benches::metrics::{Timings, peak_memory_mib};
use memory_testkit::HashEmbedder;

/// Memories retained in one call.
const BATCH: usize = 1_000;

/// Repetitions of each measured operation.
const ROUNDS: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let sizes = sizes()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    println!(
        "| memories | insert, per memory | empty caches | repeated question | new question \
         | retain, then recall | forget, then recall | on disk, per memory | peak memory |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    for size in sizes {
        println!("{}", runtime.block_on(measure(size))?);
    }
    Ok(())
}

fn sizes() -> Result<Vec<usize>, Box<dyn Error>> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--sizes");
    let list = arguments.nth(1).unwrap_or_else(|| "1000,10000".to_owned());
    let sizes = list.split(',').map(|size| Ok(size.trim().parse()?));
    sizes.collect()
}

async fn measure(size: usize) -> Result<String, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("scale.db");
    let memory = MemorySystem::builder()
        .url(format!("sqlite://{}", file.display()))
        .embedder(Arc::new(HashEmbedder::new().with_dimensions(384)))
        .build()
        .await?;
    let mut corpus = Corpus::new();
    let mut insert = Duration::ZERO;
    let mut count = 0;
    while count < size {
        let batch = corpus.memories(BATCH.min(size - count));
        count += batch.len();
        let start = Instant::now();
        memory.retain_batch(batch).await?;
        insert += start.elapsed();
    }

    let repeated = corpus.question();
    let mut empty_caches = Timings::default();
    for _ in 0..ROUNDS.min(10) {
        memory.clear_all_caches();
        let start = Instant::now();
        memory.recall(ENTITY, repeated.as_str()).await?;
        empty_caches.push(start.elapsed());
    }
    let (mut warm, mut new_question) = (Timings::default(), Timings::default());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        memory.recall(ENTITY, repeated.as_str()).await?;
        warm.push(start.elapsed());
        let question = corpus.question();
        let start = Instant::now();
        memory.recall(ENTITY, question.as_str()).await?;
        new_question.push(start.elapsed());
    }
    let (mut after_retain, mut after_forget) = (Timings::default(), Timings::default());
    for _ in 0..ROUNDS {
        let batch = vec![corpus.memory()];
        let start = Instant::now();
        let ids = memory.retain_batch(batch).await?;
        memory.recall(ENTITY, repeated.as_str()).await?;
        after_retain.push(start.elapsed());
        let start = Instant::now();
        for id in ids {
            memory.delete_memory(ENTITY, id).await?;
        }
        memory.recall(ENTITY, repeated.as_str()).await?;
        after_forget.push(start.elapsed());
    }
    memory.close().await?;

    let bytes = size_on_disk(&file)? / u64::try_from(size.max(1))?;
    let p50 = |timings: &Timings| format_duration(timings.percentile(0.5));
    Ok(format!(
        "| {size} | {} | {} | {} | {} | {} | {} | {bytes} B | {} |",
        format_duration(insert / u32::try_from(size.max(1))?),
        p50(&empty_caches),
        p50(&warm),
        p50(&new_question),
        p50(&after_retain),
        p50(&after_forget),
        peak_memory_mib().map_or_else(|| "–".to_owned(), |peak| format!("{peak} MiB")),
    ))
}

/// The database and its write-ahead log.
fn size_on_disk(file: &Path) -> std::io::Result<u64> {
    let log = format!("{}-wal", file.display());
    let log = std::fs::metadata(log).map_or(0, |metadata| metadata.len());
    Ok(std::fs::metadata(file)?.len() + log)
}

fn format_duration(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 1e-3 => format!("{:.0} µs", seconds * 1e6),
        seconds => format!("{:.1} ms", seconds * 1e3),
    }
}
