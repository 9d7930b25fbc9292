//! What an entry is filed under, and how it is looked up.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Equivalent;

use crate::lifetimes::Lifetimes;

/// A key with what is known of its entry. Two tags are the same when their
/// keys are.
///
/// These facts lie beside the key because quick_cache hands out values as
/// clones, but shows the key in its place to whoever looks it up.
#[derive(Debug)]
pub(crate) struct Tag<K> {
    key: K,
    bytes: u64,
    inserted: u64,
    read: AtomicU64,
}

impl<K> Tag<K> {
    pub(crate) const fn new(key: K, bytes: u64, now: u64) -> Self {
        Self {
            key,
            bytes,
            inserted: now,
            read: AtomicU64::new(now),
        }
    }

    /// What the policy's weigher said of the entry. It is asked once: quick_cache
    /// wants the weight at every turn, and always the same.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    #[inline]
    pub(crate) fn is_stale(&self, lifetimes: &Lifetimes, now: u64) -> bool {
        lifetimes.passed(self.inserted, self.read.load(Ordering::Relaxed), now)
    }

    #[inline]
    fn note_read(&self, lifetimes: &Lifetimes, now: u64) {
        if lifetimes.worth_noting(self.read.load(Ordering::Relaxed), now) {
            // Of two readers the later one stands, whoever writes last.
            self.read.fetch_max(now, Ordering::Relaxed);
        }
    }
}

impl<K: PartialEq> PartialEq for Tag<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K: Eq> Eq for Tag<K> {}

impl<K: Hash> Hash for Tag<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// A key to find a tag by.
#[derive(Debug)]
pub(crate) struct Name<'a, K>(pub(crate) &'a K);

impl<K: Hash> Hash for Name<'_, K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: PartialEq> Equivalent<Tag<K>> for Name<'_, K> {
    #[inline]
    fn equivalent(&self, tag: &Tag<K>) -> bool {
        *self.0 == tag.key
    }
}

/// A read of a key at a time.
///
/// It finds what [`Name`] finds. Finding is also the one moment at which the
/// entry itself is in hand, under its shard's lock: there the look learns
/// whether the entry is stale, and leaves its time on one that is not.
pub(crate) struct Look<'a, K> {
    key: &'a K,
    now: u64,
    lifetimes: &'a Lifetimes,
    met_stale: Cell<bool>,
}

impl<'a, K> Look<'a, K> {
    pub(crate) fn new(key: &'a K, lifetimes: &'a Lifetimes) -> Self {
        Self {
            key,
            now: lifetimes.now(),
            lifetimes,
            met_stale: Cell::new(false),
        }
    }

    /// Whether the entry that it last found had expired.
    pub(crate) const fn met_stale(&self) -> bool {
        self.met_stale.get()
    }
}

impl<K: Hash> Hash for Look<'_, K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl<K: PartialEq> Equivalent<Tag<K>> for Look<'_, K> {
    #[inline]
    fn equivalent(&self, tag: &Tag<K>) -> bool {
        if *self.key != tag.key {
            return false;
        }
        let stale = tag.is_stale(self.lifetimes, self.now);
        self.met_stale.set(stale);
        if !stale {
            tag.note_read(self.lifetimes, self.now);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn look<'a>(key: &'a u64, lifetimes: &'a Lifetimes, now: u64) -> Look<'a, u64> {
        Look {
            now,
            ..Look::new(key, lifetimes)
        }
    }

    #[test]
    fn a_read_keeps_an_entry_until_its_ttl() {
        let lifetimes = Lifetimes::new(
            Some(Duration::from_nanos(3_000)),
            Some(Duration::from_nanos(1_000)),
        );
        let tag = Tag::new(7, 1, 0);
        for now in [900, 1_800, 2_700] {
            let look = look(&7, &lifetimes, now);
            assert!(look.equivalent(&tag));
            assert!(!look.met_stale(), "at {now}");
        }
        let late = look(&7, &lifetimes, 3_000);
        assert!(late.equivalent(&tag));
        assert!(late.met_stale());
    }

    #[test]
    fn a_look_at_a_stale_entry_does_not_revive_it() {
        let lifetimes = Lifetimes::new(None, Some(Duration::from_nanos(1_000)));
        let tag = Tag::new(7, 1, 0);
        for now in [1_000, 1_100] {
            let look = look(&7, &lifetimes, now);
            assert!(look.equivalent(&tag) && look.met_stale(), "at {now}");
        }
    }

    #[test]
    fn another_key_is_neither_found_nor_noted() {
        let lifetimes = Lifetimes::new(None, Some(Duration::from_nanos(1_000)));
        let tag = Tag::new(7, 1, 0);
        assert!(!look(&8, &lifetimes, 900).equivalent(&tag));
        assert!(tag.is_stale(&lifetimes, 1_000));
        assert!(!Name(&8).equivalent(&tag));
        assert!(Name(&7).equivalent(&tag));
    }
}
