//! Reading memories by id, through the memory tier.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use futures_util::FutureExt;
use memory_core::{
    Clock, Consistency, EntityId, ErrorKind, Generation, Memory, MemoryError, MemoryId,
    MemoryResult, Store,
};
use tracing::{Instrument, debug_span};

use crate::background_loads::BackgroundLoads;
use crate::change_listener::ListenerState;
use crate::snapshot::SnapshotLoader;
use crate::tiers::{
    CachedMemory, Freshness, LoadedMemories, ReadInstant, Tiers, UnchangedSince, Verified,
};

/// Reads memories and snapshots, from the tiers where they are fresh enough and
/// else from the store.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) snapshot_loader: SnapshotLoader,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tiers: Arc<Tiers>,
    pub(crate) listener: ListenerState,
    pub(crate) background_loads: Arc<BackgroundLoads>,
    consistency: Consistency,
    /// Whether the store was closed, so that nothing cached is an answer.
    is_closed: Arc<AtomicBool>,
    unchanged_since: Arc<UnchangedSince>,
    /// Memories read from the store by their id alone.
    loaded_memories: Arc<AtomicU64>,
}

impl Reader {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        snapshot_loader: SnapshotLoader,
        clock: Arc<dyn Clock>,
        tiers: Arc<Tiers>,
        listener: ListenerState,
        consistency: Consistency,
    ) -> Self {
        Self {
            store,
            snapshot_loader,
            clock,
            tiers,
            listener,
            background_loads: Arc::default(),
            consistency,
            is_closed: Arc::default(),
            unchanged_since: Arc::default(),
            loaded_memories: Arc::default(),
        }
    }

    /// From now on every read asks the store, which was closed.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.tiers.clear();
    }

    /// Refuses a call that does not ask the store, after it was closed.
    pub(crate) fn check_open(&self, operation: &'static str) -> MemoryResult<()> {
        if self.is_closed.load(Ordering::Acquire) {
            let message = "the memory system was closed";
            return Err(MemoryError::store(ErrorKind::Closed, operation, message));
        }
        Ok(())
    }

    /// What the configured consistency requires of a read that begins now.
    #[inline]
    pub(crate) fn required_freshness(&self, entity: &EntityId) -> Freshness {
        if self.is_closed.load(Ordering::Acquire) {
            return Freshness::After(Instant::now());
        }
        match self.consistency {
            Consistency::Local => Freshness::Any,
            Consistency::Bounded(limit) if !self.listener.is_disconnected() => {
                Freshness::Within(ReadInstant::now(&*self.clock), limit)
            }
            // The marker says nothing of the writes of this system.
            _ if self.tiers.coherence.has_pending_write(entity) => Freshness::After(Instant::now()),
            _ => match self.unchanged_since.observe(&*self.store) {
                Some(since) => Freshness::UnchangedSince(since),
                None => Freshness::After(Instant::now()),
            },
        }
    }

    /// Whether what was read of the entity at `generation` has everything that
    /// this read must see: asks the store where that was not done recently enough.
    pub(crate) async fn is_current(
        &self,
        entity: &EntityId,
        generation: Generation,
        verified: &Verified,
        freshness: &Freshness,
    ) -> MemoryResult<bool> {
        if freshness.is_satisfied_by(verified.at()) {
            return Ok(true);
        }
        let asked = ReadInstant::now(&*self.clock);
        let stats = self.store.entity_stats(entity).await?;
        let is_current = stats.generation == generation;
        if is_current {
            verified.update(asked);
        }
        Ok(is_current)
    }

    /// How often the entity was written to, as recent as the consistency requires: without
    /// a statement where its snapshot is cached and fresh.
    pub(crate) async fn generation(&self, entity: &EntityId) -> MemoryResult<Generation> {
        // Before anything is read.
        let freshness = self.required_freshness(entity);
        let cached = self.tiers.entity.get(entity);
        let cached = cached.filter(|cached| !cached.is_outdated());
        if let Some(cached) = &cached
            && freshness.is_satisfied_by(cached.verified.at())
        {
            return Ok(cached.snapshot.generation());
        }
        let asked = ReadInstant::now(&*self.clock);
        let generation = self.store.entity_stats(entity).await?.generation;
        if let Some(cached) = cached
            && cached.snapshot.generation() == generation
        {
            cached.verified.update(asked);
        }
        Ok(generation)
    }

    /// The memory, if the memory tier has it, fresh enough for a read that begins
    /// now; else what [`load_memory`](Self::load_memory) takes.
    #[inline]
    pub(crate) fn cached_memory(
        &self,
        entity: &EntityId,
        id: &MemoryId,
    ) -> Result<Arc<Memory>, Freshness> {
        let freshness = self.required_freshness(entity);
        match self.cached(entity, id, &freshness) {
            Some(memory) => {
                self.tiers.memory.counters.record_hit();
                Ok(memory)
            }
            None => Err(freshness),
        }
    }

    /// Reads a memory that is not cached.
    pub(crate) async fn load_memory(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        freshness: Freshness,
    ) -> MemoryResult<Arc<Memory>> {
        entity.validate()?;
        let loaded = self.load(entity, &[*id], &freshness).await?;
        let memory = loaded.into_iter().flatten().next();
        let memory = memory.ok_or_else(|| MemoryError::NotFound {
            entity: entity.clone(),
            id: *id,
        })?;
        self.loaded_memories.fetch_add(1, Ordering::Relaxed);
        Ok(memory)
    }

    /// How often a memory was read by its id alone, from the tier or the store.
    pub(crate) fn memories_read(&self) -> u64 {
        let loaded = self.loaded_memories.load(Ordering::Relaxed);
        loaded + self.tiers.memory.counters.single_hits()
    }

    /// One result per id, in order.
    pub(crate) async fn memories(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<Vec<Option<Arc<Memory>>>> {
        entity.validate()?;
        self.check_open("get")?;
        let freshness = self.required_freshness(entity);
        let cached = |id| {
            let memory = self.cached(entity, id, &freshness)?;
            self.tiers.memory.counters.record_batch_hit();
            Some(memory)
        };
        let mut memories: Vec<_> = ids.iter().map(cached).collect();
        let missing: Vec<usize> = (0..ids.len()).filter(|&n| memories[n].is_none()).collect();
        if !missing.is_empty() {
            let wanted: Vec<MemoryId> = missing.iter().map(|&n| ids[n]).collect();
            let loaded = self.load(entity, &wanted, &freshness).await?;
            for (n, memory) in missing.into_iter().zip(loaded) {
                memories[n] = memory;
            }
        }
        Ok(memories)
    }

    /// The cached memory, if it is fresh enough. Where a read must see every
    /// earlier write of other processes, and the store has no change marker, none
    /// is: asking the store whether an entry is current costs as much as reading
    /// it.
    #[inline]
    fn cached(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        freshness: &Freshness,
    ) -> Option<Arc<Memory>> {
        let tiers = &self.tiers;
        tiers.memory.get(entity, id, |cached| {
            let is_fresh = match freshness {
                Freshness::Any => true,
                Freshness::After(_) => false,
                Freshness::UnchangedSince(_) | Freshness::Within(..) => {
                    freshness.is_satisfied_by(cached.verified)
                        && cached.generation >= tiers.coherence.last_remote(entity)
                }
            };
            is_fresh && tiers.coherence.is_trusted(cached.trust)
        })
    }

    /// Reads from the store what no other caller is reading already, and caches
    /// it if nothing was written meanwhile.
    async fn load(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        freshness: &Freshness,
    ) -> MemoryResult<Vec<Option<Arc<Memory>>>> {
        let mut memories = Vec::with_capacity(ids.len());
        let mut too_old = Vec::new();
        let loaded = self.join_or_load(entity, ids).await?;
        for (n, (began, memory)) in loaded.into_iter().enumerate() {
            if !freshness.is_satisfied_by(began) {
                too_old.push(n);
            }
            memories.push(memory);
        }
        // These joined a load that began too early. It has ended, so a second
        // load began after this call.
        if !too_old.is_empty() {
            let again: Vec<MemoryId> = too_old.iter().map(|&n| ids[n]).collect();
            let loaded = self.join_or_load(entity, &again).await?;
            for (n, (_, memory)) in too_old.into_iter().zip(loaded) {
                memories[n] = memory;
            }
        }
        Ok(memories)
    }

    /// Joins the loads in progress, and reads the rest in one statement.
    /// Returns for each id when its load began and what it read.
    async fn join_or_load(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<Vec<(ReadInstant, Option<Arc<Memory>>)>> {
        // Before anything is read: see `tiers::coherence`.
        let token = self.tiers.coherence.load_token(entity);
        let tier = &self.tiers.memory;
        let keys: Vec<_> = ids.iter().map(|id| (token, entity.clone(), *id)).collect();
        let pending = tier.loads.join_or_start_all(&keys, |own| {
            tier.counters.record_load();
            let (reader, entity) = (self.clone(), entity.clone());
            let ids: Vec<MemoryId> = own.iter().map(|&n| ids[n]).collect();
            async move {
                let began = ReadInstant::now(&*reader.clock);
                let span = debug_span!("load", tier = "memory", memories = ids.len());
                let fetched = reader.store.get(&entity, &ids).instrument(span).await?;
                let (tiers, generation) = (&reader.tiers, fetched.generation);
                let found = fetched.memories.into_iter();
                let memories: Arc<[_]> = found.map(|memory| memory.map(Arc::new)).collect();
                let published = tiers
                    .coherence
                    .publish(token, &entity, generation, |trust| {
                        for memory in memories.iter().flatten() {
                            tiers.memory.fill(CachedMemory {
                                memory: Arc::clone(memory),
                                generation,
                                verified: began,
                                trust,
                            });
                        }
                    });
                if !published {
                    tiers.memory.counters.record_refused_fill();
                }
                Ok(LoadedMemories { began, memories })
            }
            .boxed()
        });
        tier.counters.record_coalesced_loads(pending.joined);
        pending
            .finish(|loaded, index| {
                let memory = loaded.memories.get(index).cloned().flatten();
                (loaded.began, memory)
            })
            .await
    }
}
