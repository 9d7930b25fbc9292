//! The conformance suite for [`SharedCache`].

use memory_core::SharedCache;

use crate::check::run_check;
use crate::report::Report;

#[expect(
    clippy::missing_errors_doc,
    reason = "every check errs alike: see `Check::run`"
)]
pub mod checks;
mod context;

pub use self::checks::{CHECKS, Check};
pub use self::context::CheckContext;

/// Runs every check against a shared cache, which it closes at the end.
///
/// The cache may hold other entries: each check uses keys of its own, other ones
/// in every run.
///
/// ```
/// # async fn proof() {
/// use memory_testkit::{InMemorySharedCache, shared_cache};
/// shared_cache::conformance(&InMemorySharedCache::new()).await.assert();
/// # }
/// ```
pub async fn conformance(cache: &dyn SharedCache) -> Report {
    Suite::new().run(cache).await
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

    /// Runs the checks, one after the other. The last one closes the cache.
    pub async fn run(&self, cache: &dyn SharedCache) -> Report {
        let mut report = Report::new(format!("shared cache {}", cache.name()));
        let known: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        report.push_unknown(&self.only, &known);
        let wanted = |check: &&Check| self.only.is_empty() || self.only.contains(&check.name);
        for check in CHECKS.iter().filter(wanted) {
            let context = CheckContext::new(cache);
            report.push(check.name, run_check(check.run(&context)).await);
        }
        report
    }
}
