//! The load on one system.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use memory::{MemoryResult, MemorySystem};

use super::cases::{Arrivals, Case};
use super::database::url;
use super::requests::{Generator, OPERATIONS, Request};
use super::results::{CaseResult, Latency, TierReport};
use crate::metrics::{Timings, peak_memory_mib};

/// The part of the run before latencies and hits are counted.
const WARM_UP: f64 = 0.25;

/// Runs the load of a case on the database at `file`.
///
/// # Errors
/// Errors of opening the system; a failed request is counted.
pub async fn run(
    case: &Case,
    file: &Path,
    duration: Duration,
) -> Result<CaseResult, Box<dyn Error>> {
    let config = case.config()?;
    let memory = MemorySystem::builder()
        .url(url(file))
        .config(config)
        .build()
        .await?;
    let load = Arc::new(Load {
        memory,
        generator: Mutex::new(Generator::new(case.entities)?),
        measured: Mutex::new(Measured::default()),
        is_counting: AtomicBool::new(false),
    });
    let opened_rss_mib = resident_memory_mib().unwrap_or_default();

    let start = Instant::now();
    let (counting_from, end) = (start + duration.mul_f64(WARM_UP), start + duration);
    let observer = tokio::spawn({
        let load = Arc::clone(&load);
        async move {
            tokio::time::sleep_until(counting_from.into()).await;
            load.is_counting.store(true, Ordering::Relaxed);
            load.memory.cache_stats()
        }
    });
    match case.arrivals {
        Arrivals::PerMinute(rate) => load.run_open(rate, start, end).await,
        Arrivals::Callers(callers) => {
            let callers = (0..callers).map(|_| tokio::spawn(Arc::clone(&load).run_closed(end)));
            try_join_all(callers).await?;
        }
    }
    let seconds = counting_from.elapsed().as_secs_f64();
    let (before, after) = (observer.await?, load.memory.cache_stats());
    load.memory.close().await?;
    let measured = load.measured.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(CaseResult {
        case: case.clone(),
        seconds,
        requests: measured.counts.iter().sum(),
        failures: measured.failures,
        latencies: measured.latencies(),
        tiers: vec![
            TierReport::new("memory", before.memory, after.memory),
            TierReport::new("entity", before.entity, after.entity),
            TierReport::new("embedding", before.embedding, after.embedding),
        ],
        opened_rss_mib,
        peak_rss_mib: peak_memory_mib().unwrap_or_default(),
        limit: None,
    })
}

struct Load {
    memory: MemorySystem,
    generator: Mutex<Generator>,
    measured: Mutex<Measured>,
    is_counting: AtomicBool,
}

impl Load {
    /// Starts requests at equal intervals, and waits for the last.
    async fn run_open(self: &Arc<Self>, per_minute: u32, start: Instant, end: Instant) {
        let interval = Duration::from_secs(60) / per_minute.max(1);
        let mut pending = Vec::new();
        let mut due = start;
        while due < end {
            tokio::time::sleep_until(due.into()).await;
            let request = self.next_request();
            pending.push(tokio::spawn(Arc::clone(self).execute(request, due)));
            pending.retain(|request| !request.is_finished());
            due += interval;
        }
        for request in pending {
            // A request that panicked is missing in the counts.
            let _ = request.await;
        }
    }

    /// Executes one request after the other.
    async fn run_closed(self: Arc<Self>, end: Instant) {
        while Instant::now() < end {
            let request = self.next_request();
            Arc::clone(&self).execute(request, Instant::now()).await;
        }
    }

    fn next_request(&self) -> Request {
        self.generator
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    }

    async fn execute(self: Arc<Self>, request: Request, due: Instant) {
        let operation = request.operation();
        let outcome = request.execute(&self.memory).await;
        let latency = due.elapsed();
        if let Ok(Some((entity, id))) = &outcome {
            let mut generator = self
                .generator
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            generator.add(*entity, *id);
        }
        if self.is_counting.load(Ordering::Relaxed) {
            let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
            measured.add(operation, latency, &outcome);
        }
    }
}

/// Latencies by operation.
#[derive(Default)]
struct Measured {
    counts: [u64; OPERATIONS.len()],
    all: Timings,
    timings: [Timings; OPERATIONS.len()],
    failures: u64,
}

impl Measured {
    fn add<T>(&mut self, operation: usize, latency: Duration, outcome: &MemoryResult<T>) {
        self.counts[operation] += 1;
        self.failures += u64::from(outcome.is_err());
        self.all.push(latency);
        self.timings[operation].push(latency);
    }

    fn latencies(&self) -> Vec<Latency> {
        let all = Latency::new("all", self.counts.iter().sum(), &self.all);
        let each = OPERATIONS.iter().zip(&self.counts).zip(&self.timings);
        let each = each.map(|((name, count), timings)| Latency::new(name, *count, timings));
        [all].into_iter().chain(each).collect()
    }
}

/// The resident memory of this process in MiB; `None` other than on Linux.
fn resident_memory_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes / 1024)
}
