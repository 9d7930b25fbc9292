//! The table of checks, and the checks themselves, by what they are about.

pub mod batches;
pub mod chunks;
pub mod meaning;
pub mod texts;
pub mod vectors;

use super::context::CheckContext;
use crate::check::{check_table, define_check};

define_check!(CheckContext);

/// Every check of form, in the order in which they run.
pub const CHECKS: &[Check] = check_table! {
    vectors::{
        come_from_a_named_model, come_one_for_each_text_in_order, are_unit_vectors,
        are_repeatable, serve_both_roles,
    }
    batches::{
        do_not_affect_vectors, may_repeat_a_text, may_be_empty, may_be_large,
        concurrent_calls_do_not_mix, concurrent_roles_do_not_mix, dropped_calls_have_no_effect,
    }
    texts::{
        of_any_shape_are_taken, beyond_the_window_do_not_count, may_be_very_long,
        unknown_tokens_are_a_share,
    }
    chunks::{
        come_one_list_for_each_text, leave_fitting_texts_whole, lie_on_characters,
        cover_everything, cover_each_text_of_a_large_batch, overlap, fit_the_window,
    }
};

/// The checks of meaning, which [`Suite::with_meaning`](super::Suite::with_meaning) adds.
pub const MEANING: &[Check] = check_table! {
    meaning::{related_texts_are_closer}
};
