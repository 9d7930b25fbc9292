//! The contract of a cache and of a family of caches.

use std::fmt;
use std::hash::Hash;
use std::time::Duration;

use crate::config::ByteSize;

/// A type that can be the key of a cache.
pub trait CacheKey: Hash + Eq + Clone + Send + Sync + 'static {}
impl<T: Hash + Eq + Clone + Send + Sync + 'static> CacheKey for T {}

/// A type that can be the value of a cache: cheap to clone, so usually an
/// [`std::sync::Arc`].
pub trait CacheValue: Clone + Send + Sync + 'static {}
impl<T: Clone + Send + Sync + 'static> CacheValue for T {}

/// A bounded map in this process: synchronous, infallible, shared by threads.
///
/// # Behavior
/// - After `insert(k, v)` returns, `get(&k)` gives `v` or nothing, never an
///   older value: also when `v` itself is larger than the cache.
/// - After `remove(&k)` or `clear()` returns, `get(&k)` gives nothing until
///   the next insert; also after an insert by the same thread just before.
/// - At rest (after [`run_pending_tasks`](Cache::run_pending_tasks)) both limits of the
///   [`CachePolicy`] are met.
/// - Where all that was inserted takes at most a tenth of both limits, and no entry more than
///   a thousandth of the bytes, each entry is kept until it expires; otherwise a cache chooses
///   what to keep.
/// - An entry older than the policy's `ttl`, or unread for its `tti`, is not
///   returned.
/// - [`CacheCounters`] count true hits and misses of `get`.
pub trait Cache<K: CacheKey, V: CacheValue>: Send + Sync + 'static {
    /// The value under `key`, if it is present and has not expired.
    fn get(&self, key: &K) -> Option<V>;

    /// Puts `value` under `key`, in place of what was there.
    fn insert(&self, key: K, value: V);

    /// Removes the entry under `key`, if there is one.
    fn remove(&self, key: &K);

    /// Removes every entry.
    fn clear(&self);

    /// Entries in the cache; exact after [`run_pending_tasks`](Cache::run_pending_tasks).
    fn entry_count(&self) -> u64;

    /// Bytes in the cache, by the policy's weigher; exact after [`run_pending_tasks`](Cache::run_pending_tasks).
    fn weighted_size(&self) -> u64;

    /// Counters since the cache was built.
    fn counters(&self) -> CacheCounters;

    /// Finishes pending work: evictions, expiries, counts.
    fn run_pending_tasks(&self);
}

/// Builds caches of one family, for any type of key and value.
pub trait CacheBackend: fmt::Debug + Send + Sync + 'static {
    /// The caches of this family.
    type Cache<K: CacheKey, V: CacheValue>: Cache<K, V>;

    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// Makes an empty cache.
    fn build<K: CacheKey, V: CacheValue>(&self, policy: CachePolicy<K, V>) -> Self::Cache<K, V>;
}

/// Bytes of an entry: key and value, heap included.
pub type Weigher<K, V> = fn(&K, &V) -> u64;

/// Limits of a cache.
pub struct CachePolicy<K, V> {
    /// Maximum number of entries.
    pub max_entries: u64,
    /// Maximum number of bytes, by the weigher.
    pub max_bytes: ByteSize,
    /// How long an entry lives after it was inserted.
    pub ttl: Option<Duration>,
    /// How long an entry lives after it was last read.
    pub tti: Option<Duration>,
    /// The bytes of an entry.
    pub weigher: Weigher<K, V>,
}

impl<K, V> CachePolicy<K, V> {
    /// A policy without expiry.
    pub const fn new(max_entries: u64, max_bytes: ByteSize, weigher: Weigher<K, V>) -> Self {
        Self {
            max_entries,
            max_bytes,
            ttl: None,
            tti: None,
            weigher,
        }
    }

    /// Expires entries `ttl` after they were inserted.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Expires entries `tti` after they were last read.
    #[must_use]
    pub const fn tti(mut self, tti: Duration) -> Self {
        self.tti = Some(tti);
        self
    }
}

impl<K, V> fmt::Debug for CachePolicy<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachePolicy")
            .field("max_entries", &self.max_entries)
            .field("max_bytes", &self.max_bytes)
            .field("ttl", &self.ttl)
            .field("tti", &self.tti)
            .finish_non_exhaustive()
    }
}

/// Counters of a cache since it was built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheCounters {
    /// Look-ups that found an entry.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Entries removed because the cache was full or they expired; removals and
    /// replacements are not evictions. A refused insert, larger than the cache
    /// or less valuable than what is there, is one: every insert is kept,
    /// replaced, removed or evicted.
    pub evictions: u64,
}

impl CacheCounters {
    /// Counters with these values.
    #[must_use]
    pub const fn new(hits: u64, misses: u64, evictions: u64) -> Self {
        Self {
            hits,
            misses,
            evictions,
        }
    }
}
