//! What the suite puts into a cache.

use std::sync::Arc;

use memory_core::{ByteSize, Cache, CacheBackend, CachePolicy};

/// A value that knows which write it comes from and what it weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Grows with every write.
    pub version: u64,
    /// What the policy's weigher says of it.
    pub bytes: u64,
}

/// The cache that most checks try.
pub type Subject<B> = <B as CacheBackend>::Cache<u64, Arc<Payload>>;

/// A policy without expiry whose weigher is [`Payload::bytes`].
#[must_use]
pub const fn policy(max_entries: u64, max_bytes: u64) -> CachePolicy<u64, Arc<Payload>> {
    CachePolicy::new(max_entries, ByteSize(max_bytes), |_key, value| value.bytes)
}

/// Inserts a version of a value.
pub(super) fn put(cache: &impl Cache<u64, Arc<Payload>>, key: u64, version: u64, bytes: u64) {
    cache.insert(key, Arc::new(Payload { version, bytes }));
}

/// The version under a key.
pub(super) fn version(cache: &impl Cache<u64, Arc<Payload>>, key: u64) -> Option<u64> {
    cache.get(&key).map(|value| value.version)
}

/// How many of these keys are there, and what they weigh together.
pub(super) fn held(
    cache: &impl Cache<u64, Arc<Payload>>,
    keys: impl IntoIterator<Item = u64>,
) -> (u64, u64) {
    let values = keys.into_iter().filter_map(|key| cache.get(&key));
    values.fold((0, 0), |(count, bytes), value| {
        (count + 1, bytes + value.bytes)
    })
}
