//! What a snapshot keeps of one memory.

use std::ops::Range;

use chrono::{DateTime, Utc};

use super::episodes::EpisodeEntry;
use super::packed_memory::PackedMemory;

/// A memory and where the indexes have it.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) memory: PackedMemory,
    /// The memory's time in microseconds: a search reads those of many.
    pub(super) time: i64,
    /// Its rows in `Vectors`.
    pub(super) rows: Range<u32>,
    /// Its passages in `InvertedIndex`.
    pub(super) passages: Range<u32>,
    /// Its episode in `Episodes`; `None` without a context.
    pub(super) episode: Option<u32>,
    /// Number of words of its text.
    pub(super) words: u32,
    /// Whether its text names a time.
    pub(super) has_time: bool,
}

impl Slot {
    pub(super) fn timestamp(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.time).unwrap_or_default()
    }

    /// The number of its vectors.
    pub(super) fn chunks(&self) -> u32 {
        self.rows.end - self.rows.start
    }

    /// Its entry in its episode, as memory number `slot`.
    pub(super) fn episode_entry(&self, slot: u32) -> EpisodeEntry {
        (self.time, slot)
    }
}
