//! Real conversations through the whole system: import, then recall cold, with a
//! warm snapshot, and warm.
//!
//! `cargo bench --bench conversation -- --data FILE`, FILE in the LoCoMo
//! format.

#![allow(clippy::print_stdout, reason = "the program prints a report")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory::{ManualClock, MemorySystem, RecallRequest};
use memory_benches::arguments::argument;
use memory_benches::locomo::{self, Conversation};
use memory_benches::metrics::{peak_memory_mib, recall_at, reciprocal_rank};
use memory_benches::records::{Record, RecordWriter};
use memory_benches::samples::Samples;
use memory_benches::warm_up::load_snapshot;

/// The name in the records.
const SUBJECT: &str = "sqlite";

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Turns retained in one call.
const BATCH: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(data) = argument("--data").map(PathBuf::from) else {
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
    let size = turns as u64;
    let import = import(&memory, conversations).await?;
    let mut measured = vec![
        Record::new(SUBJECT, "import", size)
            .with("texts_per_second", rate(turns, import))
            .with("seconds", import.as_secs_f64()),
    ];
    let database = Record::new(SUBJECT, "database", size);
    measured.push(database.with(Record::BYTES, size_on_disk(&file)?));
    measured.extend(ask(&memory, conversations, size).await?);
    if let Some(peak) = peak_memory_mib() {
        let record = Record::new(SUBJECT, "peak_memory", size);
        measured.push(record.with(Record::BYTES, f64::from(u32::try_from(peak)?) * MEBIBYTE));
    }
    memory.close().await?;

    let mut records = RecordWriter::start("conversation")?;
    for record in measured {
        println!(
            "{}: {}",
            record.operation,
            serde_json::to_string(&record.values)?
        );
        records.push(record)?;
    }
    records.finish()
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
    size: u64,
) -> memory::MemoryResult<Vec<Record>> {
    let (cold, snapshot, warm) = (Samples::default(), Samples::default(), Samples::default());
    let (mut at_10, mut mrr, mut questions) = (0.0, 0.0, 0u32);
    for conversation in conversations {
        for (number, question) in conversation.questions.iter().enumerate() {
            let request = RecallRequest::new(&question.text).limit(20);
            // Every fifth question starts with empty caches, the others with a warm snapshot.
            let first = if number % 5 == 0 {
                memory.clear_all_caches();
                &cold
            } else {
                &snapshot
            };
            let recalled = timed(memory, conversation, &request, first).await?;
            load_snapshot(memory, &conversation.name, &question.text).await?;
            timed(memory, conversation, &request, &warm).await?;
            at_10 += recall_at(10, &recalled, &question.evidence);
            mrr += reciprocal_rank(&recalled, &question.evidence);
            questions += 1;
        }
    }
    let n = f64::from(questions.max(1));
    let scores = Record::new(SUBJECT, "quality", size)
        .with("questions", n)
        .with("recall_at_10", at_10 / n)
        .with("mrr", mrr / n);
    let timings = [
        cold.record(SUBJECT, "recall_cold", size),
        snapshot.record(SUBJECT, "recall_new_question", size),
        warm.record(SUBJECT, "recall_warm", size),
    ];
    Ok(timings.into_iter().flatten().chain([scores]).collect())
}

async fn timed(
    memory: &MemorySystem,
    conversation: &Conversation,
    request: &RecallRequest,
    samples: &Samples,
) -> memory::MemoryResult<Vec<String>> {
    let start = Instant::now();
    let recalled = memory
        .recall(conversation.name.as_str(), request.clone())
        .await?;
    samples.push(start.elapsed());
    Ok(recalled
        .iter()
        .filter_map(|r| r.memory.metadata.get("dia_id").cloned())
        .collect())
}

#[expect(clippy::cast_precision_loss, reason = "a rate for a table")]
fn rate(count: usize, duration: Duration) -> f64 {
    count as f64 / duration.as_secs_f64()
}

/// Bytes of the file and its write-ahead log.
#[expect(clippy::cast_precision_loss, reason = "a size for a table")]
fn size_on_disk(file: &Path) -> std::io::Result<f64> {
    let log = PathBuf::from(format!("{}-wal", file.display()));
    let log = std::fs::metadata(log).map_or(0, |metadata| metadata.len());
    Ok((std::fs::metadata(file)?.len() + log) as f64)
}
