//! The entries that one insertion displaces.

use quick_cache::Lifecycle;

use crate::entry_key::EntryKey;

/// The entries that left the cache during one insertion: the replaced entry,
/// evicted entries, or the inserted entry itself if it is too heavy.
///
/// It holds them until the insertion is over, because dropping them may be slow
/// or call the cache again, and the shard is locked during the insertion.
#[derive(Debug)]
pub(crate) struct Evicted<K, V> {
    bytes: u64,
    evictions: u64,
    // Almost always there is one, which needs no allocation.
    first: Option<(EntryKey<K>, V)>,
    others: Vec<(EntryKey<K>, V)>,
}

impl<K, V> Evicted<K, V> {
    /// The total bytes of the entries that left.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of entries that were evicted, replaced ones not counted.
    pub(crate) const fn evictions(&self) -> u64 {
        self.evictions
    }
}

impl<K, V> Default for Evicted<K, V> {
    fn default() -> Self {
        Self {
            bytes: 0,
            evictions: 0,
            first: None,
            others: Vec::new(),
        }
    }
}

/// quick_cache's lifecycle hooks, which collect the displaced entries.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CollectEvicted;

impl<K, V> Lifecycle<EntryKey<K>, V> for CollectEvicted {
    type RequestState = Evicted<K, V>;

    /// Called for evicted entries, not for replaced ones.
    fn before_evict(&self, evicted: &mut Evicted<K, V>, _key: &EntryKey<K>, _value: &mut V) {
        evicted.evictions += 1;
    }

    /// Called for every entry that leaves, whatever the reason.
    fn on_evict(&self, evicted: &mut Evicted<K, V>, key: EntryKey<K>, value: V) {
        evicted.bytes = evicted.bytes.wrapping_add(key.bytes());
        if evicted.first.is_none() {
            evicted.first = Some((key, value));
        } else {
            evicted.others.push((key, value));
        }
    }
}
