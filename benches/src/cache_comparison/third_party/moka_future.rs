//! moka's asynchronous cache, called from synchronous code.
//!
//! Its methods return futures because eviction listeners may be asynchronous.
//! There is none here, so a call is ready at its first poll unless the write
//! queue is full or another thread runs maintenance. The measured overhead is
//! that of creating the future and polling it in place.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use memory_core::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher};

use super::narrow;

/// Builds [`MokaFutureCache`]s.
#[derive(Debug, Clone, Copy)]
pub struct MokaFutureBackend;

impl CacheBackend for MokaFutureBackend {
    type Cache<K: CacheKey, V: CacheValue> = MokaFutureCache<K, V>;

    fn name(&self) -> &'static str {
        "moka::future"
    }

    fn build<K: CacheKey, V: CacheValue>(
        &self,
        policy: CachePolicy<K, V>,
    ) -> MokaFutureCache<K, V> {
        let weigher = policy.weigher;
        MokaFutureCache {
            max_bytes: policy.max_bytes.0,
            weigher,
            inner: moka::future::Cache::builder()
                .max_capacity(policy.max_bytes.0)
                .weigher(move |key, value| narrow(weigher(key, value)))
                .build(),
        }
    }
}

/// `moka::future::Cache`.
pub struct MokaFutureCache<K, V> {
    max_bytes: u64,
    weigher: Weigher<K, V>,
    inner: moka::future::Cache<K, V>,
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> for MokaFutureCache<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        block_on(self.inner.get(key))
    }

    fn insert(&self, key: K, value: V) {
        // Without this check the entry stays readable until maintenance runs.
        if (self.weigher)(&key, &value) > self.max_bytes {
            block_on(self.inner.invalidate(&key));
        } else {
            block_on(self.inner.insert(key, value));
        }
    }

    fn remove(&self, key: &K) {
        block_on(self.inner.invalidate(key));
    }

    fn clear(&self) {
        self.inner.invalidate_all();
    }

    fn entry_count(&self) -> u64 {
        self.inner.entry_count()
    }

    fn weighted_size(&self) -> u64 {
        self.inner.weighted_size()
    }

    fn counters(&self) -> CacheCounters {
        CacheCounters::default()
    }

    fn run_pending_tasks(&self) {
        // One run stops after skipping a few hundred entries.
        loop {
            let before = (self.entry_count(), self.weighted_size());
            block_on(self.inner.run_pending_tasks());
            if (self.entry_count(), self.weighted_size()) == before {
                return;
            }
        }
    }
}

impl<K, V> fmt::Debug for MokaFutureCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MokaFutureCache").finish_non_exhaustive()
    }
}

/// Polls a future on this thread and parks while it is pending.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    if let Poll::Ready(output) = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        return output;
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
