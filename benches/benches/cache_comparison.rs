//! Compares caches on the same work: hit ratios, latency, memory.
//!
//! `cargo bench -p memory-benches --bench cache_comparison -- [--quick] [--data FILE]
//! [--json FILE]`; `cargo xtask bench-report` runs it and writes the report.
//! FILE holds conversations in the LoCoMo format; without it (or the variable
//! `MEMORY_CONVERSATIONS`) the agent workload is skipped. Caches are registered
//! in `memory_benches::cache_comparison::registry`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program prints a report"
)]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use memory_benches::arguments::argument;
use memory_benches::cache_comparison::agent_workload::{self, WorkloadSize};
use memory_benches::cache_comparison::registry::{Experiment, run_on_each};
use memory_benches::cache_comparison::results::{
    AgentWorkloadRow, FootprintRow, HitRatioRow, LatencyRow, Results, StampedeRow, StoreCallsRow,
};
use memory_benches::cache_comparison::synthetic_traces::{self, Size};
use memory_benches::cache_comparison::third_party::NoBackend;
use memory_benches::cache_comparison::trace::Trace;
use memory_benches::cache_comparison::{footprint, latency, stampede};
use memory_benches::counting_allocator::{CountingAllocator, allocated, set_counting};
use memory_benches::locomo::{self, Conversation};
use memory_benches::records::Run;
use memory_core::CacheBackend;
use memory_moka::MokaBackend;
use memory_quick::QuickBackend;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Limits of the caches, as shares of all bytes that a trace reads.
const SHARES: [f64; 5] = [0.02, 0.05, 0.1, 0.2, 0.4];

/// The amount of work.
struct Effort {
    synthetic_traces: Size,
    /// The part of the conversations that is recorded as a trace.
    recorded: WorkloadSize,
    /// The part that also runs without a cache, which is slow.
    counted: WorkloadSize,
    /// Batches of operations timed by each thread.
    batches: usize,
    /// Entries in the cache from which a tenant is removed.
    removal_entries: u64,
    /// Entries in the cache whose memory is measured.
    footprint_entries: u64,
}

const FULL: Effort = Effort {
    synthetic_traces: Size {
        keys: 20_000,
        ops: 300_000,
    },
    recorded: WorkloadSize {
        conversations: 5,
        turns: 400,
    },
    counted: WorkloadSize {
        conversations: 1,
        turns: 300,
    },
    batches: 8_000,
    removal_entries: 1_000_000,
    footprint_entries: 200_000,
};

const QUICK: Effort = Effort {
    synthetic_traces: Size {
        keys: 2_000,
        ops: 20_000,
    },
    recorded: WorkloadSize {
        conversations: 2,
        turns: 60,
    },
    counted: WorkloadSize {
        conversations: 1,
        turns: 40,
    },
    batches: 300,
    removal_entries: 50_000,
    footprint_entries: 20_000,
};

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test` runs benches too, as a smoke test.
    let quick = flag("--quick") || !flag("--bench");
    let effort = if quick { QUICK } else { FULL };
    let data = argument("--data")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("MEMORY_CONVERSATIONS").map(PathBuf::from));
    let conversations = data.map_or_else(|| Ok(Vec::new()), |file| locomo::read(&file))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;

    let results = measure(&effort, &conversations, &runtime, quick)?;
    if let Some(file) = argument("--json") {
        std::fs::write(file, serde_json::to_vec_pretty(&results)?)?;
    }
    print!("{}", memory_benches::report::tables(&results));
    Ok(())
}

fn flag(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

fn measure(
    effort: &Effort,
    conversations: &[Conversation],
    runtime: &Runtime,
    quick: bool,
) -> Result<Results, Box<dyn Error>> {
    let mut results = Results {
        run: Some(Run::start("cache_comparison")),
        quick,
        clock_nanos: latency::clock_nanos(),
        ..Results::default()
    };
    let start = Instant::now();
    let done = |what: &str| eprintln!("{:>6.1} s: {what}", start.elapsed().as_secs_f64());

    let mut traces = synthetic_traces::all(effort.synthetic_traces);
    if conversations.is_empty() {
        eprintln!("no conversations: the agent workload is skipped (--data FILE)");
    } else {
        traces.push(runtime.block_on(agent_workload::record(conversations, effort.recorded))?);
        done("agent workload recorded");
        results.store_calls = store_calls(effort, conversations, runtime)?;
        done("store calls counted");
    }
    run_on_each(&mut Footprints(effort, &mut results.footprints))?;
    done("memory and removals measured");
    run_on_each(&mut Latencies(effort, &mut results.latencies))?;
    done("latency measured");
    run_on_each(&mut Stampedes(runtime, &mut results.stampedes))?;
    done("stampedes run");
    run_on_each(&mut Replays {
        traces: &traces,
        hit_ratios: &mut results.hit_ratios,
        agent_workloads: &mut results.agent_workloads,
    })?;
    done("traces replayed");
    Ok(results)
}

struct Replays<'a> {
    traces: &'a [Trace],
    hit_ratios: &'a mut Vec<HitRatioRow>,
    agent_workloads: &'a mut Vec<AgentWorkloadRow>,
}

impl Experiment for Replays<'_> {
    fn run<B: CacheBackend>(&mut self, backend: B) -> Result<(), Box<dyn Error>> {
        for trace in self.traces {
            for share in SHARES {
                let result = trace.replay(&backend, share);
                let names = trace.tiers.iter().enumerate();
                let tiers = names.map(|(n, tier)| (tier.clone(), result.hit_ratio_of(n)));
                self.hit_ratios.push(HitRatioRow {
                    trace: trace.name.clone(),
                    cache: backend.name().to_owned(),
                    share,
                    hits: result.hit_ratio(),
                    byte_hits: result.byte_hit_ratio(),
                    tiers: tiers.collect(),
                });
                if trace.tiers.len() > 1 {
                    self.agent_workloads.push(AgentWorkloadRow {
                        cache: backend.name().to_owned(),
                        share,
                        reads: result.reads(),
                        misses: result.total_misses(),
                        cache_seconds: result.elapsed.as_secs_f64(),
                    });
                }
            }
        }
        Ok(())
    }
}

struct Latencies<'a>(&'a Effort, &'a mut Vec<LatencyRow>);

impl Experiment for Latencies<'_> {
    fn run<B: CacheBackend>(&mut self, backend: B) -> Result<(), Box<dyn Error>> {
        let Self(effort, rows) = self;
        for threads in [1, 2, 4] {
            let gets = latency::gets(&backend, threads, effort.batches);
            let inserts = latency::inserts(&backend, threads, effort.batches);
            for (operation, latency) in [("get", gets), ("insert", inserts)] {
                rows.push(LatencyRow {
                    cache: backend.name().to_owned(),
                    operation: operation.to_owned(),
                    threads,
                    p50: latency.p50,
                    p99: latency.p99,
                });
            }
        }
        Ok(())
    }
}

struct Footprints<'a>(&'a Effort, &'a mut Vec<FootprintRow>);

impl Experiment for Footprints<'_> {
    fn run<B: CacheBackend>(&mut self, backend: B) -> Result<(), Box<dyn Error>> {
        let Self(effort, rows) = self;
        set_counting(true);
        let bytes_per_entry =
            footprint::bytes_per_entry(&backend, effort.footprint_entries, allocated);
        set_counting(false);
        let timing = footprint::time_removals(&backend, effort.removal_entries);
        rows.push(FootprintRow {
            cache: backend.name().to_owned(),
            entries: effort.removal_entries,
            removed: timing.removed,
            tenant_micros: timing.tenant.as_secs_f64() * 1e6,
            clear_millis: timing.clear.as_secs_f64() * 1e3,
            clear_and_reclaim_millis: timing.clear_and_reclaim.as_secs_f64() * 1e3,
            bytes_per_entry,
        });
        Ok(())
    }
}

struct Stampedes<'a>(&'a Runtime, &'a mut Vec<StampedeRow>);

impl Experiment for Stampedes<'_> {
    fn run<B: CacheBackend>(&mut self, backend: B) -> Result<(), Box<dyn Error>> {
        let Self(runtime, rows) = self;
        let cache = backend.name().to_owned();
        let loads = runtime.block_on(stampede::run(backend))?;
        rows.push(StampedeRow { cache, loads });
        Ok(())
    }
}

/// The agent workload with the workspace's own caches, and without a cache.
fn store_calls(
    effort: &Effort,
    conversations: &[Conversation],
    runtime: &Runtime,
) -> Result<Vec<StoreCallsRow>, Box<dyn Error>> {
    struct WorkloadRuns<'a>(
        &'a Effort,
        &'a [Conversation],
        &'a Runtime,
        Vec<StoreCallsRow>,
    );
    impl Experiment for WorkloadRuns<'_> {
        fn run<B: CacheBackend>(&mut self, backend: B) -> Result<(), Box<dyn Error>> {
            let Self(effort, conversations, runtime, rows) = self;
            let cache = backend.name().to_owned();
            let run = agent_workload::count(backend, conversations, effort.counted);
            let (calls, ops) = runtime.block_on(run)?;
            rows.push(StoreCallsRow {
                cache,
                calls,
                recalls: ops.recalls,
                gets: ops.gets,
            });
            Ok(())
        }
    }
    let mut runs = WorkloadRuns(effort, conversations, runtime, Vec::new());
    runs.run(NoBackend)?;
    runs.run(MokaBackend)?;
    runs.run(QuickBackend)?;
    Ok(runs.3)
}
