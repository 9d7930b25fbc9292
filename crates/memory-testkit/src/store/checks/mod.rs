//! The table of checks, and the checks themselves: a module for each method
//! of [`Store`](memory_core::Store), and some for what holds of all.

pub mod bulk;
pub mod cancellation;
pub mod changes;
pub mod close;
pub mod concurrency;
pub mod delete;
pub mod entities;
pub mod filters;
pub mod get;
pub mod input;
pub mod insert;
pub mod isolation;
pub mod list;
pub mod round_trip;
pub mod search_both;
pub mod search_dense;
pub mod search_lexical;
pub mod touch;
pub mod update;

use futures_util::future::BoxFuture;

use super::ground::Ground;
use crate::check::CheckResult;

/// One promise of the contract, and how it is put to the test.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// `module::what_it_demands`, the name of a function in this module.
    pub name: &'static str,
    /// What it cannot do without.
    pub needs: Needs,
    run: for<'a> fn(&'a Ground) -> BoxFuture<'a, CheckResult>,
}

impl Check {
    /// Puts the promise to the test.
    ///
    /// # Errors
    /// How the promise is broken, or why it does not apply.
    pub async fn run(&self, ground: &Ground) -> CheckResult {
        (self.run)(ground).await
    }
}

/// What a check cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Any store.
    Store,
    /// A store with a lexical arm.
    Lexical,
    /// A store that the check may close.
    OwnStore,
}

macro_rules! table {
    ($($needs:ident: $module:ident::{$($name:ident),+ $(,)?})+) => {
        /// Every check, in the order in which they run.
        pub const CHECKS: &[Check] = &[$($(
            Check {
                name: concat!(stringify!($module), "::", stringify!($name)),
                needs: Needs::$needs,
                run: |ground| Box::pin($module::$name(ground)),
            },
        )+)+];
    };
}

table! {
    Store: insert::{
        writes_the_whole_batch, serves_several_entities, repeats_are_no_ops,
        conflict_writes_nothing, refuses_an_id_twice, keeps_entities_apart,
        takes_deleted_ids_anew, keeps_access_fields, empty_batch_is_a_no_op,
    }
    Store: round_trip::{
        keeps_every_field, keeps_text_of_any_shape, keeps_the_longest_content,
        keeps_extreme_times, keeps_numbers_exactly,
    }
    Store: get::{answers_in_order, answers_none_where_there_is_none}
    Store: list::{
        is_newest_first, breaks_ties_by_id, turns_pages_without_loss, ends_on_the_last_page,
    }
    Store: filters::{
        list_agrees, count_agrees, search_agrees, tag_modes_differ, tags_are_exact,
        time_edges_are_exact, metadata_is_exact, involved_entities_are_exact,
    }
    Store: search_dense::{
        ranks_by_best_vector, finds_k_under_every_filter, compares_one_fingerprint_only,
        returns_whole_memories, asks_no_arm_finds_nothing,
    }
    Store: search_lexical::{answers_as_capabilities_say}
    Lexical: search_lexical::{
        finds_an_identifier, ranks_more_matches_higher, any_word_may_match, finds_k_under_filters,
        takes_text_of_any_shape, operators_mean_nothing, follows_writes,
    }
    Lexical: search_both::{finds_the_best_of_each_arm, carries_every_value}
    Store: changes::{
        start_with_the_whole_state, hold_only_what_changed, lead_to_the_next_state,
        tell_of_deletions, hold_the_latest_state_only, start_over_beyond_the_generation,
        bring_vectors_of_one_fingerprint, follow_a_change_of_model,
    }
    Store: update::{
        changes_what_is_set_only, replaces_the_embedding, wants_an_embedding_with_content_only,
        finds_no_strangers, adds_up_with_other_patches, raises_the_generation,
    }
    Store: delete::{
        removes_for_good, passes_over_unknown_ids, raises_the_generation_once, is_seen_everywhere,
    }
    Store: touch::{adds_accesses, never_moves_back, passes_over_unknown_ids, raises_no_generation}
    Store: entities::{
        stats_start_at_zero, stats_follow_writes, are_listed_in_order, are_listed_in_pages,
        without_memories_are_not_listed,
    }
    Store: isolation::{
        reads_stay_at_home, searches_stay_at_home, changes_stay_at_home, writes_stay_at_home,
    }
    Store: input::{
        limits_are_bounded, filters_are_bounded, vectors_are_sound, queries_are_sound,
        dimensions_are_bounded, memories_keep_their_bounds, patches_keep_their_bounds, errors_hold_no_content,
    }
    Store: bulk::{inserts_many, reads_and_removes_many}
    Store: concurrency::{
        writers_take_turns, readers_see_whole_batches, same_batch_lands_once,
        patches_of_different_fields_meet,
    }
    Store: cancellation::{insert_is_whole_or_absent, update_is_whole_or_absent, delete_is_whole_or_absent}
    OwnStore: close::{answers_closed, may_be_repeated}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
