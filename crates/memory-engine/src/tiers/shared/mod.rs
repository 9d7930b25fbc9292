//! The shared tier: a cache that several processes share, which never makes a call
//! wait for longer than a budget, and at most once while it is away.

mod breaker;
mod pending_removals;
mod vectors;

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use memory_core::{ErrorKind, MemoryResult, SharedCache, SharedEntry, SharedKey, SharedLookup};
use memory_metrics::{Samples, label};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use breaker::Breaker;
use pending_removals::PendingRemovals;
pub(crate) use vectors::SharedVectors;

/// How long a caller waits for one call of the shared cache, by default. A round trip
/// on a local network takes a tenth of it, and a query's inference about as long.
pub const DEFAULT_SHARED_CACHE_BUDGET: Duration = Duration::from_millis(5);

/// How long what no caller waits for may take: probes and puts.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of keys of one call, which stays well within the budget with vectors of 1,000
/// dimensions. A larger batch is several calls, and ends with the first that fails.
const MAX_KEYS: usize = 64;

/// Maximum number of puts at the same time; others are not written.
const MAX_PUTS: u32 = 32;

/// How long closing waits for puts and removals.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

/// The cache, and what is known of it. Clones share it.
#[derive(Clone)]
pub(crate) struct SharedTier {
    inner: Arc<Inner>,
}

struct Inner {
    cache: Arc<dyn SharedCache>,
    budget: Duration,
    breaker: Breaker,
    pending: Mutex<PendingRemovals>,
    puts: Arc<Semaphore>,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    timeouts: AtomicU64,
    errors: AtomicU64,
}

impl SharedTier {
    /// A tier on this cache. It is asked whether it answers at once where there is a
    /// runtime, else by the first call.
    pub(crate) fn new(cache: Arc<dyn SharedCache>, budget: Duration) -> Self {
        let tier = Self {
            inner: Arc::new(Inner {
                cache,
                budget,
                breaker: Breaker::new(),
                pending: Mutex::default(),
                puts: Arc::new(Semaphore::new(MAX_PUTS as usize)),
                counters: Counters::default(),
            }),
        };
        if Handle::try_current().is_ok() {
            tier.inner.start_probing();
        }
        tier
    }

    /// Reads values; `None` of a key that was not looked up, as the cache is away.
    async fn get(&self, keys: &[SharedKey]) -> Vec<Option<SharedLookup>> {
        let inner = &self.inner;
        let mut lookups = Vec::with_capacity(keys.len());
        if inner.is_available().await {
            for keys in keys.chunks(MAX_KEYS) {
                let read = inner
                    .limited(inner.budget, inner.cache.get_many(keys))
                    .await;
                let Some(read) = read.filter(|read| read.len() == keys.len()) else {
                    break;
                };
                lookups.extend(read.into_iter().map(Some));
            }
        }
        lookups.resize_with(keys.len(), || None);
        lookups
    }

    /// Writes values in the background and returns at once.
    fn put(&self, entries: Vec<SharedEntry>) {
        let inner = &self.inner;
        if entries.is_empty() || inner.breaker.is_open() {
            return;
        }
        let Ok(permit) = Arc::clone(&inner.puts).try_acquire_owned() else {
            return;
        };
        let inner = Arc::clone(inner);
        tokio::spawn(async move {
            for entries in entries.chunks(MAX_KEYS) {
                let put = inner.cache.put_many(entries);
                if inner.limited(BACKGROUND_TIMEOUT, put).await.is_none() {
                    break;
                }
            }
            drop(permit);
        });
    }

    /// Removes values that are of no version, now or, where the cache is away, before
    /// it is used again.
    async fn remove(&self, removals: PendingRemovals) {
        let inner = &self.inner;
        loop {
            if inner.is_available().await && inner.try_remove(&removals).await {
                return;
            }
            // The breaker is closed under this lock, so that a removal that is added
            // while it is open is done before.
            let mut pending = inner.pending();
            if inner.breaker.is_open() {
                pending.add(removals);
                return;
            }
        }
    }

    /// Waits a little for puts and removals that are not done yet, and closes the
    /// cache.
    pub(crate) async fn close(&self) {
        let inner = &*self.inner;
        let finishing = async {
            inner.puts.acquire_many(MAX_PUTS).await.ok();
            inner.remove_pending().await;
        };
        if !inner.breaker.is_open() || !inner.pending().is_empty() {
            timeout(CLOSE_TIMEOUT, finishing).await.ok();
        }
        timeout(CLOSE_TIMEOUT, inner.cache.close()).await.ok();
    }
}

impl Inner {
    fn pending(&self) -> MutexGuard<'_, PendingRemovals> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether to call the cache. The first caller waits for the first probe, which
    /// opens the connection.
    async fn is_available(self: &Arc<Self>) -> bool {
        self.start_probing();
        self.breaker.wait_for_first_probe(self.budget).await;
        !self.breaker.is_open()
    }

    /// Runs a call for at most this long. Where it fails, the breaker opens.
    async fn limited<T>(
        self: &Arc<Self>,
        limit: Duration,
        call: impl Future<Output = MemoryResult<T>>,
    ) -> Option<T> {
        let counter = match timeout(limit, call).await {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(_)) => &self.counters.errors,
            Err(_) => &self.counters.timeouts,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(delay) = self.breaker.open() {
            self.recover_after(delay);
        }
        None
    }

    /// Starts the first probe, or one in place of those that ended with their runtime.
    fn start_probing(self: &Arc<Self>) {
        if self.breaker.start() {
            self.recover_after(Duration::ZERO);
        }
    }

    /// Probes in the background until the cache answers in time and has removed what
    /// was to be removed, then closes the breaker.
    fn recover_after(self: &Arc<Self>, mut delay: Duration) {
        let weak = Arc::downgrade(self);
        // Dropped also where the runtime ends before this task does, or before it begins.
        let mut guard = ProbeGuard {
            inner: Weak::clone(&weak),
            is_done: false,
        };
        tokio::spawn(async move {
            loop {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                let Some(inner) = Weak::upgrade(&weak) else {
                    return;
                };
                let is_back = inner.probe().await;
                inner.breaker.finish_first_probe();
                match is_back {
                    Ok(true) | Err(ErrorKind::Closed) => return guard.finish(),
                    _ => delay = inner.breaker.next_delay(),
                }
            }
        });
    }

    /// Whether the breaker was closed.
    async fn probe(&self) -> Result<bool, ErrorKind> {
        let key = [vectors::probe_key()];
        // The first call may open a connection, which takes longer than an answer.
        let connected = timeout(BACKGROUND_TIMEOUT, self.cache.get_many(&key)).await;
        if let Ok(Err(error)) = connected {
            return Err(error.kind());
        }
        let answered = timeout(self.budget, self.cache.get_many(&key)).await;
        if !matches!(answered, Ok(Ok(_))) || !self.remove_pending().await {
            return Ok(false);
        }
        // Under the lock of the removals: none is added between.
        let pending = self.pending();
        let is_done = pending.is_empty();
        if is_done {
            self.breaker.close();
        }
        Ok(is_done)
    }

    /// Removes values while a caller waits: each call is within the budget. Returns
    /// whether all of it was done.
    async fn try_remove(self: &Arc<Self>, removals: &PendingRemovals) -> bool {
        for group in removals.groups() {
            let removal = self.cache.remove_group(group, 0);
            if self.limited(self.budget, removal).await.is_none() {
                return false;
            }
        }
        for keys in removals.keys().chunks(MAX_KEYS) {
            let removal = self.cache.remove_many(keys, 0);
            if self.limited(self.budget, removal).await.is_none() {
                return false;
            }
        }
        true
    }

    /// Removes what could not be removed when it was asked for. Returns whether all
    /// of it was done.
    async fn remove_pending(&self) -> bool {
        let removals = std::mem::take(&mut *self.pending());
        let removing = async {
            for group in removals.groups() {
                self.cache.remove_group(group, 0).await?;
            }
            for keys in removals.keys().chunks(MAX_KEYS) {
                self.cache.remove_many(keys, 0).await?;
            }
            MemoryResult::Ok(())
        };
        let is_done = matches!(timeout(BACKGROUND_TIMEOUT, removing).await, Ok(Ok(())));
        if !is_done {
            self.pending().add(removals);
        }
        is_done
    }
}

/// Lets the next call start a task that probes, unless this one did what it is for.
struct ProbeGuard {
    inner: Weak<Inner>,
    is_done: bool,
}

impl ProbeGuard {
    fn finish(&mut self) {
        self.is_done = true;
    }
}

impl Drop for ProbeGuard {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade().filter(|_| !self.is_done) {
            inner.breaker.task_was_lost();
        }
    }
}

/// Adds the values of the metrics: zeros where nothing is shared.
pub(crate) fn sample(tier: Option<&SharedTier>, samples: &mut Samples) {
    let inner = tier.map(|tier| &*tier.inner);
    let count = |counter: fn(&Counters) -> &AtomicU64| {
        inner.map_or(0, |inner| counter(&inner.counters).load(Ordering::Relaxed))
    };
    let failures = &memory_metrics::SHARED_CACHE_FAILURES;
    for (metric, labels, total) in [
        (
            &memory_metrics::SHARED_CACHE_HITS,
            label!("type": "embedding"),
            count(|counters| &counters.hits),
        ),
        (
            &memory_metrics::SHARED_CACHE_MISSES,
            label!("type": "embedding"),
            count(|counters| &counters.misses),
        ),
        (
            failures,
            label!("reason": "timeout"),
            count(|counters| &counters.timeouts),
        ),
        (
            failures,
            label!("reason": "error"),
            count(|counters| &counters.errors),
        ),
    ] {
        samples.counter(metric, labels, total);
    }
    let is_away = inner.is_some_and(|inner| inner.breaker.is_open());
    samples.gauge(
        &memory_metrics::SHARED_CACHE_UNAVAILABLE,
        &[],
        f64::from(u8::from(is_away)),
    );
}

#[cfg(test)]
mod tests {
    use memory_core::MemoryError;
    use memory_testkit::InMemorySharedCache;
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    const BUDGET: Duration = Duration::from_secs(5);

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn it_is_used_again_after_the_runtime_of_a_probe_has_ended() {
        let first = runtime();
        let tier = first.block_on(async {
            let cache = Arc::new(InMemorySharedCache::new());
            SharedTier::new(cache, BUDGET)
        });
        // Before the probe has begun.
        drop(first);
        let inner = &tier.inner;
        assert!(runtime().block_on(inner.is_available()));

        // Before the probe that a failed call starts.
        runtime().block_on(async {
            let failing = async { Err::<(), _>(MemoryError::configuration("away")) };
            assert_eq!(inner.limited(BUDGET, failing).await, None);
        });
        assert!(inner.breaker.is_open());
        let is_back = runtime().block_on(async {
            let asking = async {
                while !inner.is_available().await {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(BUDGET, asking).await.is_ok()
        });
        assert!(is_back);
    }
}
