//! The table of checks, and the checks themselves, by what they are about.

pub mod batches;
pub mod close;
pub mod concurrency;
pub mod removal;
pub mod time;
pub mod values;
pub mod versions;

use super::context::CheckContext;
use crate::check::{check_table, define_check};

define_check!(CheckContext);

/// Every check, in the order in which they run.
pub const CHECKS: &[Check] = check_table! {
    values::{
        are_missing_before_the_first_put, are_returned_as_put, of_any_bytes_are_kept,
        of_any_size_are_kept, belong_to_group_and_id, expire,
    }
    versions::{
        replace_lower_ones, never_replace_higher_ones, are_compared_as_numbers,
        that_are_equal_are_ordered_by_time,
    }
    time::{
        never_goes_back, is_the_same_for_a_group, in_the_future_is_refused, too_far_back_is_refused,
    }
    removal::{
        hides_the_value, of_an_unknown_key_is_fine, refuses_puts_that_began_before,
        accepts_puts_that_began_after, keeps_higher_versions, refuses_lower_versions,
        of_a_group_hides_all_of_it, of_a_group_accepts_puts_that_began_after,
        of_a_group_refuses_puts_that_began_before, of_a_group_keeps_higher_versions,
        of_a_group_refuses_lower_versions, of_a_group_leaves_others,
    }
    batches::{come_in_order, may_be_empty, may_repeat_a_key, may_be_large}
    concurrency::{the_highest_version_wins, dropped_calls_have_no_effect}
    close::{ends_every_call}
};
