//! Metrics of the memory system.
//!
//! [`ALL`] lists every metric. They are recorded through the [`metrics`] facade:
//! without a recorder nothing is kept, and recording costs a few nanoseconds.
//!
//! Two kinds of metrics differ in when they reach the recorder:
//!
//! - Failed operations, batches, loads and waits are recorded when they end, by the
//!   recorder that is installed then. Nothing is bound to a recorder earlier, so it
//!   may be installed before or after a system is built.
//! - What the system counts or holds anyway (look-ups in the tiers, entries, bytes,
//!   connections, waiting texts), the operations that succeeded, and the durations of
//!   all are passed on by [`publish`]. Counters are totals, so a recorder that is
//!   installed late misses none of them.
//!
//! No label ever holds an id, the name of an entity, or content: labels are `&'static`
//! and come from closed lists.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod aggregate;
mod list;
mod metric;
mod operation;
mod source;

pub use aggregate::Distribution;
pub use list::*;
pub use metric::{Metric, MetricKind, describe};
pub use metrics::{Label, Unit};
pub use operation::{GET_MEMORY_OK, Operation, observe, observe_sync};
pub use source::{Samples, Source, publish, publish_if_older, register};

/// A constant list with one label, for [`Metric::increment`] and its siblings.
#[macro_export]
macro_rules! label {
    ($($key:literal: $value:expr),+ $(,)?) => {
        const { &[$($crate::Label::from_static_parts($key, $value)),+] as &'static [$crate::Label] }
    };
}
