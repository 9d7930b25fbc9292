//! Single flight: many who want the same wait for one load.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared, join_all};
use memory_core::MemoryResult;

/// A load that any number of callers wait for. Whoever polls drives it, so a
/// dropped caller leaves it to the others; when the last one is dropped, the
/// load is abandoned. An error reaches every waiter and is not kept.
pub(crate) type Flight<V> = Shared<BoxFuture<'static, MemoryResult<V>>>;

/// The loads under way, by key.
pub(crate) struct Flights<K, V> {
    flying: Arc<Mutex<HashMap<K, Seat<V>>>>,
}

/// Where a key's value comes from: a place in a load, as one load may serve
/// many keys.
struct Seat<V> {
    flight: WeakShared<BoxFuture<'static, MemoryResult<V>>>,
    slot: usize,
}

/// One caller's share in the loads that its keys need.
pub(crate) struct Boarding<V> {
    /// For each key, in order: the load, and the place of its value in it.
    seats: Vec<(Flight<V>, usize)>,
    /// How many of the keys joined loads that were under way already.
    pub(crate) joined: usize,
}

impl<V: Clone> Boarding<V> {
    /// Waits for every load and picks each key's value from its place.
    pub(crate) async fn land<T>(self, pick: impl Fn(&V, usize) -> T) -> MemoryResult<Vec<T>> {
        let (flights, slots): (Vec<_>, Vec<_>) = self.seats.into_iter().unzip();
        let landed = join_all(flights).await.into_iter().zip(slots);
        landed
            .map(|(loaded, slot)| Ok(pick(&loaded?, slot)))
            .collect()
    }
}

impl<K: Hash + Eq + Clone + Send + 'static, V: Clone + Send + Sync + 'static> Flights<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            flying: Arc::default(),
        }
    }

    /// Joins the load that is under way for each of the (distinct) keys;
    /// `start` makes one load for all the others, given their indices.
    pub(crate) fn board<F>(&self, keys: &[K], start: F) -> Boarding<V>
    where
        F: FnOnce(&[usize]) -> BoxFuture<'static, MemoryResult<V>>,
    {
        let mut flying = lock(&self.flying);
        let mut seats: Vec<Option<(Flight<V>, usize)>> = keys
            .iter()
            .map(|key| {
                let seat = flying.get(key)?;
                Some((seat.flight.upgrade()?, seat.slot))
            })
            .collect();
        let mine: Vec<usize> = (0..keys.len()).filter(|&n| seats[n].is_none()).collect();
        let joined = keys.len() - mine.len();
        if !mine.is_empty() {
            let taken: Vec<K> = mine.iter().map(|&n| keys[n].clone()).collect();
            let flight = self.launch(&mut flying, taken, start(&mine));
            for (slot, &n) in mine.iter().enumerate() {
                seats[n] = Some((flight.clone(), slot));
            }
        }
        Boarding {
            seats: seats.into_iter().flatten().collect(),
            joined,
        }
    }

    /// Joins or starts the load of one key. Answers whether it joined.
    pub(crate) fn board_one<F>(&self, key: K, start: F) -> (Flight<V>, bool)
    where
        F: FnOnce() -> BoxFuture<'static, MemoryResult<V>>,
    {
        let mut flying = lock(&self.flying);
        if let Some(flight) = flying.get(&key).and_then(|seat| seat.flight.upgrade()) {
            return (flight, true);
        }
        (self.launch(&mut flying, vec![key], start()), false)
    }

    /// Puts a load on the board under each of its keys, in the order of its
    /// values.
    fn launch(
        &self,
        flying: &mut HashMap<K, Seat<V>>,
        keys: Vec<K>,
        load: BoxFuture<'static, MemoryResult<V>>,
    ) -> Flight<V> {
        let landing = Landing {
            flying: Arc::clone(&self.flying),
            keys: keys.clone(),
        };
        let flight = async move {
            let _landing = landing;
            load.await
        }
        .boxed()
        .shared();
        for (slot, key) in keys.into_iter().enumerate() {
            if let Some(weak) = flight.downgrade() {
                flying.insert(key, Seat { flight: weak, slot });
            }
        }
        flight
    }
}

/// Strikes a load off the board when it ends, or is abandoned.
struct Landing<K: Hash + Eq, V> {
    flying: Arc<Mutex<HashMap<K, Seat<V>>>>,
    keys: Vec<K>,
}

impl<K: Hash + Eq, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        let mut flying = lock(&self.flying);
        for key in &self.keys {
            // A later load may have taken the place of one that was abandoned.
            // Striking it off early costs a second load, never a wrong value.
            flying.remove(key);
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
    async fn a_hundred_who_want_the_same_share_one_load() {
        let flights = Flights::<u32, u32>::new();
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
                flights.board_one(1, load).0
            })
            .collect();
        for flight in waiting {
            assert_eq!(flight.await.unwrap(), 7);
        }
        assert_eq!(loads.load(Ordering::Relaxed), 1);
        assert!(
            lock(&flights.flying).is_empty(),
            "nothing stays on the board"
        );
    }

    #[tokio::test]
    async fn a_dropped_caller_leaves_the_load_to_the_others() {
        let flights = Flights::<u32, u32>::new();
        let (release, released) = oneshot::channel::<()>();
        let (first, _) = flights.board_one(1, || {
            async move {
                released.await.ok();
                Ok(7)
            }
            .boxed()
        });
        let (second, joined) = flights.board_one(1, || panic!("a second load"));
        assert!(joined);
        drop(first);
        release.send(()).unwrap();
        assert_eq!(second.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_error_reaches_every_waiter_and_is_not_kept() {
        let flights = Flights::<u32, u32>::new();
        let fail = || async { Err(MemoryError::store(ErrorKind::Unavailable, "load", "")) }.boxed();
        let (first, _) = flights.board_one(1, fail);
        let (second, _) = flights.board_one(1, || panic!("a second load"));
        assert!(first.await.is_err() && second.await.is_err());
        let (third, joined) = flights.board_one(1, || async { Ok(7) }.boxed());
        assert!(!joined);
        assert_eq!(third.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn one_load_serves_all_keys_that_nobody_loads_yet() {
        let flights = Flights::<u32, Vec<u32>>::new();
        let (_under_way, _) = flights.board_one(2, || std::future::pending().boxed());
        let boarding = flights.board(&[1, 2, 3], |mine| {
            assert_eq!(mine, [0, 2]);
            async { Ok(vec![10, 30]) }.boxed()
        });
        assert_eq!(boarding.joined, 1);
        let (flight, slot) = &boarding.seats[2];
        assert_eq!(flight.clone().await.unwrap()[*slot], 30);
    }
}
