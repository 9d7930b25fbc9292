//! Maps the policy's two limits, entries and bytes, to quick_cache's one weight.

use std::thread;

use memory_core::ByteSize;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter, sync};

use crate::entry_key::EntryKey;

/// The minimum of entries per shard. A shard rejects entries heavier than
/// itself, and the tiers hold entries up to this many times heavier than the
/// mean.
const MIN_SHARD_ENTRIES: u64 = 1_024;

/// Shards per hardware thread. With four, two threads rarely contend for one.
const SHARDS_PER_THREAD: usize = 4;

/// quick_cache indexes the entries of a shard with 32 bits.
const MAX_ENTRIES: u64 = u32::MAX as u64;

/// The maximum of the expected entries passed to quick_cache, which allocates a
/// list of evicted keys for half as many. A policy with unlimited entries must
/// not decide that size.
const MAX_REMEMBERED: u64 = 1 << 20;

/// The fraction of a shard for entries that were read again; the rest is for
/// new ones. quick_cache rejects entries heavier than this fraction. With 1.0
/// the hit ratio drops by 1 to 9 points (measured on Zipf 0.7 to 1.1, with
/// caches of 0.1 to 10 % of the keys); from 0.90 to 0.99 it hardly changes.
/// 0.97 is the library's default.
const HOT_ALLOCATION: f64 = 0.97;

/// The bits of the largest capacity, so that the sum of two cannot overflow.
const CAPACITY_BITS: u32 = 62;

/// The weights of entries and the capacity of the cache.
///
/// An entry of `b` bytes weighs `max(b, max_bytes / max_entries)`, so at most
/// `max_entries` and at most `max_bytes` fit. Weights are in units of
/// `1 / max_entries` byte, which makes the second term an integer: if it were
/// rounded, too many or too few entries would fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weighting {
    entries: u64,
    /// The minimum weight of an entry, `max_bytes` in these units.
    share: u64,
    /// log2 of the number of bytes counted as one. It is 0 unless the product
    /// of the two limits exceeds 62 bits (unlimited bytes).
    grain: u32,
}

impl Weighting {
    pub(crate) fn new(max_entries: u64, max_bytes: ByteSize) -> Self {
        let entries = max_entries.min(MAX_ENTRIES);
        let product = u128::from(entries) * u128::from(max_bytes.0);
        let bits = u128::BITS - product.leading_zeros();
        let grain = bits.saturating_sub(CAPACITY_BITS);
        Self {
            entries,
            share: max_bytes.0 >> grain,
            grain,
        }
    }

    /// Creates an empty cache of this capacity.
    pub(crate) fn build<K, V, L>(self) -> sync::Cache<EntryKey<K>, V, Self, DefaultHashBuilder, L>
    where
        EntryKey<K>: std::hash::Hash + Eq,
        V: Clone,
        L: Lifecycle<EntryKey<K>, V> + Clone + Default,
    {
        let shards = self.shards();
        let expected = usize_of(self.expected().min(MAX_REMEMBERED));
        // quick_cache rounds the capacity of a shard up; this rounds it down.
        let shard_capacity = self.capacity() / shards as u64;
        let capacity = shard_capacity * shards as u64;
        let mut options = OptionsBuilder::new();
        options
            .shards(shards)
            .estimated_items_capacity(expected)
            .weight_capacity(capacity)
            .hot_allocation(self.hot_allocation());
        match options.build() {
            Ok(options) => sync::Cache::with_options(
                options,
                self,
                DefaultHashBuilder::default(),
                L::default(),
            ),
            // It fails only if an option is not set, and all are.
            Err(_) => sync::Cache::with(
                expected,
                capacity,
                self,
                DefaultHashBuilder::default(),
                L::default(),
            ),
        }
    }

    /// The number of entries of a cache that is full of light entries, at one
    /// byte per entry if the policy does not limit their number.
    fn expected(self) -> u64 {
        self.entries.min(self.share << self.grain)
    }

    const fn capacity(self) -> u64 {
        self.share * self.entries
    }

    /// The weight of an entry of `bytes` bytes. Never 0, because quick_cache
    /// never evicts entries of weight 0.
    #[inline]
    fn weight_of(self, bytes: u64) -> u64 {
        let round_up = (1 << self.grain) - 1;
        let grains = bytes.saturating_add(round_up) >> self.grain;
        let weight = grains.saturating_mul(self.entries).max(self.share);
        weight.clamp(1, self.capacity() + 1)
    }

    /// A cache of one entry has no space for new ones: the entry fills it.
    const fn hot_allocation(self) -> f64 {
        if self.entries == 1 {
            1.0
        } else {
            HOT_ALLOCATION
        }
    }

    fn shards(self) -> usize {
        let threads = thread::available_parallelism().map_or(1, |threads| threads.get());
        let wanted = (threads * SHARDS_PER_THREAD).next_power_of_two();
        let affordable = (self.expected() / MIN_SHARD_ENTRIES).max(1).ilog2();
        wanted.min(1 << affordable)
    }
}

impl<K, V> Weighter<EntryKey<K>, V> for Weighting {
    #[inline]
    fn weight(&self, key: &EntryKey<K>, _value: &V) -> u64 {
        self.weight_of(key.bytes())
    }
}

/// A count as `usize`, saturating, because a policy may be unlimited.
fn usize_of(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evicted::CollectEvicted;

    fn weighting(max_entries: u64, max_bytes: u64) -> Weighting {
        Weighting::new(max_entries, ByteSize(max_bytes))
    }

    /// The number of entries after `count` entries of `bytes` each are inserted.
    fn fill(weighting: Weighting, count: u64, bytes: u64) -> u64 {
        let cache = weighting.build::<u64, (), CollectEvicted>();
        for key in 0..count {
            cache.insert(EntryKey::new(key, bytes, 0), ());
        }
        cache.len() as u64
    }

    #[test]
    fn light_entries_are_limited_by_their_number() {
        // Also if `max_bytes / max_entries` is not an integer.
        for (entries, bytes) in [(1, 1), (1, 50), (2, 50), (7, 10), (9, 10), (33, 1_000)] {
            let weighting = weighting(entries, bytes);
            assert_eq!(
                fill(weighting, 100, 0),
                entries,
                "{entries} of {bytes} bytes"
            );
            assert_eq!(
                fill(weighting, 100, 1),
                entries,
                "{entries} of {bytes} bytes"
            );
        }
    }

    #[test]
    fn heavy_entries_are_limited_by_their_bytes() {
        assert_eq!(fill(weighting(1_000, 1_000), 100, 10), 100);
        assert_eq!(fill(weighting(1_000, 1_000), 100, 11), 90);
        assert_eq!(fill(weighting(1_000, 1_000), 100, 500), 2);
        assert_eq!(fill(weighting(1_000, 1_000), 100, 970), 1);
        assert_eq!(fill(weighting(1_000, 1_000), 100, 1_001), 0);
        assert_eq!(fill(weighting(1_000, 1_000), 100, u64::MAX), 0);
    }

    #[test]
    fn a_limit_of_zero_holds_nothing() {
        for (entries, bytes) in [(0, 0), (0, 100), (100, 0), (0, u64::MAX), (u64::MAX, 0)] {
            for weight in [0, 1, u64::MAX] {
                assert_eq!(fill(weighting(entries, bytes), 10, weight), 0);
            }
        }
    }

    #[test]
    fn unlimited_is_a_limit_like_others() {
        assert_eq!(fill(weighting(u64::MAX, 100), 200, 10), 10);
        assert_eq!(fill(weighting(3, u64::MAX), 200, 1_000), 3);
        assert_eq!(fill(weighting(u64::MAX, u64::MAX), 200, 1_000), 200);
        assert!(weighting(u64::MAX, u64::MAX).capacity() < 1 << CAPACITY_BITS);
        // Large but realistic limits still count single bytes.
        assert_eq!(weighting(1_000_000, 1 << 40).grain, 0);
    }

    #[test]
    fn shards_are_a_power_of_two_and_hold_a_thousand_entries_or_more() {
        for entries in [0, 1, 1_000, 2_047] {
            assert_eq!(weighting(entries, 1 << 30).shards(), 1, "{entries} entries");
        }
        for entries in [2_048, 10_000, 50_000, u64::MAX] {
            let weighting = weighting(entries, 1 << 30);
            let shards = weighting.shards();
            assert!(shards.is_power_of_two());
            assert!(weighting.expected() / shards as u64 >= MIN_SHARD_ENTRIES);
            let cache = weighting.build::<u64, (), CollectEvicted>();
            assert_eq!(cache.num_shards(), shards, "{entries} entries");
            assert!(cache.capacity() <= weighting.capacity());
        }
    }
}
