//! The settings that the systems are checked with.

use memory_core::{ByteSize, Consistency};

use super::model::MAX_STALENESS;

/// How many systems there are, and their settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Of each system. A single one is local.
    pub(crate) consistencies: &'static [Consistency],
    pub(crate) entity_cache_max_bytes: ByteSize,
    pub(crate) embedding_cache_capacity: u64,
    /// Beyond it the least important memories are evicted.
    pub(crate) max_memories: Option<u64>,
}

const BOUNDED: Consistency = Consistency::Bounded(MAX_STALENESS);

/// Every supported setting.
pub(crate) const SETTINGS: [Setting; 9] = {
    const fn of(
        consistencies: &'static [Consistency],
        entity_cache_kibibytes: u64,
        max_memories: Option<u64>,
    ) -> Setting {
        Setting {
            consistencies,
            entity_cache_max_bytes: ByteSize(entity_cache_kibibytes * 1_024),
            embedding_cache_capacity: 1_000,
            max_memories,
        }
    }
    use Consistency::{Checked, Local};
    const ALL: u64 = 256 * 1_024;
    [
        of(&[Local], ALL, None),
        of(&[Local], 6, None),
        of(&[Checked, Checked], ALL, None),
        of(&[Checked, BOUNDED], ALL, None),
        of(&[BOUNDED, BOUNDED], 10, None),
        of(&[Local], ALL, Some(130)),
        of(&[Local], ALL, Some(4)),
        of(&[Checked, BOUNDED], ALL, Some(206)),
        of(&[BOUNDED, BOUNDED], 100, Some(130)),
    ]
};
