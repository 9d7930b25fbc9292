//! Sources: values that the system has anyway, read when they are published.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use metrics::{Key, Label, with_recorder};

use crate::list::{ALL, RECALL_RESULTS};
use crate::metric::{METADATA, Metric, MetricKind};
use crate::operation;

/// Part of a system that counts or holds something, such as a tier or a pool.
pub trait Source: Send + Sync + 'static {
    /// Adds the present values to `samples`. Must be quick and must not wait.
    fn sample(&self, samples: &mut Samples);
}

/// The present values of one source.
#[derive(Debug, Default)]
pub struct Samples {
    counters: HashMap<Key, u64>,
    sums: HashMap<Key, f64>,
    maxima: HashMap<Key, f64>,
}

impl Samples {
    /// A total since the source was created. Totals of several sources are added.
    pub fn counter(&mut self, metric: &'static Metric, labels: &'static [Label], total: u64) {
        *self.counters.entry(metric.key(labels)).or_default() += total;
    }

    /// A present value. Values of several sources are added.
    pub fn gauge(&mut self, metric: &'static Metric, labels: &'static [Label], value: f64) {
        *self.sums.entry(metric.key(labels)).or_default() += value;
    }

    /// A present value. Of several sources, the largest counts.
    pub fn max_gauge(&mut self, metric: &'static Metric, labels: &'static [Label], value: f64) {
        let max = self.maxima.entry(metric.key(labels)).or_default();
        *max = max.max(value);
    }
}

/// All sources of the process, and the totals of those that are gone.
#[derive(Default)]
struct Registry {
    sources: Vec<Registered>,
    totals: HashMap<Key, u64>,
    gauges: HashMap<Key, f64>,
    published: Option<Instant>,
}

struct Registered {
    source: Weak<dyn Source>,
    /// What it reported last: only the difference is added to the totals.
    last: HashMap<Key, u64>,
}

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// Lets [`publish`] read a source for as long as it exists.
pub fn register(source: Weak<dyn Source>) {
    let mut registry = lock();
    let sources = &mut registry.get_or_insert_default().sources;
    sources.retain(|registered| registered.source.strong_count() > 0);
    let last = HashMap::new();
    sources.push(Registered { source, last });
}

/// Reads every source and gives the values to the installed recorder.
///
/// Systems do this every five seconds on their runtime, and when they are closed. A
/// program that is scraped calls it before it renders, so that the values are those
/// of the moment.
pub fn publish() {
    publish_if_older(Duration::ZERO);
}

/// As [`publish`], unless that was done within `age`: several systems in one process
/// do it once.
pub fn publish_if_older(age: Duration) {
    let mut registry = lock();
    let registry = registry.get_or_insert_default();
    let now = Instant::now();
    let last = registry.published.filter(|_| !age.is_zero());
    if last.is_some_and(|last| now.duration_since(last) < age) {
        return;
    }
    registry.published = Some(now);
    registry.sample();
    registry.record();
}

impl Registry {
    /// Reads every source that exists.
    fn sample(&mut self) {
        // Those of sources that are gone are 0.
        self.gauges.values_mut().for_each(|value| *value = 0.0);
        self.sources.retain_mut(|registered| {
            let Some(source) = registered.source.upgrade() else {
                return false;
            };
            let mut samples = Samples::default();
            source.sample(&mut samples);
            for (key, total) in samples.counters {
                let last = registered.last.insert(key.clone(), total).unwrap_or(0);
                *self.totals.entry(key).or_default() += total.saturating_sub(last);
            }
            for (key, value) in samples.sums {
                *self.gauges.entry(key).or_default() += value;
            }
            for (key, value) in samples.maxima {
                let max = self.gauges.entry(key).or_default();
                *max = max.max(value);
            }
            true
        });
    }

    /// Gives the recorder totals: what one recorder was given, another one that is
    /// installed later does not lack.
    fn record(&self) {
        with_recorder(|recorder| {
            // A rate needs the 0 before the first event.
            let counters = ALL.iter().filter(|m| m.kind == MetricKind::Counter);
            for metric in counters.filter(|metric| metric.labels.is_empty()) {
                let key = metric.key(&[]);
                recorder.register_counter(&key, &METADATA).absolute(0);
            }
            for (key, total) in &self.totals {
                recorder.register_counter(key, &METADATA).absolute(*total);
            }
            for (key, value) in &self.gauges {
                recorder.register_gauge(key, &METADATA).set(*value);
            }
            operation::publish(recorder);
            RECALL_RESULTS.publish(recorder);
        });
    }
}

fn lock() -> MutexGuard<'static, Option<Registry>> {
    // Totals that a panic left behind are of the moment before it.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;
    use crate::{CACHE_HITS, EMBEDDING_QUEUE_AGE, POOL_CONNECTIONS, label};

    struct Fixed(u64);

    impl Source for Fixed {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        fn sample(&self, samples: &mut Samples) {
            samples.counter(&CACHE_HITS, label!("type": "memory"), self.0);
            samples.gauge(&POOL_CONNECTIONS, &[], self.0 as f64);
            samples.max_gauge(&EMBEDDING_QUEUE_AGE, &[], self.0 as f64);
        }
    }

    /// Publishes to a new recorder; returns hits, connections and age.
    fn published(registry: &mut Registry) -> (DebugValue, DebugValue, DebugValue) {
        let recorder = DebuggingRecorder::new();
        registry.sample();
        metrics::with_local_recorder(&recorder, || registry.record());
        let mut values = recorder.snapshotter().snapshot().into_vec();
        let mut value = |name: &str| {
            let mut keys = values.iter().map(|(key, ..)| key.key().name());
            let found = keys.position(|key| key == name).unwrap();
            values.swap_remove(found).3
        };
        (
            value("memory.cache.hits"),
            value("memory.pool.connections"),
            value("memory.embedding.queue.age"),
        )
    }

    fn gauges(value: f64) -> DebugValue {
        DebugValue::Gauge(value.into())
    }

    #[test]
    fn sources_add_up_and_totals_outlive_them() {
        let mut registry = Registry::default();
        let sources: [Arc<dyn Source>; 2] = [Arc::new(Fixed(3)), Arc::new(Fixed(5))];
        for source in &sources {
            let (source, last) = (Arc::downgrade(source), HashMap::new());
            registry.sources.push(Registered { source, last });
        }
        let expected = (DebugValue::Counter(8), gauges(8.0), gauges(5.0));
        assert_eq!(published(&mut registry), expected);
        // A recorder that is installed later lacks nothing.
        assert_eq!(published(&mut registry), expected);
        drop(sources);
        let expected = (DebugValue::Counter(8), gauges(0.0), gauges(0.0));
        assert_eq!(published(&mut registry), expected);
        assert!(registry.sources.is_empty());
    }
}
