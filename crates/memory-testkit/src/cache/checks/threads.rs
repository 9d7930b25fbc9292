//! Shared by threads, a cache keeps its promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use memory_core::{Cache, CacheBackend};

use super::limits::sound;
use crate::cache::{Payload, policy};
use crate::cache::{put, version};
use crate::check::{CheckFailure, CheckResult, ensure, ensure_eq};
use crate::seeded_rng::SeededRng;

const SLOTS: usize = 16;
const KEYS: u64 = SLOTS as u64;
const ROUNDS: u64 = 4_000;
const WRITERS: u64 = 4;

/// What a finished write guarantees to every read begun after it: versions
/// below this one are never seen again.
type Floors = [AtomicU64; SLOTS];

/// No thread sees a value older than one whose insert has returned, nor one
/// whose removal has.
pub fn never_see_older_values<B: CacheBackend>(backend: &B) -> CheckResult {
    // Room for all, and too little for all: evictions are in the game as well.
    for max_entries in [1_000, KEYS / 2] {
        let cache = backend.build(policy(max_entries, 1_000));
        let (floors, writing) = (Floors::default(), AtomicU64::new(WRITERS));
        thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (cache, floors, writing) = (&cache, &floors, &writing);
                    scope.spawn(move || {
                        let written = write(cache, floors, writer);
                        writing.fetch_sub(1, Ordering::SeqCst);
                        written
                    })
                })
                .collect();
            let readers: Vec<_> = (0..2)
                .map(|seed| {
                    let (cache, floors, writing) = (&cache, &floors, &writing);
                    scope.spawn(move || read(cache, floors, writing, seed))
                })
                .collect();
            writers.into_iter().chain(readers).try_for_each(joined)
        })?;
    }
    Ok(())
}

/// After a storm of all calls from all sides: bounds hold, sizes are exact,
/// every look-up was counted.
pub fn leave_a_consistent_cache<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(100, 2_000));
    let lookups = AtomicU64::new(0);
    thread::scope(|scope| {
        let storms: Vec<_> = (0..6)
            .map(|seed| {
                let (cache, lookups) = (&cache, &lookups);
                scope.spawn(move || storm(cache, lookups, seed))
            })
            .collect();
        storms.into_iter().try_for_each(joined)
    })?;
    let counters = cache.counters();
    let counted = counters.hits + counters.misses;
    ensure_eq!(counted, lookups.into_inner(), "look-ups counted");
    sound(&cache, 400, 100, 2_000)
}

/// A clear while others write ends everything that was inserted before it.
pub fn may_clear_at_any_time<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(1_000, 100_000));
    let floors = Floors::default();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (cache, floors) = (&cache, &floors);
                scope.spawn(move || write(cache, floors, writer))
            })
            .collect();
        for _ in 0..200 {
            cache.clear();
        }
        writers.into_iter().try_for_each(joined)
    })?;
    cache.clear();
    for key in 0..KEYS {
        ensure_eq!(version(&cache, key), None, "cleared at last: {key}");
    }
    sound(&cache, KEYS, 0, 0)
}

/// Writes rising versions of keys that no other thread writes.
fn write(cache: &impl Cache<u64, Arc<Payload>>, floors: &Floors, writer: u64) -> CheckResult {
    for round in 1..=ROUNDS {
        if round % 50 == 0 {
            // On few cores, others would hardly come in between.
            thread::yield_now();
        }
        let key = round % (KEYS / WRITERS) * WRITERS + writer;
        put(cache, key, round, round % 90);
        if round % 5 == 0 {
            cache.remove(&key);
            let got = version(cache, key);
            ensure!(got.is_none(), "version {got:?} after its removal");
            floors[slot(key)].store(round + 1, Ordering::SeqCst);
        } else {
            floors[slot(key)].store(round, Ordering::SeqCst);
            let got = version(cache, key);
            ensure!(
                got.is_none() || got == Some(round),
                "version {got:?} after the insert of {round}"
            );
        }
    }
    Ok(())
}

/// Reads as long as anyone writes.
fn read(
    cache: &impl Cache<u64, Arc<Payload>>,
    floors: &Floors,
    writing: &AtomicU64,
    seed: u64,
) -> CheckResult {
    let mut rng = SeededRng::new(seed);
    while writing.load(Ordering::SeqCst) > 0 {
        let key = rng.bits() % KEYS;
        let floor = floors[slot(key)].load(Ordering::SeqCst);
        let got = version(cache, key);
        ensure!(
            got.is_none_or(|got| got >= floor),
            "version {got:?} of key {key} after {floor} was promised"
        );
    }
    Ok(())
}

fn storm(cache: &impl Cache<u64, Arc<Payload>>, lookups: &AtomicU64, seed: u64) -> CheckResult {
    let mut rng = SeededRng::new(seed);
    for round in 0..ROUNDS {
        let key = rng.bits() % 400;
        match rng.below(16) {
            0..7 => {
                version(cache, key);
                lookups.fetch_add(1, Ordering::Relaxed);
            }
            7..13 => put(cache, key, round, rng.bits() % 60),
            13 => cache.remove(&key),
            14 => cache.run_pending_tasks(),
            _ if rng.one_in(50) => cache.clear(),
            _ => put(cache, key, round, 3_000),
        }
    }
    Ok(())
}

fn slot(key: u64) -> usize {
    usize::try_from(key).unwrap_or(usize::MAX)
}

fn joined(thread: thread::ScopedJoinHandle<'_, CheckResult>) -> CheckResult {
    thread
        .join()
        .unwrap_or_else(|_| Err(CheckFailure::failed("a thread panicked")))
}
