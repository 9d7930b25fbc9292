//! Caches of others behind [`memory_core::Cache`], as references.
//!
//! They are not backends of the memory system: each keeps the part of the
//! contract that its library offers. They are bounded by bytes only, know no
//! lifetimes and count nothing, which flatters their times a little: what the
//! house's own caches do on top is part of what they cost.

mod foyer;
mod lru;
mod mini_moka;
mod moka_future;
mod none;

pub use foyer::{FoyerBackend, FoyerCache};
pub use lru::{LruBackend, LruCache};
pub use mini_moka::{MiniMokaBackend, MiniMokaCache};
pub use moka_future::{MokaFutureBackend, MokaFutureCache};
pub use none::{NoBackend, NoCache};

/// A weight for libraries that count in 32 bits.
fn narrow(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use memory_core::CacheBackend;
    use memory_testkit::cache::Suite;

    use super::*;

    /// What of the contract the work relies on.
    fn assert_truthful(backend: &impl CacheBackend) {
        let suite = Suite::new().only([
            "values::holds_what_fits",
            "values::gives_the_latest",
            "values::gives_nothing_else",
            "values::too_heavy_a_value_ends_the_older",
            "values::remove_takes_effect_at_once",
            "threads::never_see_older_values",
        ]);
        suite.run(backend).assert();
    }

    #[test]
    fn the_references_are_truthful() {
        assert_truthful(&MokaFutureBackend);
        assert_truthful(&MiniMokaBackend);
        assert_truthful(&FoyerBackend::TINY_LFU);
        assert_truthful(&FoyerBackend::S3_FIFO);
        assert_truthful(&LruBackend);
    }
}
