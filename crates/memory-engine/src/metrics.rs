//! What an engine reports to the metrics: its tiers, its pending access counts and
//! its change stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memory_core::{MemoryConfig, MemoryKind, TierStats};
use memory_metrics::{Label, Samples, Source, label};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::accesses::AccessRecorder;
use crate::reader::Reader;
use crate::recall_source::RecallSource;
use crate::tiers::shared;

/// How often what the system counts itself is given to the recorder: several times
/// within the 15 seconds or more between two scrapes.
const PUBLISH_EVERY: Duration = Duration::from_secs(5);

/// An engine's source, and the task that publishes. Dropping it ends both.
pub(crate) struct EngineMetrics {
    _source: Arc<dyn Source>,
    task: Option<AbortHandle>,
}

impl EngineMetrics {
    /// Registers the source, and publishes in a task where there is a runtime.
    pub(crate) fn start(
        reader: &Reader,
        access_recorder: &Arc<AccessRecorder>,
        recall_counters: &Arc<RecallCounters>,
        config: &MemoryConfig,
    ) -> Self {
        let source: Arc<dyn Source> = Arc::new(EngineSource {
            reader: reader.clone(),
            access_recorder: Arc::clone(access_recorder),
            recall_counters: Arc::clone(recall_counters),
            max_bytes: [
                config.memory_cache_max_bytes.0,
                config.entity_cache_max_bytes.0,
                config.embedding_cache_max_bytes.0,
            ],
        });
        memory_metrics::register(Arc::downgrade(&source));
        let task = Handle::try_current().ok().map(|runtime| {
            let publishing = async {
                loop {
                    tokio::time::sleep(PUBLISH_EVERY).await;
                    // Other systems of the process publish too.
                    memory_metrics::publish_if_older(PUBLISH_EVERY / 2);
                }
            };
            runtime.spawn(publishing).abort_handle()
        });
        Self {
            _source: source,
            task,
        }
    }
}

impl EngineMetrics {
    /// Ends the task.
    pub(crate) fn stop_publishing(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Drop for EngineMetrics {
    fn drop(&mut self) {
        self.stop_publishing();
    }
}

struct EngineSource {
    reader: Reader,
    access_recorder: Arc<AccessRecorder>,
    recall_counters: Arc<RecallCounters>,
    /// Of the memory, the entity and the embedding tier.
    max_bytes: [u64; 3],
}

impl Source for EngineSource {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge needs no more than 53 bits"
    )]
    fn sample(&self, samples: &mut Samples) {
        let stats = self.reader.tiers.stats();
        let tiers = [
            (MEMORY, stats.memory),
            (ENTITY, stats.entity),
            (EMBEDDING, stats.embedding),
        ];
        for ((labels, tier), max_bytes) in tiers.into_iter().zip(self.max_bytes) {
            sample_tier(samples, labels, &tier);
            let metric = &memory_metrics::CACHE_MAX_BYTES;
            samples.gauge(metric, labels, max_bytes as f64);
        }
        samples.counter(
            &memory_metrics::OPERATIONS,
            memory_metrics::GET_MEMORY_OK,
            self.reader.memories_read(),
        );
        let warmed = self.reader.tiers.entity.counters.warmed();
        samples.counter(&memory_metrics::SNAPSHOTS_WARMED, &[], warmed);
        self.reader.background_loads.sample(samples);
        self.recall_counters.sample(samples);
        shared::sample(self.reader.tiers.embedding.shared_tier(), samples);
        samples.gauge(
            &memory_metrics::ACCESS_COUNTS_PENDING,
            &[],
            self.access_recorder.pending() as f64,
        );
        samples.gauge(
            &memory_metrics::CHANGE_STREAM_DISCONNECTED,
            &[],
            f64::from(u8::from(self.reader.listener.is_disconnected())),
        );
    }
}

/// What recalls searched. A warm recall takes tens of microseconds, so they are
/// counted here, for a nanosecond each, and read when they are published.
#[derive(Debug, Default)]
pub(crate) struct RecallCounters {
    snapshot: AtomicU64,
    store: AtomicU64,
    without_vectors: AtomicU64,
}

impl RecallCounters {
    pub(crate) fn record_source(&self, source: &RecallSource) {
        let counter = match source {
            RecallSource::Snapshot(_) => &self.snapshot,
            RecallSource::Store { .. } => &self.store,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn record_results(&self, hits: usize, without_vectors: u64) {
        memory_metrics::RECALL_RESULTS.record(hits as u64);
        self.without_vectors
            .fetch_add(without_vectors, Ordering::Relaxed);
    }

    fn sample(&self, samples: &mut Samples) {
        let sources = &memory_metrics::RECALL_SOURCES;
        let without_vectors = &memory_metrics::RECALL_WITHOUT_VECTORS;
        for (metric, labels, counter) in [
            (sources, label!("source": "snapshot"), &self.snapshot),
            (sources, label!("source": "store"), &self.store),
            (without_vectors, &[], &self.without_vectors),
        ] {
            samples.counter(metric, labels, counter.load(Ordering::Relaxed));
        }
    }
}

const MEMORY: &[Label] = label!("type": "memory");
const ENTITY: &[Label] = label!("type": "entity");
const EMBEDDING: &[Label] = label!("type": "embedding");

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge needs no more than 53 bits"
)]
fn sample_tier(samples: &mut Samples, labels: &'static [Label], tier: &TierStats) {
    for (metric, total) in [
        (&memory_metrics::CACHE_HITS, tier.hits),
        (&memory_metrics::CACHE_MISSES, tier.misses),
        (&memory_metrics::CACHE_LOADS, tier.loads),
        (&memory_metrics::CACHE_COALESCED_LOADS, tier.coalesced_loads),
        (&memory_metrics::CACHE_EVICTIONS, tier.evictions),
        (&memory_metrics::CACHE_INVALIDATIONS, tier.invalidations),
        (
            &memory_metrics::CACHE_STALE_FILLS_REFUSED,
            tier.stale_fills_refused,
        ),
    ] {
        samples.counter(metric, labels, total);
    }
    samples.gauge(&memory_metrics::CACHE_SIZE, labels, tier.entries as f64);
    samples.gauge(&memory_metrics::CACHE_BYTES, labels, tier.bytes as f64);
}

/// The label of a kind of memory.
pub(crate) const fn kind_label(kind: MemoryKind) -> &'static [Label] {
    match kind {
        MemoryKind::World => label!("kind": "world"),
        MemoryKind::Experience => label!("kind": "experience"),
        MemoryKind::Opinion => label!("kind": "opinion"),
        MemoryKind::Observation => label!("kind": "observation"),
        _ => label!("kind": "other"),
    }
}
