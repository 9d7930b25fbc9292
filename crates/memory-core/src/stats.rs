//! Counters of the cache tiers.

use serde::{Deserialize, Serialize};

/// Counters of the three tiers since the system was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CacheStats {
    /// Memory by id.
    pub memory: TierStats,
    /// Snapshot by entity.
    pub entity: TierStats,
    /// Vector by text.
    pub embedding: TierStats,
}

impl CacheStats {
    /// The counters of these tiers.
    #[must_use]
    pub const fn new(memory: TierStats, entity: TierStats, embedding: TierStats) -> Self {
        Self {
            memory,
            entity,
            embedding,
        }
    }

    /// Hits among all look-ups of all tiers, 0 to 1; 0 before the first.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        let tiers = [self.memory, self.entity, self.embedding];
        ratio(
            tiers.iter().map(|tier| tier.hits).sum(),
            tiers.iter().map(|tier| tier.misses).sum(),
        )
    }
}

/// Counters of one tier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TierStats {
    /// Entries in the tier now.
    pub entries: u64,
    /// Bytes in the tier now, by its weigher.
    pub bytes: u64,
    /// Look-ups answered from the tier.
    pub hits: u64,
    /// Look-ups that found nothing.
    pub misses: u64,
    /// Loads from the store or the embedder that misses led to.
    pub loads: u64,
    /// Misses that waited for a load that was already running.
    pub coalesced_loads: u64,
    /// Entries removed because the tier was full or they expired.
    pub evictions: u64,
    /// Entries dropped or replaced because of a write.
    pub invalidations: u64,
    /// Loads that a write overtook: their callers were answered, but nothing was
    /// cached.
    pub stale_fills_refused: u64,
}

impl TierStats {
    /// Hits among all look-ups, 0 to 1; 0 before the first.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        ratio(self.hits, self.misses)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate needs no more than 53 bits"
)]
fn ratio(hits: u64, misses: u64) -> f64 {
    let lookups = hits + misses;
    if lookups == 0 {
        0.0
    } else {
        hits as f64 / lookups as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hit_rate_is_true_and_zero_before_the_first_look_up() {
        assert_eq!(TierStats::default().hit_rate(), 0.0);
        let tier = TierStats {
            hits: 3,
            misses: 1,
            ..TierStats::default()
        };
        assert_eq!(tier.hit_rate(), 0.75);
        let stats = CacheStats {
            memory: tier,
            ..CacheStats::default()
        };
        assert_eq!(stats.hit_rate(), 0.75);
    }
}
