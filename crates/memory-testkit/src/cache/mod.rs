//! The conformance suite for [`Cache`] and
//! [`CacheBackend`].
//!
//! A cache may forget, and never lie: nothing here asks for an entry that had
//! reason to go. Lifetimes are tried with real, small durations; no speed is
//! asserted anywhere.

use std::sync::Arc;

use memory_core::{ByteSize, Cache, CacheBackend, CachePolicy};

use crate::check::run_check_sync;
use crate::report::Report;

#[expect(
    clippy::missing_errors_doc,
    reason = "every check errs alike: see `Check::run`"
)]
pub mod checks;
mod model;

pub use self::checks::{Check, table};
pub use self::model::model_check;

/// Runs every check against caches of a family.
///
/// ```
/// use memory_testkit::{MapBackend, cache};
/// cache::conformance(&MapBackend).assert();
/// ```
pub fn conformance<B: CacheBackend>(backend: &B) -> Report {
    Suite::new().run(backend)
}

/// How the suite is run, where the defaults do not fit.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    only: Vec<&'static str>,
}

impl Suite {
    /// Every check.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs only the checks of these names. A name that no check has is a failure.
    #[must_use]
    pub fn only(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.only.extend(names);
        self
    }

    /// Runs the checks, each on caches of its own.
    pub fn run<B: CacheBackend>(&self, backend: &B) -> Report {
        let mut report = Report::new(format!("cache {}", backend.name()));
        let table = table::<B>();
        let known: Vec<_> = table.iter().map(|check| check.name).collect();
        report.push_unknown(&self.only, &known);
        for check in table {
            if self.only.is_empty() || self.only.contains(&check.name) {
                report.push(check.name, run_check_sync(|| check.run(backend)));
            }
        }
        report
    }
}

/// A value that knows which write it comes from and what it weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Grows with every write.
    pub version: u64,
    /// What the policy's weigher says of it.
    pub bytes: u64,
}

/// The cache that most checks try.
pub type Subject<B> = <B as CacheBackend>::Cache<u64, Arc<Payload>>;

/// A policy without expiry whose weigher is [`Payload::bytes`].
#[must_use]
pub const fn policy(max_entries: u64, max_bytes: u64) -> CachePolicy<u64, Arc<Payload>> {
    CachePolicy::new(max_entries, ByteSize(max_bytes), |_key, value| value.bytes)
}

/// Inserts a version of a value.
pub(super) fn put(cache: &impl Cache<u64, Arc<Payload>>, key: u64, version: u64, bytes: u64) {
    cache.insert(key, Arc::new(Payload { version, bytes }));
}

/// The version under a key.
pub(super) fn version(cache: &impl Cache<u64, Arc<Payload>>, key: u64) -> Option<u64> {
    cache.get(&key).map(|value| value.version)
}

/// How many of these keys are there, and what they weigh together.
pub(super) fn held(
    cache: &impl Cache<u64, Arc<Payload>>,
    keys: impl IntoIterator<Item = u64>,
) -> (u64, u64) {
    let values = keys.into_iter().filter_map(|key| cache.get(&key));
    values.fold((0, 0), |(count, bytes), value| {
        (count + 1, bytes + value.bytes)
    })
}
