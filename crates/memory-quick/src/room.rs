//! Two bounds in one weight.

use std::thread;

use memory_core::ByteSize;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter, sync};

use crate::tag::Tag;

/// The least entries of a shard. A shard refuses what is heavier than itself,
/// and tiers hold entries far heavier than the mean: this many times.
const MIN_SHARD_ENTRIES: u64 = 1_024;

/// Shards for each thread that can run at once: with four, two threads seldom
/// meet in one.
const SHARDS_PER_THREAD: usize = 4;

/// quick_cache numbers the entries of a shard in 32 bits.
const MAX_ENTRIES: u64 = u32::MAX as u64;

/// The most entries to tell quick_cache of. It remembers the evicted keys of
/// half as many, which a policy without a bound on entries must not decide.
const MAX_REMEMBERED: u64 = 1 << 20;

/// The part of a shard for entries that were used again; the rest is where new
/// ones prove themselves. quick_cache refuses what is heavier than this part.
/// All of it would cost 1 to 9 points of hit ratio on Zipf 0.7 to 1.1 (caches of
/// 0.1 to 10 % of the keys); from 90 to 99 % it hardly matters. This is the
/// library's own choice.
const HOT_ALLOCATION: f64 = 0.97;

/// Bits of the largest capacity, so that sums of two cannot overflow.
const CAPACITY_BITS: u32 = 62;

/// How the policy's two bounds become the one weight that quick_cache knows.
///
/// An entry weighs the larger of its bytes and its even share of `max_bytes`,
/// which is `max_bytes / max_entries`. So no more than `max_entries` fit, nor
/// more than `max_bytes`, and whichever is short is the one that binds. Weights
/// are counted in `max_entries`ths of a byte, which makes the share a whole
/// number: rounded, it would let too many entries in, or too few.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    entries: u64,
    /// The weight of an entry that has no more than its share: `max_bytes`.
    share: u64,
    /// log2 of the bytes counted as one. It is 0, a byte, unless the two bounds
    /// together pass 62 bits ("any number of bytes").
    grain: u32,
}

impl Room {
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

    /// An empty cache with this much room.
    pub(crate) fn build<K, V, L>(self) -> sync::Cache<Tag<K>, V, Self, DefaultHashBuilder, L>
    where
        Tag<K>: std::hash::Hash + Eq,
        V: Clone,
        L: Lifecycle<Tag<K>, V> + Clone + Default,
    {
        let shards = self.shards();
        let expected = usize_of(self.expected().min(MAX_REMEMBERED));
        // quick_cache rounds a shard's part up, we round it down.
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
            // It fails only for an option not set, and these are.
            Err(_) => sync::Cache::with(
                expected,
                capacity,
                self,
                DefaultHashBuilder::default(),
                L::default(),
            ),
        }
    }

    /// Entries when it is full of light ones; of which each has a byte or more,
    /// where the policy lets in any number.
    fn expected(self) -> u64 {
        self.entries.min(self.share << self.grain)
    }

    const fn capacity(self) -> u64 {
        self.share * self.entries
    }

    /// What an entry of so many bytes weighs. Never 0, which quick_cache would
    /// never evict.
    #[inline]
    fn weight_of(self, bytes: u64) -> u64 {
        let round_up = (1 << self.grain) - 1;
        let grains = bytes.saturating_add(round_up) >> self.grain;
        let weight = grains.saturating_mul(self.entries).max(self.share);
        weight.clamp(1, self.capacity() + 1)
    }

    /// A cache of one entry has no part for new ones: the entry is all of it.
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

impl<K, V> Weighter<Tag<K>, V> for Room {
    #[inline]
    fn weight(&self, tag: &Tag<K>, _value: &V) -> u64 {
        self.weight_of(tag.bytes())
    }
}

/// A count as an index; a policy may say "any number".
fn usize_of(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::departures::Hooks;

    fn room(max_entries: u64, max_bytes: u64) -> Room {
        Room::new(max_entries, ByteSize(max_bytes))
    }

    /// What is held after `count` entries of `bytes` each went in.
    fn held(room: Room, count: u64, bytes: u64) -> u64 {
        let cache = room.build::<u64, (), Hooks>();
        for key in 0..count {
            cache.insert(Tag::new(key, bytes, 0), ());
        }
        cache.len() as u64
    }

    #[test]
    fn light_entries_are_bounded_by_their_number() {
        // Also where the share of an entry is no whole number of bytes.
        for (entries, bytes) in [(1, 1), (1, 50), (2, 50), (7, 10), (9, 10), (33, 1_000)] {
            let room = room(entries, bytes);
            assert_eq!(held(room, 100, 0), entries, "{entries} of {bytes} bytes");
            assert_eq!(held(room, 100, 1), entries, "{entries} of {bytes} bytes");
        }
    }

    #[test]
    fn heavy_entries_are_bounded_by_their_bytes() {
        assert_eq!(held(room(1_000, 1_000), 100, 10), 100);
        assert_eq!(held(room(1_000, 1_000), 100, 11), 90);
        assert_eq!(held(room(1_000, 1_000), 100, 500), 2);
        assert_eq!(held(room(1_000, 1_000), 100, 970), 1);
        assert_eq!(held(room(1_000, 1_000), 100, 1_001), 0);
        assert_eq!(held(room(1_000, 1_000), 100, u64::MAX), 0);
    }

    #[test]
    fn no_room_holds_nothing() {
        for (entries, bytes) in [(0, 0), (0, 100), (100, 0), (0, u64::MAX), (u64::MAX, 0)] {
            for weight in [0, 1, u64::MAX] {
                assert_eq!(held(room(entries, bytes), 10, weight), 0);
            }
        }
    }

    #[test]
    fn any_number_is_a_bound_like_others() {
        assert_eq!(held(room(u64::MAX, 100), 200, 10), 10);
        assert_eq!(held(room(3, u64::MAX), 200, 1_000), 3);
        assert_eq!(held(room(u64::MAX, u64::MAX), 200, 1_000), 200);
        assert!(room(u64::MAX, u64::MAX).capacity() < 1 << CAPACITY_BITS);
        // A byte is still a byte where both bounds are large and real.
        assert_eq!(room(1_000_000, 1 << 40).grain, 0);
    }

    #[test]
    fn shards_are_a_power_of_two_of_a_thousand_entries_or_more() {
        for entries in [0, 1, 1_000, 2_047] {
            assert_eq!(room(entries, 1 << 30).shards(), 1, "{entries} entries");
        }
        for entries in [2_048, 10_000, 50_000, u64::MAX] {
            let room = room(entries, 1 << 30);
            let shards = room.shards();
            assert!(shards.is_power_of_two());
            assert!(room.expected() / shards as u64 >= MIN_SHARD_ENTRIES);
            let cache = room.build::<u64, (), Hooks>();
            assert_eq!(cache.num_shards(), shards, "{entries} entries");
            assert!(cache.capacity() <= room.capacity());
        }
    }
}
