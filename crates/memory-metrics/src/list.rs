//! The list of all metrics.

use metrics::Unit;

use crate::aggregate::Distribution;
use crate::metric::{Metric, MetricKind};

/// Declares metrics as statics, and [`ALL`].
macro_rules! metrics {
    ($($kind:ident $id:ident = $name:literal [$unit:ident; $($label:literal),*] $description:literal
        $(in $buckets:expr)?;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $description)]
            pub static $id: Metric = Metric {
                name: $name,
                kind: MetricKind::$kind,
                unit: Unit::$unit,
                labels: &[$($label),*],
                description: $description,
                buckets: metrics!(@buckets $($buckets)?),
            };
        )*

        /// Every metric of the system.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
    (@buckets) => { &[] };
    (@buckets $buckets:expr) => { $buckets };
}

/// Seconds: from a warm recall of a small entity to a call of a language model.
/// Around each limit that alerts use (0.1 s, 1 s) the buckets are close enough for
/// a quantile to be meaningful.
const DURATIONS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
    0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Hits of a recall: up to the largest limit.
const RESULTS: &[f64] = &[0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1_000.0];

/// Bytes of a snapshot: from a few memories to a hundred thousand.
const BYTES: &[f64] = &[
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
];

/// Writes that a snapshot lacked.
const GENERATIONS: &[f64] = &[0.0, 1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 1_000.0];

metrics! {
    Counter OPERATIONS = "memory.operations.total" [Count; "operation", "outcome"]
        "Operations that ended, by outcome: ok, an error kind, or canceled where the caller dropped the future.";
    Histogram OPERATION_DURATION = "memory.operation.duration" [Seconds; "operation"]
        "How long an operation took. A get_memory that the memory tier answers is counted and not timed."
        in DURATIONS;

    Counter CACHE_HITS = "memory.cache.hits" [Count; "type"]
        "Look-ups that a tier answered.";
    Counter CACHE_MISSES = "memory.cache.misses" [Count; "type"]
        "Look-ups that a tier could not answer.";
    Counter CACHE_LOADS = "memory.cache.loads" [Count; "type"]
        "Loads from the store or the embedder that misses led to.";
    Counter CACHE_COALESCED_LOADS = "memory.cache.coalesced_loads" [Count; "type"]
        "Misses that waited for a load that was already running.";
    Counter CACHE_EVICTIONS = "memory.cache.evictions" [Count; "type"]
        "Entries removed because the tier was full or they expired.";
    Counter CACHE_INVALIDATIONS = "memory.cache.invalidations" [Count; "type"]
        "Entries dropped or replaced because of a write.";
    Counter CACHE_STALE_FILLS_REFUSED = "memory.cache.stale_fills_refused" [Count; "type"]
        "Loads that a write overtook: their callers were answered, and nothing was cached.";
    Gauge CACHE_SIZE = "memory.cache.size" [Count; "type"]
        "Entries in a tier.";
    Gauge CACHE_BYTES = "memory.cache.bytes" [Bytes; "type"]
        "Bytes in a tier, by its weigher.";
    Gauge CACHE_MAX_BYTES = "memory.cache.max_bytes" [Bytes; "type"]
        "The most bytes that a tier may hold.";

    Counter SHARED_CACHE_HITS = "memory.shared_cache.hits" [Count; "type"]
        "Look-ups that the shared cache answered.";
    Counter SHARED_CACHE_MISSES = "memory.shared_cache.misses" [Count; "type"]
        "Look-ups that the shared cache had no usable value for.";
    Counter SHARED_CACHE_FAILURES = "memory.shared_cache.failures" [Count; "reason"]
        "Calls of the shared cache that failed, or took longer than their budget.";
    Gauge SHARED_CACHE_UNAVAILABLE = "memory.shared_cache.unavailable" [Count;]
        "Systems that do not use their shared cache at present, as it failed.";

    Counter BATCH_RETAIN_COUNT = "memory.batch.retain.count" [Count;]
        "Batches of memories that were written; a single retain is a batch of one.";
    Counter RETENTIONS = "memory.retentions" [Count; "kind"]
        "Memories that were written, by kind.";

    Counter BATCH_EMBEDDING_COUNT = "memory.batch.embedding.count" [Count;]
        "Batches of texts that went to the embedder.";
    Histogram BATCH_EMBEDDING_DURATION = "memory.batch.embedding.duration" [Seconds;]
        "How long the embedder took for a batch, waiting in its queue included."
        in DURATIONS;
    Counter EMBEDDINGS_GENERATED = "memory.embeddings.generated" [Count;]
        "Vectors that the embedder computed.";
    Gauge EMBEDDING_QUEUE_DEPTH = "memory.embedding.queue.depth" [Count; "priority"]
        "Texts that wait for the embedder.";
    Gauge EMBEDDING_QUEUE_AGE = "memory.embedding.queue.age" [Seconds;]
        "How long the oldest text has waited for the embedder; of several embedders, the longest.";
    Counter EMBEDDING_TOKENS = "memory.embedding.tokens" [Count; "kind"]
        "Tokens that the model computed: those of texts, and padding to a common length.";

    Histogram RECALL_RESULTS_COUNT = "memory.recall.results.count" [Count;]
        "Memories that a recall returned."
        in RESULTS;
    Counter RECALL_SOURCES = "memory.recall.sources" [Count; "source"]
        "What recalls searched: a snapshot in memory, or the store.";
    Counter RECALL_WITHOUT_VECTORS = "memory.recall.without_vectors" [Count;]
        "Memories that a recall could compare by their words only, as they have no vector of the current model.";

    Counter SNAPSHOT_LOADS = "memory.snapshot.loads" [Count; "kind"]
        "Snapshots read from the store: in full, or only what changed since the cached version.";
    Counter SNAPSHOT_BACKGROUND_LOADS = "memory.snapshot.background_loads" [Count; "outcome"]
        "Loads of large snapshots that no recall waited for, by outcome: ok, overtaken by writes or a cleared cache, or failed.";
    Counter SNAPSHOTS_WARMED = "memory.snapshot.warmed" [Count;]
        "Snapshots that were loaded after a start, before they were asked for.";
    Histogram SNAPSHOT_LOAD_DURATION = "memory.snapshot.load.duration" [Seconds; "kind"]
        "How long reading a snapshot or its changes took."
        in DURATIONS;
    Histogram SNAPSHOT_BYTES = "memory.snapshot.bytes" [Bytes;]
        "The size of snapshots that were read in full."
        in BYTES;
    Histogram SNAPSHOT_GENERATION_LAG = "memory.snapshot.generation_lag" [Count;]
        "Writes that a cached snapshot lacked when a recall brought it up to date."
        in GENERATIONS;

    Counter CONSOLIDATIONS_GROUPS = "memory.consolidations.groups" [Count;]
        "Groups of memories that a summary replaced.";
    Counter CONSOLIDATIONS_MEMORIES = "memory.consolidations.memories" [Count;]
        "Memories that were archived under a summary.";
    Gauge ACCESS_COUNTS_PENDING = "memory.access_counts.pending" [Count;]
        "Memories whose access counts wait to be written.";
    Gauge CHANGE_STREAM_DISCONNECTED = "memory.change_stream.disconnected" [Count;]
        "Systems that do not hear of other processes' writes at present, although their store announces them.";

    Gauge POOL_CONNECTIONS = "memory.pool.connections" [Count; "pool", "state"]
        "Connections to the database, used and idle.";
    Gauge POOL_MAX_CONNECTIONS = "memory.pool.max_connections" [Count; "pool"]
        "The most connections that a pool may open.";
    Histogram POOL_WAIT_DURATION = "memory.pool.wait.duration" [Seconds; "pool"]
        "How long a call waited for a connection."
        in DURATIONS;
    Counter POOL_TIMEOUTS = "memory.pool.timeouts" [Count; "pool"]
        "Calls that got no connection within the time limit.";
    Counter STORE_RETRIES = "memory.store.retries" [Count;]
        "Transactions and reads that were repeated after a deadlock, a serialization failure or a lost connection.";
    Counter STORE_REPLICA_READS = "memory.store.replica_reads" [Count; "outcome"]
        "Reads that a replica could serve, by what became of them; all but those served went to the primary.";
}

/// The values of [`RECALL_RESULTS_COUNT`].
pub static RECALL_RESULTS: Distribution =
    Distribution::new(&RECALL_RESULTS_COUNT, RECALL_RESULTS_COUNT.key(&[]), 1.0);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn names_are_unique_and_exactly_histograms_have_rising_buckets() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let (name, buckets) = (metric.name, metric.buckets);
            let allowed = |c: char| c.is_ascii_lowercase() || c == '.' || c == '_';
            assert!(
                name.starts_with("memory.") && name.chars().all(allowed),
                "{name}"
            );
            assert!(metric.description.ends_with('.'), "{name}");
            assert!(buckets.is_sorted_by(|a, b| a < b), "{name}");
            assert_eq!(
                buckets.is_empty(),
                metric.kind != MetricKind::Histogram,
                "{name}"
            );
        }
    }

    #[test]
    fn the_documentation_lists_every_metric() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let page = std::fs::read_to_string(root.join("docs/observability/metrics.md")).unwrap();
        let rows = page
            .lines()
            .filter(|line| line.starts_with("| `memory.") && line.ends_with(". |"));
        let rows: Vec<&str> = rows.collect();
        let row = |metric: &&Metric| {
            let labels = metric.labels.iter().map(|label| format!("`{label}`"));
            format!(
                "| `{}` | {} | {} | {} | {} |",
                metric.name,
                format!("{:?}", metric.kind).to_lowercase(),
                metric.unit.as_str(),
                labels.collect::<Vec<_>>().join(", "),
                metric.description
            )
        };
        let expected: Vec<String> = ALL.iter().map(row).collect();
        assert_eq!(rows, expected, "write these rows:\n{}", expected.join("\n"));
    }
}
