//! The table of checks, and the checks themselves, by what they are about.

pub mod counters;
pub mod expiry;
pub mod limits;
pub mod threads;
pub mod values;

use memory_core::CacheBackend;

use crate::check::CheckResult;

/// One promise of the contract, and how it is put to the test.
#[derive(Debug)]
pub struct Check<B> {
    /// `module::what_it_demands`, the name of a function in this module.
    pub name: &'static str,
    run: fn(&B) -> CheckResult,
}

impl<B> Check<B> {
    /// Puts the promise to the test.
    ///
    /// # Errors
    /// How the promise is faulty.
    pub fn run(&self, backend: &B) -> CheckResult {
        (self.run)(backend)
    }
}

macro_rules! checks {
    ($($module:ident::{$($name:ident),+ $(,)?})+) => {
        vec![$($(
            Check {
                name: concat!(stringify!($module), "::", stringify!($name)),
                run: $module::$name::<B>,
            },
        )+)+]
    };
}

/// Every check, in the order in which they run.
#[must_use]
pub fn table<B: CacheBackend>() -> Vec<Check<B>> {
    checks! {
        values::{
            holds_what_fits, gives_the_latest, gives_nothing_else, too_heavy_a_value_ends_the_older,
            remove_takes_effect_at_once, clear_takes_effect_at_once, works_after_a_clear,
        }
        limits::{
            entries_are_limited, bytes_are_limited, both_limits_apply, weightless_entries_count,
            sizes_are_exact_at_rest, keys_may_weigh, weights_exceed_32_bits, limits_may_be_infinite,
            one_entry_may_fill_the_cache,
        }
        expiry::{
            ttl_ends_an_entry, reads_do_not_prolong_a_ttl, tti_ends_an_unread_entry,
            reads_prolong_a_tti, expired_entries_are_dropped, lifetimes_may_be_infinite,
        }
        counters::{
            count_hits_and_misses, count_expired_as_missed, count_evictions,
            count_the_refused, do_not_count_removals, add_up,
        }
        threads::{never_see_older_values, leave_a_consistent_cache, may_clear_at_any_time}
    }
}
