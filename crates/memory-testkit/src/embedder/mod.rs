//! The conformance suite for [`Embedder`].

use memory_core::Embedder;

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

/// Runs every check of form against an embedder, with the strictest tolerance.
///
/// ```
/// # async fn proof() {
/// use memory_testkit::{HashEmbedder, embedder};
/// embedder::conformance(&HashEmbedder::new()).await.assert();
/// # }
/// ```
pub async fn conformance(embedder: &dyn Embedder) -> Report {
    Suite::new().run(embedder).await
}

/// How the suite is run, where the defaults do not fit.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    tolerance: Tolerance,
    selection: Selection,
}

/// How far equal texts' vectors may be apart, in each component.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Tolerance(pub f32);

impl Default for Tolerance {
    /// 1e-4, the contract's own.
    fn default() -> Self {
        Self(1e-4)
    }
}

impl Suite {
    /// Every check of form, with the strictest tolerance.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Demands as well that related English sentences are closer than
    /// unrelated ones: for embedders that carry a model.
    #[must_use]
    pub fn with_meaning(mut self) -> Self {
        self.selection.includes_meaning = true;
        self
    }

    /// Lets equal texts' vectors be further apart.
    #[must_use]
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Runs only the checks of these names. A name that no check has is a failure.
    #[must_use]
    pub fn only(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.selection.only.extend(names);
        self
    }

    /// Runs the checks, one after the other.
    pub async fn run(&self, embedder: &dyn Embedder) -> Report {
        let mut report = Report::new(format!("embedder {}", embedder.profile().model));
        let context = CheckContext::new(embedder, self.tolerance);
        let known = self.selection.known(CHECKS, MEANING, |check| check.name);
        report.push_unknown(&self.selection.only, &known);
        for check in self.selection.of(CHECKS, MEANING, |check| check.name) {
            report.push(check.name, run_check(check.run(&context)).await);
        }
        report
    }
}
