//! What was measured, as it is kept in a JSON file. Times are in seconds unless a name
//! says otherwise, resident memory is in KiB.

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) run: Run,
    pub(super) ingest: Vec<Ingest>,
    pub(super) memory: ResidentMemory,
    pub(super) overhead: Overhead,
    pub(super) new_question: Latency,
    pub(super) get: Vec<Load>,
    pub(super) mixed: Mixed,
    pub(super) kill: Kill,
    pub(super) start: Vec<Start>,
    pub(super) transfer: Transfer,
    /// Of other products; empty if they were not measured.
    #[serde(default)]
    pub(super) peers: Vec<Peer>,
}

/// The time of a run, what it measured, and its texts.
#[derive(Serialize, Deserialize)]
pub(super) struct Run {
    /// In UTC.
    pub(super) time: String,
    /// Of the checkout that the command was built from; `None` for a given command, which
    /// does not say.
    pub(super) revision: Option<String>,
    /// Runnable threads on average over the minute before.
    pub(super) load: String,
    pub(super) texts: usize,
    pub(super) questions: usize,
    /// Whether the texts were generated.
    pub(super) is_generated: bool,
}

/// Storing every text once, with an empty database and empty caches.
#[derive(Serialize, Deserialize)]
pub(super) struct Ingest {
    pub(super) way: String,
    pub(super) texts: usize,
    pub(super) seconds: f64,
}

/// Resident memory of the server.
#[derive(Serialize, Deserialize)]
pub(super) struct ResidentMemory {
    pub(super) started: u64,
    pub(super) ingested: u64,
    pub(super) ingest_peak: u64,
}

/// What the server adds to a recall: one connection, one request at a time.
#[derive(Serialize, Deserialize)]
pub(super) struct Overhead {
    /// Recalls of repeated questions.
    pub(super) recall: Load,
    /// The facade's mean time for the same recalls, by the server's metrics.
    pub(super) facade_mean: f64,
    /// A request that the server answers without an operation.
    pub(super) empty: Load,
}

impl Overhead {
    /// The mean time of a recall that is not the facade's, loopback and client included.
    pub(super) fn added(&self) -> f64 {
        self.recall.mean() - self.facade_mean
    }
}

/// Requests by wrk.
#[derive(Serialize, Deserialize)]
pub(super) struct Load {
    pub(super) connections: u32,
    pub(super) requests: u32,
    pub(super) failed: u32,
    pub(super) seconds: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Load {
    pub(super) fn per_second(&self) -> f64 {
        f64::from(self.requests) / self.seconds
    }

    /// The mean time of a request where each connection sends the next one at once.
    pub(super) fn mean(&self) -> f64 {
        self.seconds * f64::from(self.connections) / f64::from(self.requests.max(1))
    }
}

/// Single requests by the bench itself.
#[derive(Serialize, Deserialize)]
pub(super) struct Latency {
    pub(super) requests: usize,
    pub(super) p50: f64,
    pub(super) p95: f64,
}

impl Latency {
    pub(super) fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let index = seconds.len().saturating_sub(1) * percent / 100;
            seconds.get(index).copied().unwrap_or_default()
        };
        Self {
            requests: seconds.len(),
            p50: at(50),
            p95: at(95),
        }
    }
}

/// Many connections that read, ask and write.
#[derive(Serialize, Deserialize)]
pub(super) struct Mixed {
    pub(super) load: Load,
    /// Memories that were written meanwhile.
    pub(super) retained: u64,
    pub(super) memory_before: u64,
    /// One value each second.
    pub(super) memory_during: Vec<u64>,
    pub(super) memory_after: u64,
}

/// Servers that were killed while clients wrote.
#[derive(Serialize, Deserialize)]
pub(super) struct Kill {
    pub(super) rounds: usize,
    pub(super) acknowledged: usize,
    /// Acknowledged before the kill in the median round.
    pub(super) acknowledged_before: usize,
    /// Acknowledged and not there, or there twice.
    pub(super) lost: usize,
    pub(super) repeated: usize,
}

/// From the start of a process to its first answers, in the median.
#[derive(Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) command: String,
    pub(super) runs: usize,
    /// Until it listens, or has answered the first request of the protocol.
    pub(super) ready: f64,
    /// Until a recall is answered.
    pub(super) recalled: f64,
}

/// An import and an export of many lines.
#[derive(Serialize, Deserialize)]
pub(super) struct Transfer {
    pub(super) lines: usize,
    pub(super) distinct_texts: usize,
    pub(super) bytes: u64,
    pub(super) import_seconds: f64,
    pub(super) export_seconds: f64,
    pub(super) memory_before: u64,
    pub(super) import_peak: u64,
    pub(super) export_peak: u64,
}

/// What another product takes for the same work. Nothing where it has no such form.
#[derive(Serialize, Deserialize)]
pub(super) struct Peer {
    pub(super) name: String,
    /// Texts per second, embedded by the product's own code.
    pub(super) ingest: Option<f64>,
    /// Texts per second, with vectors that it was given.
    pub(super) ingest_with_vectors: Option<f64>,
    /// p50 of a question with its vector.
    pub(super) query_with_vector: Option<f64>,
    /// p50 of a question that is embedded.
    pub(super) query: Option<f64>,
    /// From the start of the process to the answer to the first question.
    pub(super) start: Option<f64>,
    /// Resident memory after ingest and questions, of the process that has the data.
    pub(super) memory: Option<u64>,
}
