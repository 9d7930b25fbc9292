//! What was measured: written by the bench as JSON, read by the page.

use serde::{Deserialize, Serialize};

use super::stampede::Loads;
use super::store::Calls;

/// Everything that a run measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Whether it was the short run, whose figures are no good.
    pub quick: bool,
    /// What one look at the clock takes, in nanoseconds.
    pub clock_nanos: f64,
    /// How often the caches were right.
    pub ratios: Vec<Ratio>,
    /// What operations take.
    pub paces: Vec<PaceRow>,
    /// What the agent's life takes.
    pub lives: Vec<LifeRow>,
    /// Loads of a stampede.
    pub stampedes: Vec<StampedeRow>,
    /// Letting go of many, and bytes per entry.
    pub rooms: Vec<RoomRow>,
    /// What the store was asked with and without caches.
    pub statements: Vec<StatementsRow>,
}

/// How often a cache was right at one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The trace.
    pub work: String,
    /// The cache.
    pub cache: String,
    /// Its bound, as a share of all bytes that the trace reads, 0 to 1.
    pub share: f64,
    /// Reads that hit, 0 to 1.
    pub hits: f64,
    /// Bytes read from the cache, of all bytes read, 0 to 1.
    pub byte_hits: f64,
    /// Reads that hit, by tier, where there are several.
    pub tiers: Vec<(String, f64)>,
}

/// What an operation takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaceRow {
    /// The cache.
    pub cache: String,
    /// `get` or `insert`.
    pub operation: String,
    /// Threads at once.
    pub threads: usize,
    /// Nanoseconds.
    pub p50: f64,
    /// Nanoseconds.
    pub p99: f64,
}

/// What the agent's life takes on a cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LifeRow {
    /// The cache.
    pub cache: String,
    /// Its bound, as a share of all that the life reads, 0 to 1.
    pub share: f64,
    /// Reads of all tiers.
    pub reads: u64,
    /// Those that missed.
    pub misses: u64,
    /// What the cache itself took, in seconds.
    pub cache_seconds: f64,
}

impl LifeRow {
    /// Seconds for all of it, where a miss costs so many milliseconds:
    /// computed from the misses counted, and not slept.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a time for people to read")]
    pub fn seconds(&self, miss_millis: f64) -> f64 {
        self.cache_seconds + self.misses as f64 * miss_millis / 1_000.0
    }
}

/// Loads of a stampede.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StampedeRow {
    /// The cache.
    pub cache: String,
    /// What was loaded, for each tier.
    pub loads: Loads,
}

/// Memory, and letting go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoomRow {
    /// The cache.
    pub cache: String,
    /// Entries that were there to let go of.
    pub entries: u64,
    /// Entries of the tenant that went.
    pub removed: u64,
    /// Letting go of one tenant's entries, in microseconds.
    pub tenant_micros: f64,
    /// Letting go of all entries so that none is found, in milliseconds.
    pub clear_millis: f64,
    /// The same, until none is held, in milliseconds.
    pub settle_millis: f64,
    /// Bytes for each entry of 16 bytes.
    pub bytes_per_entry: f64,
}

/// What the store was asked during one life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatementsRow {
    /// The cache, or `none`.
    pub cache: String,
    /// What the store was asked.
    pub calls: Calls,
    /// Recalls of the life.
    pub recalls: u64,
    /// Memories read by id.
    pub gets: u64,
}
