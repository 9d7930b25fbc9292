//! What an insert drives out.

use quick_cache::Lifecycle;

use crate::tag::Tag;

/// What left the cache during one insert: what it replaced, what was evicted to
/// make room, or the very entry that was to be inserted and is too heavy.
///
/// It holds them until the insert is over: their drop may take long, or come
/// back to the cache, and the shard is locked until then.
#[derive(Debug)]
pub(crate) struct Departures<K, V> {
    bytes: u64,
    evictions: u64,
    // Nearly always it is one, which needs no allocation.
    first: Option<(Tag<K>, V)>,
    others: Vec<(Tag<K>, V)>,
}

impl<K, V> Departures<K, V> {
    /// Bytes of all that left.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many left for want of room.
    pub(crate) const fn evictions(&self) -> u64 {
        self.evictions
    }
}

impl<K, V> Default for Departures<K, V> {
    fn default() -> Self {
        Self {
            bytes: 0,
            evictions: 0,
            first: None,
            others: Vec::new(),
        }
    }
}

/// quick_cache's hooks, which write down departures.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hooks;

impl<K, V> Lifecycle<Tag<K>, V> for Hooks {
    type RequestState = Departures<K, V>;

    /// Called for what leaves for want of room; not for what is replaced.
    fn before_evict(&self, departures: &mut Departures<K, V>, _tag: &Tag<K>, _value: &mut V) {
        departures.evictions += 1;
    }

    /// Called for whatever leaves, whyever.
    fn on_evict(&self, departures: &mut Departures<K, V>, tag: Tag<K>, value: V) {
        departures.bytes = departures.bytes.wrapping_add(tag.bytes());
        if departures.first.is_none() {
            departures.first = Some((tag, value));
        } else {
            departures.others.push((tag, value));
        }
    }
}
