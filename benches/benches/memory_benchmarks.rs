//! The operations of the facade on the embedded store in memory: the cost of the
//! system itself. The embedder is the testkit's hashing one, so that no model is
//! included; the bench `conversation` includes the real model.
//!
//! The corpus is that of [`memory_benches::corpus`]. `--quick` is criterion's
//! short run.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot start may panic"
)]

use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use memory::{MemoryFilter, MemoryId, MemoryKind, MemorySystem, MemoryTagMode, RecallRequest};
use memory_benches::corpus::{Corpus, ENTITY, TAGS};
use memory_testkit::HashEmbedder;
use tokio::runtime::Runtime;

/// A question that is recalled repeatedly.
const QUESTION: &str = "bababa fababa kababa babeba faboba tavola";

/// A system with 384-dimensional vectors, like those of the default model, and
/// `count` memories of one entity.
async fn system(count: usize) -> (MemorySystem, Corpus, Vec<MemoryId>) {
    let memory = MemorySystem::builder()
        .url("sqlite::memory:")
        .embedder(Arc::new(HashEmbedder::new().with_dimensions(384)))
        .build()
        .await
        .unwrap();
    let mut corpus = Corpus::new();
    let mut ids = Vec::new();
    while ids.len() < count {
        let batch = corpus.memories(1_000.min(count - ids.len()));
        ids.extend(memory.retain_batch(batch).await.unwrap());
    }
    (memory, corpus, ids)
}

fn reads(c: &mut Criterion, runtime: &Runtime) {
    for count in [1_000, 10_000] {
        let (memory, mut corpus, ids) = runtime.block_on(system(count));
        let id = ids[count / 2];
        c.bench_function(&format!("get_memory/warm/{count}"), |b| {
            b.to_async(runtime).iter(|| memory.get_memory(ENTITY, id));
        });
        c.bench_function(&format!("recall/warm/{count}"), |b| {
            b.to_async(runtime).iter(|| memory.recall(ENTITY, QUESTION));
        });
        let tagged = MemoryFilter::new().tags([TAGS[0]], MemoryTagMode::AnyStrict);
        let request = RecallRequest::new(QUESTION).filter(tagged);
        c.bench_function(&format!("recall/warm, filtered by tag/{count}"), |b| {
            b.to_async(runtime)
                .iter(|| memory.recall(ENTITY, request.clone()));
        });
        c.bench_function(&format!("recall/new question/{count}"), |b| {
            b.to_async(runtime).iter_batched(
                || corpus.question(),
                |question| memory.recall(ENTITY, question),
                BatchSize::SmallInput,
            );
        });
        c.bench_function(&format!("recall/cold snapshot/{count}"), |b| {
            b.to_async(runtime).iter(|| {
                memory.invalidate_entity_cache(ENTITY);
                memory.recall(ENTITY, QUESTION)
            });
        });
    }
}

fn writes(c: &mut Criterion, runtime: &Runtime) {
    for count in [1, 10, 50, 100, 1_000] {
        let (memory, mut corpus, _) = runtime.block_on(system(0));
        c.bench_function(&format!("retain_batch/{count}"), |b| {
            b.to_async(runtime).iter_batched(
                || corpus.memories(count),
                |batch| memory.retain_batch(batch),
                BatchSize::SmallInput,
            );
        });
    }
    let (memory, ..) = runtime.block_on(system(1_000));
    c.bench_function("retain one, recall one/1000", |b| {
        b.to_async(runtime).iter(|| async {
            memory
                .retain(ENTITY, MemoryKind::Observation, "the mill stood still")
                .await
                .unwrap();
            memory.recall(ENTITY, "mill").await.unwrap()
        });
    });
}

fn benchmarks(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    reads(c, &runtime);
    writes(c, &runtime);
}

criterion_group!(memory_benchmarks, benchmarks);
criterion_main!(memory_benchmarks);
