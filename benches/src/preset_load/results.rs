//! The results of the load test, as JSON.

use memory::TierStats;
use serde::{Deserialize, Serialize};

use super::cases::Case;
use crate::metrics::Timings;

/// The results of all cases.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// One for each case.
    pub cases: Vec<CaseResult>,
}

/// The result of one case.
#[derive(Debug, Serialize, Deserialize)]
pub struct CaseResult {
    /// What was measured.
    pub case: Case,
    /// Duration of the measurement, the warm-up apart.
    pub seconds: f64,
    /// Requests answered.
    pub requests: u64,
    /// Requests that failed.
    pub failures: u64,
    /// All operations together, then each.
    pub latencies: Vec<Latency>,
    /// The three tiers.
    pub tiers: Vec<TierReport>,
    /// Resident memory after opening, in MiB.
    pub opened_rss_mib: u64,
    /// Largest resident memory, in MiB.
    pub peak_rss_mib: u64,
    /// The kernel's limit, if there is one.
    pub limit: Option<LimitReport>,
}

/// Latencies of an operation in microseconds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Latency {
    /// Its name, or `all`.
    pub operation: String,
    /// Number of requests.
    pub count: u64,
    /// Percentiles.
    pub p50_us: u64,
    /// 95th percentile.
    pub p95_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
}

impl Latency {
    pub(super) fn new(operation: &str, count: u64, timings: &Timings) -> Self {
        let at = |p| u64::try_from(timings.percentile(p).as_micros()).unwrap_or(u64::MAX);
        Self {
            operation: operation.to_owned(),
            count,
            p50_us: at(0.5),
            p95_us: at(0.95),
            p99_us: at(0.99),
        }
    }
}

/// A tier during the measurement.
#[derive(Debug, Serialize, Deserialize)]
pub struct TierReport {
    /// Its name.
    pub tier: String,
    /// Hits among all lookups, 0 to 1.
    pub hit_rate: f64,
    /// Lookups.
    pub lookups: u64,
    /// Entries at the end.
    pub entries: u64,
    /// Bytes at the end.
    pub bytes: u64,
    /// Entries evicted.
    pub evictions: u64,
}

impl TierReport {
    pub(super) fn new(tier: &str, before: TierStats, after: TierStats) -> Self {
        let (mut during, hits, misses) = (
            TierStats::default(),
            after.hits - before.hits,
            after.misses - before.misses,
        );
        (during.hits, during.misses) = (hits, misses);
        Self {
            tier: tier.to_owned(),
            hit_rate: during.hit_rate(),
            lookups: hits + misses,
            entries: after.entries,
            bytes: after.bytes,
            evictions: after.evictions - before.evictions,
        }
    }
}

/// A limit that the kernel enforced.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LimitReport {
    /// How it is enforced.
    pub mechanism: String,
    /// The limit in bytes.
    pub bytes: u64,
    /// The most that the kernel charged, page cache included; where it is known.
    pub peak_bytes: Option<u64>,
}
