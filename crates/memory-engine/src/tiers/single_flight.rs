//! Single-flight loading: concurrent requests for one key share one load.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared, join_all};
use memory_core::MemoryResult;

/// A load that any number of callers wait for. Whichever of them is polled
/// drives it, so a dropped caller leaves it to the others; when the last one is
/// dropped, the load is abandoned. An error reaches every waiter and is not
/// cached.
pub(crate) type SharedLoad<V> = Shared<BoxFuture<'static, MemoryResult<V>>>;

/// The loads in progress, by key.
pub(crate) struct SingleFlight<K, V> {
    loads: Arc<Mutex<HashMap<K, Slot<V>>>>,
}

/// Where a key's value comes from: an index into the result of a load, as one
/// load may serve many keys.
struct Slot<V> {
    load: WeakShared<BoxFuture<'static, MemoryResult<V>>>,
    index: usize,
}

/// The loads that one caller waits for.
pub(crate) struct PendingLoads<V> {
    /// For each key, in order: the load, and the index of its value in it.
    slots: Vec<(SharedLoad<V>, usize)>,
    /// How many of the keys joined a load that was in progress already.
    pub(crate) joined: usize,
}

impl<V: Clone> PendingLoads<V> {
    /// Waits for every load and picks each key's value by its index.
    pub(crate) async fn finish<T>(self, pick: impl Fn(&V, usize) -> T) -> MemoryResult<Vec<T>> {
        let (loads, indices): (Vec<_>, Vec<_>) = self.slots.into_iter().unzip();
        let finished = join_all(loads).await.into_iter().zip(indices);
        finished
            .map(|(loaded, index)| Ok(pick(&loaded?, index)))
            .collect()
    }
}

impl<K: Hash + Eq + Clone + Send + 'static, V: Clone + Send + Sync + 'static> SingleFlight<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            loads: Arc::default(),
        }
    }

    /// Joins the load in progress for each of the (distinct) keys; `load` makes
    /// one load for all the others, given their indices.
    pub(crate) fn join_or_start_all<F>(&self, keys: &[K], load: F) -> PendingLoads<V>
    where
        F: FnOnce(&[usize]) -> BoxFuture<'static, MemoryResult<V>>,
    {
        let mut loads = lock(&self.loads);
        let mut slots: Vec<Option<(SharedLoad<V>, usize)>> = keys
            .iter()
            .map(|key| {
                let slot = loads.get(key)?;
                Some((slot.load.upgrade()?, slot.index))
            })
            .collect();
        let missing: Vec<usize> = (0..keys.len()).filter(|&n| slots[n].is_none()).collect();
        let joined = keys.len() - missing.len();
        if !missing.is_empty() {
            let started: Vec<K> = missing.iter().map(|&n| keys[n].clone()).collect();
            let load = self.start(&mut loads, started, load(&missing));
            for (index, &n) in missing.iter().enumerate() {
                slots[n] = Some((load.clone(), index));
            }
        }
        PendingLoads {
            slots: slots.into_iter().flatten().collect(),
            joined,
        }
    }

    /// Joins or starts the load of one key. Returns whether it joined.
    pub(crate) fn join_or_start<F>(&self, key: K, load: F) -> (SharedLoad<V>, bool)
    where
        F: FnOnce() -> BoxFuture<'static, MemoryResult<V>>,
    {
        let mut loads = lock(&self.loads);
        if let Some(load) = loads.get(&key).and_then(|slot| slot.load.upgrade()) {
            return (load, true);
        }
        (self.start(&mut loads, vec![key], load()), false)
    }

    /// Registers a load under each of its keys, in the order of its values.
    fn start(
        &self,
        loads: &mut HashMap<K, Slot<V>>,
        keys: Vec<K>,
        load: BoxFuture<'static, MemoryResult<V>>,
    ) -> SharedLoad<V> {
        let guard = RemoveOnDrop {
            loads: Arc::clone(&self.loads),
            keys: keys.clone(),
        };
        let load = async move {
            let _guard = guard;
            load.await
        }
        .boxed()
        .shared();
        for (index, key) in keys.into_iter().enumerate() {
            if let Some(weak) = load.downgrade() {
                loads.insert(key, Slot { load: weak, index });
            }
        }
        load
    }
}

/// Removes a load from the map when it ends or is abandoned.
struct RemoveOnDrop<K: Hash + Eq, V> {
    loads: Arc<Mutex<HashMap<K, Slot<V>>>>,
    keys: Vec<K>,
}

impl<K: Hash + Eq, V> Drop for RemoveOnDrop<K, V> {
    fn drop(&mut self) {
        let mut loads = lock(&self.loads);
        for key in &self.keys {
            // A later load may have replaced one that was abandoned. Removing
            // it early costs a second load, never a wrong value.
            loads.remove(key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use memory_core::{ErrorKind, MemoryError};
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_hundred_requests_for_one_key_share_one_load() {
        let flights = SingleFlight::<u32, u32>::new();
        let loads = Arc::new(AtomicUsize::new(0));
        let waiting: Vec<_> = (0..100)
            .map(|_| {
                let loads = Arc::clone(&loads);
                let load = move || {
                    async move {
                        tokio::task::yield_now().await;
                        loads.fetch_add(1, Ordering::Relaxed);
                        Ok(7)
                    }
                    .boxed()
                };
                flights.join_or_start(1, load).0
            })
            .collect();
        for load in waiting {
            assert_eq!(load.await.unwrap(), 7);
        }
        assert_eq!(loads.load(Ordering::Relaxed), 1);
        assert!(lock(&flights.loads).is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn a_dropped_caller_leaves_the_load_to_the_others() {
        let flights = SingleFlight::<u32, u32>::new();
        let (release, released) = oneshot::channel::<()>();
        let (first, _) = flights.join_or_start(1, || {
            async move {
                released.await.ok();
                Ok(7)
            }
            .boxed()
        });
        let (second, joined) = flights.join_or_start(1, || panic!("a second load"));
        assert!(joined);
        drop(first);
        release.send(()).unwrap();
        assert_eq!(second.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_error_reaches_every_waiter_and_is_not_cached() {
        let flights = SingleFlight::<u32, u32>::new();
        let fail = || async { Err(MemoryError::store(ErrorKind::Unavailable, "load", "")) }.boxed();
        let (first, _) = flights.join_or_start(1, fail);
        let (second, _) = flights.join_or_start(1, || panic!("a second load"));
        assert!(first.await.is_err() && second.await.is_err());
        let (third, joined) = flights.join_or_start(1, || async { Ok(7) }.boxed());
        assert!(!joined);
        assert_eq!(third.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn one_load_serves_all_keys_without_a_load_in_progress() {
        let flights = SingleFlight::<u32, Vec<u32>>::new();
        let (_in_progress, _) = flights.join_or_start(2, || std::future::pending().boxed());
        let pending = flights.join_or_start_all(&[1, 2, 3], |missing| {
            assert_eq!(missing, [0, 2]);
            async { Ok(vec![10, 30]) }.boxed()
        });
        assert_eq!(pending.joined, 1);
        let (load, index) = &pending.slots[2];
        assert_eq!(load.clone().await.unwrap()[*index], 30);
    }
}
