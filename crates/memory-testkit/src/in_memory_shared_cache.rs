//! The reference shared cache: maps under a lock, shared by clones.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use memory_core::{
    ErrorKind, MemoryError, MemoryResult, SharedCache, SharedEntry, SharedGroup, SharedKey,
    SharedLookup, SharedTime, SharedValue,
};

/// A [`SharedCache`] in this process: the reference for others, and what tests of
/// several systems share. Clones share its entries; each is closed separately.
///
/// It is not bounded, and finds expired entries only when their keys are used.
#[derive(Clone)]
pub struct InMemorySharedCache {
    state: Arc<Mutex<State>>,
    started: Instant,
    /// Added to the clock, in microseconds.
    ahead: Arc<AtomicU64>,
    calls: Arc<AtomicU64>,
    closed: Arc<AtomicBool>,
}

/// The entries of an [`InMemorySharedCache`] at one moment.
#[derive(Clone)]
pub struct SharedCacheDump(State);

#[derive(Clone, Default)]
struct State {
    slots: HashMap<SharedKey, Slot>,
    groups: HashMap<SharedGroup, Position>,
}

/// What orders puts and removals of a key: the version, then the time.
type Position = (u64, SharedTime);

#[derive(Clone)]
struct Slot {
    position: Position,
    /// `None` where it was removed.
    bytes: Option<Vec<u8>>,
    expires: SharedTime,
}

/// Where the clock starts: far enough from 0 for times in the past.
const START: u64 = 1_000_000_000_000;

impl InMemorySharedCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            started: Instant::now(),
            ahead: Arc::default(),
            calls: Arc::default(),
            closed: Arc::default(),
        }
    }

    /// Another connection to the same entries.
    #[must_use]
    pub fn connect(&self) -> Self {
        Self {
            closed: Arc::default(),
            ..self.clone()
        }
    }

    /// Loses every entry and every removal.
    pub fn flush(&self) {
        *self.locked() = State::default();
    }

    /// Copies every entry and every removal.
    #[must_use]
    pub fn dump(&self) -> SharedCacheDump {
        SharedCacheDump(self.locked().clone())
    }

    /// Puts the entries of another moment in place of the present ones.
    pub fn restore(&self, dump: &SharedCacheDump) {
        *self.locked() = dump.0.clone();
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.ahead.fetch_add(micros, Ordering::SeqCst);
    }

    /// The number of keys with a value.
    #[must_use]
    pub fn len(&self) -> usize {
        let now = self.now();
        let state = self.locked();
        let keys = state.slots.keys();
        keys.filter(|key| state.value(key, now).is_some()).count()
    }

    /// Whether no key has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many calls were made, over all clones.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Forgets what is under a key, and that anything was removed there.
    pub(crate) fn erase(&self, key: &SharedKey) {
        self.locked().slots.remove(key);
    }

    /// Forgets what is under the keys of a group, and what was removed there.
    pub(crate) fn erase_group(&self, group: &SharedGroup) {
        self.locked().slots.retain(|key, _| key.group != *group);
    }

    /// Forgets what is under the keys of a group at one version.
    pub(crate) fn erase_version(&self, group: &SharedGroup, version: u64) {
        let is_other =
            |key: &SharedKey, slot: &Slot| key.group != *group || slot.position.0 != version;
        self.locked().slots.retain(|key, slot| is_other(key, slot));
    }

    /// Forgets that a group was removed.
    pub(crate) fn forget_removal(&self, group: &SharedGroup) {
        self.locked().groups.remove(group);
    }

    pub(crate) fn now(&self) -> SharedTime {
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        SharedTime(START + micros + self.ahead.load(Ordering::SeqCst))
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, operation: &'static str) -> MemoryResult<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            let message = "the shared cache is closed";
            return Err(MemoryError::shared_cache(
                ErrorKind::Closed,
                operation,
                message,
            ));
        }
        Ok(())
    }
}

impl State {
    /// The last put or removal of a key, by itself or with its group.
    fn last(&self, key: &SharedKey, now: SharedTime) -> Option<Position> {
        let slot = self.slots.get(key).filter(|slot| slot.expires > now);
        let group = self.groups.get(&key.group).copied();
        group.max(slot.map(|slot| slot.position))
    }

    fn value(&self, key: &SharedKey, now: SharedTime) -> Option<SharedValue> {
        let slot = self.slots.get(key)?;
        // A removal in the microsecond of the value hides it.
        let group = self.groups.get(&key.group).copied();
        let is_present = slot.expires > now && group < Some(slot.position);
        let bytes = slot.bytes.clone().filter(|_| is_present)?;
        let (version, as_of) = slot.position;
        Some(SharedValue {
            version,
            as_of,
            bytes,
        })
    }

    fn put(&mut self, entry: &SharedEntry, now: SharedTime) -> bool {
        let position = (entry.version, entry.as_of);
        let is_timely = now
            .since(entry.as_of)
            .is_some_and(|age| age <= SharedEntry::MAX_PUT_DELAY);
        if !is_timely || self.last(&entry.key, now) >= Some(position) {
            return false;
        }
        let slot = Slot {
            position,
            bytes: Some(entry.bytes.clone()),
            expires: SharedTime(now.0 + entry.ttl_millis() * 1_000),
        };
        self.slots.insert(entry.key, slot);
        true
    }

    fn remove(&mut self, key: &SharedKey, version: u64, now: SharedTime) {
        // What is present is never later than its removal, which may be in its microsecond.
        let last = self.last(key, now);
        let at = match last {
            Some((present, at)) if present == version => now.max(SharedTime(at.0 + 1)),
            _ => now,
        };
        let position = (version, at);
        if last < Some(position) {
            let slot = Slot {
                position,
                bytes: None,
                // A put of the removal's own moment is too old one step later.
                expires: SharedTime(at.0 + MAX_PUT_DELAY_MICROS + 1),
            };
            self.slots.insert(*key, slot);
        }
    }

    fn remove_group(&mut self, group: &SharedGroup, version: u64, now: SharedTime) {
        let removal = (version, now);
        let last = self.groups.entry(*group).or_insert(removal);
        *last = removal.max(*last);
    }
}

const MAX_PUT_DELAY_MICROS: u64 = SharedEntry::MAX_PUT_DELAY.as_secs() * 1_000_000;

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SharedCache for InMemorySharedCache {
    fn name(&self) -> &'static str {
        "in memory"
    }

    async fn get_many(&self, keys: &[SharedKey]) -> MemoryResult<Vec<SharedLookup>> {
        self.begin("get_many")?;
        let now = self.now();
        let state = self.locked();
        let lookup = |key| SharedLookup {
            now,
            value: state.value(key, now),
        };
        Ok(keys.iter().map(lookup).collect())
    }

    async fn put_many(&self, entries: &[SharedEntry]) -> MemoryResult<Vec<bool>> {
        self.begin("put_many")?;
        let mut state = self.locked();
        let now = self.now();
        Ok(entries.iter().map(|entry| state.put(entry, now)).collect())
    }

    async fn remove_many(&self, keys: &[SharedKey], version: u64) -> MemoryResult<()> {
        self.begin("remove_many")?;
        let mut state = self.locked();
        let now = self.now();
        keys.iter().for_each(|key| state.remove(key, version, now));
        Ok(())
    }

    async fn remove_group(&self, group: &SharedGroup, version: u64) -> MemoryResult<()> {
        self.begin("remove_group")?;
        let mut state = self.locked();
        let now = self.now();
        state.remove_group(group, version, now);
        Ok(())
    }

    async fn close(&self) -> MemoryResult<()> {
        self.closed.store(true, Ordering::SeqCst);
        Ok(())
    }
}

impl Default for InMemorySharedCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InMemorySharedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemorySharedCache")
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SharedCacheDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCacheDump")
            .field("slots", &self.0.slots.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value was put as of this moment, and the clock has not moved since.
    #[test]
    fn a_removal_in_the_microsecond_of_the_value_hides_it() {
        let now = SharedTime(START);
        let key = SharedKey::new(SharedGroup([1; 16]), [1; 16]);
        let entry = SharedEntry {
            key,
            version: 3,
            as_of: now,
            bytes: b"value".to_vec(),
            ttl: Duration::from_secs(60),
        };
        let remove_key: fn(&mut State, &SharedKey, SharedTime) =
            |state, key, now| state.remove(key, 3, now);
        let remove_group: fn(&mut State, &SharedKey, SharedTime) =
            |state, key, now| state.remove_group(&key.group, 3, now);
        for remove in [remove_key, remove_group] {
            let mut state = State::default();
            assert!(state.put(&entry, now));
            assert!(state.value(&key, now).is_some());
            remove(&mut state, &key, now);
            assert_eq!(state.value(&key, now), None);
            assert!(!state.put(&entry, now), "it may be what was removed");
            remove(&mut state, &key, now);
            let later = SharedTime(now.0 + 3);
            let after = SharedEntry {
                as_of: later,
                ..entry.clone()
            };
            assert!(state.put(&after, later));
            assert!(state.value(&key, later).is_some());
        }
    }
}
