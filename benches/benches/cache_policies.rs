//! What other policies of the tiers would win over the fixed defaults, on four
//! workloads: agents that live on, many entities in turn, a scan, bursts.
//!
//! `cargo bench -p memory-benches --bench cache_policies -- [--small] [--only WORKLOAD]
//! [--json FILE]`
//!
//! Everything but the shares of the time is a count, which hardly depends on the machine
//! and its load. The policies, and the results:
//! `memory_benches::cache_policies`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program prints a report"
)]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_benches::arguments::argument;
use memory_benches::cache_policies::budget;
use memory_benches::cache_policies::repetition::CountingReranker;
use memory_benches::cache_policies::replay::{Database, ReplayOptions};
use memory_benches::cache_policies::tables::{self, PairsRow, PresetRow, RepetitionRow, Results};
use memory_benches::cache_policies::workloads::{self, Size};
use memory_core::{MemoryConfig, Reranker};
use memory_moka::MokaBackend;

/// Budgets, as shares of all bytes that a trace reads.
const SHARES: [f64; 5] = [0.02, 0.05, 0.1, 0.2, 0.4];

/// Steps of the clock, in seconds; 0 is the clock as it is.
const CLOCK_STEPS: [u32; 2] = [0, 60];

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test` runs benches too, as a smoke test.
    let size = match (flag("--bench"), flag("--small")) {
        (false, _) => Size::TINY,
        (true, true) => Size::SMALL,
        (true, false) => Size::FULL,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let results = runtime.block_on(measure(size))?;
    if let Some(file) = argument("--json") {
        std::fs::write(file, serde_json::to_vec_pretty(&results)?)?;
    }
    print!("{}", tables::markdown(&results));
    Ok(())
}

async fn measure(size: Size) -> Result<Results, Box<dyn Error>> {
    let start = Instant::now();
    let done = |what: &str, name: &str| {
        eprintln!("{:>6.1} s: {name}: {what}", start.elapsed().as_secs_f64());
    };
    let mut results = Results::default();
    let only = argument("--only");
    for workload in workloads::all(size) {
        let name = workload.name;
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let database = Database::create(workload).await?;
        done("database filled", name);
        for (preset, config) in [
            ("default", MemoryConfig::default()),
            ("low_memory", MemoryConfig::low_memory()),
        ] {
            let options = ReplayOptions {
                config: without_expiry(config),
                ..ReplayOptions::default()
            };
            results.presets.push(PresetRow {
                workload: name.to_owned(),
                preset: preset.to_owned(),
                counts: database.replay(MokaBackend, &options).await?,
            });
            done(preset, name);
        }
        for clock_step in CLOCK_STEPS {
            let options = ReplayOptions {
                config: without_expiry(MemoryConfig::default()),
                clock_step,
                ..ReplayOptions::default()
            };
            results.repetition.push(RepetitionRow {
                workload: name.to_owned(),
                clock_step,
                counts: database.replay(MokaBackend, &options).await?,
            });
            done("answers compared", name);
        }
        let reranker = Arc::new(CountingReranker::default());
        let options = ReplayOptions {
            config: without_expiry(MemoryConfig::default()),
            reranker: Some(Arc::clone(&reranker) as Arc<dyn Reranker>),
            ..ReplayOptions::default()
        };
        let counts = database.replay(MokaBackend, &options).await?;
        let (read, distinct) = reranker.pairs();
        results.pairs.push(PairsRow {
            workload: name.to_owned(),
            recalls: counts.repetition.recalls,
            read,
            distinct,
        });
        done("pairs of a reranker counted", name);
        let trace = database.record().await?;
        for share in SHARES {
            results.divisions.push(budget::compare(&trace, share)?);
        }
        done("budgets divided", name);
        results.restarts.push(database.restart().await?);
        done("started again", name);
    }
    Ok(results)
}

/// The same sizes; lifetimes go by the real clock, which a replay does not wait for.
fn without_expiry(config: MemoryConfig) -> MemoryConfig {
    let day = Duration::from_secs(86_400);
    config
        .with_cache_ttl(day)
        .with_cache_tti(day)
        .with_embedding_cache_ttl(day)
}

fn flag(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}
