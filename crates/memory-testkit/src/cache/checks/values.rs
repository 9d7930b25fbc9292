//! What is read is what was written last, or nothing.

use memory_core::{Cache, CacheBackend};

use crate::cache::policy;
use crate::cache::{put, version};
use crate::check::{CheckResult, ensure, ensure_eq};

/// A cache for a thousand entries keeps a hundred small ones.
pub fn holds_what_fits<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(1_000, 1_000_000));
    ensure!(!backend.name().is_empty(), "the backend has no name");
    for key in 0..100 {
        put(&cache, key, key + 7, 10);
        ensure_eq!(version(&cache, key), Some(key + 7), "just inserted {key}");
    }
    cache.run_pending_tasks();
    for key in 0..100 {
        ensure_eq!(version(&cache, key), Some(key + 7), "held {key}");
    }
    Ok(())
}

/// After `insert(k, v)` returns, `get(&k)` gives `v` or nothing, never an
/// older value: settled or not, lighter or heavier, with and without room.
pub fn gives_the_latest<B: CacheBackend>(backend: &B) -> CheckResult {
    for max_entries in [2, 1_000] {
        let cache = backend.build(policy(max_entries, 1_000));
        for round in 0..400u64 {
            let key = round % 5;
            put(&cache, key, round, (round * 37) % 600);
            latest_or_none(&cache, key, round, "at once")?;
            if round % 7 == 0 {
                cache.run_pending_tasks();
                latest_or_none(&cache, key, round, "once settled")?;
            }
        }
    }
    Ok(())
}

/// A key that was never inserted gives nothing.
pub fn gives_nothing_else<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(10, 1_000));
    put(&cache, 1, 1, 1);
    ensure_eq!(version(&cache, 2), None, "a key never inserted");
    let by_name = backend.build(memory_core::CachePolicy::<String, u32>::new(
        10,
        memory_core::ByteSize(1_000),
        |_, _| 1,
    ));
    by_name.insert("one".to_owned(), 1);
    by_name.insert("two".to_owned(), 2);
    ensure_eq!(by_name.get(&"one".to_owned()), Some(1), "one");
    ensure_eq!(by_name.get(&"two".to_owned()), Some(2), "two");
    ensure_eq!(by_name.get(&"three".to_owned()), None, "three");
    by_name.remove(&"three".to_owned());
    by_name.remove(&"one".to_owned());
    ensure_eq!(by_name.get(&"one".to_owned()), None, "one, once removed");
    Ok(())
}

/// A value too heavy to be held ends the older one all the same, however heavy.
pub fn too_heavy_a_value_ends_the_older<B: CacheBackend>(backend: &B) -> CheckResult {
    for heavy in [101, 1_000, u64::from(u32::MAX) + 1, u64::MAX] {
        for settled in [false, true] {
            let cache = backend.build(policy(10, 100));
            for round in 0..20 {
                put(&cache, 1, 2 * round, 10);
                if settled {
                    cache.run_pending_tasks();
                }
                put(&cache, 1, 2 * round + 1, heavy);
                latest_or_none(&cache, 1, 2 * round + 1, "of too heavy a value")?;
            }
            cache.run_pending_tasks();
            ensure_eq!(version(&cache, 1), None, "a value of {heavy} bytes of 100");
            ensure_eq!(cache.weighted_size(), 0, "weight after {heavy} bytes");
            ensure_eq!(cache.entry_count(), 0, "entries after {heavy} bytes");
        }
    }
    Ok(())
}

/// After `remove(&k)` returns, nothing is there: also for an insert just
/// before, and for a value replaced before.
pub fn remove_takes_effect_at_once<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(100, 10_000));
    cache.remove(&1);
    for round in 0..300 {
        let key = round % 3;
        put(&cache, key, round, 10);
        if round % 5 == 0 {
            put(&cache, key, round, 20);
        }
        if round % 11 == 0 {
            cache.run_pending_tasks();
        }
        cache.remove(&key);
        ensure_eq!(version(&cache, key), None, "just removed {key}");
        cache.remove(&key);
    }
    cache.run_pending_tasks();
    for key in 0..3 {
        ensure_eq!(version(&cache, key), None, "removed {key}, once settled");
    }
    Ok(())
}

/// After `clear()` returns, nothing is there: also for an insert just before.
pub fn clear_takes_effect_at_once<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(1_000, 100_000));
    cache.clear();
    for round in 0..200 {
        for key in 0..5 {
            put(&cache, key, round, 10);
        }
        if round % 3 == 0 {
            cache.run_pending_tasks();
        }
        cache.clear();
        for key in (0..5).rev() {
            ensure_eq!(version(&cache, key), None, "just cleared {key}");
        }
    }
    cache.run_pending_tasks();
    ensure_eq!(cache.entry_count(), 0, "entries of a cleared cache");
    ensure_eq!(cache.weighted_size(), 0, "weight of a cleared cache");
    Ok(())
}

/// What is inserted after a clear or a removal is held like anything else.
pub fn works_after_a_clear<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(1_000, 100_000));
    for round in 0..20 {
        put(&cache, 1, round, 10);
        put(&cache, 2, round, 10);
        cache.clear();
        put(&cache, 1, round + 100, 10);
        ensure_eq!(version(&cache, 1), Some(round + 100), "after a clear");
        cache.remove(&1);
        put(&cache, 1, round + 200, 10);
        ensure_eq!(version(&cache, 1), Some(round + 200), "after a removal");
        cache.run_pending_tasks();
        ensure_eq!(version(&cache, 1), Some(round + 200), "once settled");
        ensure_eq!(version(&cache, 2), None, "cleared");
    }
    Ok(())
}

fn latest_or_none<C>(cache: &C, key: u64, latest: u64, when: &str) -> CheckResult
where
    C: Cache<u64, std::sync::Arc<crate::cache::Payload>>,
{
    let got = version(cache, key);
    ensure!(
        got.is_none() || got == Some(latest),
        "{when}: version {got:?} of key {key}, the latest is {latest}"
    );
    Ok(())
}
