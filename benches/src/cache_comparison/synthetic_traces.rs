//! Traces made by formula, equal in every run.

use memory_testkit::SeededRng;

use super::trace::{Op, Trace};
use crate::corpus::Zipf;

/// The size of the traces.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Distinct keys that are read repeatedly.
    pub keys: usize,
    /// Accesses.
    pub ops: usize,
}

/// Every pattern: three Zipf distributions, one with scans, and a loop.
#[must_use]
pub fn all(size: Size) -> Vec<Trace> {
    vec![
        zipf("Zipf 0.7", size, 0.7),
        zipf("Zipf 0.9", size, 0.9),
        zipf("Zipf 1.1", size, 1.1),
        scanned(size),
        looped(size),
    ]
}

/// Reads of the `n`th most popular key in proportion to
/// `n^-exponent` (Breslau et al., "Web Caching and Zipf-like Distributions",
/// INFOCOM 1999, found 0.64 to 0.83 in the logs of proxies).
fn zipf(name: &str, size: Size, exponent: f64) -> Trace {
    let mut distribution = Zipf::new(size.keys, exponent);
    Trace::of_one_tier(
        name,
        (0..size.ops).map(|_| read(distribution.sample())).collect(),
    )
}

/// Zipf 0.9 interleaved with scans of keys that are read once; the scans are a
/// third of all reads.
fn scanned(size: Size) -> Trace {
    let mut distribution = Zipf::new(size.keys, 0.9);
    let run_length = (size.ops / 15).max(1);
    let mut next = size.keys as u64;
    let mut ops = Vec::with_capacity(size.ops);
    while ops.len() < size.ops {
        ops.extend((0..run_length).map(|_| read(distribution.sample())));
        ops.extend((0..run_length / 2).map(|n| read(next + n as u64)));
        next += run_length as u64;
    }
    Trace::of_one_tier("Zipf 0.9 and scans", ops)
}

/// All keys in a cycle: the worst case for least-recently-used eviction.
fn looped(size: Size) -> Trace {
    let keys = (size.keys / 4).max(1);
    let ops = (0..size.ops).map(|n| read((n % keys) as u64)).collect();
    Trace::of_one_tier("loop", ops)
}

fn read(key: u64) -> Op {
    Op::Read {
        key,
        bytes: bytes_of(key),
    }
}

/// 64 bytes to 4 KiB, uniform over the powers of two, constant per key.
fn bytes_of(key: u64) -> u64 {
    let mut rng = SeededRng::new(key);
    let doubling = 64 << (rng.bits() % 6);
    doubling + rng.bits() % doubling
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_have_the_requested_size_and_entries_vary_in_size() {
        let size = Size {
            keys: 400,
            ops: 3_000,
        };
        for trace in all(size) {
            assert!((3_000..3_400).contains(&trace.ops.len()), "{}", trace.name);
            let footprint = trace.footprints()[0];
            assert!(footprint.bytes / footprint.keys > 500, "{}", trace.name);
        }
        assert!((0..500).all(|key| (64..4_096).contains(&bytes_of(key))));
    }
}
