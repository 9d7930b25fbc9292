//! The conformance suite for [`Reranker`].

use memory_core::Reranker;

use crate::check::run_check;
use crate::report::Report;
use crate::selection::Selection;

#[expect(
    clippy::missing_errors_doc,
    reason = "every check errs alike: see `Check::run`"
)]
pub mod checks;
mod context;

pub use self::checks::{CHECKS, Check, MEANING};
pub use self::context::CheckContext;

/// Runs every check of form against a reranker.
///
/// ```
/// # async fn proof() {
/// use memory_testkit::{OverlapReranker, reranker};
/// reranker::conformance(&OverlapReranker).await.assert();
/// # }
/// ```
pub async fn conformance(reranker: &dyn Reranker) -> Report {
    Suite::new().run(reranker).await
}

/// How the suite is run, where the defaults do not fit.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    selection: Selection,
}

impl Suite {
    /// Every check of form.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Demands as well that English answers score higher than unrelated
    /// sentences: for rerankers with a trained model.
    #[must_use]
    pub fn with_meaning(mut self) -> Self {
        self.selection.includes_meaning = true;
        self
    }

    /// Runs only the checks of these names. A name that no check has is a failure.
    #[must_use]
    pub fn only(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.selection.only.extend(names);
        self
    }

    /// Runs the checks, one after the other.
    pub async fn run(&self, reranker: &dyn Reranker) -> Report {
        let mut report = Report::new(format!("reranker {}", reranker.model()));
        let context = CheckContext::new(reranker);
        let known = self.selection.known(CHECKS, MEANING, |check| check.name);
        report.push_unknown(&self.selection.only, &known);
        for check in self.selection.of(CHECKS, MEANING, |check| check.name) {
            report.push(check.name, run_check(check.run(&context)).await);
        }
        report
    }
}
