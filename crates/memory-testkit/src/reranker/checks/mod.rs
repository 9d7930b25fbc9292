//! The table of checks, and the checks themselves, by what they are about.

pub mod batches;
pub mod meaning;
pub mod scores;
pub mod texts;

use super::context::CheckContext;
use crate::check::{check_table, define_check};

define_check!(CheckContext);

/// Every check of form, in the order in which they run.
pub const CHECKS: &[Check] = check_table! {
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
pub const MEANING: &[Check] = check_table! {
    meaning::{answers_score_higher}
};
