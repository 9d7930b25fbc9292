//! What a snapshot keeps of one memory, apart from its bytes.

use std::ops::Range;

use chrono::{DateTime, Utc};
use memory_core::MemoryKind;

use super::episodes::{EpisodeEntry, EpisodePosition};
use super::packed_memory::MemoryParts;

/// Where the indexes have a memory, and what a search reads of many.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// The memory's time in microseconds.
    pub(super) time: i64,
    first_row: u32,
    first_passage: u32,
    episode: u32,
    /// The slots next to it in its episode.
    previous: u32,
    next: u32,
    /// Number of words of its text.
    pub(super) words: u32,
    // A content of at most `MAX_CONTENT_CHARS` characters has fewer of both.
    rows: u16,
    passages: u16,
    pub(super) kind: MemoryKind,
    /// Whether its text names a time.
    pub(super) has_time: bool,
}

/// The number of no episode and of no slot.
const NONE: u32 = u32::MAX;

impl Slot {
    /// Of a memory that is in no episode yet.
    pub(super) fn new(
        memory: &MemoryParts<'_>,
        ranges: &SlotRanges,
        words: u32,
        has_time: bool,
    ) -> Self {
        let count = |range: &Range<u32>| u16::try_from(range.len()).unwrap_or(u16::MAX);
        Self {
            time: memory.attributes.timestamp.timestamp_micros(),
            first_row: ranges.rows.start,
            first_passage: ranges.passages.start,
            episode: NONE,
            previous: NONE,
            next: NONE,
            words,
            rows: count(&ranges.rows),
            passages: count(&ranges.passages),
            kind: memory.kind,
            has_time,
        }
    }

    /// Its rows in `Vectors`.
    pub(super) fn rows(&self) -> Range<u32> {
        self.first_row..self.first_row + u32::from(self.rows)
    }

    /// Its passages in `InvertedIndex`.
    pub(super) fn passages(&self) -> Range<u32> {
        self.first_passage..self.first_passage + u32::from(self.passages)
    }

    /// Its episode in `Episodes`; `None` without a context.
    pub(super) fn episode(&self) -> Option<u32> {
        (self.episode != NONE).then_some(self.episode)
    }

    /// The slot of the memory before it in its episode.
    pub(super) fn previous(&self) -> Option<u32> {
        (self.previous != NONE).then_some(self.previous)
    }

    /// The slot of the memory after it in its episode.
    pub(super) fn next(&self) -> Option<u32> {
        (self.next != NONE).then_some(self.next)
    }

    pub(super) fn set_position(&mut self, position: &EpisodePosition) {
        self.episode = position.episode;
        self.set_previous(position.previous);
        self.set_next(position.next);
    }

    pub(super) fn set_previous(&mut self, slot: Option<u32>) {
        self.previous = slot.unwrap_or(NONE);
    }

    pub(super) fn set_next(&mut self, slot: Option<u32>) {
        self.next = slot.unwrap_or(NONE);
    }

    /// The same memory after everything was renumbered.
    pub(super) fn renumbered(&self, numbers: &NewNumbers<'_>) -> Self {
        let moved = |old: u32, numbers: &[u32]| numbers.get(old as usize).copied();
        let episode = self.episode();
        let episode = episode.and_then(|episode| moved(episode, numbers.episodes));
        let moved_slot = |slot: Option<u32>| {
            let slot = slot.and_then(|slot| *numbers.slots.get(slot as usize)?);
            slot.unwrap_or(NONE)
        };
        Self {
            first_row: moved(self.first_row, numbers.rows).unwrap_or(0),
            first_passage: moved(self.first_passage, numbers.passages).unwrap_or(0),
            episode: episode.unwrap_or(NONE),
            previous: moved_slot(self.previous()),
            next: moved_slot(self.next()),
            ..self.clone()
        }
    }

    pub(super) fn timestamp(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.time).unwrap_or_default()
    }

    /// The number of its vectors.
    pub(super) fn chunks(&self) -> u32 {
        self.rows.into()
    }

    /// Its entry in its episode, as memory number `slot`.
    pub(super) fn episode_entry(&self, slot: u32) -> EpisodeEntry {
        (self.time, slot)
    }
}

/// The slot of a memory, and where its vectors and passages are.
pub(super) struct SlotRanges {
    pub(super) slot: u32,
    pub(super) rows: Range<u32>,
    pub(super) passages: Range<u32>,
}

/// The new number of each slot, if it is still used, and of each row, passage and episode.
pub(super) struct NewNumbers<'a> {
    pub(super) slots: &'a [Option<u32>],
    pub(super) rows: &'a [u32],
    pub(super) passages: &'a [u32],
    pub(super) episodes: &'a [u32],
}
