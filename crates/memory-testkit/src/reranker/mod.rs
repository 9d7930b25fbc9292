//! The conformance suite for [`Reranker`].

use memory_core::Reranker;

use crate::check::run_check;
use crate::report::Report;

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
    meaning: Meaning,
    only: Vec<&'static str>,
}

/// Whether scores are held to mean something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Meaning {
    #[default]
    Ignored,
    Demanded,
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
        self.meaning = Meaning::Demanded;
        self
    }

    /// Runs only the checks of these names.
    #[must_use]
    pub fn only(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.only.extend(names);
        self
    }

    /// Runs the checks, one after the other.
    pub async fn run(&self, reranker: &dyn Reranker) -> Report {
        let mut report = Report::new(format!("reranker {}", reranker.model()));
        let context = CheckContext::new(reranker);
        for check in CHECKS.iter().chain(MEANING).filter(|it| self.wants(it)) {
            report.push(check.name, run_check(check.run(&context)).await);
        }
        report
    }

    fn wants(&self, check: &Check) -> bool {
        let of_meaning = MEANING.iter().any(|other| other.name == check.name);
        (self.only.is_empty() || self.only.contains(&check.name))
            && (!of_meaning || self.meaning == Meaning::Demanded)
    }
}
