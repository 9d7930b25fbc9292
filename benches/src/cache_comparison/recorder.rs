//! Unbounded caches that record every access.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memory_core::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher};

use super::trace::{Op, Trace};

/// Records the engine's accesses to its tiers as a [`Trace`].
///
/// A read that missed and the insert of the loaded value become one read, since
/// any cache would have to load at that point. The engine also looks up entries
/// when it writes; such a lookup loads nothing and is not recorded as a read.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug, Default)]
struct Log {
    writing: bool,
    tiers: Vec<String>,
    ops: Vec<(usize, Op)>,
    /// The positions in `ops` of reads whose value is not loaded yet.
    loading: HashMap<(usize, u64), Vec<usize>>,
}

impl Recorder {
    /// Marks the following accesses as part of a write.
    pub fn begin_write(&self) {
        self.locked().writing = true;
    }

    /// Marks the following accesses as part of a read.
    pub fn begin_read(&self) {
        self.locked().writing = false;
    }

    /// The recorded trace, without reads that had nothing to load.
    #[must_use]
    pub fn trace(&self, name: &str) -> Trace {
        let log = self.locked();
        let has_value = |(_, op): &&(usize, Op)| !matches!(op, Op::Read { bytes: 0, .. });
        Trace {
            name: name.to_owned(),
            tiers: log.tiers.clone(),
            ops: log.ops.iter().filter(has_value).copied().collect(),
        }
    }

    fn locked(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheBackend for Recorder {
    type Cache<K: CacheKey, V: CacheValue> = RecordingCache<K, V>;

    fn name(&self) -> &'static str {
        "recorder"
    }

    fn build<K: CacheKey, V: CacheValue>(&self, policy: CachePolicy<K, V>) -> RecordingCache<K, V> {
        let mut log = self.locked();
        let name = tier_name::<K>();
        let name = match log
            .tiers
            .iter()
            .filter(|tier| tier.starts_with(name))
            .count()
        {
            0 => name.to_owned(),
            others => format!("{name} {}", others + 1),
        };
        log.tiers.push(name);
        RecordingCache {
            recorder: self.clone(),
            tier: log.tiers.len() - 1,
            weigher: policy.weigher,
            entries: Mutex::default(),
        }
    }
}

/// The tier's name by its key type: memory, entity or text. Further caches of
/// the same tier are numbered.
fn tier_name<K>() -> &'static str {
    let key = std::any::type_name::<K>();
    match key {
        _ if key.contains("MemoryId") => "memory",
        _ if key.contains("EntityId") => "entity",
        _ => EMBEDDING,
    }
}

/// The tier without writes: a lookup during a write is a read, since the value
/// has to be computed.
const EMBEDDING: &str = "embedding";

/// An unbounded map.
pub struct RecordingCache<K, V> {
    recorder: Recorder,
    tier: usize,
    weigher: Weigher<K, V>,
    entries: Mutex<HashMap<K, (V, u64)>>,
}

impl<K: CacheKey, V> RecordingCache<K, V> {
    fn locked_entries(&self) -> MutexGuard<'_, HashMap<K, (V, u64)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> for RecordingCache<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let found = self.locked_entries().get(key).cloned();
        let mut log = self.recorder.locked();
        if !log.writing || log.tiers[self.tier].starts_with(EMBEDDING) {
            let (at, number) = (log.ops.len(), number(key));
            let bytes = found.as_ref().map_or(0, |(_, bytes)| *bytes);
            let key = number;
            log.ops.push((self.tier, Op::Read { key, bytes }));
            if found.is_none() {
                log.loading.entry((self.tier, number)).or_default().push(at);
            }
        }
        found.map(|(value, _)| value)
    }

    fn insert(&self, key: K, value: V) {
        let (number, bytes) = (number(&key), (self.weigher)(&key, &value));
        self.locked_entries().insert(key, (value, bytes));
        let mut log = self.recorder.locked();
        let key = number;
        match log.loading.remove(&(self.tier, number)) {
            Some(positions) => {
                for at in positions {
                    log.ops[at].1 = Op::Read { key, bytes };
                }
            }
            None if log.writing => log.ops.push((self.tier, Op::Refresh { key, bytes })),
            None => log.ops.push((self.tier, Op::Write { key, bytes })),
        }
    }

    fn remove(&self, key: &K) {
        self.locked_entries().remove(key);
        let removal = Op::Remove { key: number(key) };
        self.recorder.locked().ops.push((self.tier, removal));
    }

    fn clear(&self) {
        let keys: Vec<K> = self.locked_entries().keys().cloned().collect();
        keys.iter().for_each(|key| self.remove(key));
    }

    fn entry_count(&self) -> u64 {
        self.locked_entries().len() as u64
    }

    fn weighted_size(&self) -> u64 {
        self.locked_entries().values().map(|(_, bytes)| bytes).sum()
    }

    fn counters(&self) -> CacheCounters {
        CacheCounters::default()
    }

    fn run_pending_tasks(&self) {}
}

impl<K, V> fmt::Debug for RecordingCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingCache")
            .field("tier", &self.tier)
            .finish_non_exhaustive()
    }
}

/// A hash of the key.
fn number(key: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use memory_core::{ByteSize, MemoryId};

    use super::*;

    #[test]
    fn a_load_is_part_of_its_read_and_lookups_of_writes_are_not_recorded() {
        let recorder = Recorder::default();
        let policy = CachePolicy::new(9, ByteSize(9), |_: &MemoryId, bytes: &u64| *bytes);
        let cache = recorder.build(policy);
        let id = MemoryId::new();
        cache.get(&id);
        cache.insert(id, 5);
        cache.get(&id);
        recorder.begin_write();
        cache.get(&id);
        cache.insert(id, 6);
        cache.remove(&id);
        recorder.begin_read();
        cache.get(&id);
        let trace = recorder.trace("small");
        assert_eq!(trace.tiers, ["memory"]);
        let key = number(&id);
        let wanted = [
            Op::Read { key, bytes: 5 },
            Op::Read { key, bytes: 5 },
            Op::Refresh { key, bytes: 6 },
            Op::Remove { key },
        ];
        assert!(trace.ops.iter().map(|(_, op)| op).eq(&wanted), "{trace:?}");
    }
}
