//! Running the suite.

use memory_core::CacheBackend;

use super::checks::table;
use crate::check::judge_sync;
use crate::report::Report;

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

    /// Runs only the checks of these names.
    #[must_use]
    pub fn only(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.only.extend(names);
        self
    }

    /// Runs the checks, each on caches of its own.
    pub fn run<B: CacheBackend>(&self, backend: &B) -> Report {
        let mut report = Report::new(format!("cache {}", backend.name()));
        for check in table::<B>() {
            if self.only.is_empty() || self.only.contains(&check.name) {
                report.push(check.name, judge_sync(|| check.run(backend)));
            }
        }
        report
    }
}
