//! Operations: their number, outcome and duration, and their spans.

use std::future::Future;
use std::time::Instant;

use memory_core::MemoryResult;
use metrics::{Key, Label, Recorder};
use tracing::{Instrument, Span, debug_span, field};

use crate::aggregate::{Distribution, Total};
use crate::label;
use crate::list::{OPERATION_DURATION, OPERATIONS};
use crate::metric::{self, METADATA};

/// Declares the operations, with keys that are computed when this is compiled.
macro_rules! operations {
    ($($id:ident $name:literal,)*) => {
        /// What a caller can do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Operation {
            $(#[doc = concat!("`", $name, "`")] $id,)*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$id),*];

            /// The name in labels and spans: that of the facade's method.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$id => $name,)*
                }
            }

            fn events(self) -> &'static OperationEvents {
                match self {
                    $(Self::$id => {
                        static EVENTS: OperationEvents = OperationEvents::new(
                            label!("operation": $name),
                            label!("operation": $name, "outcome": "ok"),
                            [
                                label!("operation": $name, "outcome": "unavailable"),
                                label!("operation": $name, "outcome": "outcome_unknown"),
                            ],
                        );
                        &EVENTS
                    })*
                }
            }
        }
    };
}

/// How often an operation succeeded, and how long it took whatever its outcome.
struct OperationEvents {
    ok: Total,
    duration: Distribution,
    /// The outcomes that alerts watch: a rate needs the 0 before the first of them.
    watched: [Key; 2],
}

impl OperationEvents {
    const fn new(
        operation: &'static [Label],
        ok: &'static [Label],
        [unavailable, outcome_unknown]: [&'static [Label]; 2],
    ) -> Self {
        let duration = OPERATION_DURATION.key(operation);
        Self {
            ok: Total::new(OPERATIONS.key(ok)),
            duration: Distribution::new(&OPERATION_DURATION, duration, SECONDS_PER_NANO),
            watched: [OPERATIONS.key(unavailable), OPERATIONS.key(outcome_unknown)],
        }
    }
}

const SECONDS_PER_NANO: f64 = 1e-9;

/// Gives the recorder what ended since the last time.
pub(crate) fn publish(recorder: &dyn Recorder) {
    for operation in Operation::ALL {
        let OperationEvents {
            ok,
            duration,
            watched,
        } = operation.events();
        ok.publish(recorder);
        duration.publish(recorder);
        for key in watched {
            recorder.register_counter(key, &METADATA).absolute(0);
        }
    }
}

operations! {
    Retain "retain",
    RetainBatch "retain_batch",
    GenerateEmbeddingsBatch "generate_embeddings_batch",
    CheckEmbedder "check_embedder",
    Recall "recall",
    RecallReport "recall_report",
    GetMemory "get_memory",
    GetMemories "get_memories",
    ListMemories "list_memories",
    ListMemoriesAsOf "list_memories_as_of",
    CountMemories "count_memories",
    AlterMemory "alter_memory",
    DeleteMemory "delete_memory",
    Reflect "reflect",
    Consolidate "consolidate",
    AutoConsolidate "auto_consolidate_if_needed",
    UndoConsolidation "undo_consolidation",
    Reembed "reembed",
    Prune "prune_low_importance_memories",
    Relate "relate",
    Unrelate "unrelate",
    Related "related",
    Forget "forget",
    RestoreMemories "restore_memories",
    RestoreSummary "restore_summary",
    EntityStats "entity_stats",
    CountByModel "count_by_model",
    ListEntities "list_entities",
    ClearAllCaches "clear_all_caches",
    InvalidateMemoryCache "invalidate_memory_cache",
    InvalidateEntityCache "invalidate_entity_cache",
    Backup "backup",
    MaintainIndexes "maintain_indexes",
    Close "close",
}

/// The labels of successful [`Operation::GetMemory`], which the engine counts in
/// its memory tier and a [`Source`](crate::Source) reports.
pub static GET_MEMORY_OK: &[Label] = &[
    Label::from_static_parts("operation", "get_memory"),
    Label::from_static_parts("outcome", "ok"),
];

/// Runs an operation in a span of its own, and records its outcome and duration: an
/// error or a dropped future at once, the rest when metrics are published.
///
/// The span has the level `DEBUG`, the name `operation` and the fields `operation`
/// and `outcome`; `otel.name` and `otel.status_code` are those that
/// `tracing-opentelemetry` gives a meaning to.
///
/// # Errors
/// Those of the operation.
pub async fn observe<T>(
    operation: Operation,
    work: impl Future<Output = MemoryResult<T>>,
) -> MemoryResult<T> {
    let mut observation = Observation::start(operation);
    let result = work.instrument(observation.span.clone()).await;
    observation.outcome = result.as_ref().map_or_else(|e| e.kind().name(), |_| OK);
    result
}

/// As [`observe`], for an operation that neither waits nor fails.
pub fn observe_sync<T>(operation: Operation, work: impl FnOnce() -> T) -> T {
    let mut observation = Observation::start(operation);
    let result = observation.span.in_scope(work);
    observation.outcome = OK;
    result
}

const OK: &str = "ok";

/// An operation that runs. Records it when it is dropped: a caller may drop the
/// operation's future at any time.
struct Observation {
    operation: Operation,
    outcome: &'static str,
    span: Span,
    started: Instant,
}

impl Observation {
    fn start(operation: Operation) -> Self {
        let span = debug_span!(
            target: "memory",
            "operation",
            otel.name = operation.name(),
            operation = operation.name(),
            outcome = field::Empty,
            otel.status_code = field::Empty,
        );
        Self {
            operation,
            outcome: "canceled",
            span,
            started: Instant::now(),
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let (operation, outcome) = (self.operation, self.outcome);
        let events = operation.events();
        let nanos = self.started.elapsed().as_nanos();
        events.duration.record(nanos.try_into().unwrap_or(u64::MAX));
        match outcome {
            // Counted by the engine: see `GET_MEMORY_OK`.
            OK if operation == Operation::GetMemory => {}
            OK => events.ok.increment(),
            _ => {
                let labels = vec![
                    Label::from_static_parts("operation", operation.name()),
                    Label::from_static_parts("outcome", outcome),
                ];
                metric::increment(&Key::from_parts(OPERATIONS.name(), labels), 1);
            }
        }
        if !self.span.is_disabled() {
            self.span.record("outcome", outcome);
            let status = if outcome == OK { "OK" } else { "ERROR" };
            self.span.record("otel.status_code", status);
        }
    }
}

#[cfg(test)]
mod tests {
    use memory_core::MemoryError;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    /// The outcomes that are counted, and the number of durations.
    fn recorded(work: impl FnOnce()) -> (Vec<String>, usize) {
        let recorder = DebuggingRecorder::new();
        metrics::with_local_recorder(&recorder, work);
        publish(&recorder);
        let (mut outcomes, mut durations) = (Vec::new(), 0);
        for (key, _, _, value) in recorder.snapshotter().snapshot().into_vec() {
            match value {
                DebugValue::Counter(0) => {}
                DebugValue::Counter(_) => outcomes.extend(
                    key.key()
                        .labels()
                        .filter(|label| label.key() == "outcome")
                        .map(|label| label.value().to_owned()),
                ),
                DebugValue::Histogram(values) => durations += values.len(),
                DebugValue::Gauge(_) => {}
            }
        }
        outcomes.sort();
        (outcomes, durations)
    }

    #[test]
    fn outcomes_that_alerts_watch_are_published_before_the_first_of_them() {
        let recorder = DebuggingRecorder::new();
        publish(&recorder);
        let published = recorder.snapshotter().snapshot().into_vec();
        for outcome in ["unavailable", "outcome_unknown"] {
            let of_outcome = published.iter().filter(|(key, _, _, value)| {
                let mut labels = key.key().labels();
                matches!(value, DebugValue::Counter(0))
                    && labels.any(|it| (it.key(), it.value()) == ("outcome", outcome))
            });
            assert_eq!(of_outcome.count(), Operation::ALL.len(), "{outcome}");
        }
    }

    #[test]
    fn every_outcome_is_counted_and_timed_once_also_that_of_a_dropped_future() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.unwrap();
        let run = || {
            runtime.block_on(async {
                observe(Operation::Recall, async { Ok(()) }).await.unwrap();
                let failure = async { Err::<(), _>(MemoryError::configuration("no")) };
                observe(Operation::Recall, failure).await.unwrap_err();
                let mut dropped =
                    Box::pin(observe::<()>(Operation::Recall, std::future::pending()));
                let poll = std::future::poll_fn(|context| {
                    std::task::Poll::Ready(dropped.as_mut().poll(context).is_pending())
                });
                assert!(poll.await);
            });
            observe_sync(Operation::ClearAllCaches, || {});
        };
        let (outcomes, durations) = recorded(run);
        assert_eq!(outcomes, ["canceled", "configuration", "ok", "ok"]);
        assert_eq!(durations, 4);
    }
}
