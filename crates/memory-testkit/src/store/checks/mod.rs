//! The table of checks, and the checks themselves: a module for each method
//! of [`Store`](memory_core::Store), and some for what holds of all.

pub mod archive;
pub mod bulk;
pub mod cancellation;
pub mod change_marker;
pub mod changes;
pub mod close;
pub mod concurrency;
pub mod consolidate;
pub mod delete;
pub mod entities;
pub mod evict;
pub mod filters;
pub mod get;
pub mod index_maintenance;
pub mod input;
pub mod insert;
pub mod isolation;
pub mod limits;
pub mod list;
pub mod neighbors;
pub mod record_accesses;
pub mod relations;
pub mod restore;
pub mod round_trip;
pub mod sample;
pub mod score_stats;
pub mod search_both;
pub mod search_dense;
pub mod search_lexical;
pub mod second_store;
pub mod snapshot_pages;
pub mod update;
pub mod vectors;
pub mod watch;

use futures_util::future::BoxFuture;

use super::context::CheckContext;
use crate::check::CheckResult;

/// One promise of the contract, and how it is put to the test.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// `module::what_it_demands`, the name of a function in this module.
    pub name: &'static str,
    /// What it cannot do without.
    pub needs: Needs,
    run: for<'a> fn(&'a CheckContext) -> BoxFuture<'a, CheckResult>,
}

impl Check {
    /// Puts the promise to the test.
    ///
    /// # Errors
    /// How the promise is faulty, or why it does not apply.
    pub async fn run(&self, context: &CheckContext) -> CheckResult {
        (self.run)(context).await
    }
}

/// What a check cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Any store.
    Store,
    /// A store with a lexical retriever.
    Lexical,
    /// A store whose searches return samples.
    Samples,
    /// A store that reads neighbors.
    Neighbors,
    /// A store that keeps pages for readers.
    Pages,
    /// A store that the check may close.
    OwnStore,
    /// A store that is opened twice.
    SecondStore,
}

macro_rules! table {
    ($($needs:ident: $module:ident::{$($name:ident),+ $(,)?})+) => {
        /// Every check, in the order in which they run.
        pub const CHECKS: &[Check] = &[$($(
            Check {
                name: concat!(stringify!($module), "::", stringify!($name)),
                needs: Needs::$needs,
                run: |context| Box::pin($module::$name(context)),
            },
        )+)+];
    };
}

table! {
    Store: insert::{
        writes_the_whole_batch, serves_several_entities, repeats_are_no_ops,
        conflict_writes_nothing, refuses_an_id_twice, keeps_entities_apart,
        accepts_deleted_ids_again, keeps_access_fields, empty_batch_is_a_no_op,
    }
    Store: round_trip::{
        keeps_every_field, keeps_text_of_any_shape, keeps_the_longest_content,
        keeps_extreme_times, cuts_times_to_microseconds, keeps_numbers_exactly,
    }
    Store: get::{answers_in_order, answers_none_where_there_is_none}
    Store: list::{
        is_newest_first, breaks_ties_by_id, has_pages_without_loss, ends_on_the_last_page,
        any_cursor_is_exact,
    }
    Store: filters::{
        list_agrees, count_agrees, search_agrees, tag_modes_differ, tags_are_exact,
        time_edges_are_exact, edges_between_microseconds_are_exact, metadata_is_exact,
        involved_entities_are_exact, links_are_exact,
    }
    Store: search_dense::{
        ranks_by_best_vector, finds_k_under_every_filter, compares_one_fingerprint_only,
        discounts_many_chunks, returns_whole_memories, finds_nothing_without_retriever,
    }
    Store: search_lexical::{answers_as_capabilities_say}
    Store: index_maintenance::{
        dry_run_writes_nothing, second_run_builds_nothing, searches_reach_the_target,
        request_is_respected,
    }
    Lexical: search_lexical::{
        finds_an_identifier, ranks_more_matches_higher, any_word_may_match, finds_k_under_filters,
        takes_text_of_any_shape, operators_mean_nothing, follows_writes,
    }
    Lexical: search_both::{finds_the_best_of_each_retriever, carries_every_value}
    Samples: sample::{
        has_as_many_as_asked_for, matches_the_filter, does_not_depend_on_the_query,
        carries_every_value,
    }
    Store: neighbors::{answers_as_capabilities_say}
    Neighbors: neighbors::{
        are_nearest_in_time, agree_with_a_scan, carry_the_values_of_a_search, are_scoped,
        numbers_are_limited,
    }
    Store: changes::{
        start_with_the_whole_state, hold_only_what_changed, lead_to_the_next_state,
        report_deletions, serve_readers_behind_many_removals, hold_the_latest_state_only, start_over_beyond_the_generation,
        bring_vectors_of_one_fingerprint, follow_a_change_of_model,
    }
    Pages: snapshot_pages::{
        have_every_memory_once, end_with_their_memories, end_with_the_vectors_of_their_memories,
        of_changed_memories_are_not_kept, belong_to_one_fingerprint_and_format, leave_accesses_out,
    }
    Store: update::{
        changes_what_is_set_only, replaces_the_embedding, requires_an_embedding_with_content_only,
        refuses_unknown_ids, combines_with_other_patches, raises_the_generation,
        says_whether_it_wrote,
    }
    Store: vectors::{
        are_supported_together, are_replaced, of_changed_memories_stay,
        of_equal_ids_are_kept_apart, that_replace_are_valid, of_other_models_stay_until_removed,
        new_content_has_those_of_its_writer, of_two_models_follow_their_memory,
    }
    Store: delete::{
        removes_for_good, passes_over_unknown_ids, raises_the_generation_once, is_seen_everywhere,
    }
    Store: record_accesses::{
        adds_accesses, are_of_several_entities, never_moves_back, passes_over_unknown_ids,
        are_all_or_nothing, raises_no_generation, writes_or_defers_each_update,
    }
    Store: entities::{
        stats_start_at_zero, stats_follow_writes, are_listed_in_order, are_listed_in_pages,
        without_memories_are_not_listed, are_listed_by_their_last_access,
    }
    Store: isolation::{
        reads_are_scoped, searches_are_scoped, changes_are_scoped, writes_are_scoped,
        equal_ids_are_kept_apart,
    }
    Store: input::{
        page_sizes_are_limited, filters_are_limited, searches_are_limited, vectors_are_valid, queries_are_valid,
        dimensions_are_limited, memories_keep_their_limits, patches_keep_their_limits, errors_hold_no_content,
    }
    Store: limits::{
        limit_is_exact, limit_is_per_entity, refusal_changes_nothing, repeats_do_not_count,
        archived_memories_do_not_count, batch_is_inserted_live, archived_ids_are_taken,
        is_exact_with_many_writers,
    }
    Store: evict::{
        is_one_write_with_the_insert, passes_over_unknown_ids, follows_consolidations, drops_links,
        happens_after_the_conflict_check,
    }
    Store: consolidate::{
        archives_its_sources, is_one_write, is_all_or_nothing, refuses_what_is_not_live,
        refuses_what_changed, refuses_a_taken_id, repeats_are_no_ops, no_groups_are_a_no_op,
        summaries_may_be_sources, serializes_overlapping_calls, bad_groups_are_refused,
    }
    Store: archive::{
        is_read_by_id, is_listed_by_scope, lists_show_an_earlier_state, is_counted_apart, is_found_by_no_search,
        is_reported_as_removed, is_not_updated, has_its_accesses_recorded, keeps_its_entity_listed,
    }
    Store: restore::{
        removed_source_removes_its_summary, every_summary_above_is_removed,
        removed_summary_restores_its_sources, levels_are_restored_one_by_one,
        removed_sources_are_not_restored, restored_memories_are_reported_completely,
        restored_memories_may_be_archived_again,
    }
    Store: relations::{
        are_added_and_dropped_one_by_one, of_many_writers_combine, are_counted,
        to_removed_memories_are_dropped, among_removed_and_restored_are_consistent,
    }
    Store: score_stats::{
        dense_covers_all_matches, are_absent_without_retriever, matches_are_counted,
    }
    Lexical: score_stats::{
        lexical_covers_all_matches, both_equal_each_alone, terms_are_counted_in_all,
    }
    Store: change_marker::{differs_after_every_write, of_a_handle_differs_after_other_writes}
    Store: watch::{reports_every_write, loses_nothing_in_dropped_waits}
    Store: bulk::{inserts_many, reads_and_removes_many}
    Store: concurrency::{
        serializes_writers, readers_see_whole_batches, same_batch_is_inserted_once,
        patches_of_different_fields_combine,
    }
    Store: cancellation::{
        insert_is_whole_or_absent, update_is_whole_or_absent, delete_is_whole_or_absent,
        consolidate_is_whole_or_absent, insert_with_evictions_is_whole_or_absent,
        record_accesses_is_whole_or_absent, replace_vectors_is_whole_or_absent,
    }
    SecondStore: second_store::{reads_every_write, is_declared, changes_the_marker, is_watched}
    OwnStore: close::{answers_as_capabilities_say, finishes_running_calls, may_be_repeated}
    OwnStore: watch::{ends_with_the_store}
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
