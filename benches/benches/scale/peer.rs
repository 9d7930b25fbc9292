//! The measurement of an alternative on the corpus.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Instant;

use async_trait::async_trait;
use memory_benches::corpus::Corpus;
use memory_benches::counting_allocator::{allocated, set_counting};
use memory_benches::records::Record;
use memory_benches::samples::Samples;
use memory_core::{EmbedRole, Embedder, MemoryBatchItem};

use super::exact_scan::ExactScan;
use super::{BATCH, LIMIT, Outcome, ROUNDS, embedder};

/// A memory or question with its vector.
pub(crate) struct Embedded<T> {
    pub(crate) value: T,
    pub(crate) vector: Vec<f32>,
}

/// An alternative. Memories are numbered in the order of their insertion.
#[async_trait]
pub(crate) trait Peer {
    /// The name in the records.
    fn subject(&self) -> &'static str;

    /// Inserts a batch; later searches see it.
    async fn insert(&mut self, batch: &[Embedded<MemoryBatchItem>]) -> Outcome;

    /// The numbers of the best memories, best first.
    async fn search(&self, question: &Embedded<String>) -> Outcome<Vec<usize>>;

    /// Removes the memory that was inserted last; `false` if this is not
    /// possible.
    async fn remove_last(&mut self) -> Outcome<bool>;

    /// Bytes on disk, if it is on disk.
    fn size_on_disk(&self) -> Outcome<Option<u64>>;
}

/// The corpus with vectors, and what an exact scan finds.
pub(crate) struct EmbeddedCorpus {
    memories: Vec<Embedded<MemoryBatchItem>>,
    /// Memories that are inserted one by one.
    further: Vec<Embedded<MemoryBatchItem>>,
    pub(crate) questions: Vec<Embedded<String>>,
    /// The numbers of the memories that an exact scan finds for each question.
    exact: Vec<BTreeSet<usize>>,
}

impl EmbeddedCorpus {
    pub(crate) async fn new(size: usize) -> Outcome<Self> {
        let mut corpus = Corpus::new();
        let memories = embed(corpus.memories(size), |item| &item.content).await?;
        let questions = (0..ROUNDS).map(|_| corpus.question()).collect();
        let questions = embed(questions, |question| question).await?;
        let further = embed(corpus.memories(ROUNDS), |item| &item.content).await?;
        let mut scan = ExactScan::default();
        scan.insert(&memories).await?;
        let mut exact = Vec::new();
        for question in &questions {
            exact.push(scan.search(question).await?.into_iter().collect());
        }
        Ok(Self {
            memories,
            further,
            questions,
            exact,
        })
    }

    pub(crate) async fn measure(&self, mut peer: impl Peer) -> Outcome<Vec<Record>> {
        let size = self.memories.len();
        let insert = Samples::default();
        set_counting(true);
        let before = allocated();
        for batch in self.memories.chunks(BATCH) {
            let start = Instant::now();
            peer.insert(batch).await?;
            insert.push(start.elapsed() / u32::try_from(batch.len())?);
        }
        let held = u64::try_from(allocated() - before).unwrap_or(0);
        set_counting(false);

        let search = Samples::default();
        let mut found = Vec::new();
        for question in &self.questions {
            let start = Instant::now();
            found.push(black_box(peer.search(question).await?));
            search.push(start.elapsed());
        }
        let disk = peer.size_on_disk()?;

        let (retained, forgotten) = (Samples::default(), Samples::default());
        for (memory, question) in self.further.chunks(1).zip(&self.questions) {
            let start = Instant::now();
            peer.insert(memory).await?;
            black_box(peer.search(question).await?);
            retained.push(start.elapsed());
            let start = Instant::now();
            if peer.remove_last().await? {
                black_box(peer.search(question).await?);
                forgotten.push(start.elapsed());
            }
        }

        let subject = peer.subject();
        let timings = [
            ("insert", insert),
            ("new_question", search),
            ("retain_then_recall", retained),
            ("forget_then_recall", forgotten),
        ];
        let timings = timings
            .iter()
            .filter_map(|(operation, samples)| samples.record(subject, operation, size as u64));
        let mut records: Vec<Record> = timings.collect();
        let sizes = [("ram_per_memory", Some(held)), ("disk_per_memory", disk)];
        for (operation, bytes) in sizes {
            if let Some(bytes) = bytes {
                let record = Record::new(subject, operation, size as u64);
                records.push(record.with(Record::BYTES, ratio(bytes, size)));
            }
        }
        records.push(self.agreement(subject, &found));
        Ok(records)
    }

    /// The share of what an exact scan finds for each question in the numbers that were
    /// found for it.
    pub(crate) fn agreement(&self, subject: &str, found: &[Vec<usize>]) -> Record {
        let both = found.iter().zip(&self.exact);
        let both = both.flat_map(|(found, exact)| found.iter().filter(|it| exact.contains(it)));
        let size = self.memories.len();
        let share = ratio(both.count() as u64, LIMIT.min(size) * self.questions.len());
        Record::new(subject, "agrees_with_exact", size as u64).with("share", share)
    }
}

async fn embed<T>(values: Vec<T>, text: impl Fn(&T) -> &String) -> Outcome<Vec<Embedded<T>>> {
    let embedder = embedder();
    let mut embedded = Vec::with_capacity(values.len());
    for value in values {
        let text = text(&value).clone();
        let mut vectors = embedder.embed(&[text.as_str()], EmbedRole::Passage).await?;
        let vector = vectors.pop().ok_or("no vector")?;
        embedded.push(Embedded { value, vector });
    }
    Ok(embedded)
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for a table")]
fn ratio(count: u64, divisor: usize) -> f64 {
    count as f64 / divisor.max(1) as f64
}

/// The reciprocal rank fusion of two lists of numbers, best first.
///
/// Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet"
/// (2009), with their constant of 60.
pub(crate) fn fuse(lists: [Vec<usize>; 2]) -> Vec<usize> {
    let mut scores = std::collections::HashMap::<usize, f32>::new();
    for list in lists {
        let mut rank = 60.0;
        for number in list {
            rank += 1.0;
            *scores.entry(number).or_default() += 1.0 / rank;
        }
    }
    let mut fused: Vec<(usize, f32)> = scores.into_iter().collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    fused.truncate(LIMIT);
    fused.into_iter().map(|(number, _)| number).collect()
}
