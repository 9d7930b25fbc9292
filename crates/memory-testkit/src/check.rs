//! Results of checks, and the helpers that produce them.

use std::any::Any;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};

use futures_util::FutureExt;
use memory_core::{ErrorKind, InvalidInput, MemoryError, MemoryResult};

use crate::report::Verdict;

/// What a check returns: `Ok` when the promise is kept.
pub type CheckResult = Result<(), CheckFailure>;

/// Why a check did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckFailure {
    /// A promise is faulty.
    Failed(String),
    /// The backend makes no such promise.
    NotApplicable(String),
}

impl CheckFailure {
    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::Failed(why.into())
    }

    /// Says at which step of the check it happened.
    fn at(self, step: &dyn Display) -> Self {
        match self {
            Self::Failed(why) => Self::Failed(format!("{step}: {why}")),
            Self::NotApplicable(why) => Self::NotApplicable(why),
        }
    }
}

impl From<MemoryError> for CheckFailure {
    fn from(error: MemoryError) -> Self {
        Self::Failed(format!("unexpected error {:?}: {error}", error.kind()))
    }
}

/// Names the step of a check in which something fell short.
pub(crate) trait At<T> {
    fn at(self, step: impl Display) -> Result<T, CheckFailure>;
}

impl<T, E: Into<CheckFailure>> At<T> for Result<T, E> {
    fn at(self, step: impl Display) -> Result<T, CheckFailure> {
        self.map_err(|error| error.into().at(&step))
    }
}

/// Ends the check with a reason unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        match $holds {
            true => {}
            false => return Err($crate::check::CheckFailure::failed(format!($($why)+))),
        }
    };
}

/// Ends the check unless two values are equal; the rest names the value.
macro_rules! ensure_eq {
    ($got:expr, $wanted:expr, $($what:tt)+) => {
        $crate::check::equal(&$got, &$wanted, format_args!($($what)+))?
    };
}

/// Defines `Check`, for checks that run in a context of this type.
macro_rules! define_check {
    ($context:ident) => {
        /// One promise of the contract, and how it is put to the test.
        #[derive(Debug, Clone, Copy)]
        pub struct Check {
            /// `module::what_it_demands`, the name of a function in this module.
            pub name: &'static str,
            run: for<'a> fn(
                &'a $context<'a>,
            ) -> futures_util::future::BoxFuture<'a, $crate::check::CheckResult>,
        }

        impl Check {
            /// Puts the promise to the test.
            ///
            /// # Errors
            /// How the promise is faulty, or why it does not apply.
            pub async fn run<'a>(&self, context: &'a $context<'a>) -> $crate::check::CheckResult {
                (self.run)(context).await
            }
        }
    };
}

/// A table of `Check`s, from the functions of modules.
macro_rules! check_table {
    ($($module:ident::{$($name:ident),+ $(,)?})+) => {
        &[$($(
            Check {
                name: concat!(stringify!($module), "::", stringify!($name)),
                run: |context| Box::pin($module::$name(context)),
            },
        )+)+]
    };
}

pub(crate) use {check_table, define_check, ensure, ensure_eq};

pub(crate) fn equal<T, U>(got: &T, wanted: &U, what: impl Display) -> CheckResult
where
    T: PartialEq<U> + Debug,
    U: Debug,
{
    if got == wanted {
        return Ok(());
    }
    let (got, wanted) = (shortened(got), shortened(wanted));
    Err(CheckFailure::failed(format!(
        "{what}: got {got}, expected {wanted}"
    )))
}

/// A value's text, cut where it would drown the report.
fn shortened(value: &impl Debug) -> String {
    const MAX_CHARS: usize = 400;
    let text = format!("{value:?}");
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Demands an error of one of these kinds.
pub(crate) fn refused<T>(result: MemoryResult<T>, kinds: &[ErrorKind], what: &str) -> CheckResult {
    match result {
        Ok(_) => Err(CheckFailure::failed(format!(
            "{what}: accepted, expected an error of kind {kinds:?}"
        ))),
        Err(error) if kinds.contains(&error.kind()) => Ok(()),
        Err(error) => Err(CheckFailure::failed(format!(
            "{what}: got {:?} ({error}), expected an error of kind {kinds:?}",
            error.kind()
        ))),
    }
}

/// Demands [`MemoryError::InvalidInput`] with a problem that `is` accepts.
pub(crate) fn invalid<T>(
    result: MemoryResult<T>,
    is: fn(&InvalidInput) -> bool,
    what: &str,
) -> CheckResult {
    match result {
        Err(MemoryError::InvalidInput { problem, .. }) if is(&problem) => Ok(()),
        Err(MemoryError::InvalidInput { problem, .. }) => Err(CheckFailure::failed(format!(
            "{what}: refused with the wrong reason: {problem}"
        ))),
        other => refused(other, &[ErrorKind::InvalidInput], what),
    }
}

/// Runs an asynchronous check; a panic of the backend fails it.
pub(crate) async fn run_check(check: impl Future<Output = CheckResult>) -> Verdict {
    verdict(AssertUnwindSafe(check).catch_unwind().await)
}

/// Runs a synchronous check; a panic of the backend fails it.
pub(crate) fn run_check_sync(check: impl FnOnce() -> CheckResult) -> Verdict {
    verdict(panic::catch_unwind(AssertUnwindSafe(check)))
}

fn verdict(result: Result<CheckResult, Box<dyn Any + Send>>) -> Verdict {
    match result {
        Ok(Ok(())) => Verdict::Passed,
        Ok(Err(CheckFailure::Failed(why))) => Verdict::Failed(why),
        Ok(Err(CheckFailure::NotApplicable(why))) => Verdict::NotApplicable(why),
        Err(payload) => Verdict::Failed(format!("panicked: {}", panic_text(payload.as_ref()))),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("(no message)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(verdict: Verdict) -> String {
        match verdict {
            Verdict::Failed(why) => why,
            other => panic!("expected a failure, got {other:?}"),
        }
    }

    #[test]
    fn a_panic_of_the_backend_is_a_failure_with_its_text() {
        let why = failure(run_check_sync(|| panic!("row {} is gone", 7)));
        assert_eq!(why, "panicked: row 7 is gone");
    }

    #[test]
    fn a_failure_names_its_step_the_value_and_what_was_expected() {
        let check = || -> CheckResult {
            equal(&2, &3, "count").at("step 5")?;
            Ok(())
        };
        assert_eq!(
            failure(run_check_sync(check)),
            "step 5: count: got 2, expected 3"
        );
        let long = "x".repeat(1_000);
        let why = failure(run_check_sync(|| equal(&long, &String::new(), "text")));
        assert!(why.chars().count() < 500 && why.contains('…'), "{why}");
    }

    #[test]
    fn an_error_of_the_wrong_kind_is_no_refusal() {
        let closed = || MemoryResult::<()>::Err(MemoryError::store(ErrorKind::Closed, "get", ""));
        assert!(refused(closed(), &[ErrorKind::Closed], "get").is_ok());
        assert!(refused(closed(), &[ErrorKind::NotFound], "get").is_err());
        assert!(refused(Ok(()), &[ErrorKind::Closed], "get").is_err());
    }
}
