//! The conformance suite for [`Store`].

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use memory_core::Store;

use crate::check::run_check;
use crate::report::{Report, Verdict};

#[expect(
    clippy::missing_errors_doc,
    reason = "every check errs alike: see `Check::run`"
)]
pub mod checks;
mod context;
mod model;
mod setups;

pub use self::checks::{CHECKS, Check, Needs};
pub use self::context::CheckContext;
pub use self::model::{model_check, model_check_within};

/// Runs every check against a store, with the strictest tolerance.
///
/// `open` is called once for most checks and once more for each check that
/// closes the store or needs a second one; it may give the same database each time. What it gives
/// may be anything that is [`IntoStore`].
///
/// ```
/// # async fn proof() {
/// use memory_testkit::{InMemoryStore, store};
/// store::conformance(|| async { InMemoryStore::new() }).await.assert();
/// # }
/// ```
pub async fn conformance<Open, Opening, Form>(open: Open) -> Report
where
    Open: Fn() -> Opening,
    Opening: Future,
    Opening::Output: IntoStore<Form>,
{
    Suite::new().run(open).await
}

/// How the suite is run, where the defaults do not fit.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    tolerance: Tolerance,
    defers_accesses: bool,
    watch_timeout: Option<Duration>,
    reopens: bool,
    only: Vec<&'static str>,
}

/// How far similarities and vectors read back may be off, as an absolute
/// difference of each number.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Tolerance(pub f32);

impl Default for Tolerance {
    /// 1e-4: full precision, summed in any order.
    fn default() -> Self {
        Self(1e-4)
    }
}

impl Tolerance {
    /// 2e-3: components kept with half precision (11 bits).
    pub const HALF_PRECISION: Self = Self(2e-3);

    /// Whether two numbers are the same, so far as can be demanded.
    #[must_use]
    pub fn same(self, a: f32, b: f32) -> bool {
        (a - b).abs() <= self.0
    }
}

impl Suite {
    /// Every check, with the strictest tolerance.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets similarities and vectors be off by more.
    #[must_use]
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Requires that [`Store::record_accesses`] defers updates of an entity that another
    /// caller writes to: of a store that locks entities one by one.
    #[must_use]
    pub const fn defers_accesses(mut self) -> Self {
        self.defers_accesses = true;
        self
    }

    /// Requires that each call of `open` gives the same database: of a store that keeps it
    /// on disk or on a server. What one store has written, another reads then at once.
    /// Without this, the checks with a second store do not apply where it is another database.
    #[must_use]
    pub const fn reopens(mut self) -> Self {
        self.reopens = true;
        self
    }

    /// Sets how long an event of [`Store::watch`] may take: 5 seconds by default. The
    /// contract names no time; a store that asks for news in intervals needs more.
    #[must_use]
    pub const fn watch_timeout(mut self, timeout: Duration) -> Self {
        self.watch_timeout = Some(timeout);
        self
    }

    /// Runs only the checks of these names. A name that no check has is a failure.
    #[must_use]
    pub fn only(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.only.extend(names);
        self
    }

    /// Runs the checks, one after the other, each in a namespace of its own.
    pub async fn run<Open, Opening, Form>(&self, open: Open) -> Report
    where
        Open: Fn() -> Opening,
        Opening: Future,
        Opening::Output: IntoStore<Form>,
    {
        let store = match open().await.into_store() {
            Ok(store) => store,
            Err(why) => return unopened(why),
        };
        let capabilities = store.capabilities();
        let mut report = Report::new(format!("store {}", capabilities.backend));
        let known: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        report.push_unknown(&self.only, &known);
        for check in CHECKS.iter().filter(|check| self.wants(check)) {
            let verdict = match check.needs {
                Needs::Lexical if !capabilities.lexical => {
                    Verdict::NotApplicable("the store has no lexical retriever".to_owned())
                }
                Needs::Samples if !capabilities.samples => {
                    Verdict::NotApplicable("searches of the store return no samples".to_owned())
                }
                Needs::Neighbors if !capabilities.neighbors => {
                    Verdict::NotApplicable("the store reads no neighbors".to_owned())
                }
                Needs::Pages if store.snapshot_pages().is_none() => {
                    Verdict::NotApplicable("the store keeps no pages for readers".to_owned())
                }
                Needs::OwnStore => match open().await.into_store() {
                    Ok(own) => self.verdict(check, own, None).await,
                    Err(why) => Verdict::Failed(format!("open: {why}")),
                },
                Needs::SecondStore => match open().await.into_store() {
                    Ok(second) => self.verdict(check, Arc::clone(&store), Some(second)).await,
                    Err(why) => Verdict::Failed(format!("open: {why}")),
                },
                Needs::Store
                | Needs::Lexical
                | Needs::Samples
                | Needs::Neighbors
                | Needs::Pages => self.verdict(check, Arc::clone(&store), None).await,
            };
            report.push(check.name, verdict);
        }
        report
    }

    async fn verdict(
        &self,
        check: &Check,
        store: Arc<dyn Store>,
        second: Option<Arc<dyn Store>>,
    ) -> Verdict {
        let mut context = CheckContext::new(store, self.tolerance);
        context.defers_accesses = self.defers_accesses;
        context.second = second;
        context.reopens = self.reopens;
        context.watch_timeout = self.watch_timeout.unwrap_or(context.watch_timeout);
        run_check(check.run(&context)).await
    }

    fn wants(&self, check: &Check) -> bool {
        self.only.is_empty() || self.only.contains(&check.name)
    }
}

/// The report of a store that could not be opened.
pub(super) fn unopened(why: String) -> Report {
    let mut report = Report::new("store");
    report.push("open", Verdict::Failed(why));
    report
}

/// What a test's opening function may give: a store itself, one in an [`Arc`]
/// or a [`Box`], also as `dyn Store`, or a `Result` of any of these.
///
/// `Form` tells these forms apart and is always inferred.
pub trait IntoStore<Form> {
    /// The store, shared; or why there is none.
    ///
    /// # Errors
    /// The text of the error with which opening failed.
    fn into_store(self) -> Result<Arc<dyn Store>, String>;
}

/// A store by value.
#[derive(Debug)]
pub struct ByValue;
/// A store in an [`Arc`].
#[derive(Debug)]
pub struct InArc;
/// A `dyn Store` in an [`Arc`].
#[derive(Debug)]
pub struct DynInArc;
/// A `dyn Store` in a [`Box`].
#[derive(Debug)]
pub struct DynInBox;
/// A `Result` of another form.
#[derive(Debug)]
pub struct Fallible<Form>(std::marker::PhantomData<Form>);

impl<S: Store> IntoStore<ByValue> for S {
    fn into_store(self) -> Result<Arc<dyn Store>, String> {
        Ok(Arc::new(self))
    }
}

impl<S: Store> IntoStore<InArc> for Arc<S> {
    fn into_store(self) -> Result<Arc<dyn Store>, String> {
        Ok(self)
    }
}

impl IntoStore<DynInArc> for Arc<dyn Store> {
    fn into_store(self) -> Result<Arc<dyn Store>, String> {
        Ok(self)
    }
}

impl IntoStore<DynInBox> for Box<dyn Store> {
    fn into_store(self) -> Result<Arc<dyn Store>, String> {
        Ok(self.into())
    }
}

impl<T: IntoStore<Form>, Form, E: Debug> IntoStore<Fallible<Form>> for Result<T, E> {
    fn into_store(self) -> Result<Arc<dyn Store>, String> {
        self.map_err(|error| format!("{error:?}"))?.into_store()
    }
}
