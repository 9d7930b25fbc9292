//! Exhaustive tests with loom of every interleaving of loads, writes and
//! invalidations: in any order, a tier holds what the store holds, or nothing,
//! or knows that it is outdated.
//!
//! The threads of a model synchronize at the stripes' locks, which are loom's
//! here, and at the store, whose every read and write is a step of its own.

use std::sync::{Arc, PoisonError};

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use loom::sync::Mutex;
use loom::thread;
use memory_core::{
    ChangeSet, EmbeddedMemory, Embedding, EntityId, Generation, ManualClock, Memory,
    MemoryBatchItem, MemoryConfig, MemoryId, MemoryKind, VectorPrecision,
};
use memory_testkit::MapBackend;

use super::{CachedMemory, CachedSnapshot, CommittedWrite, ReadInstant, Tiers};
use crate::snapshot::{Delta, EntitySnapshot};

/// A store of one memory, and the tiers of a system on it.
struct World {
    tiers: Tiers,
    /// The entity's generation, which the memory's access count repeats: so
    /// whatever is read tells how old it is.
    store: Mutex<Generation>,
    clock: ManualClock,
    memory: Memory,
}

impl World {
    fn new() -> Arc<Self> {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let item =
            MemoryBatchItem::new("mira", MemoryKind::World, "the mill").with_id(MemoryId::new());
        let config = MemoryConfig::default();
        Arc::new(Self {
            tiers: Tiers::new(&MapBackend, &config, VectorPrecision::Single, None),
            store: Mutex::new(Generation(1)),
            clock: ManualClock::new(now),
            memory: item.into_memory(now).unwrap(),
        })
    }

    fn entity(&self) -> &EntityId {
        &self.memory.entity_id
    }

    fn stored(&self) -> Generation {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory as it was at a generation.
    fn memory_at(&self, generation: Generation) -> Arc<Memory> {
        let access_count = generation.0;
        Arc::new(Memory {
            access_count,
            ..self.memory.clone()
        })
    }

    fn snapshot_at(&self, generation: Generation) -> Arc<EntitySnapshot> {
        let written = EmbeddedMemory {
            memory: (*self.memory_at(generation)).clone(),
            embedding: Embedding {
                fingerprint: "test".into(),
                vectors: vec![vec![1.0]],
            },
        };
        let changes = ChangeSet::new(generation, vec![written], Vec::new());
        Arc::new(EntitySnapshot::empty(self.entity().clone(), 1, None).apply(changes))
    }

    /// What the reader does with the tiers: token, read, publish.
    fn load(&self) {
        let (tiers, at) = (&self.tiers, ReadInstant::now(&self.clock));
        let token = tiers.coherence.load_token(self.entity());
        let generation = self.stored();
        tiers
            .coherence
            .publish(token, self.entity(), generation, |trust| {
                tiers.memory.fill(CachedMemory {
                    memory: self.memory_at(generation),
                    generation,
                    verified: at,
                    trust,
                });
                tiers
                    .entity
                    .fill(&CachedSnapshot::new(self.snapshot_at(generation), at));
            });
    }

    /// What a load in the background does with the tiers: a snapshot that a write
    /// overtook is brought up to date.
    fn load_and_follow(&self) {
        let (tiers, at) = (&self.tiers, ReadInstant::now(&self.clock));
        let first = tiers.coherence.load_token(self.entity());
        let mut token = first;
        while token.can_follow(first) {
            let generation = self.stored();
            let published = tiers
                .coherence
                .publish(token, self.entity(), generation, |_| {
                    let snapshot = self.snapshot_at(generation);
                    tiers.entity.fill(&CachedSnapshot::new(snapshot, at));
                });
            if published {
                break;
            }
            token = tiers.coherence.load_token(self.entity());
        }
    }

    /// A write of this system: commit, apply.
    fn write(&self) {
        let began = ReadInstant::now(&self.clock);
        let generation = self.commit();
        let delta = Delta::from_update(self.memory_at(generation), None, true);
        let write = CommittedWrite::new(self.entity().clone(), generation, delta).began(began);
        // One memory: the update is prepared without a blocking thread.
        let applied = self.tiers.apply_write(&write).now_or_never();
        applied.unwrap();
    }

    /// A write of unknown outcome.
    fn write_uncertain(&self) {
        self.commit();
        self.tiers
            .invalidate_uncertain(self.entity(), &[self.memory.id]);
    }

    fn commit(&self) -> Generation {
        let mut stored = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        *stored = stored.next();
        *stored
    }

    /// At rest no tier has a value that is older than the store.
    fn check(&self) {
        let stored = self.stored();
        let memory = self
            .tiers
            .memory
            .get(self.entity(), &self.memory.id, |cached| {
                self.tiers.coherence.is_trusted(cached.trust)
            });
        if let Some(memory) = memory {
            assert_eq!(memory.access_count, stored.0, "a stale memory is cached");
        }
        if let Some(cached) = self.tiers.entity.get(self.entity())
            && !cached.is_outdated()
        {
            assert_eq!(
                cached.snapshot.generation(),
                stored,
                "a stale snapshot is cached"
            );
        }
    }
}

/// Runs the steps concurrently, in every order, and checks the tiers after.
fn in_every_order(warm: bool, steps: &'static [fn(&World)]) {
    loom::model(move || {
        let world = World::new();
        if warm {
            world.load();
        }
        let threads: Vec<_> = steps
            .iter()
            .map(|step| {
                let world = Arc::clone(&world);
                thread::spawn(move || step(&world))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        world.check();
    });
}

#[test]
fn a_fill_that_began_before_an_invalidation_never_publishes() {
    // The generation is not known here, so only the epoch can tell.
    in_every_order(false, &[World::load, World::write_uncertain]);
    in_every_order(true, &[World::load, World::write_uncertain]);
}

#[test]
fn a_fill_that_a_write_overtakes_never_publishes() {
    in_every_order(false, &[World::load, World::write]);
    in_every_order(true, &[World::load, World::write]);
}

#[test]
fn writes_applied_in_another_order_leave_nothing_stale() {
    in_every_order(true, &[World::write, World::write]);
    in_every_order(true, &[World::write, World::write, World::load]);
}

#[test]
fn a_concurrent_clear_lets_nothing_stale_in() {
    fn clear(world: &World) {
        world.tiers.clear();
    }
    in_every_order(true, &[World::load, World::write, clear]);
}

#[test]
fn a_load_that_follows_writes_publishes_nothing_stale() {
    fn clear(world: &World) {
        world.tiers.clear();
    }
    in_every_order(false, &[World::load_and_follow, World::write]);
    in_every_order(true, &[World::load_and_follow, World::write]);
    in_every_order(false, &[World::load_and_follow, World::write, clear]);
    in_every_order(false, &[World::load_and_follow, World::write_uncertain]);
}

#[test]
fn a_change_event_never_reverts_a_tier() {
    fn observe(world: &World) {
        let generation = world.stored();
        world.tiers.on_remote_write(world.entity(), generation);
    }
    in_every_order(true, &[World::write, World::load, observe]);
    in_every_order(true, &[World::write, World::write, observe]);
}
