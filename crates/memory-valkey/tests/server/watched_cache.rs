//! A shared cache whose calls are recorded: what a system's callers wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use memory_core::{MemoryResult, SharedCache, SharedEntry, SharedGroup, SharedKey, SharedLookup};
use memory_valkey::ValkeyCache;

/// The calls of one system: what its callers waited for, without puts and probes, which
/// are made in the background.
#[derive(Debug)]
pub(crate) struct Calls {
    answered: AtomicU64,
    failed: AtomicU64,
    while_away: AtomicU64,
    /// Whether a call failed, or none was made yet, and no probe was answered since.
    is_away: AtomicBool,
}

impl Calls {
    fn new() -> Self {
        Self {
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            while_away: AtomicU64::new(0),
            is_away: AtomicBool::new(true),
        }
    }

    /// Calls that were answered.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    /// Calls that failed, or were given up when the budget was used up: each costs one
    /// budget at most.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    /// Asserts that after a call that failed no other one was made until a probe was
    /// answered: a cache that is away costs one budget, once.
    pub(crate) fn assert_none_while_away(&self) {
        let calls = self.while_away.load(Ordering::SeqCst);
        assert_eq!(calls, 0, "calls of a cache that was away");
    }

    fn fail(&self) {
        self.failed.fetch_add(1, Ordering::SeqCst);
        self.is_away.store(true, Ordering::SeqCst);
    }

    async fn record<T>(&self, call: impl Future<Output = MemoryResult<T>>) -> MemoryResult<T> {
        if self.is_away.load(Ordering::SeqCst) {
            self.while_away.fetch_add(1, Ordering::SeqCst);
        }
        let mut pending = PendingCall { calls: Some(self) };
        let outcome = call.await;
        if outcome.is_ok() {
            pending.calls = None;
            self.answered.fetch_add(1, Ordering::SeqCst);
        }
        outcome
    }
}

/// Dropped before the call was answered, it failed or was given up.
struct PendingCall<'a> {
    calls: Option<&'a Calls>,
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        if let Some(calls) = self.calls {
            calls.fail();
        }
    }
}

/// A cache on a real server, for one system.
#[derive(Debug)]
pub(crate) struct WatchedCache {
    inner: ValkeyCache,
    calls: Arc<Calls>,
}

impl WatchedCache {
    pub(crate) fn open(url: &str) -> (Arc<Self>, Arc<Calls>) {
        let calls = Arc::new(Calls::new());
        let cache = Self {
            inner: ValkeyCache::open(url).unwrap(),
            calls: Arc::clone(&calls),
        };
        (Arc::new(cache), calls)
    }
}

/// Probes look up one key, whose halves are the same.
fn is_probe(keys: &[SharedKey]) -> bool {
    matches!(keys, [key] if key.group.0 == key.id)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SharedCache for WatchedCache {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn get_many(&self, keys: &[SharedKey]) -> MemoryResult<Vec<SharedLookup>> {
        let read = self.inner.get_many(keys);
        if !is_probe(keys) {
            return self.calls.record(read).await;
        }
        let probed = read.await;
        if probed.is_ok() {
            self.calls.is_away.store(false, Ordering::SeqCst);
        }
        probed
    }

    async fn put_many(&self, entries: &[SharedEntry]) -> MemoryResult<Vec<bool>> {
        self.inner.put_many(entries).await
    }

    async fn remove_many(&self, keys: &[SharedKey], version: u64) -> MemoryResult<()> {
        self.calls
            .record(self.inner.remove_many(keys, version))
            .await
    }

    async fn remove_group(&self, group: &SharedGroup, version: u64) -> MemoryResult<()> {
        self.calls
            .record(self.inner.remove_group(group, version))
            .await
    }

    async fn close(&self) -> MemoryResult<()> {
        self.inner.close().await
    }
}
