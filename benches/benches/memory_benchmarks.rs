//! The verbs through the facade, on the embedded store in memory: what the
//! system itself costs. The embedder is the testkit's hashing one, so that no
//! model stands between; `conversation` measures with the real model.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot start may panic"
)]

use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use memory::{
    MemoryBatchItem, MemoryFilter, MemoryId, MemoryKind, MemorySystem, MemoryTagMode, RecallRequest,
};
use memory_testkit::HashEmbedder;
use tokio::runtime::Runtime;

const WORDS: [&str; 8] = [
    "mill", "river", "horse", "market", "bridge", "winter", "bread", "song",
];

fn item(n: usize) -> MemoryBatchItem {
    let text = format!("{} and {} on day {n}", WORDS[n % 8], WORDS[(n / 8) % 8]);
    MemoryBatchItem::new("mira", MemoryKind::Experience, text).with_tag(WORDS[n % 5])
}

/// A system with 384-dimensional vectors, as the default model's, and
/// `count` memories of one entity.
async fn system(count: usize) -> (MemorySystem, Vec<MemoryId>) {
    let memory = MemorySystem::builder()
        .url("sqlite::memory:")
        .embedder(Arc::new(HashEmbedder::new().with_dimensions(384)))
        .build()
        .await
        .unwrap();
    let ids = if count == 0 {
        Vec::new()
    } else {
        memory.retain_batch((0..count).map(item)).await.unwrap()
    };
    (memory, ids)
}

fn reads(c: &mut Criterion, runtime: &Runtime) {
    for count in [1_000, 10_000] {
        let (memory, ids) = runtime.block_on(system(count));
        let id = ids[count / 2];
        c.bench_function(&format!("get_memory/warm/{count}"), |b| {
            b.to_async(runtime).iter(|| memory.get_memory("mira", id));
        });
        c.bench_function(&format!("recall/warm/{count}"), |b| {
            b.to_async(runtime)
                .iter(|| memory.recall("mira", "horse at the market"));
        });
        let tagged = MemoryFilter::new().tags(["mill"], MemoryTagMode::AnyStrict);
        let request = RecallRequest::new("horse at the market").filter(tagged);
        c.bench_function(&format!("recall/warm, filtered by tag/{count}"), |b| {
            b.to_async(runtime)
                .iter(|| memory.recall("mira", request.clone()));
        });
        c.bench_function(&format!("recall/cold snapshot/{count}"), |b| {
            b.to_async(runtime).iter(|| {
                memory.invalidate_entity_cache("mira");
                memory.recall("mira", "horse at the market")
            });
        });
    }
}

fn writes(c: &mut Criterion, runtime: &Runtime) {
    for count in [1, 100, 1_000] {
        let (memory, _) = runtime.block_on(system(0));
        c.bench_function(&format!("retain_batch/{count}"), |b| {
            b.to_async(runtime).iter_batched(
                || (0..count).map(item).collect::<Vec<_>>(),
                |batch| memory.retain_batch(batch),
                BatchSize::SmallInput,
            );
        });
    }
    let (memory, _) = runtime.block_on(system(1_000));
    c.bench_function("retain one, recall one/1000", |b| {
        b.to_async(runtime).iter(|| async {
            memory
                .retain("mira", MemoryKind::Observation, "the mill stood still")
                .await
                .unwrap();
            memory.recall("mira", "mill").await.unwrap()
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
