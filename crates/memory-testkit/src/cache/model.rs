//! A state machine: random calls against a cache and against a map that
//! forgets nothing.

use std::collections::BTreeMap;

use memory_core::{Cache, CacheBackend};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::{held, policy, put};
use crate::check::{CheckFailure, CheckResult, ensure, ensure_eq, run_check_sync};
use crate::report::{Report, Verdict};

const NAME: &str = "model::never_lies";
const KEYS: u64 = 12;
const MAX_ENTRIES: u64 = 8;
const MAX_BYTES: u64 = 100;

#[derive(Debug, Clone)]
enum Op {
    /// Also heavier than the bound.
    Insert {
        key: u64,
        bytes: u64,
    },
    Get {
        key: u64,
    },
    Remove {
        key: u64,
    },
    Clear,
    Settle,
}

/// Runs `cases` random sequences of up to `steps` calls: what a cache gives
/// must be what was inserted last and not removed; at rest it must be within
/// its bounds and count exactly. A failing sequence is shortened. The
/// sequences are the same in every run.
///
/// ```
/// use memory_testkit::{MapBackend, cache};
/// cache::model_check(&MapBackend, 20, 100).assert();
/// ```
pub fn model_check<B: CacheBackend>(backend: &B, cases: u32, steps: usize) -> Report {
    let mut report = Report::new(format!("cache {}", backend.name()));
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&vec(op(), 1..=steps.max(1)), |ops| {
        match run_check_sync(|| replay(backend, &ops)) {
            Verdict::Failed(why) => Err(TestCaseError::fail(why)),
            _ => Ok(()),
        }
    });
    report.push(
        NAME,
        match outcome {
            Ok(()) => Verdict::Passed,
            Err(failure) => Verdict::Failed(failure.to_string()),
        },
    );
    report
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..KEYS;
    prop_oneof![
        3 => (key.clone(), 0..MAX_BYTES * 5 / 4).prop_map(|(key, bytes)| Op::Insert { key, bytes }),
        9 => (key.clone(), 0..8u64).prop_map(|(key, bytes)| Op::Insert { key, bytes }),
        6 => key.clone().prop_map(|key| Op::Get { key }),
        3 => key.prop_map(|key| Op::Remove { key }),
        1 => Just(Op::Clear),
        2 => Just(Op::Settle),
    ]
}

fn replay<B: CacheBackend>(backend: &B, ops: &[Op]) -> CheckResult {
    let cache = backend.build(policy(MAX_ENTRIES, MAX_BYTES));
    let mut latest: BTreeMap<u64, u64> = BTreeMap::new();
    let mut lookups = 0;
    for (version, op) in (0..).zip(ops) {
        match *op {
            Op::Insert { key, bytes } => {
                put(&cache, key, version, bytes);
                latest.insert(key, version);
            }
            Op::Get { .. } => {}
            Op::Remove { key } => {
                cache.remove(&key);
                latest.remove(&key);
            }
            Op::Clear => {
                cache.clear();
                latest.clear();
            }
            Op::Settle => lookups += at_rest(&cache)?,
        }
        // The key just written or asked for must be true at once.
        if let Op::Insert { key, .. } | Op::Get { key } | Op::Remove { key } = *op {
            truthful(&cache, &latest, key)?;
            lookups += 1;
        }
    }
    for key in 0..KEYS {
        truthful(&cache, &latest, key)?;
        lookups += 1;
    }
    lookups += at_rest(&cache)?;
    let counters = cache.counters();
    ensure_eq!(counters.hits + counters.misses, lookups, "look-ups counted");
    Ok(())
}

/// What is there is what was inserted last.
fn truthful(
    cache: &impl Cache<u64, std::sync::Arc<super::Payload>>,
    latest: &BTreeMap<u64, u64>,
    key: u64,
) -> CheckResult {
    let got = super::version(cache, key);
    let wanted = latest.get(&key).copied();
    ensure!(
        got.is_none() || got == wanted,
        "key {key}: version {got:?}, the latest is {wanted:?}"
    );
    Ok(())
}

/// Settled, the cache is within its bounds and its sizes are exact. Gives the
/// number of look-ups that this took.
fn at_rest(cache: &impl Cache<u64, std::sync::Arc<super::Payload>>) -> Result<u64, CheckFailure> {
    cache.run_pending_tasks();
    let (count, weight) = (cache.entry_count(), cache.weighted_size());
    let there = held(cache, 0..KEYS);
    ensure_eq!((count, weight), there, "entries and bytes at rest");
    ensure!(
        count <= MAX_ENTRIES && weight <= MAX_BYTES,
        "{count} entries and {weight} bytes, {MAX_ENTRIES} and {MAX_BYTES} allowed"
    );
    Ok(KEYS)
}
