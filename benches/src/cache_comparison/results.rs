//! The measured values: written by the bench as JSON, read by the report.

use serde::{Deserialize, Serialize};

use super::counting_store::StoreCalls;
use super::stampede::Loads;
use crate::records::Run;

/// Everything that a run measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// How and on what they were measured.
    pub run: Option<Run>,
    /// Whether this was the short run, whose values are not meaningful.
    pub quick: bool,
    /// The cost of one clock read, in nanoseconds.
    pub clock_nanos: f64,
    /// Hit ratios by trace, cache and size.
    pub hit_ratios: Vec<HitRatioRow>,
    /// Time per operation.
    pub latencies: Vec<LatencyRow>,
    /// Time for the recorded agent workload.
    pub agent_workloads: Vec<AgentWorkloadRow>,
    /// Loads caused by a stampede.
    pub stampedes: Vec<StampedeRow>,
    /// Bytes per entry, and the time to remove many entries.
    pub footprints: Vec<FootprintRow>,
    /// Store calls with and without caches.
    pub store_calls: Vec<StoreCallsRow>,
}

/// The hit ratio of a cache at one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitRatioRow {
    /// The trace.
    pub trace: String,
    /// The cache.
    pub cache: String,
    /// The cache's limit, as a share of all bytes that the trace reads, 0 to 1.
    pub share: f64,
    /// Reads that hit, 0 to 1.
    pub hits: f64,
    /// Bytes read from the cache, of all bytes read, 0 to 1.
    pub byte_hits: f64,
    /// Reads that hit, by tier, where there are several.
    pub tiers: Vec<(String, f64)>,
}

/// The time that an operation takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyRow {
    /// The cache.
    pub cache: String,
    /// `get` or `insert`.
    pub operation: String,
    /// Concurrent threads.
    pub threads: usize,
    /// Nanoseconds.
    pub p50: f64,
    /// Nanoseconds.
    pub p99: f64,
}

/// The agent workload replayed on a cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentWorkloadRow {
    /// The cache.
    pub cache: String,
    /// The cache's limit, as a share of all bytes that the workload reads, 0 to 1.
    pub share: f64,
    /// Reads of all tiers.
    pub reads: u64,
    /// Reads that missed.
    pub misses: u64,
    /// The time spent in the cache itself, in seconds.
    pub cache_seconds: f64,
}

impl AgentWorkloadRow {
    /// Seconds for the whole workload if a miss costs this many milliseconds:
    /// computed from the number of misses, without sleeping.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a time for a table")]
    pub fn seconds(&self, miss_millis: f64) -> f64 {
        self.cache_seconds + self.misses as f64 * miss_millis / 1_000.0
    }
}

/// Loads caused by a stampede.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StampedeRow {
    /// The cache.
    pub cache: String,
    /// Loads of each tier.
    pub loads: Loads,
}

/// Memory per entry, and removal times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FootprintRow {
    /// The cache.
    pub cache: String,
    /// Entries in the cache before the first removal.
    pub entries: u64,
    /// Entries removed with their tenant.
    pub removed: u64,
    /// Removing one tenant's entries, in microseconds.
    pub tenant_micros: f64,
    /// Clearing the cache until no entry can be read, in milliseconds.
    pub clear_millis: f64,
    /// Clearing the cache until no entry occupies memory, in milliseconds.
    pub clear_and_reclaim_millis: f64,
    /// Bytes for each entry of 16 bytes.
    pub bytes_per_entry: f64,
}

/// Store calls during one run of the agent workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoreCallsRow {
    /// The cache, or `none`.
    pub cache: String,
    /// The calls.
    pub calls: StoreCalls,
    /// Recalls of the workload.
    pub recalls: u64,
    /// Memories read by id.
    pub gets: u64,
}
