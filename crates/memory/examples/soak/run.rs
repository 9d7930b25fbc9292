//! The soak itself; shared with the tests, which run short ones.
//!
//! Eight tasks read and write through two systems on one store. Each memory is
//! written by one task only, and its content tells its version, so whatever is
//! read tells how old it is. A read is **stale** when it shows a version older
//! than one that was acknowledged before the read began:
//!
//! - through the same system: always;
//! - through the other one: where the reader is `Checked`; where it is
//!   `Bounded`, only if it was acknowledged at least the bound before.
//!
//! A write is **lost** when it was acknowledged, and at the end the store does
//! not hold it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use memory_core::{
    AccessCounting, CacheBackend, Consistency, EntityId, ErrorKind, Memory, MemoryBatchItem,
    MemoryConfig, MemoryFilter, MemoryId, MemoryKind, MemoryPatch, MemoryResult, MemoryTagMode,
    Store,
};
use memory_engine::{Engine, RecallRequest};
use memory_testkit::{HashEmbedder, SeededRng};

const TASKS: usize = 8;
const KEYS_PER_ENTITY: usize = 16;

/// The tag of memories that change. The others only make the entity large.
const TAG: &str = "changes";

/// Memories that are retained in one call.
const BATCH: usize = 1_000;

/// Every so many versions one is a removal.
const REMOVED_EVERY: u64 = 7;

const BOUND: Duration = Duration::from_millis(50);

const CONSISTENCIES: [Consistency; 2] = [Consistency::Checked, Consistency::Bounded(BOUND)];

/// What memories there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoakSize {
    pub(crate) entities: usize,
    /// Memories of each entity that do not change.
    pub(crate) others: usize,
}

impl SoakSize {
    /// Entities that are loaded before each recall that misses them.
    pub(crate) const SMALL: Self = Self {
        entities: 8,
        others: 0,
    };
}

/// What a soak saw.
#[derive(Debug, Default)]
pub(crate) struct SoakCounts {
    pub(crate) operations: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) stale: u64,
    pub(crate) lost: u64,
    /// Of the first stale read: counts and versions, no content.
    pub(crate) first: Option<String>,
    pub(crate) took: Duration,
    pub(crate) hit_rates: Vec<f64>,
}

impl fmt::Display for SoakCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations ({} reads, {} writes) by {TASKS} tasks through 2 systems in {:.1?}; \
             hit rates {:.2?}; stale reads: {}, lost writes: {}",
            self.operations,
            self.reads,
            self.writes,
            self.took,
            self.hit_rates,
            self.stale,
            self.lost
        )?;
        self.first
            .iter()
            .try_for_each(|first| write!(f, "; {first}"))
    }
}

/// One memory, and what is known of its versions.
struct Key {
    entity: EntityId,
    id: MemoryId,
    /// Begun, whether or not it is acknowledged.
    begun: AtomicU64,
    /// Acknowledged: when, through which system, which version. The newest
    /// last; those that no bound reaches are removed.
    acks: Mutex<Vec<(Instant, usize, u64)>>,
}

impl Key {
    /// The oldest version that a read through `system`, beginning now, may show.
    fn floor(&self, system: usize) -> u64 {
        let now = Instant::now();
        let acks = self.acks.lock().unwrap_or_else(PoisonError::into_inner);
        let must_see = |(at, by, _): &&(Instant, usize, u64)| {
            *by == system
                || match CONSISTENCIES[system] {
                    Consistency::Bounded(bound) => now.duration_since(*at) > bound,
                    _ => true,
                }
        };
        let newest = acks.iter().rev().find(must_see);
        newest.map_or(0, |(_, _, version)| *version)
    }

    fn acknowledge(&self, system: usize, version: u64) {
        let now = Instant::now();
        let mut acks = self.acks.lock().unwrap_or_else(PoisonError::into_inner);
        acks.push((now, system, version));
        // One beyond the bound is kept for each system.
        let old = acks
            .iter()
            .rposition(|(at, ..)| now.duration_since(*at) > BOUND * 2);
        if let Some(old) = old
            && old > 64
        {
            acks.drain(..old);
        }
    }
}

const fn is_removed(version: u64) -> bool {
    version.is_multiple_of(REMOVED_EVERY)
}

fn version_of(memory: &Memory) -> u64 {
    let version = memory.content.rsplit(' ').next();
    version
        .and_then(|version| version.parse().ok())
        .unwrap_or(u64::MAX)
}

pub(crate) struct Soak {
    size: SoakSize,
    systems: [Engine; 2],
    store: Arc<dyn Store>,
    keys: Vec<Key>,
    tally: Mutex<SoakCounts>,
}

impl Soak {
    /// # Errors
    /// Those of putting the systems together.
    pub(crate) fn new<B: CacheBackend>(
        store: &Arc<dyn Store>,
        cache: fn() -> B,
        size: SoakSize,
    ) -> MemoryResult<Arc<Self>> {
        let system = |consistency| {
            let config = MemoryConfig {
                consistency: Some(consistency),
                access_counting: AccessCounting::Off,
                ..MemoryConfig::default()
            };
            let embedder = HashEmbedder::new().with_dimensions(64);
            Engine::builder(cache())
                .config(config)
                .build(Arc::clone(store), Arc::new(embedder))
        };
        let name = MemoryId::new();
        let keys = (0..size.entities * KEYS_PER_ENTITY).map(|key| Key {
            entity: EntityId::from(format!("soak {name} {}", key / KEYS_PER_ENTITY)),
            id: MemoryId::new(),
            begun: AtomicU64::new(0),
            acks: Mutex::default(),
        });
        Ok(Arc::new(Self {
            size,
            systems: [system(CONSISTENCIES[0])?, system(CONSISTENCIES[1])?],
            store: Arc::clone(store),
            keys: keys.collect(),
            tally: Mutex::default(),
        }))
    }

    /// Runs about so many operations, an eighth in each task, and counts.
    ///
    /// # Errors
    /// The first error of any operation, and of a task that ended early.
    pub(crate) async fn run(self: Arc<Self>, operations: u64) -> Result<SoakCounts, String> {
        let filled = self.retain_others().await;
        filled.map_err(|error| error.to_string())?;
        let start = Instant::now();
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let soak = Arc::clone(&self);
                tokio::spawn(async move { soak.live(task, operations / TASKS as u64).await })
            })
            .collect();
        for task in tasks {
            let lived = task.await.map_err(|ended| ended.to_string())?;
            lived.map_err(|error| error.to_string())?;
        }
        self.find_lost().await.map_err(|error| error.to_string())?;
        let rate = |system: &Engine| system.cache_stats().hit_rate();
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tally = std::mem::take(&mut *tally);
        tally.took = start.elapsed();
        tally.hit_rates = self.systems.iter().map(rate).collect();
        Ok(tally)
    }

    async fn retain_others(&self) -> MemoryResult<()> {
        for keys in self.keys.chunks(KEYS_PER_ENTITY) {
            let mut number = 0;
            while number < self.size.others {
                let end = self.size.others.min(number + BATCH);
                let items = (number..end).map(|number| {
                    let content = format!("the other memory {number}");
                    MemoryBatchItem::new(keys[0].entity.clone(), MemoryKind::World, content)
                });
                self.systems[0].retain_batch(items.collect()).await?;
                number = end;
            }
        }
        Ok(())
    }

    async fn live(&self, task: usize, operations: u64) -> MemoryResult<()> {
        let mut random = SeededRng::new(task as u64);
        for _ in 0..operations {
            let system = random.below(2);
            let key = random.below(self.keys.len());
            match random.below(100) {
                0..25 => {
                    let own = key / TASKS * TASKS + task;
                    self.write(system, &self.keys[own]).await?;
                }
                25..60 => self.get(system, &self.keys[key]).await?,
                60..65 => self.get_many(system, key).await?,
                65..95 => self.recall(system, key).await?,
                95..97 => self.systems[system].invalidate_memory_cache(&self.keys[key].id),
                97..99 => self.systems[system].invalidate_entity_cache(&self.keys[key].entity),
                _ => self.systems[system].clear_all_caches(),
            }
            self.count(|tally| tally.operations += 1);
        }
        Ok(())
    }

    /// The next version of a memory that no other task writes.
    async fn write(&self, system: usize, key: &Key) -> MemoryResult<()> {
        let engine = &self.systems[system];
        let version = key.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let content = format!("version {version}");
        if is_removed(version) {
            engine.delete_memory(&key.entity, &key.id).await?;
        } else if is_removed(version - 1) {
            let item = MemoryBatchItem::new(key.entity.clone(), MemoryKind::World, content);
            let item = item.with_id(key.id).with_tag(TAG);
            engine.retain_batch(vec![item]).await?;
        } else {
            let patch = MemoryPatch::new().content(content);
            engine.alter_memory(&key.entity, &key.id, &patch).await?;
        }
        key.acknowledge(system, version);
        self.count(|tally| tally.writes += 1);
        Ok(())
    }

    async fn get(&self, system: usize, key: &Key) -> MemoryResult<()> {
        let floor = key.floor(system);
        let shown = match self.systems[system].get_memory(&key.entity, &key.id).await {
            Ok(memory) => Some(version_of(&memory)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        self.judge("get", system, key, floor, shown);
        Ok(())
    }

    async fn get_many(&self, system: usize, key: usize) -> MemoryResult<()> {
        let keys = self.entity_of(key);
        let floors: Vec<u64> = keys.iter().map(|key| key.floor(system)).collect();
        let ids: Vec<MemoryId> = keys.iter().map(|key| key.id).collect();
        let shown = self.systems[system]
            .get_memories(&keys[0].entity, &ids)
            .await?;
        for ((key, floor), shown) in keys.iter().zip(floors).zip(shown) {
            self.judge(
                "get many",
                system,
                key,
                floor,
                shown.as_deref().map(version_of),
            );
        }
        Ok(())
    }

    async fn recall(&self, system: usize, key: usize) -> MemoryResult<()> {
        let keys = self.entity_of(key);
        let floors: Vec<u64> = keys.iter().map(|key| key.floor(system)).collect();
        let filter = MemoryFilter::new().tags([TAG], MemoryTagMode::AnyStrict);
        let request = RecallRequest::new("which version?").filter(filter);
        let request = request.limit(KEYS_PER_ENTITY);
        let recalled = self.systems[system]
            .recall(&keys[0].entity, &request)
            .await?;
        let shown: HashMap<MemoryId, u64> = recalled
            .iter()
            .map(|recalled| (recalled.memory.id, version_of(&recalled.memory)))
            .collect();
        for (key, floor) in keys.iter().zip(floors) {
            self.judge("recall", system, key, floor, shown.get(&key.id).copied());
        }
        Ok(())
    }

    fn entity_of(&self, key: usize) -> &[Key] {
        &self.keys[key / KEYS_PER_ENTITY * KEYS_PER_ENTITY..][..KEYS_PER_ENTITY]
    }

    /// Counts a read that shows what it may not.
    fn judge(&self, read: &str, system: usize, key: &Key, floor: u64, shown: Option<u64>) {
        let begun = key.begun.load(Ordering::SeqCst);
        let fine = match shown {
            Some(version) => (floor..=begun).contains(&version) && !is_removed(version),
            None => (floor..=begun).any(is_removed),
        };
        self.count(|tally| {
            tally.reads += 1;
            if !fine {
                tally.stale += 1;
                tally.first.get_or_insert_with(|| {
                    let acks = key.acks.lock().unwrap_or_else(PoisonError::into_inner);
                    let last: Vec<_> = acks.iter().rev().take(3).collect();
                    let last = last.iter().map(|(at, by, n)| (at.elapsed(), by, n));
                    format!(
                        "a {read} through {system} showed {shown:?} where {floor} to {begun} may \
                         be; acknowledged (how long ago, through, version): {:?}",
                        last.collect::<Vec<_>>()
                    )
                });
            }
        });
    }

    async fn find_lost(&self) -> MemoryResult<()> {
        for key in &self.keys {
            let stored = self.store.get(&key.entity, &[key.id]).await?.memories;
            let version = stored.first().and_then(Option::as_ref).map(version_of);
            let last = key.begun.load(Ordering::SeqCst);
            let expected = (!is_removed(last)).then_some(last);
            if version != expected {
                self.count(|tally| tally.lost += 1);
            }
        }
        Ok(())
    }

    fn count(&self, count: impl FnOnce(&mut SoakCounts)) {
        count(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
