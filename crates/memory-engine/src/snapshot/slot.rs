//! What a snapshot keeps of one memory, apart from its bytes.

use std::ops::Range;

use chrono::{DateTime, Utc};

use super::episodes::EpisodeEntry;

/// Where the indexes have a memory, and what a search reads of many.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// The memory's time in microseconds.
    pub(super) time: i64,
    first_row: u32,
    first_passage: u32,
    episode: u32,
    /// Number of words of its text.
    pub(super) words: u32,
    // A content of at most `MAX_CONTENT_CHARS` characters has fewer of both.
    rows: u16,
    passages: u16,
    /// Whether its text names a time.
    pub(super) has_time: bool,
}

/// The number of no episode.
const NO_EPISODE: u32 = u32::MAX;

impl Slot {
    /// Of a memory that is in no episode yet.
    pub(super) fn new(
        time: i64,
        rows: &Range<u32>,
        passages: &Range<u32>,
        words: u32,
        has_time: bool,
    ) -> Self {
        let count = |range: &Range<u32>| u16::try_from(range.len()).unwrap_or(u16::MAX);
        Self {
            time,
            first_row: rows.start,
            first_passage: passages.start,
            episode: NO_EPISODE,
            words,
            rows: count(rows),
            passages: count(passages),
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
        (self.episode != NO_EPISODE).then_some(self.episode)
    }

    pub(super) fn set_episode(&mut self, episode: u32) {
        self.episode = episode;
    }

    /// The same memory after its rows, passages and episodes were renumbered.
    pub(super) fn renumbered(&self, rows: &[u32], passages: &[u32], episodes: &[u32]) -> Self {
        let moved = |first: u32, numbers: &[u32]| numbers.get(first as usize).copied();
        let episode = self.episode().and_then(|episode| moved(episode, episodes));
        Self {
            first_row: moved(self.first_row, rows).unwrap_or(0),
            first_passage: moved(self.first_passage, passages).unwrap_or(0),
            episode: episode.unwrap_or(NO_EPISODE),
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
