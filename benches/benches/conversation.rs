//! Real conversations through the whole system: import, then recall cold, with a
//! warm snapshot, and warm.
//!
//! `cargo bench --bench conversation -- --data FILE`, FILE in the LoCoMo
//! format. Prints the rows of docs/performance.md.

#![allow(clippy::print_stdout, reason = "the program prints a report")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory::{ManualClock, MemorySystem, RecallRequest};
use memory_benches::locomo::{self, Conversation};
use memory_benches::metrics::{Timings, peak_memory_mib, recall_at, reciprocal_rank};

/// Turns retained in one call.
const BATCH: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(data) = data_argument() else {
        // `cargo bench` without arguments runs every bench.
        println!("conversation: give a file of conversations: -- --data FILE");
        return Ok(());
    };
    let conversations = locomo::read(&data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(report(&conversations))
}

fn data_argument() -> Option<PathBuf> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--data");
    arguments.nth(1).map(PathBuf::from)
}

async fn report(conversations: &[Conversation]) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("conversation.db");
    let end = conversations
        .iter()
        .map(|c| c.end)
        .max()
        .unwrap_or_default();
    let memory = MemorySystem::builder()
        .url(format!("sqlite://{}", file.display()))
        .clock(Arc::new(ManualClock::new(end)))
        .build()
        .await?;

    let turns: usize = conversations.iter().map(|c| c.turns.len()).sum();
    let import = import(&memory, conversations).await?;
    println!(
        "import: {turns} turns in {:.1} s: {:.0} texts/s",
        import.as_secs_f64(),
        rate(turns, import)
    );
    println!("database: {:.1} MiB", size_mebibytes(&file)?);

    let (cold, snapshot, warm, scores) = ask(&memory, conversations).await?;
    for (name, timings) in [
        ("cold", cold),
        ("new question, warm snapshot", snapshot),
        ("warm", warm),
    ] {
        println!(
            "recall {name}: p50 {:?}, p95 {:?}",
            timings.percentile(0.5),
            timings.percentile(0.95)
        );
    }
    println!("{scores}");
    if let Some(peak) = peak_memory_mib() {
        println!("peak memory: {peak} MiB");
    }
    memory.close().await?;
    Ok(())
}

async fn import(
    memory: &MemorySystem,
    conversations: &[Conversation],
) -> memory::MemoryResult<Duration> {
    let start = Instant::now();
    for conversation in conversations {
        for batch in conversation.turns.chunks(BATCH) {
            memory.retain_batch(batch.to_vec()).await?;
        }
    }
    Ok(start.elapsed())
}

async fn ask(
    memory: &MemorySystem,
    conversations: &[Conversation],
) -> memory::MemoryResult<(Timings, Timings, Timings, String)> {
    let (mut cold, mut snapshot, mut warm) =
        (Timings::default(), Timings::default(), Timings::default());
    let (mut at_10, mut mrr, mut questions) = (0.0, 0.0, 0u32);
    for conversation in conversations {
        for (number, question) in conversation.questions.iter().enumerate() {
            let request = RecallRequest::new(&question.text).limit(20);
            // Every fifth question starts with empty caches, the others with a warm snapshot.
            let first = if number % 5 == 0 {
                memory.clear_all_caches();
                &mut cold
            } else {
                &mut snapshot
            };
            let recalled = timed(memory, conversation, &request, first).await?;
            timed(memory, conversation, &request, &mut warm).await?;
            at_10 += recall_at(10, &recalled, &question.evidence);
            mrr += reciprocal_rank(&recalled, &question.evidence);
            questions += 1;
        }
    }
    let n = f64::from(questions.max(1));
    let scores = format!(
        "quality: {questions} questions, recall@10 {:.1} %, MRR {:.3}",
        100.0 * at_10 / n,
        mrr / n
    );
    Ok((cold, snapshot, warm, scores))
}

async fn timed(
    memory: &MemorySystem,
    conversation: &Conversation,
    request: &RecallRequest,
    timings: &mut Timings,
) -> memory::MemoryResult<Vec<String>> {
    let start = Instant::now();
    let recalled = memory
        .recall(conversation.name.as_str(), request.clone())
        .await?;
    timings.push(start.elapsed());
    Ok(recalled
        .iter()
        .filter_map(|r| r.memory.metadata.get("dia_id").cloned())
        .collect())
}

#[expect(clippy::cast_precision_loss, reason = "a rate for a table")]
fn rate(count: usize, duration: Duration) -> f64 {
    count as f64 / duration.as_secs_f64()
}

/// The file and its write-ahead log.
#[expect(clippy::cast_precision_loss, reason = "a size for a table")]
fn size_mebibytes(file: &Path) -> std::io::Result<f64> {
    let log = PathBuf::from(format!("{}-wal", file.display()));
    let log = std::fs::metadata(log).map_or(0, |metadata| metadata.len());
    Ok((std::fs::metadata(file)?.len() + log) as f64 / (1024.0 * 1024.0))
}
