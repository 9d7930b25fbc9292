//! The table of checks, and the checks themselves, by what they are about.

pub mod batches;
pub mod meaning;
pub mod scores;
pub mod texts;

use futures_util::future::BoxFuture;

use super::context::CheckContext;
use crate::check::CheckResult;

/// One promise of the contract, and how it is put to the test.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// `module::what_it_demands`, the name of a function in this module.
    pub name: &'static str,
    run: for<'a> fn(&'a CheckContext<'a>) -> BoxFuture<'a, CheckResult>,
}

impl Check {
    /// Puts the promise to the test.
    ///
    /// # Errors
    /// How the promise is faulty, or why it does not apply.
    pub async fn run<'a>(&self, context: &'a CheckContext<'a>) -> CheckResult {
        (self.run)(context).await
    }
}

macro_rules! checks {
    ($($module:ident::{$($name:ident),+ $(,)?})+) => {
        &[$($(
            Check {
                name: concat!(stringify!($module), "::", stringify!($name)),
                run: |context| Box::pin($module::$name(context)),
            },
        )+)+]
    };
}

/// Every check of form, in the order in which they run.
pub const CHECKS: &[Check] = checks! {
    scores::{
        come_from_a_named_model, come_one_for_each_text_in_order, are_finite,
        are_repeatable, depend_on_the_question,
    }
    batches::{
        do_not_affect_scores, may_be_empty, may_be_large, concurrent_calls_do_not_mix,
        dropped_calls_have_no_effect,
    }
    texts::{of_any_shape_are_taken, of_any_shape_may_be_questions, may_be_very_long}
};

/// The checks of meaning, which [`Suite::with_meaning`](super::Suite::with_meaning) adds.
pub const MEANING: &[Check] = checks! {
    meaning::{answers_score_higher}
};
