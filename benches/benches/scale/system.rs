//! The memory system on the corpus.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;
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
use memory_benches::test_schema::TestSchema;
use memory_benches::warm_up::load_snapshot;
use memory_pg::PgOptions;

use super::peer::EmbeddedCorpus;
use super::{BATCH, Corpus, LIMIT, Outcome, ROUNDS, embedder, size_on_disk};

/// How often it is looked whether a snapshot is loaded.
const POLL: Duration = Duration::from_micros(500);

/// The time that the pages of 10,000 memories get to be written; they need a quarter.
const PAUSE_FOR_PAGES: Duration = Duration::from_millis(500);

/// Where the system keeps its memories.
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(TestSchema),
}

impl Database {
    /// The name in the records.
    fn subject(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "memory",
            Self::Postgres(_) => "memory on PostgreSQL",
        }
    }

    /// With room for the snapshot of a million memories.
    async fn open(&self) -> Outcome<MemorySystem> {
        let config = MemoryConfig {
            entity_cache_max_bytes: ByteSize::mebibytes(2_048),
            ..MemoryConfig::default()
        };
        let builder = MemorySystem::builder()
            .config(config)
            .embedder(Arc::new(embedder()));
        let builder = match self {
            Self::Sqlite(file) => builder.url(format!("sqlite://{}", file.display())),
            Self::Postgres(schema) => {
                let store = PgOptions::new().with_pool(schema.pool.clone()).await?;
                builder.store(Arc::new(store))
            }
        };
        Ok(builder.build().await?)
    }

    pub(crate) async fn remove(self) -> Outcome {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(schema) => schema.remove().await,
        }
    }

    async fn size(&self) -> Outcome<u64> {
        match self {
            Self::Sqlite(file) => size_on_disk(file),
            Self::Postgres(schema) => schema.size().await,
        }
    }

    /// Updates the statistics that plans depend on, as a server does by itself later.
    async fn analyze(&self) -> Outcome {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(schema) => schema.analyze().await,
        }
    }
}

pub(crate) async fn measure(
    database: &Database,
    size: usize,
    embedded: &EmbeddedCorpus,
) -> Outcome<Vec<Record>> {
    let memory = database.open().await?;
    let mut measurement = Measurement {
        memory: &memory,
        database,
        corpus: Corpus::new(),
        embedded,
        numbers: HashMap::new(),
        repeated: String::new(),
        size,
        records: Vec::new(),
    };
    measurement.insert().await?;
    database.analyze().await?;
    measurement.repeated = measurement.corpus.question();
    measurement.recall().await?;
    measurement.write_then_recall().await?;
    let Measurement {
        mut corpus,
        mut records,
        ..
    } = measurement;
    memory.close().await?;

    let subject = database.subject();
    let disk = database.size().await? / size as u64;
    records.push(bytes(subject, "disk_per_memory", disk, size));
    let memory = database.open().await?;
    set_counting(true);
    let before = allocated();
    let question = corpus.question();
    load_snapshot(&memory, ENTITY, &question).await?;
    let held = u64::try_from(allocated() - before).unwrap_or(0);
    set_counting(false);
    let held = held / size as u64;
    records.push(bytes(subject, "ram_per_memory", held, size));
    memory.close().await?;
    Ok(records)
}

#[expect(clippy::cast_precision_loss, reason = "a size for a table")]
fn bytes(subject: &str, operation: &str, bytes: u64, size: usize) -> Record {
    Record::new(subject, operation, size as u64).with(Record::BYTES, bytes as f64)
}

struct Measurement<'a> {
    memory: &'a MemorySystem,
    database: &'a Database,
    corpus: Corpus,
    /// The same with vectors.
    embedded: &'a EmbeddedCorpus,
    /// The memories by their ids, in the order of their insertion.
    numbers: HashMap<MemoryId, usize>,
    /// The question that is asked repeatedly.
    repeated: String,
    size: usize,
    records: Vec<Record>,
}

impl Measurement<'_> {
    /// Retains the corpus; the samples are times of batches, divided by their
    /// size.
    async fn insert(&mut self) -> Outcome {
        let samples = Samples::default();
        let mut count = 0;
        while count < self.size {
            let batch = self.corpus.memories(BATCH.min(self.size - count));
            let length = batch.len();
            let start = Instant::now();
            let ids = self.memory.retain_batch(batch).await?;
            samples.push(start.elapsed() / u32::try_from(length).unwrap_or(1));
            self.numbers.extend(ids.into_iter().zip(count..));
            count += length;
        }
        self.record("insert", &samples);
        Ok(())
    }

    async fn recall(&mut self) -> Outcome {
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
        let last_hundred = MemoryFilter::new().since(Corpus::time(self.size.saturating_sub(100)));
        let one_participant = MemoryFilter::new().involves(Corpus::participant(0));
        let [new, recent, involved, dense] = [(); 4].map(|()| Samples::default());
        let mut found = Vec::new();
        for question in &self.embedded.questions {
            repeated.push(self.timed(self.repeated.as_str()).await?);
            let request = RecallRequest::new(self.repeated.as_str());
            filtered.push(self.timed(request.filter(one_tag.clone())).await?);
            // As the alternatives are asked.
            let request = RecallRequest::new(question.value.as_str());
            let request = request.vector(question.vector.clone());
            new.push(self.timed(request.clone()).await?);
            let filtered = request.clone().filter(last_hundred.clone());
            recent.push(self.timed(filtered).await?);
            let filtered = request.clone().filter(one_participant.clone());
            involved.push(self.timed(filtered).await?);
            let request = request.ranking(dense_only).limit(LIMIT);
            dense.push(self.timed(request.clone()).await?);
            let hits = self.memory.recall(ENTITY, request).await?;
            let numbers = hits
                .iter()
                .filter_map(|hit| self.numbers.get(&hit.memory.id));
            found.push(numbers.copied().collect());
        }
        let subject = self.database.subject();
        self.records.push(self.embedded.agreement(subject, &found));
        self.record("repeated_question", &repeated);
        self.record("repeated_question_one_tag", &filtered);
        self.record("new_question", &new);
        self.record("new_question_last_hundred", &recent);
        self.record("new_question_one_participant", &involved);
        self.record("new_question_dense_only", &dense);
        Ok(())
    }

    /// The first and the second question that a system just opened is asked, each by
    /// itself, and the time from the second one on until a snapshot is there to answer.
    /// Each system is closed after a `pause`.
    async fn after_opening(&mut self, rounds: usize, suffix: &str, pause: Duration) -> Outcome {
        let [first, second, loaded] = [(); 3].map(|()| Samples::default());
        for _ in 0..rounds {
            let memory = self.database.open().await?;
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

    async fn write_then_recall(&mut self) -> Outcome {
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
        let subject = self.database.subject();
        let record = samples.record(subject, operation, self.size as u64);
        self.records.extend(record);
    }
}

async fn timed(memory: &MemorySystem, request: impl Into<RecallRequest>) -> MemoryResult<Duration> {
    let request = request.into().limit(LIMIT);
    let start = Instant::now();
    black_box(memory.recall(ENTITY, request).await?);
    Ok(start.elapsed())
}
