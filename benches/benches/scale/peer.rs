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

/// The record of the share of the nearest memories that were found, and its value.
const AGREEMENT: &str = "agrees_with_exact";
const SHARE: &str = "share";

/// The share of the nearest memories that was found, by these records.
#[cfg(feature = "peers")]
pub(crate) fn share_found(records: &[Record]) -> Option<f64> {
    let agreement = records.iter().find(|record| record.operation == AGREEMENT);
    agreement.and_then(|record| record.get(SHARE))
}

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

    /// The numbers of the memories with the nearest vectors, nearest first.
    async fn nearest(&self, question: &Embedded<String>) -> Outcome<Vec<usize>>;

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

    /// All measurements of a peer.
    pub(crate) async fn measure(&self, mut peer: impl Peer) -> Outcome<Vec<Record>> {
        let mut records = self.fill(&mut peer).await?;
        records.extend(self.ask(&peer).await?);
        records.extend(self.change(&mut peer).await?);
        Ok(records)
    }

    /// Inserts the memories.
    pub(crate) async fn fill(&self, peer: &mut impl Peer) -> Outcome<Vec<Record>> {
        let (subject, size) = (peer.subject(), self.size());
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
        let mut records = Vec::from_iter(insert.record(subject, "insert", size));
        let sizes = [
            ("ram_per_memory", Some(held)),
            ("disk_per_memory", peer.size_on_disk()?),
        ];
        for (operation, bytes) in sizes {
            if let Some(bytes) = bytes {
                let record = Record::new(subject, operation, size);
                records.push(record.with(Record::BYTES, ratio(bytes, self.memories.len())));
            }
        }
        Ok(records)
    }

    /// Asks a peer that has these memories and no others.
    pub(crate) async fn ask(&self, peer: &impl Peer) -> Outcome<Vec<Record>> {
        let (subject, size) = (peer.subject(), self.size());
        let [search, nearest] = [(); 2].map(|()| Samples::default());
        let mut found = Vec::new();
        for question in &self.questions {
            let start = Instant::now();
            black_box(peer.search(question).await?);
            search.push(start.elapsed());
            let start = Instant::now();
            found.push(black_box(peer.nearest(question).await?));
            nearest.push(start.elapsed());
        }
        let timings = [
            search.record(subject, "new_question", size),
            nearest.record(subject, "new_question_dense_only", size),
        ];
        let agreement = self.agreement(subject, &found);
        Ok(timings.into_iter().flatten().chain([agreement]).collect())
    }

    /// Inserts and removes memories one by one, and asks after each.
    pub(crate) async fn change(&self, peer: &mut impl Peer) -> Outcome<Vec<Record>> {
        let (subject, size) = (peer.subject(), self.size());
        let [retained, forgotten] = [(); 2].map(|()| Samples::default());
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
        let timings = [
            retained.record(subject, "retain_then_recall", size),
            forgotten.record(subject, "forget_then_recall", size),
        ];
        Ok(timings.into_iter().flatten().collect())
    }

    /// The share of the [`LIMIT`] nearest memories that were found, by question.
    pub(crate) fn agreement(&self, subject: &str, found: &[Vec<usize>]) -> Record {
        let both = found.iter().zip(&self.exact);
        let both = both.flat_map(|(found, exact)| found.iter().filter(|it| exact.contains(it)));
        let nearest = LIMIT.min(self.memories.len()) * self.questions.len();
        let share = ratio(both.count() as u64, nearest);
        Record::new(subject, AGREEMENT, self.size()).with(SHARE, share)
    }

    fn size(&self) -> u64 {
        self.memories.len() as u64
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
