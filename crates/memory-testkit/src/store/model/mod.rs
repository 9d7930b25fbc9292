//! A state machine: random writes against a store and against a plain model
//! of it, every read compared.

mod op;
mod reference;
mod run;

use std::future::Future;
use std::sync::Arc;

use memory_core::Store;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use self::op::Op;
use super::IntoStore;
use super::context::CheckContext;
use super::{Tolerance, unopened};
use crate::check::run_check;
use crate::report::{Report, Verdict};

/// The name of the check in a report.
const NAME: &str = "model::agrees";

/// Replays at most in search of a shorter failing sequence.
const MAX_REPLAYS: usize = 600;

/// Runs `cases` random sequences of up to `steps` operations against a store
/// and a model of it, comparing the outcome of every write and all that every
/// read returns. The sequences are the same in every run.
///
/// A failing sequence is shortened to one from which nothing more can be left
/// out, and reported. `open` is called once; each sequence has a namespace of
/// its own.
///
/// ```
/// # async fn proof() {
/// use memory_testkit::{InMemoryStore, store};
/// store::model_check(|| async { InMemoryStore::new() }, 16, 40).await.assert();
/// # }
/// ```
pub async fn model_check<Open, Opening, Form>(open: Open, cases: usize, steps: usize) -> Report
where
    Open: FnOnce() -> Opening,
    Opening: Future,
    Opening::Output: IntoStore<Form>,
{
    model_check_within(Tolerance::default(), open, cases, steps).await
}

/// [`model_check`] of a store that keeps or compares vectors less exactly.
pub async fn model_check_within<Open, Opening, Form>(
    tolerance: Tolerance,
    open: Open,
    cases: usize,
    steps: usize,
) -> Report
where
    Open: FnOnce() -> Opening,
    Opening: Future,
    Opening::Output: IntoStore<Form>,
{
    let store = match open().await.into_store() {
        Ok(store) => store,
        Err(why) => return unopened(why),
    };
    let mut report = Report::new(format!("store {}", store.capabilities().backend));
    /// Of so many cases, one has operations on many memories.
    const LARGE_CASE: usize = 16;
    let strategy = op::sequence(steps).boxed();
    let large = op::large_sequence(steps).boxed();
    let mut runner = TestRunner::deterministic();
    for case in 0..cases {
        let is_large = case % LARGE_CASE == LARGE_CASE - 1;
        let strategy = if is_large { &large } else { &strategy };
        let Ok(mut tree) = strategy.new_tree(&mut runner) else {
            continue;
        };
        if let Verdict::Failed(why) = replay(&store, tolerance, &tree.current()).await {
            let shortest = shorten(&store, tolerance, &mut tree, why).await;
            let why = format!("case {case}: {shortest}");
            report.push(NAME, Verdict::Failed(why));
            return report;
        }
    }
    report.push(NAME, Verdict::Passed);
    report
}

/// Leaves operations out, and makes the rest smaller, as long as it fails.
async fn shorten(
    store: &Arc<dyn Store>,
    tolerance: Tolerance,
    tree: &mut impl ValueTree<Value = Vec<Op>>,
    mut why: String,
) -> String {
    let mut shortest = tree.current();
    let mut moved = tree.simplify();
    for _ in 0..MAX_REPLAYS {
        if !moved {
            break;
        }
        let ops = tree.current();
        moved = match replay(store, tolerance, &ops).await {
            Verdict::Failed(reason) => {
                (why, shortest) = (reason, ops);
                tree.simplify()
            }
            _ => tree.complicate(),
        };
    }
    format!("{why}\n    after {shortest:?}")
}

/// Runs one sequence in a namespace of its own.
async fn replay(store: &Arc<dyn Store>, tolerance: Tolerance, ops: &[Op]) -> Verdict {
    let context = CheckContext::new(Arc::clone(store), tolerance);
    run_check(run::run(&context, ops)).await
}
