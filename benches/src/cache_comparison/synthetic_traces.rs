//! Traces made by formula, equal in every run.

use memory_testkit::SeededRng;

use super::trace::{Op, Trace};

/// The size of the traces.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Dedup keys that are read repeatedly.
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

/// A Zipf distribution of keys.
#[derive(Debug)]
pub struct Zipf {
    rng: SeededRng,
    /// For each rank, the cumulative weight.
    sums: Vec<f64>,
}

impl Zipf {
    /// A distribution over this many keys.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    pub fn new(keys: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys)
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        Self {
            rng: SeededRng::new(0x5eed),
            sums,
        }
    }

    /// A key, 0 for the most popular.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub fn sample(&mut self) -> u64 {
        let whole = self.sums.last().copied().unwrap_or_default();
        let point = (self.rng.bits() >> 11) as f64 / (1u64 << 53) as f64 * whole;
        let rank = self.sums.partition_point(|sum| *sum <= point);
        rank.min(self.sums.len().saturating_sub(1)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn popularity_follows_the_distribution() {
        let mut distribution = Zipf::new(1_000, 1.0);
        let mut counts = vec![0u32; 1_000];
        for _ in 0..200_000 {
            counts[usize::try_from(distribution.sample()).unwrap()] += 1;
        }
        // The sum of 1/n to 1,000 is 7.49.
        let first = f64::from(counts[0]) / 200_000.0;
        assert!((first * 7.49 - 1.0).abs() < 0.05, "{first}");
        let tenfold = f64::from(counts[0]) / f64::from(counts[9]);
        assert!((tenfold / 10.0 - 1.0).abs() < 0.1, "{tenfold}");
        assert_eq!(counts.iter().map(|n| *n as usize).sum::<usize>(), 200_000);
    }

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
