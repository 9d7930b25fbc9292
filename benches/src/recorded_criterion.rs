//! Criterion benchmarks whose durations are also recorded.

use std::error::Error;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use tokio::runtime::Runtime;

use crate::records::RecordWriter;
use crate::samples::Samples;

/// What a benchmark measures; its name is `operation/subject/size`.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The operation; what precedes the first `/` is criterion's group.
    pub operation: &'a str,
    /// The backend.
    pub subject: &'a str,
    /// The number of memories or texts; not part of the name if it is 1.
    pub size: u64,
    /// Elements of one iteration, for the throughput.
    pub elements: u64,
}

/// Criterion with a runtime and a file of records.
pub struct RecordedCriterion {
    criterion: Criterion,
    runtime: Runtime,
    records: RecordWriter,
}

impl RecordedCriterion {
    /// Starts a bench. Arguments on the command line precede the settings of
    /// `criterion`.
    ///
    /// # Errors
    /// If the file of records cannot be written.
    pub fn start(bench: &str, criterion: Criterion) -> Result<Self, Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        Ok(Self {
            criterion: criterion.configure_from_args(),
            runtime,
            records: RecordWriter::start(bench)?,
        })
    }

    /// The runtime of the benchmarks.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Measures an operation that returns the duration of its timed part.
    ///
    /// # Errors
    /// If the file of records cannot be written.
    pub fn bench(
        &mut self,
        case: Case<'_>,
        mut operation: impl AsyncFnMut() -> Duration,
    ) -> Result<(), Box<dyn Error>> {
        let samples = Samples::default();
        self.measure(case, |runtime, iterations| {
            runtime.block_on(samples.collect(iterations, &mut operation))
        });
        self.records
            .push(samples.record(case.subject, case.operation, case.size))
    }

    /// Measures an operation that is too short for the clock.
    ///
    /// # Errors
    /// If the file of records cannot be written.
    pub fn bench_short(
        &mut self,
        case: Case<'_>,
        mut operation: impl AsyncFnMut(),
    ) -> Result<(), Box<dyn Error>> {
        let samples = Samples::default();
        self.measure(case, |runtime, iterations| {
            runtime.block_on(samples.collect_mean(iterations, &mut operation))
        });
        self.records
            .push(samples.record(case.subject, case.operation, case.size))
    }

    /// Prints criterion's summary and marks the run as complete.
    ///
    /// # Errors
    /// If the file of records cannot be written.
    pub fn finish(self) -> Result<(), Box<dyn Error>> {
        self.criterion.final_summary();
        self.records.finish()
    }

    fn measure(&mut self, case: Case<'_>, mut run: impl FnMut(&Runtime, u64) -> Duration) {
        let (group, rest) = case
            .operation
            .split_once('/')
            .unwrap_or((case.operation, ""));
        let size = if case.size == 1 {
            String::new()
        } else {
            case.size.to_string()
        };
        let parts = [rest, case.subject, &size];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let mut group = self.criterion.benchmark_group(group);
        group
            .sampling_mode(SamplingMode::Flat)
            .throughput(Throughput::Elements(case.elements));
        let runtime = &self.runtime;
        group.bench_function(parts.join("/"), |bencher| {
            bencher.iter_custom(|iterations| run(runtime, iterations));
        });
        group.finish();
    }
}
