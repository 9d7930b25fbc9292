//! What metrics cost: a warm recall and a warm read with a recorder and without, in
//! turn within one run.
//!
//! `cargo bench --bench metrics_overhead`
//!
//! The recorder is that of the Prometheus exporter. It is installed for the thread
//! and not for the process, so that both ways run in one process; its calls are the
//! same. Each figure is the median over rounds; the ratio is the median of the ratios
//! of neighboring rounds, which a change of the machine's speed affects alike.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the figures are its output"
)]

use std::time::{Duration, Instant};

use memory::{AccessCounting, MemoryBatchItem, MemoryConfig, MemoryId, MemoryKind, MemorySystem};
use memory_benches::warm_up::load_snapshot;
use memory_metrics::{Operation, observe};
use memory_testkit::HashEmbedder;
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tokio::runtime::Runtime;

/// Rounds of each way.
const ROUNDS: usize = 301;

const QUESTION: &str = "who repaired the bridge by the mill?";

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let recorder = recorder();
    let handle = recorder.handle();
    println!("{:<28} {:>12} {:>12} {:>9}", "", "without", "with", "ratio");
    let empty = Bench {
        runtime: &runtime,
        recorder: &recorder,
        handle: &handle,
    };
    empty.compare("observe, doing nothing", 10_000, || {
        observe(Operation::Recall, async { Ok(()) })
    });
    for memories in [10, 100, 1_000, 10_000] {
        let (memory, id) = runtime.block_on(system(memories));
        let repeats = u32::try_from(20_000 / memories)
            .unwrap_or(500)
            .clamp(5, 500);
        empty.compare(&format!("recall at {memories}"), repeats, || async {
            memory.recall("mira", QUESTION).await.map(drop)
        });
        empty.compare(&format!("get_memory at {memories}"), 20_000, || async {
            memory.get_memory("mira", id).await.map(drop)
        });
        runtime.block_on(memory.close()).unwrap();
    }
}

/// The exporter's recorder, with our buckets.
fn recorder() -> PrometheusRecorder {
    let mut builder = PrometheusBuilder::new();
    for metric in memory::metrics::ALL {
        if !metric.buckets().is_empty() {
            let name = Matcher::Full(metric.name().to_owned());
            builder = builder
                .set_buckets_for_metric(name, metric.buckets())
                .unwrap();
        }
    }
    builder.build_recorder()
}

/// A system in memory whose tiers hold what is asked for.
async fn system(memories: usize) -> (MemorySystem, MemoryId) {
    let config = MemoryConfig {
        access_counting: AccessCounting::Off,
        ..MemoryConfig::default()
    };
    let memory = MemorySystem::builder()
        .url("sqlite::memory:")
        .embedder(HashEmbedder::new())
        .config(config)
        .build()
        .await
        .unwrap();
    let item = |n| {
        let content = format!("Day {n}: the horse crossed bridge {} by the mill.", n % 17);
        MemoryBatchItem::new("mira", MemoryKind::Experience, content)
    };
    let ids = memory.retain_batch((0..memories).map(item)).await.unwrap();
    load_snapshot(&memory, "mira", QUESTION).await.unwrap();
    memory.get_memory("mira", ids[0]).await.unwrap();
    let before = memory.cache_stats();
    memory.recall("mira", QUESTION).await.unwrap();
    memory.get_memory("mira", ids[0]).await.unwrap();
    let after = memory.cache_stats();
    assert!(after.entity.hits > before.entity.hits, "the recall is warm");
    assert!(after.memory.hits > before.memory.hits, "the read is warm");
    (memory, ids[0])
}

struct Bench<'a> {
    runtime: &'a Runtime,
    recorder: &'a PrometheusRecorder,
    handle: &'a PrometheusHandle,
}

impl Bench<'_> {
    /// Runs an operation with the recorder and without, in turn.
    fn compare<F>(&self, name: &str, repeats: u32, operation: impl Fn() -> F)
    where
        F: Future<Output = memory::MemoryResult<()>>,
    {
        let run = || {
            self.runtime.block_on(async {
                let started = Instant::now();
                for _ in 0..repeats {
                    operation().await.unwrap();
                }
                started.elapsed() / repeats
            })
        };
        let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let recorded = || metrics::with_local_recorder(self.recorder, run);
            // Neither is always the one that runs first.
            let (plain, measured) = if round % 2 == 0 {
                let plain = run();
                (plain, recorded())
            } else {
                let measured = recorded();
                (run(), measured)
            };
            // As the system and the exporter do every five seconds.
            metrics::with_local_recorder(self.recorder, memory::metrics::publish);
            self.handle.run_upkeep();
            ratios.push(measured.as_secs_f64() / plain.as_secs_f64());
            without.push(plain);
            with.push(measured);
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "{name:<28} {:>12?} {:>12?} {:>8.2} %",
            median(without),
            median(with),
            (ratios[ratios.len() / 2] - 1.0) * 100.0
        );
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
