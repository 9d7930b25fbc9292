//! The stored key of an entry, with its weight and timestamps, and the probes
//! that find it.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Equivalent;

use crate::expiry::Expiry;

/// A key with its entry's weight and timestamps, which do not count for
/// equality and hashing.
///
/// They are stored with the key because quick_cache returns values as clones,
/// but compares keys in place during a lookup.
#[derive(Debug)]
pub(crate) struct EntryKey<K> {
    key: K,
    bytes: u64,
    inserted: u64,
    read: AtomicU64,
}

impl<K> EntryKey<K> {
    pub(crate) const fn new(key: K, bytes: u64, now: u64) -> Self {
        Self {
            key,
            bytes,
            inserted: now,
            read: AtomicU64::new(now),
        }
    }

    /// The entry's weight by the policy's weigher. It is computed once, because
    /// quick_cache asks for it repeatedly and expects the same answer.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    #[inline]
    pub(crate) fn is_expired(&self, expiry: &Expiry, now: u64) -> bool {
        expiry.is_expired(self.inserted, self.read.load(Ordering::Relaxed), now)
    }

    #[inline]
    fn record_read(&self, expiry: &Expiry, now: u64) {
        if expiry.should_record_read(self.read.load(Ordering::Relaxed), now) {
            // The later of two concurrent reads wins, in whichever order they
            // write.
            self.read.fetch_max(now, Ordering::Relaxed);
        }
    }
}

impl<K: PartialEq> PartialEq for EntryKey<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K: Eq> Eq for EntryKey<K> {}

impl<K: Hash> Hash for EntryKey<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// A borrowed key, which finds its [`EntryKey`].
#[derive(Debug)]
pub(crate) struct KeyRef<'a, K>(pub(crate) &'a K);

impl<K: Hash> Hash for KeyRef<'_, K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: PartialEq> Equivalent<EntryKey<K>> for KeyRef<'_, K> {
    #[inline]
    fn equivalent(&self, entry: &EntryKey<K>) -> bool {
        *self.0 == entry.key
    }
}

/// A read of a key at a given time.
///
/// It finds what [`KeyRef`] finds. The comparison is the only moment at which
/// the stored entry is accessible, under its shard's lock: there the probe
/// learns whether the entry has expired, and records the read if it has not.
pub(crate) struct Probe<'a, K> {
    key: &'a K,
    now: u64,
    expiry: &'a Expiry,
    found_expired: Cell<bool>,
}

impl<'a, K> Probe<'a, K> {
    pub(crate) fn new(key: &'a K, expiry: &'a Expiry) -> Self {
        Self {
            key,
            now: expiry.now(),
            expiry,
            found_expired: Cell::new(false),
        }
    }

    /// Whether the entry that the probe last found had expired.
    pub(crate) const fn found_expired(&self) -> bool {
        self.found_expired.get()
    }
}

impl<K: Hash> Hash for Probe<'_, K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl<K: PartialEq> Equivalent<EntryKey<K>> for Probe<'_, K> {
    #[inline]
    fn equivalent(&self, entry: &EntryKey<K>) -> bool {
        if *self.key != entry.key {
            return false;
        }
        let expired = entry.is_expired(self.expiry, self.now);
        self.found_expired.set(expired);
        if !expired {
            entry.record_read(self.expiry, self.now);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn probe<'a>(key: &'a u64, expiry: &'a Expiry, now: u64) -> Probe<'a, u64> {
        Probe {
            now,
            ..Probe::new(key, expiry)
        }
    }

    #[test]
    fn a_read_keeps_an_entry_until_its_ttl() {
        let expiry = Expiry::new(
            Some(Duration::from_nanos(3_000)),
            Some(Duration::from_nanos(1_000)),
        );
        let entry = EntryKey::new(7, 1, 0);
        for now in [900, 1_800, 2_700] {
            let probe = probe(&7, &expiry, now);
            assert!(probe.equivalent(&entry));
            assert!(!probe.found_expired(), "at {now}");
        }
        let late = probe(&7, &expiry, 3_000);
        assert!(late.equivalent(&entry));
        assert!(late.found_expired());
    }

    #[test]
    fn probing_an_expired_entry_does_not_revive_it() {
        let expiry = Expiry::new(None, Some(Duration::from_nanos(1_000)));
        let entry = EntryKey::new(7, 1, 0);
        for now in [1_000, 1_100] {
            let probe = probe(&7, &expiry, now);
            assert!(
                probe.equivalent(&entry) && probe.found_expired(),
                "at {now}"
            );
        }
    }

    #[test]
    fn another_key_is_neither_found_nor_recorded() {
        let expiry = Expiry::new(None, Some(Duration::from_nanos(1_000)));
        let entry = EntryKey::new(7, 1, 0);
        assert!(!probe(&8, &expiry, 900).equivalent(&entry));
        assert!(entry.is_expired(&expiry, 1_000));
        assert!(!KeyRef(&8).equivalent(&entry));
        assert!(KeyRef(&7).equivalent(&entry));
    }
}
