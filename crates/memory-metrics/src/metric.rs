//! A metric and how it is recorded.

use std::time::Duration;

use metrics::{Key, KeyName, Label, Level, Metadata, Unit, with_recorder};

use crate::list::ALL;

/// What recorders may filter by.
pub(crate) static METADATA: Metadata<'_> =
    Metadata::new("memory", Level::INFO, Some("memory_metrics"));

/// How a metric's values combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// A total that only grows.
    Counter,
    /// A value that rises and falls.
    Gauge,
    /// The distribution of values.
    Histogram,
}

/// One metric of the system.
#[derive(Debug)]
pub struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: MetricKind,
    pub(crate) unit: Unit,
    pub(crate) labels: &'static [&'static str],
    pub(crate) description: &'static str,
    pub(crate) buckets: &'static [f64],
}

impl Metric {
    /// The name, such as `memory.cache.hits`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How its values combine.
    #[must_use]
    pub const fn kind(&self) -> MetricKind {
        self.kind
    }

    /// The unit of its values.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// The keys of its labels.
    #[must_use]
    pub const fn labels(&self) -> &'static [&'static str] {
        self.labels
    }

    /// What it says, in one sentence.
    #[must_use]
    pub const fn description(&self) -> &'static str {
        self.description
    }

    /// The upper limits of a histogram's buckets; empty for the other kinds.
    #[must_use]
    pub const fn buckets(&self) -> &'static [f64] {
        self.buckets
    }

    /// Adds to a counter.
    pub fn increment(&self, labels: &'static [Label], value: u64) {
        increment(&self.key(labels), value);
    }

    /// Records a value of a histogram.
    pub fn record(&self, labels: &'static [Label], value: f64) {
        record(&self.key(labels), value);
    }

    /// Records how long something took, in seconds.
    pub fn record_duration(&self, labels: &'static [Label], elapsed: Duration) {
        self.record(labels, elapsed.as_secs_f64());
    }

    pub(crate) const fn key(&self, labels: &'static [Label]) -> Key {
        Key::from_static_parts(self.name, labels)
    }
}

pub(crate) fn increment(key: &Key, value: u64) {
    with_recorder(|recorder| recorder.register_counter(key, &METADATA).increment(value));
}

pub(crate) fn record(key: &Key, value: f64) {
    with_recorder(|recorder| recorder.register_histogram(key, &METADATA).record(value));
}

/// Gives the installed recorder the description and unit of every metric.
///
/// Exporters show them; recording works without. Call it after the recorder is
/// installed.
pub fn describe() {
    with_recorder(|recorder| {
        for metric in ALL {
            let (name, unit) = (KeyName::from_const_str(metric.name), Some(metric.unit));
            let description = metric.description.into();
            match metric.kind {
                MetricKind::Counter => recorder.describe_counter(name, unit, description),
                MetricKind::Gauge => recorder.describe_gauge(name, unit, description),
                MetricKind::Histogram => recorder.describe_histogram(name, unit, description),
            }
        }
    });
}
