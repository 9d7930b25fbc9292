//! What a suite found.

use std::env;
use std::fmt;

/// Set to anything but the empty text, this environment variable makes
/// [`Report::assert`] fail on checks that do not apply.
pub const NO_SKIPS: &str = "MEMORY_TESTKIT_NO_SKIPS";

/// Every check of a suite, with its verdict.
#[derive(Debug, Clone)]
#[must_use = "a report that nobody reads proves nothing; call `assert`"]
pub struct Report {
    subject: String,
    outcomes: Vec<Outcome>,
}

/// One check and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The check's name: `module::what_it_demands`.
    pub name: &'static str,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The promise is kept.
    Passed,
    /// The promise is faulty, and how.
    Failed(String),
    /// The backend makes no such promise, and why.
    NotApplicable(String),
}

impl Report {
    /// An empty report about `subject`, a backend's name.
    pub(crate) fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            outcomes: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, name: &'static str, verdict: Verdict) {
        self.outcomes.push(Outcome { name, verdict });
    }

    /// A failure for each name that no check of the suite has: a misspelled one would
    /// leave its check out, and the others would pass.
    pub(crate) fn push_unknown(&mut self, names: &[&'static str], known: &[&'static str]) {
        for name in names.iter().filter(|name| !known.contains(name)) {
            let why = "the suite runs no check of this name".to_owned();
            self.push(name, Verdict::Failed(why));
        }
    }

    /// Every check in the order in which it ran.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The names of the checks that passed.
    pub fn passed(&self) -> impl Iterator<Item = &'static str> {
        self.named(|verdict| *verdict == Verdict::Passed)
    }

    /// The names of the checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> {
        self.named(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    /// The names of the checks that the backend's capabilities rule out.
    pub fn not_applicable(&self) -> impl Iterator<Item = &'static str> {
        self.named(|verdict| matches!(verdict, Verdict::NotApplicable(_)))
    }

    /// Whether checks ran and none failed.
    #[must_use]
    pub fn is_conformant(&self) -> bool {
        !self.outcomes.is_empty() && self.failed().next().is_none()
    }

    /// Prints the checks that do not apply, and insists that none failed.
    ///
    /// # Panics
    /// With every failed check and its reason, when one failed (or none ran);
    /// with [`NO_SKIPS`] in the environment also when one does not apply.
    #[expect(clippy::panic, clippy::print_stdout, reason = "this is for tests")]
    #[track_caller]
    pub fn assert(&self) {
        let strict = env::var_os(NO_SKIPS).is_some_and(|value| !value.is_empty());
        let skips = self.not_applicable().next().is_some();
        if !self.is_conformant() || (strict && skips) {
            panic!("{self}");
        }
        if skips {
            println!("{self}");
        }
    }

    fn named(&self, which: fn(&Verdict) -> bool) -> impl Iterator<Item = &'static str> {
        self.outcomes
            .iter()
            .filter(move |outcome| which(&outcome.verdict))
            .map(|outcome| outcome.name)
    }
}

impl fmt::Display for Report {
    /// A line with the numbers, then one for each check that did not pass.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} passed, {} failed, {} not applicable",
            self.subject,
            self.passed().count(),
            self.failed().count(),
            self.not_applicable().count()
        )?;
        for Outcome { name, verdict } in &self.outcomes {
            match verdict {
                Verdict::Passed => {}
                Verdict::Failed(why) => write!(f, "\n  FAILED {name}: {why}")?,
                Verdict::NotApplicable(why) => write!(f, "\n  not applicable {name}: {why}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: impl IntoIterator<Item = Verdict>) -> Report {
        let mut report = Report::new("subject");
        for verdict in verdicts {
            report.push("module::check", verdict);
        }
        report
    }

    #[test]
    fn a_report_without_failures_passes_and_an_empty_one_does_not() {
        let good = report([
            Verdict::Passed,
            Verdict::NotApplicable("no retriever".into()),
        ]);
        assert!(good.is_conformant());
        assert_eq!(good.not_applicable().count(), 1);
        assert!(!report([]).is_conformant());
    }

    #[test]
    #[should_panic(expected = "FAILED module::check: lost a row")]
    fn a_failure_panics_with_its_reason() {
        report([Verdict::Passed, Verdict::Failed("lost a row".into())]).assert();
    }
}
