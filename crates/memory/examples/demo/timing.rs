//! Timings, cold and warm, and the counters of the tiers.

use std::time::{Duration, Instant};

use memory::{CacheStats, MemoryId, MemorySystem, TierStats};

use crate::{Demo, MIRA, heading, questions};

/// Runs per warm timing; the median is printed.
const RUNS: usize = 200;

/// Gets that are timed together, because one takes about as long as reading the
/// clock.
const GETS_PER_RUN: u32 = 100;

/// Measures recall and get, and prints them with the import.
pub(crate) async fn measure(memory: &MemorySystem, ids: &[MemoryId], import: Duration) -> Demo {
    let cold = cold_recalls(memory).await?;
    let warm = warm_recalls(memory).await?;
    let gets = warm_gets(memory, ids).await?;

    heading("Latencies");
    let count = ids.len();
    row(
        "import",
        &format!("{:.0} memories/s", count as f64 / import.as_secs_f64()),
        &format!(
            "{count} in {}: embedded, in one transaction",
            millis(import)
        ),
    );
    row(
        "recall, cold",
        &millis(cold.median()),
        &format!(
            "query embedded, snapshot loaded; median of {}",
            cold.0.len()
        ),
    );
    row(
        "recall, warm",
        &micros(warm.median()),
        &format!("vector and snapshot held; median of {RUNS}"),
    );
    row("", &micros(warm.p95()), "95th percentile");
    row(
        "get_memory, warm",
        &format!("{} ns", gets.median().as_nanos()),
        &format!("median of {RUNS} runs of {GETS_PER_RUN}"),
    );
    print_caches(&memory.cache_stats());
    Ok(())
}

fn print_caches(stats: &CacheStats) {
    heading("Caches");
    println!(
        "{:<18}{:>9}{:>11}{:>9}{:>11}",
        "tier", "entries", "hits", "misses", "hit rate"
    );
    tier("memory", &stats.memory);
    tier("entity", &stats.entity);
    tier("embedding", &stats.embedding);
    println!("{:<18}{:>38.1} %", "all", 100.0 * stats.hit_rate());
}

/// Every question once, each with empty caches.
async fn cold_recalls(memory: &MemorySystem) -> Demo<Times> {
    let mut times = Vec::new();
    for request in questions::requests() {
        memory.clear_all_caches();
        let started = Instant::now();
        memory.recall(MIRA, request).await?;
        times.push(started.elapsed());
    }
    Ok(Times::new(times))
}

/// The questions in turn, each asked before.
async fn warm_recalls(memory: &MemorySystem) -> Demo<Times> {
    let requests = questions::requests();
    for request in &requests {
        memory.recall(MIRA, request.clone()).await?;
    }
    let mut times = Vec::new();
    for request in requests.iter().cycle().take(RUNS) {
        let request = request.clone();
        let started = Instant::now();
        memory.recall(MIRA, request).await?;
        times.push(started.elapsed());
    }
    Ok(Times::new(times))
}

/// One memory per run, each read before.
async fn warm_gets(memory: &MemorySystem, ids: &[MemoryId]) -> Demo<Times> {
    for id in ids {
        memory.get_memory(MIRA, *id).await?;
    }
    let mut times = Vec::new();
    for id in ids.iter().cycle().take(RUNS) {
        let started = Instant::now();
        for _ in 0..GETS_PER_RUN {
            memory.get_memory(MIRA, *id).await?;
        }
        times.push(started.elapsed() / GETS_PER_RUN);
    }
    Ok(Times::new(times))
}

/// Times, shortest first; never empty.
struct Times(Vec<Duration>);

impl Times {
    fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    fn p95(&self) -> Duration {
        self.0[self.0.len() * 95 / 100]
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", 1e3 * time.as_secs_f64())
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", 1e6 * time.as_secs_f64())
}

fn row(what: &str, time: &str, note: &str) {
    println!("{what:<18}{time:>18}   {note}");
}

fn tier(name: &str, stats: &TierStats) {
    let TierStats {
        entries,
        hits,
        misses,
        ..
    } = stats;
    let rate = 100.0 * stats.hit_rate();
    println!("{name:<18}{entries:>9}{hits:>11}{misses:>9}{rate:>9.1} %");
}
