//! The operations of the facade with its defaults (all-MiniLM-L6-v2 on ONNX
//! Runtime, moka) on SQLite in a file and on PostgreSQL.
//!
//! `cargo bench --bench memory_benchmarks [-- FILTER]`; for PostgreSQL,
//! `cargo xtask pg run -- cargo bench -p memory-benches --bench memory_benchmarks`.
//! Texts are those of [`memory_benches::short_texts`], about 14 tokens each. What
//! is measured as cold or warm is checked to be so by the counters of the tiers,
//! in every iteration.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark whose operations fail has no result"
)]

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use criterion::Criterion;
use memory::{
    CacheStats, Consistency, ListRequest, Memory, MemoryBatchItem, MemoryConfig, MemoryId,
    MemoryKind, MemorySystem, MemorySystemBuilder,
};
use memory_benches::recorded_criterion::{Case, RecordedCriterion};
use memory_benches::short_texts::ShortTexts;
use memory_benches::test_schema::{TestSchema, URL_ENV};
use memory_benches::warm_up::load_snapshot;
use memory_pg::PgOptions;

/// The entity that is read.
const READ: &str = "mira";
/// The entity that is written to.
const WRITTEN: &str = "tam";
/// Memories of the entity that is read.
const MEMORIES: usize = 1_000;
/// Memories retained in one call to prepare a system.
const BATCH: usize = 500;
/// The batches of the benchmarks.
const BATCHES: [u64; 3] = [10, 50, 100];
/// A question that is asked repeatedly.
const QUESTION: &str = "Who sold horses at the market?";

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    let mut bench = RecordedCriterion::start("memory_benchmarks", criterion)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("memory.db");
    let sqlite = MemorySystem::builder().url(format!("sqlite://{}", file.display()));
    let mut texts = ShortTexts::default();
    let system = Prepared::new(&bench, sqlite, "sqlite", &mut texts)?;
    embedding(&mut bench, &system.memory, &mut texts)?;
    operations(&mut bench, &system, &mut texts)?;
    bench.runtime().block_on(system.memory.close())?;

    if let Some(schema) = bench.runtime().block_on(TestSchema::create())? {
        let store = PgOptions::new().with_pool(schema.pool.clone());
        let store = bench.runtime().block_on(store)?;
        let postgres = MemorySystem::builder().store(store);
        let system = Prepared::new(&bench, postgres, "postgres", &mut texts)?;
        bench.runtime().block_on(schema.analyze())?;
        operations(&mut bench, &system, &mut texts)?;
        bench.runtime().block_on(system.memory.close())?;
        let system = system.bounded(&bench, &schema)?;
        recall_warm(&mut bench, &system)?;
        cache_hit(&mut bench, &system)?;
        bench.runtime().block_on(system.memory.close())?;
        bench.runtime().block_on(schema.remove())?;
    } else {
        println!("PostgreSQL is skipped: {URL_ENV} is not set (cargo xtask pg run -- …)");
    }
    bench.finish()
}

/// A system with [`MEMORIES`] memories.
struct Prepared {
    memory: MemorySystem,
    /// The backend of the store.
    subject: &'static str,
    ids: Vec<MemoryId>,
}

impl Prepared {
    fn new(
        bench: &RecordedCriterion,
        builder: MemorySystemBuilder,
        subject: &'static str,
        texts: &mut ShortTexts,
    ) -> Outcome<Self> {
        bench.runtime().block_on(async {
            let memory = builder.build().await?;
            let mut ids = Vec::new();
            while ids.len() < MEMORIES {
                ids.extend(
                    memory
                        .retain_batch(items(READ, &texts.texts(BATCH)))
                        .await?,
                );
            }
            Ok(Self {
                memory,
                subject,
                ids,
            })
        })
    }

    /// A system on the same schema whose reads may be a minute old, and so need
    /// no statement when they are cached.
    fn bounded(self, bench: &RecordedCriterion, schema: &TestSchema) -> Outcome<Self> {
        let config = MemoryConfig {
            consistency: Some(Consistency::Bounded(Duration::from_mins(1))),
            ..MemoryConfig::default()
        };
        let memory = bench.runtime().block_on(async {
            let store = PgOptions::new().with_pool(schema.pool.clone()).await?;
            let builder = MemorySystem::builder().store(store).config(config);
            builder.build().await
        })?;
        Ok(Self {
            memory,
            subject: "postgres, bounded",
            ids: self.ids,
        })
    }

    /// Empties the memory and entity tiers, but not the embedding tier.
    fn clear_store_backed(&self) {
        self.memory.invalidate_entity_cache(READ);
        for id in &self.ids {
            self.memory.invalidate_memory_cache(*id);
        }
    }

    fn case(&self, operation: &'static str) -> Case<'static> {
        Case {
            operation,
            subject: self.subject,
            size: 1,
            elements: 1,
        }
    }
}

fn items(entity: &str, texts: &[String]) -> Vec<MemoryBatchItem> {
    let item = |text: &String| MemoryBatchItem::new(entity, MemoryKind::Experience, text);
    texts.iter().map(item).collect()
}

fn embedding(
    bench: &mut RecordedCriterion,
    memory: &MemorySystem,
    texts: &mut ShortTexts,
) -> Outcome {
    for size in [1].into_iter().chain(BATCHES) {
        let operation = if size == 1 {
            "embedding_single/uncached"
        } else {
            "embedding_batch"
        };
        let case = Case {
            operation,
            subject: "onnx",
            size,
            elements: size,
        };
        bench.bench(case, async || {
            let batch = texts.texts(usize::try_from(size).unwrap());
            let before = memory.cache_stats();
            let start = Instant::now();
            black_box(memory.generate_embeddings_batch(&batch).await.unwrap());
            let duration = start.elapsed();
            let lookups = Lookups::between(before, memory.cache_stats());
            assert_eq!(lookups.embedding, (0, size), "hits and misses");
            duration
        })?;
    }
    let text = [texts.text()];
    bench.runtime().block_on(cache_vector(memory, &text))?;
    let before = memory.cache_stats();
    let case = Case {
        operation: "embedding_single/cached",
        subject: "onnx",
        size: 1,
        elements: 1,
    };
    bench.bench_short(case, async || {
        black_box(memory.generate_embeddings_batch(&text).await.unwrap());
    })?;
    let (_, misses) = Lookups::between(before, memory.cache_stats()).embedding;
    assert_eq!(misses, 0, "a cached text was embedded");
    Ok(())
}

/// Embeds a text until its vector is cached: a full tier admits a text only when
/// it was asked for repeatedly.
async fn cache_vector(memory: &MemorySystem, text: &[String]) -> Outcome {
    const ATTEMPTS: usize = 100;
    for _ in 0..ATTEMPTS {
        let before = memory.cache_stats();
        memory.generate_embeddings_batch(text).await?;
        if Lookups::between(before, memory.cache_stats()).embedding == (1, 0) {
            return Ok(());
        }
    }
    Err("the embedding tier did not admit the text".into())
}

fn operations(bench: &mut RecordedCriterion, system: &Prepared, texts: &mut ShortTexts) -> Outcome {
    retain(bench, system, texts)?;
    // Before the recalls: what they count is written in the background, which drops
    // the memories from the tier.
    cache(bench, system)?;
    recall(bench, system, texts)?;
    list(bench, system)
}

fn retain(bench: &mut RecordedCriterion, system: &Prepared, texts: &mut ShortTexts) -> Outcome {
    let memory = &system.memory;
    for size in [1].into_iter().chain(BATCHES) {
        let operation = if size == 1 {
            "retain_single"
        } else {
            "retain_batch"
        };
        let case = Case {
            size,
            elements: size,
            ..system.case(operation)
        };
        bench.bench(case, async || {
            let batch = items(WRITTEN, &texts.texts(usize::try_from(size).unwrap()));
            let before = memory.cache_stats();
            let start = Instant::now();
            black_box(memory.retain_batch(batch).await.unwrap());
            let duration = start.elapsed();
            let lookups = Lookups::between(before, memory.cache_stats());
            assert_eq!(lookups.embedding, (0, size), "hits and misses");
            duration
        })?;
    }
    Ok(())
}

fn recall(bench: &mut RecordedCriterion, system: &Prepared, texts: &mut ShortTexts) -> Outcome {
    let memory = &system.memory;
    let case = |operation| Case {
        size: MEMORIES as u64,
        ..system.case(operation)
    };
    bench.bench(case("recall_cold"), async || {
        memory.clear_all_caches();
        let (duration, lookups) = timed_recall(memory, QUESTION).await;
        assert_eq!(lookups.embedding, (0, 1), "the question is embedded");
        assert_eq!(lookups.entity, (0, 1), "there is no snapshot");
        assert_eq!(lookups.memory.0, 0, "no memory is cached");
        duration
    })?;
    bench.bench(case("recall_cold/embedded"), async || {
        system.clear_store_backed();
        let (duration, lookups) = timed_recall(memory, QUESTION).await;
        assert_eq!(lookups.embedding, (1, 0), "the question's vector is cached");
        assert_eq!(lookups.entity, (0, 1), "there is no snapshot");
        assert_eq!(lookups.memory.0, 0, "no memory is cached");
        duration
    })?;
    bench
        .runtime()
        .block_on(load_snapshot(memory, READ, QUESTION))?;
    bench.bench(case("recall_warm/new_question"), async || {
        let (duration, lookups) = timed_recall(memory, &texts.text()).await;
        assert_eq!(lookups.embedding, (0, 1), "the question is embedded");
        assert_eq!(lookups.entity, (1, 0), "the snapshot is cached");
        duration
    })?;
    recall_warm(bench, system)
}

fn recall_warm(bench: &mut RecordedCriterion, system: &Prepared) -> Outcome {
    let memory = &system.memory;
    let case = Case {
        size: MEMORIES as u64,
        ..system.case("recall_warm")
    };
    // The embedding tier is full of other questions, and need not admit another one.
    memory.clear_all_caches();
    bench
        .runtime()
        .block_on(load_snapshot(memory, READ, QUESTION))?;
    // The found memories are in their tier after a recall that the snapshot answered.
    bench.runtime().block_on(memory.recall(READ, QUESTION))?;
    bench.bench(case, async || {
        let (duration, lookups) = timed_recall(memory, QUESTION).await;
        assert_eq!(lookups.embedding, (1, 0), "the question's vector is cached");
        assert_eq!(lookups.entity, (1, 0), "the snapshot is cached");
        assert_eq!(lookups.memory.1, 0, "all recalled memories are cached");
        duration
    })
}

async fn timed_recall(memory: &MemorySystem, question: &str) -> (Duration, Lookups) {
    let before = memory.cache_stats();
    let start = Instant::now();
    let hits = memory.recall(READ, question).await.unwrap();
    let duration = start.elapsed();
    assert!(!hits.is_empty(), "a recall of {MEMORIES} memories has hits");
    (duration, Lookups::between(before, memory.cache_stats()))
}

fn list(bench: &mut RecordedCriterion, system: &Prepared) -> Outcome {
    let memory = &system.memory;
    let case = |operation| Case {
        size: MEMORIES as u64,
        elements: MEMORIES as u64,
        ..system.case(operation)
    };
    let list = async || {
        let start = Instant::now();
        let page = memory.list_memories(READ, ListRequest::new(MEMORIES)).await;
        let duration = start.elapsed();
        assert_eq!(page.unwrap().memories.len(), MEMORIES);
        duration
    };
    bench.bench(case("list_memories/uncached"), async || {
        memory.clear_all_caches();
        list().await
    })?;
    bench.runtime().block_on(list());
    bench.bench(case("list_memories/cached"), list)
}

fn cache(bench: &mut RecordedCriterion, system: &Prepared) -> Outcome {
    // By default a memory from PostgreSQL is read again, since others may write.
    if system.subject == "sqlite" {
        cache_hit(bench, system)?;
        hash_map(bench, system)?;
    }
    let memory = &system.memory;
    let id = system.ids[MEMORIES / 2];
    bench.bench(system.case("cache_operations/miss"), async || {
        memory.invalidate_memory_cache(id);
        let before = memory.cache_stats();
        let start = Instant::now();
        black_box(memory.get_memory(READ, id).await.unwrap());
        let duration = start.elapsed();
        let lookups = Lookups::between(before, memory.cache_stats());
        assert_eq!(lookups.memory, (0, 1), "hits and misses");
        duration
    })
}

fn cache_hit(bench: &mut RecordedCriterion, system: &Prepared) -> Outcome {
    let memory = &system.memory;
    let id = system.ids[MEMORIES / 2];
    bench.runtime().block_on(memory.get_memory(READ, id))?;
    let before = memory.cache_stats();
    bench.bench_short(system.case("cache_operations/hit"), async || {
        black_box(memory.get_memory(READ, id).await.unwrap());
    })?;
    let (_, misses) = Lookups::between(before, memory.cache_stats()).memory;
    assert_eq!(misses, 0, "a cached memory was read");
    Ok(())
}

/// What no cache in front of a store can be faster than.
fn hash_map(bench: &mut RecordedCriterion, system: &Prepared) -> Outcome {
    let id = system.ids[MEMORIES / 2];
    let memory = bench
        .runtime()
        .block_on(system.memory.get_memory(READ, id))?;
    let map: RwLock<HashMap<MemoryId, Arc<Memory>>> = RwLock::new([(id, memory)].into());
    let case = Case {
        subject: "hash map",
        ..system.case("cache_operations/hit")
    };
    bench.bench_short(case, async || {
        black_box(map.read().unwrap().get(black_box(&id)).cloned());
    })
}

/// Hits and misses of each tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lookups {
    memory: (u64, u64),
    entity: (u64, u64),
    embedding: (u64, u64),
}

impl Lookups {
    fn between(before: CacheStats, after: CacheStats) -> Self {
        let tier = |before: memory::TierStats, after: memory::TierStats| {
            (after.hits - before.hits, after.misses - before.misses)
        };
        Self {
            memory: tier(before.memory, after.memory),
            entity: tier(before.entity, after.entity),
            embedding: tier(before.embedding, after.embedding),
        }
    }
}
