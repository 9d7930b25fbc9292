//! The metrics of the process as Prometheus text.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use memory::metrics;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use thiserror::Error;
use tokio::time::sleep;

/// How often the recorder adds recorded values to their buckets.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Records the metrics of the memory systems of this process, which a server with
/// [`ServerOptions::metrics`](crate::ServerOptions::metrics) answers at `/metrics`.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Why metrics cannot be recorded: the process has another recorder.
#[derive(Debug, Error)]
#[error("metrics cannot be recorded: {0}")]
pub struct MetricsError(#[source] BuildError);

impl Metrics {
    /// Installs the recorder of this process, with the buckets that the metrics ask for.
    ///
    /// # Errors
    /// [`MetricsError`] if the process has a recorder already.
    pub fn install() -> Result<Self, MetricsError> {
        let mut with_buckets = metrics::ALL.iter().filter(|it| !it.buckets().is_empty());
        let exporter = with_buckets.try_fold(PrometheusBuilder::new(), |exporter, metric| {
            let name = Matcher::Full(metric.name().to_owned());
            exporter.set_buckets_for_metric(name, metric.buckets())
        });
        let installed = exporter.and_then(PrometheusBuilder::install_recorder);
        let handle = installed.map_err(MetricsError)?;
        metrics::describe();
        Ok(Self(handle))
    }

    /// Has the recorder add what was recorded to its buckets, again and again: where
    /// nobody asks for the metrics, it would keep every single value.
    pub(crate) async fn run_upkeep(&self) -> Infallible {
        loop {
            sleep(UPKEEP_INTERVAL).await;
            self.0.run_upkeep();
        }
    }

    /// The values of this moment.
    pub(crate) fn render(&self) -> String {
        metrics::publish();
        self.0.render()
    }
}
