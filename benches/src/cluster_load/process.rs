//! A process of the load: opens the system, works, and closes it.

use std::error::Error;
use std::io::{self, BufRead};
use std::sync::Arc;
use std::time::Duration;

use memory::{Consistency, MemoryConfig, MemorySystem};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};

use super::content::embedder;
use super::event::{Counts, Event, EventSink, ParentPipe, micros};
use super::worker::{TestFault, Worker, WorkerOptions};

/// How long a call waits for the shared cache: with the default, a machine that is this
/// busy would share nothing.
const SHARED_CACHE_BUDGET: Duration = Duration::from_millis(50);

/// How often counters are recorded: those of a process that is killed are not lost.
const COUNTS_INTERVAL: Duration = Duration::from_secs(2);

/// The servers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Servers {
    /// The URL of the primary.
    pub postgres: String,
    /// The URL of its standby.
    pub standby: String,
    /// The URL of the shared cache.
    pub valkey: String,
}

impl Servers {
    /// The URL of a PostgreSQL server for another role, so that its statements are
    /// counted apart.
    #[must_use]
    pub fn as_role(url: &str, role: &str) -> String {
        let (path, parameters) = url.split_once('?').unwrap_or((url, ""));
        let others = parameters.split('&').filter(|it| !it.starts_with("user="));
        let parameters: Vec<&str> = others.collect();
        format!("{path}?{}&user={role}", parameters.join("&"))
    }
}

/// Runs the process until its parent closes stdin.
///
/// # Errors
/// If the system cannot be opened or closed, or the parent is gone.
pub async fn run_process(
    options: WorkerOptions,
    servers: &Servers,
    bound: Duration,
) -> Result<(), Box<dyn Error>> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| "a recorder of metrics is there")?;
    let role = options.kind.name();
    let consistency = match (options.test_fault, bound) {
        (Some(TestFault::StaleReads), _) => Some(Consistency::Local),
        (_, Duration::ZERO) => None,
        (_, bound) => Some(Consistency::Bounded(bound)),
    };
    let memory = MemorySystem::builder()
        .url(Servers::as_role(&servers.postgres, role))
        .replicas([Servers::as_role(&servers.standby, role)])
        .shared_cache_url(&servers.valkey)
        .shared_cache_budget(SHARED_CACHE_BUDGET)
        .embedder(embedder())
        .config(MemoryConfig {
            consistency,
            ..MemoryConfig::default()
        })
        .build()
        .await?;
    let sink = ParentPipe;
    sink.record(Event::Opened {
        bound: micros(bound),
    })?;
    let worker = Worker::new(options, memory.clone(), sink);
    read_requests(&worker);
    let counting = tokio::spawn({
        let (worker, metrics) = (Arc::clone(&worker), metrics.clone());
        async move {
            loop {
                tokio::time::sleep(COUNTS_INTERVAL).await;
                if worker.record_counts(counts(&metrics)).is_err() {
                    return;
                }
            }
        }
    });
    worker.run().await?;
    counting.abort();
    worker.record_counts(counts(&metrics))?;
    memory.close().await?;
    ParentPipe.record(Event::Closed)?;
    Ok(())
}

/// Takes requests from stdin in a thread, and stops the worker when it is closed.
fn read_requests(worker: &Arc<Worker<ParentPipe>>) {
    let worker = Arc::clone(worker);
    std::thread::spawn(move || {
        let lines = io::stdin().lock().lines().map_while(Result::ok);
        for line in lines {
            if let Ok(request) = serde_json::from_str(&line) {
                worker.requests.push(request);
            }
        }
        worker.stop();
    });
}

/// The counters that only metrics have.
fn counts(metrics: &PrometheusHandle) -> Counts {
    memory::metrics::publish();
    let text = metrics.render();
    let sum = |name: &str, label: &str| {
        let lines = text.lines();
        let values = lines.filter_map(|line| {
            let (key, value) = line.rsplit_once(' ')?;
            let is_wanted = key.split('{').next() == Some(name) && key.contains(label);
            value.parse::<u64>().ok().filter(|_| is_wanted)
        });
        values.sum::<u64>()
    };
    let (replica, served) = ("memory_store_replica_reads", "outcome=\"served\"");
    Counts {
        shared: (
            sum("memory_shared_cache_hits", ""),
            sum("memory_shared_cache_misses", ""),
        ),
        shared_failures: sum("memory_shared_cache_failures", ""),
        replica: (
            sum(replica, served),
            sum(replica, "") - sum(replica, served),
        ),
        ..Counts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_of_a_url_is_replaced() {
        let url = "postgres:///memory?host=/tmp/a&user=memory";
        assert_eq!(
            Servers::as_role(url, "recall"),
            "postgres:///memory?host=/tmp/a&user=recall"
        );
    }
}
