//! The memory system on the corpus.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory::{
    ByteSize, MemoryConfig, MemoryFilter, MemoryId, MemoryResult, MemorySystem, MemoryTagMode,
    Ranking, RecallRequest,
};
use memory_benches::corpus::{ENTITY, TAGS};
use memory_benches::counting_allocator::{allocated, set_counting};
use memory_benches::records::Record;
use memory_benches::samples::Samples;
use memory_benches::warm_up::load_snapshot;

use super::{BATCH, Corpus, LIMIT, Outcome, ROUNDS, embedder, size_on_disk};

/// The name in the records.
const SUBJECT: &str = "memory";

/// How often it is looked whether a snapshot is loaded.
const POLL: Duration = Duration::from_micros(500);

/// The time that the pages of 10,000 memories get to be written; they need a quarter.
const PAUSE_FOR_PAGES: Duration = Duration::from_millis(500);

pub(crate) async fn measure(folder: &Path, size: usize) -> Outcome<Vec<Record>> {
    let file = folder.join("scale.db");
    let memory = open(&file).await?;
    let mut measurement = Measurement {
        memory: &memory,
        file: &file,
        corpus: Corpus::new(),
        repeated: String::new(),
        size,
        records: Vec::new(),
    };
    measurement.insert().await?;
    measurement.repeated = measurement.corpus.question();
    measurement.recall().await?;
    measurement.write_then_recall().await?;
    let Measurement {
        mut corpus,
        mut records,
        ..
    } = measurement;
    memory.close().await?;

    records.push(bytes(
        "disk_per_memory",
        size_on_disk(&file)? / size as u64,
        size,
    ));
    let memory = open(&file).await?;
    set_counting(true);
    let before = allocated();
    let question = corpus.question();
    load_snapshot(&memory, ENTITY, &question).await?;
    let held = u64::try_from(allocated() - before).unwrap_or(0);
    set_counting(false);
    records.push(bytes("ram_per_memory", held / size as u64, size));
    memory.close().await?;
    Ok(records)
}

/// With room for the snapshot of a million memories.
async fn open(file: &Path) -> MemoryResult<MemorySystem> {
    let config = MemoryConfig {
        entity_cache_max_bytes: ByteSize::mebibytes(2_048),
        ..MemoryConfig::default()
    };
    let builder = MemorySystem::builder()
        .config(config)
        .url(format!("sqlite://{}", file.display()))
        .embedder(Arc::new(embedder()));
    builder.build().await
}

#[expect(clippy::cast_precision_loss, reason = "a size for a table")]
fn bytes(operation: &str, bytes: u64, size: usize) -> Record {
    Record::new(SUBJECT, operation, size as u64).with(Record::BYTES, bytes as f64)
}

struct Measurement<'a> {
    memory: &'a MemorySystem,
    file: &'a Path,
    corpus: Corpus,
    /// The question that is asked repeatedly.
    repeated: String,
    size: usize,
    records: Vec<Record>,
}

impl Measurement<'_> {
    /// Retains the corpus; the samples are times of batches, divided by their
    /// size.
    async fn insert(&mut self) -> MemoryResult<()> {
        let samples = Samples::default();
        let mut count = 0;
        while count < self.size {
            let batch = self.corpus.memories(BATCH.min(self.size - count));
            let length = batch.len();
            let start = Instant::now();
            self.memory.retain_batch(batch).await?;
            samples.push(start.elapsed() / u32::try_from(length).unwrap_or(1));
            count += length;
        }
        self.record("insert", &samples);
        Ok(())
    }

    async fn recall(&mut self) -> MemoryResult<()> {
        // The first load makes the pages that later ones copy. They are written in the
        // background, until the system is closed.
        let steps = u32::try_from(self.size.div_ceil(10_000)).unwrap_or(u32::MAX);
        self.after_opening(1, "_before_pages", PAUSE_FOR_PAGES * steps)
            .await?;
        let rounds = if self.size > 20_000 { 5 } else { 10 };
        self.after_opening(rounds, "", Duration::ZERO).await?;

        load_snapshot(self.memory, ENTITY, &self.repeated).await?;
        self.timed(self.repeated.as_str()).await?;
        let dense_only = Ranking {
            importance: 0.0,
            recency: 0.0,
            ..Ranking::weighted_sum()
        };
        let one_tag = MemoryFilter::new().tags([TAGS[0]], MemoryTagMode::AnyStrict);
        let (repeated, filtered) = (Samples::default(), Samples::default());
        let (new, dense) = (Samples::default(), Samples::default());
        for _ in 0..ROUNDS {
            repeated.push(self.timed(self.repeated.as_str()).await?);
            let request = RecallRequest::new(self.repeated.as_str());
            filtered.push(self.timed(request.filter(one_tag.clone())).await?);
            let question = self.corpus.question();
            new.push(self.timed(question.as_str()).await?);
            let request = RecallRequest::new(self.corpus.question());
            dense.push(self.timed(request.ranking(dense_only)).await?);
        }
        self.record("repeated_question", &repeated);
        self.record("repeated_question_one_tag", &filtered);
        self.record("new_question", &new);
        self.record("new_question_dense_only", &dense);
        Ok(())
    }

    /// The first and the second question that a system just opened is asked, each by
    /// itself, and the time from the second one on until a snapshot is there to answer.
    /// Each system is closed after a `pause`.
    async fn after_opening(
        &mut self,
        rounds: usize,
        suffix: &str,
        pause: Duration,
    ) -> MemoryResult<()> {
        let [first, second, loaded] = [(); 3].map(|()| Samples::default());
        for _ in 0..rounds {
            let memory = open(self.file).await?;
            first.push(timed(&memory, self.corpus.question()).await?);
            let start = Instant::now();
            second.push(timed(&memory, self.corpus.question()).await?);
            while memory.cache_stats().entity.entries == 0 {
                tokio::time::sleep(POLL).await;
            }
            loaded.push(start.elapsed());
            tokio::time::sleep(pause).await;
            memory.close().await?;
        }
        self.record(&format!("first_answer{suffix}"), &first);
        self.record(&format!("second_answer{suffix}"), &second);
        self.record(&format!("snapshot_loaded{suffix}"), &loaded);
        Ok(())
    }

    async fn write_then_recall(&mut self) -> MemoryResult<()> {
        let (retained, forgotten) = (Samples::default(), Samples::default());
        for _ in 0..ROUNDS {
            let batch = vec![self.corpus.memory()];
            let start = Instant::now();
            let ids: Vec<MemoryId> = self.memory.retain_batch(batch).await?;
            self.timed(self.repeated.as_str()).await?;
            retained.push(start.elapsed());
            let start = Instant::now();
            for id in ids {
                self.memory.delete_memory(ENTITY, id).await?;
            }
            self.timed(self.repeated.as_str()).await?;
            forgotten.push(start.elapsed());
        }
        self.record("retain_then_recall", &retained);
        self.record("forget_then_recall", &forgotten);
        Ok(())
    }

    async fn timed(&self, request: impl Into<RecallRequest>) -> MemoryResult<Duration> {
        timed(self.memory, request).await
    }

    fn record(&mut self, operation: &str, samples: &Samples) {
        let record = samples.record(SUBJECT, operation, self.size as u64);
        self.records.extend(record);
    }
}

async fn timed(memory: &MemorySystem, request: impl Into<RecallRequest>) -> MemoryResult<Duration> {
    let request = request.into().limit(LIMIT);
    let start = Instant::now();
    black_box(memory.recall(ENTITY, request).await?);
    Ok(start.elapsed())
}
