//! The contract of a cache that several processes share.

use std::fmt::{self, Debug};
use std::time::Duration;

use async_trait::async_trait;

use crate::error::MemoryResult;

/// A bounded map outside this process, shared by all processes of one system.
///
/// It is never a source of truth. Any entry may be lost at any time, removals
/// included, and after a restart old entries may be back. So a caller uses a
/// value only if it depends on nothing but its key, or if its
/// [`version`](SharedValue::version) or its age is one that the caller accepts.
///
/// The conformance suite of `memory-testkit` mirrors the `# Behavior` lists,
/// point by point.
///
/// # Behavior of every method
/// - **Batches.** One result per key or entry, in their order. A key may occur
///   twice, and a batch may be empty. Each key is handled in one atomic step; a
///   batch is not atomic.
/// - **Order.** What is under a key is ordered by version, then by time. A put
///   or a removal takes effect only if it is later in this order than what is
///   present; otherwise it changes nothing, and that is not an error.
/// - **Time.** Every key has a clock, [`SharedTime`], that never goes back while
///   the cache runs. [`get_many`](SharedCache::get_many) returns it. Keys of one
///   group have the same clock.
/// - **Errors.** A cache that cannot be reached, or that refuses the command,
///   answers with [`MemoryError::SharedCache`](crate::MemoryError::SharedCache).
///   A call may wait; it is the caller that limits how long.
/// - **Cancellation.** A dropped future has done each of its steps or not, and
///   disturbs no other call.
/// - **Privacy.** Keys are digests. Neither keys nor values are part of an error,
///   a log line or a metric.
#[async_trait]
pub trait SharedCache: Debug + Send + Sync + 'static {
    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// Reads values.
    ///
    /// # Behavior
    /// - A value is returned as it was put, with its version and its time. One
    ///   that is damaged, that has expired or that was removed is `None`.
    /// - [`SharedLookup::now`] is read before the values: a source that is read
    ///   after this call is at least as recent.
    ///
    /// # Errors
    /// See the trait.
    async fn get_many(&self, keys: &[SharedKey]) -> MemoryResult<Vec<SharedLookup>>;

    /// Writes values, each unless something later is present. Returns which were
    /// written.
    ///
    /// # Behavior
    /// - After a put was accepted, a get returns its value, a later one, or
    ///   nothing.
    /// - Refused are also a time in the future, and one that is further back than
    ///   [`MAX_PUT_DELAY`](SharedEntry::MAX_PUT_DELAY).
    /// - The value expires after [`SharedEntry::ttl`], or sooner.
    /// - A value that the cache has no space for is not written. A cache that is not full
    ///   has space for one of 256 KiB.
    ///
    /// # Errors
    /// See the trait.
    async fn put_many(&self, entries: &[SharedEntry]) -> MemoryResult<Vec<bool>>;

    /// Removes values at a version, each unless a later one is present, and
    /// refuses puts that are not later, for at least
    /// [`MAX_PUT_DELAY`](SharedEntry::MAX_PUT_DELAY).
    ///
    /// # Behavior
    /// - The removal's time is the moment at which it takes effect. So a value of
    ///   the same version that was read before it is refused, and one that was
    ///   read after it is accepted.
    /// - A value of a higher version stays.
    /// - A key without a value is not an error, and is removed as well.
    ///
    /// # Errors
    /// See the trait.
    async fn remove_many(&self, keys: &[SharedKey], version: u64) -> MemoryResult<()>;

    /// Removes every key of a group, as [`remove_many`](SharedCache::remove_many)
    /// does, in one step, however many there are.
    ///
    /// # Errors
    /// See the trait.
    async fn remove_group(&self, group: &SharedGroup, version: u64) -> MemoryResult<()>;

    /// Releases every connection. Calls after it answer
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed). Closing twice is fine.
    ///
    /// # Errors
    /// See the trait.
    async fn close(&self) -> MemoryResult<()>;
}

/// A digest of what a group of keys belongs to, such as an entity. Keys of a
/// group are on one server, so that one call reads many of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedGroup(pub [u8; 16]);

impl Debug for SharedGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedGroup(…)")
    }
}

/// A key: a group, and a digest of what the value belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedKey {
    /// The group that the key is in.
    pub group: SharedGroup,
    /// The key in this group.
    pub id: [u8; 16],
}

impl SharedKey {
    /// A key of a group.
    #[must_use]
    pub const fn new(group: SharedGroup, id: [u8; 16]) -> Self {
        Self { group, id }
    }
}

impl Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(…)")
    }
}

/// A time by the clock of the cache, in microseconds since any moment, which may be the
/// start of the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedTime(pub u64);

impl SharedTime {
    /// How long ago `earlier` was, by the same clock; `None` if it was later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_micros)
    }
}

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedLookup {
    /// The time before anything was read.
    pub now: SharedTime,
    /// The value, if there is one.
    pub value: Option<SharedValue>,
}

/// A value that was read.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedValue {
    /// The version it was put with.
    pub version: u64,
    /// The time it was put with.
    pub as_of: SharedTime,
    /// The value.
    pub bytes: Vec<u8>,
}

impl Debug for SharedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedValue")
            .field("version", &self.version)
            .field("as_of", &self.as_of)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// A value to write.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedEntry {
    /// Where it is written.
    pub key: SharedKey,
    /// The version of the value in its source; 0 for a value that depends on
    /// nothing but its key.
    pub version: u64,
    /// A time before the value was read from its source, from
    /// [`SharedLookup::now`] of this key.
    pub as_of: SharedTime,
    /// The value.
    pub bytes: Vec<u8>,
    /// How long it may be kept: at least a millisecond, at most
    /// [`MAX_TTL`](Self::MAX_TTL), which longer times are cut to.
    pub ttl: Duration,
}

impl SharedEntry {
    /// How far back the time of a put may be. Removals are remembered for this
    /// long, so a put that was delayed even longer could restore what was
    /// removed; it is refused.
    pub const MAX_PUT_DELAY: Duration = Duration::from_secs(60);

    /// How long a value is kept at most: a week. The removal of a group is
    /// remembered for this long.
    pub const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// The time to live within the limits, in whole milliseconds.
    #[must_use]
    pub fn ttl_millis(&self) -> u64 {
        let ttl = self.ttl.min(Self::MAX_TTL).as_millis();
        u64::try_from(ttl).unwrap_or(u64::MAX).max(1)
    }
}

impl Debug for SharedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedEntry")
            .field("version", &self.version)
            .field("as_of", &self.as_of)
            .field("bytes", &self.bytes.len())
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_neither_keys_nor_values() {
        let key = SharedKey::new(SharedGroup([7; 16]), [9; 16]);
        let entry = SharedEntry {
            key,
            version: 1,
            as_of: SharedTime(2),
            bytes: b"secret".to_vec(),
            ttl: Duration::from_secs(1),
        };
        let value = SharedValue {
            version: 1,
            as_of: SharedTime(2),
            bytes: b"secret".to_vec(),
        };
        let text = format!("{key:?} {entry:?} {value:?} {:?}", key.group);
        for hidden in ["secret", "115", "[7", "[9"] {
            assert!(!text.contains(hidden), "{text}");
        }
    }

    #[test]
    fn ages_are_differences_and_the_future_has_none() {
        let age = SharedTime(5).since(SharedTime(3));
        assert_eq!(age, Some(Duration::from_micros(2)));
        assert_eq!(SharedTime(3).since(SharedTime(5)), None);
    }

    #[test]
    fn times_to_live_are_within_the_limits() {
        let with_ttl = |ttl| SharedEntry {
            key: SharedKey::new(SharedGroup([0; 16]), [0; 16]),
            version: 0,
            as_of: SharedTime(0),
            bytes: Vec::new(),
            ttl,
        };
        assert_eq!(with_ttl(Duration::ZERO).ttl_millis(), 1);
        assert_eq!(with_ttl(Duration::MAX).ttl_millis(), 604_800_000);
    }
}
