//! At rest both bounds of the policy hold, and sizes are exact.

use std::sync::Arc;

use memory_core::{ByteSize, Cache, CacheBackend, CachePolicy};

use crate::cache::{Payload, policy};
use crate::cache::{held, put};
use crate::check::{CheckResult, ensure, ensure_eq};

/// Many small entries: no more than `max_entries` stay.
pub fn entries_are_limited<B: CacheBackend>(backend: &B) -> CheckResult {
    for max in [1, 3, 7, 100, 1_000] {
        let cache = backend.build(policy(max, 1 << 40));
        fill(&cache, max * 10 + 20, |_| 1);
        sound(&cache, max * 10 + 20, max, 1 << 40)?;
    }
    Ok(())
}

/// Few heavy entries: no more than `max_bytes` stay.
pub fn bytes_are_limited<B: CacheBackend>(backend: &B) -> CheckResult {
    for max in [100, 1_000, 999_983] {
        let cache = backend.build(policy(1_000_000, max));
        fill(&cache, 500, |key| 1 + (key * 7_919) % (max / 3));
        sound(&cache, 500, 1_000_000, max)?;
    }
    Ok(())
}

/// Both bounds at once, neither a multiple of the other, heavy and light mixed.
pub fn both_limits_apply<B: CacheBackend>(backend: &B) -> CheckResult {
    for (entries, bytes) in [
        (30, 100),
        (7, 1_000),
        (333, 1_000),
        (1_000, 300),
        (50, 4_999),
    ] {
        let cache = backend.build(policy(entries, bytes));
        for round in 0..5 {
            fill(&cache, 700, |key| (key * 31 + round * 17) % 29);
            sound(&cache, 700, entries, bytes)?;
        }
    }
    Ok(())
}

/// Entries that weigh nothing count as entries.
pub fn weightless_entries_count<B: CacheBackend>(backend: &B) -> CheckResult {
    for max in [1, 10, 64] {
        let cache = backend.build(policy(max, 1_000));
        fill(&cache, 500, |_| 0);
        sound(&cache, 500, max, 0)?;
    }
    Ok(())
}

/// After every kind of write, count and weight are those of what is there.
pub fn sizes_are_exact_at_rest<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(1_000, 1_000_000));
    let sizes = |cache: &B::Cache<u64, Arc<Payload>>| {
        cache.run_pending_tasks();
        (cache.entry_count(), cache.weighted_size())
    };
    ensure_eq!(sizes(&cache), (0, 0), "when new");
    put(&cache, 1, 1, 10);
    put(&cache, 2, 1, 200);
    ensure_eq!(sizes(&cache), (2, 210), "after 2 inserts");
    put(&cache, 1, 2, 3_000);
    ensure_eq!(sizes(&cache), (2, 3_200), "after a heavier replacement");
    put(&cache, 2, 2, 0);
    ensure_eq!(sizes(&cache), (2, 3_000), "after a lighter replacement");
    for version in 3..200 {
        put(&cache, 1, version, version);
    }
    ensure_eq!(sizes(&cache), (2, 199), "after many replacements");
    cache.remove(&1);
    ensure_eq!(sizes(&cache), (1, 0), "after a removal");
    cache.remove(&1);
    cache.remove(&77);
    ensure_eq!(sizes(&cache), (1, 0), "after removals of nothing");
    fill(&cache, 50, |_| 4);
    ensure_eq!(sizes(&cache), (50, 200), "after 50 inserts");
    cache.clear();
    ensure_eq!(sizes(&cache), (0, 0), "after a clear");
    put(&cache, 1, 9, 5);
    ensure_eq!(sizes(&cache), (1, 5), "after an insert behind the clear");
    Ok(())
}

/// The weigher sees keys too.
pub fn keys_may_weigh<B: CacheBackend>(backend: &B) -> CheckResult {
    let weigher = |key: &String, value: &Arc<str>| (key.len() + value.len()) as u64;
    let cache = backend.build(CachePolicy::new(100, ByteSize(1_000), weigher));
    cache.insert("four".to_owned(), Arc::from("seventeen letters"));
    cache.run_pending_tasks();
    ensure_eq!(cache.weighted_size(), 21, "weight of a key and its value");
    for number in 0..200 {
        cache.insert(format!("{number:0>90}"), Arc::from("ten bytes!"));
    }
    cache.run_pending_tasks();
    ensure!(
        cache.weighted_size() <= 1_000 && cache.entry_count() <= 10,
        "{} entries of 100 bytes weigh {}, of 1000 allowed",
        cache.entry_count(),
        cache.weighted_size()
    );
    Ok(())
}

/// Bounds and weights beyond 32 bits are kept: entries of gigabytes, and light
/// ones under so wide a bound.
pub fn weights_exceed_32_bits<B: CacheBackend>(backend: &B) -> CheckResult {
    const GIB: u64 = 1 << 30;
    let cache = backend.build(policy(1_000, 16 * GIB));
    fill(&cache, 3, |_| 5 * GIB);
    sound(&cache, 3, 1_000, 16 * GIB)?;
    fill(&cache, 40, |key| (1 + key % 6) * GIB);
    sound(&cache, 40, 1_000, 16 * GIB)?;
    // What takes a tenth of both limits is kept, also by a cache of many parts.
    const ENTRIES: u64 = 1 << 20;
    let wide = backend.build(policy(ENTRIES, 5_000 * GIB));
    fill(&wide, 3, |_| 5 * GIB);
    sound(&wide, 3, ENTRIES, 5_000 * GIB)?;
    ensure_eq!(wide.weighted_size(), 15 * GIB, "weight of three that fit");
    wide.clear();
    fill(&wide, 900, |_| 1);
    sound(&wide, 900, ENTRIES, 5_000 * GIB)?;
    ensure_eq!(
        wide.weighted_size(),
        900,
        "weight of 900 light ones that fit"
    );
    Ok(())
}

/// The largest limits: nothing overflows, nothing is evicted.
pub fn limits_may_be_infinite<B: CacheBackend>(backend: &B) -> CheckResult {
    for (entries, bytes) in [
        (u64::MAX, u64::MAX),
        (u64::MAX, 1 << 20),
        (1 << 20, u64::MAX),
    ] {
        let cache = backend.build(policy(entries, bytes));
        fill(&cache, 200, |key| key);
        sound(&cache, 200, entries, bytes)?;
        ensure_eq!(cache.entry_count(), 200, "entries that fit");
    }
    Ok(())
}

/// An entry as large as the limit may be kept, and then no other.
pub fn one_entry_may_fill_the_cache<B: CacheBackend>(backend: &B) -> CheckResult {
    for max in [100, 1 << 20, 1 << 33] {
        let cache = backend.build(policy(10, max));
        for round in 0..20 {
            put(&cache, round % 2, round, max);
            sound(&cache, 6, 10, max)?;
            put(&cache, 5, round, 1);
            sound(&cache, 6, 10, max)?;
        }
    }
    Ok(())
}

/// Inserts keys from 0, each of the weight that `bytes` says.
pub(super) fn fill(cache: &impl Cache<u64, Arc<Payload>>, keys: u64, bytes: impl Fn(u64) -> u64) {
    for key in 0..keys {
        put(cache, key, key, bytes(key));
    }
}

/// At rest: within both bounds, and the sizes are those of what is there.
pub(super) fn sound(
    cache: &impl Cache<u64, Arc<Payload>>,
    keys: u64,
    max_entries: u64,
    max_bytes: u64,
) -> CheckResult {
    cache.run_pending_tasks();
    let (count, weight) = (cache.entry_count(), cache.weighted_size());
    let (held, bytes) = held(cache, 0..keys);
    ensure!(
        held <= max_entries && count <= max_entries,
        "{held} entries are there and {count} counted, at most {max_entries} allowed"
    );
    ensure!(
        bytes <= max_bytes && weight <= max_bytes,
        "{bytes} bytes are there and {weight} counted, at most {max_bytes} allowed"
    );
    ensure_eq!(count, held, "entries counted against those there");
    ensure_eq!(weight, bytes, "bytes counted against those there");
    Ok(())
}
