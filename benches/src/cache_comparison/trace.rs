//! A trace of cache accesses, and its replay on any cache.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{ByteSize, Cache, CacheBackend, CachePolicy};

/// One access. Keys are numbers; the size is the entry's size at that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Reads; a missing entry is loaded and inserted.
    Read {
        /// The key.
        key: u64,
        /// The size of the entry.
        bytes: u64,
    },
    /// Inserts a new value.
    Write {
        /// The key.
        key: u64,
        /// The size of the new entry.
        bytes: u64,
    },
    /// Replaces the value if the entry is present.
    Refresh {
        /// The key.
        key: u64,
        /// The size of the new entry.
        bytes: u64,
    },
    /// Invalidates.
    Remove {
        /// The key.
        key: u64,
    },
}

/// Accesses to one or more tiers, each with its own cache.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The name in reports.
    pub name: String,
    /// The names of the tiers.
    pub tiers: Vec<String>,
    /// Each access with the index of its tier.
    pub ops: Vec<(usize, Op)>,
}

/// The size that a tier would reach without evictions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Distinct keys.
    pub keys: u64,
    /// The sum over keys of the largest size of each.
    pub bytes: u64,
}

/// The outcome of a replay.
#[derive(Debug, Clone, Default)]
pub struct ReplayResult {
    /// Reads that hit, by tier.
    pub hits: Vec<u64>,
    /// Reads that missed, by tier.
    pub misses: Vec<u64>,
    /// Bytes of the reads that hit.
    pub hit_bytes: u64,
    /// Bytes of all reads.
    pub read_bytes: u64,
    /// The total time.
    pub elapsed: Duration,
}

impl Trace {
    /// A trace of one tier.
    #[must_use]
    pub fn of_one_tier(name: impl Into<String>, ops: Vec<Op>) -> Self {
        Self {
            name: name.into(),
            tiers: vec!["all".to_owned()],
            ops: ops.into_iter().map(|op| (0, op)).collect(),
        }
    }

    /// The size that each tier would reach without evictions.
    #[must_use]
    pub fn footprints(&self) -> Vec<Footprint> {
        let mut largest: Vec<HashMap<u64, u64>> = vec![HashMap::new(); self.tiers.len()];
        for (tier, op) in &self.ops {
            if let Op::Read { key, bytes } | Op::Write { key, bytes } | Op::Refresh { key, bytes } =
                *op
            {
                let largest_size = largest[*tier].entry(key).or_default();
                *largest_size = bytes.max(*largest_size);
            }
        }
        largest
            .iter()
            .map(|keys| Footprint {
                keys: keys.len() as u64,
                bytes: keys.values().sum(),
            })
            .collect()
    }

    /// Replays every access on caches of this backend, each limited to `share`
    /// (over 0, at most 1) of the size that its tier would reach.
    #[must_use]
    pub fn replay<B: CacheBackend>(&self, backend: &B, share: f64) -> ReplayResult {
        let caches: Vec<_> = self
            .footprints()
            .iter()
            .map(|footprint| backend.build(policy(*footprint, share)))
            .collect();
        let mut score = ReplayResult {
            hits: vec![0; caches.len()],
            misses: vec![0; caches.len()],
            ..ReplayResult::default()
        };
        let start = Instant::now();
        for (tier, op) in &self.ops {
            apply(&caches[*tier], *op, *tier, &mut score);
        }
        score.elapsed = start.elapsed();
        score
    }
}

/// The value is the weight of the entry.
type Entry = Arc<u64>;

fn apply(cache: &impl Cache<u64, Entry>, op: Op, tier: usize, score: &mut ReplayResult) {
    match op {
        Op::Read { key, bytes } => {
            score.read_bytes += bytes;
            if cache.get(&key).is_some() {
                score.hits[tier] += 1;
                score.hit_bytes += bytes;
            } else {
                score.misses[tier] += 1;
                cache.insert(key, Arc::new(bytes));
            }
        }
        Op::Write { key, bytes } => cache.insert(key, Arc::new(bytes)),
        Op::Refresh { key, bytes } => {
            if cache.get(&key).is_some() {
                cache.insert(key, Arc::new(bytes));
            }
        }
        Op::Remove { key } => cache.remove(&key),
    }
}

/// Only the byte limit takes effect: the entry limit is four times the number of
/// keys, so that no cache rounds a light entry up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a size, to about a byte"
)]
fn policy(footprint: Footprint, share: f64) -> CachePolicy<u64, Entry> {
    let bytes = (footprint.bytes as f64 * share).ceil() as u64;
    CachePolicy::new(footprint.keys.max(1) * 4, ByteSize(bytes), |_, entry| {
        **entry
    })
}

impl ReplayResult {
    /// Reads that hit, 0 to 1.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        ratio(self.hits.iter().sum(), self.reads())
    }

    /// The same for one tier.
    #[must_use]
    pub fn hit_ratio_of(&self, tier: usize) -> f64 {
        ratio(self.hits[tier], self.hits[tier] + self.misses[tier])
    }

    /// Bytes read from the cache, of all bytes read, 0 to 1.
    #[must_use]
    pub fn byte_hit_ratio(&self) -> f64 {
        ratio(self.hit_bytes, self.read_bytes)
    }

    /// Reads of all tiers.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.hits.iter().chain(&self.misses).sum()
    }

    /// Reads that missed in any tier.
    #[must_use]
    pub fn total_misses(&self) -> u64 {
        self.misses.iter().sum()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for a table")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use memory_testkit::MapBackend;

    use super::*;

    #[test]
    fn a_replay_counts_hits_and_refreshes_only_present_entries() {
        let ops = vec![
            Op::Refresh { key: 1, bytes: 10 },
            Op::Read { key: 1, bytes: 10 },
            Op::Read { key: 1, bytes: 10 },
            Op::Write { key: 2, bytes: 30 },
            Op::Read { key: 2, bytes: 30 },
            Op::Remove { key: 2 },
            Op::Read { key: 2, bytes: 30 },
        ];
        let trace = Trace::of_one_tier("small", ops);
        let footprint = Footprint { keys: 2, bytes: 40 };
        assert_eq!(trace.footprints(), [footprint]);
        let score = trace.replay(&MapBackend, 1.0);
        assert_eq!((score.hits[0], score.misses[0]), (2, 2));
        assert_eq!((score.hit_bytes, score.read_bytes), (40, 80));
        let tight = trace.replay(&MapBackend, 0.5);
        assert_eq!(
            (tight.hits[0], tight.misses[0]),
            (1, 3),
            "30 do not fit in 20"
        );
    }
}
