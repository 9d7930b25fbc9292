//! A generated corpus of memories, equal in every run.
//!
//! Each memory has 20 words by Zipf's law from a vocabulary of 5,000, belongs to
//! an episode of 20 memories, has one of two tags and a distinct ID in its
//! metadata; every other one has a participant.

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{MemoryBatchItem, MemoryKind};
use memory_testkit::SeededRng;

/// The entity of all memories.
pub const ENTITY: &str = "mira";

/// The tags; each memory has one of them.
pub const TAGS: [&str; 2] = ["tag-even", "tag-odd"];

const VOCABULARY: usize = 5_000;
const WORDS_PER_MEMORY: usize = 20;
const WORDS_PER_QUESTION: usize = 6;
const MEMORIES_PER_EPISODE: usize = 20;
const PARTICIPANTS: usize = 200;

/// Draws memories and questions.
#[derive(Debug)]
pub struct Corpus {
    words: Zipf,
    next: usize,
}

impl Corpus {
    /// A corpus that begins with the same memory in every run.
    #[must_use]
    pub fn new() -> Self {
        Self {
            words: Zipf::new(VOCABULARY, 1.0),
            next: 0,
        }
    }

    /// The next memory, a minute later than the one before.
    pub fn memory(&mut self) -> MemoryBatchItem {
        let number = self.next;
        self.next += 1;
        let item =
            MemoryBatchItem::new(ENTITY, MemoryKind::Experience, self.text(WORDS_PER_MEMORY))
                .with_timestamp(Self::time(number))
                .with_context(format!("episode-{}", number / MEMORIES_PER_EPISODE))
                .with_metadata("id", format!("memory-{number}"))
                .with_tag(TAGS[number % 2]);
        if number.is_multiple_of(2) {
            item.with_entity(Self::participant(number), "speaker")
        } else {
            item
        }
    }

    /// The next `count` memories.
    pub fn memories(&mut self, count: usize) -> Vec<MemoryBatchItem> {
        (0..count).map(|_| self.memory()).collect()
    }

    /// When a memory happened, by its number.
    #[must_use]
    pub fn time(number: usize) -> DateTime<Utc> {
        // 2024-01-01.
        let start = DateTime::UNIX_EPOCH + TimeDelta::seconds(1_704_067_200);
        start + TimeDelta::minutes(i64::try_from(number).unwrap_or(i64::MAX / 60_000))
    }

    /// The participant of a memory with an even number: one of 200.
    #[must_use]
    pub fn participant(number: usize) -> String {
        format!("participant-{}", number / 2 % PARTICIPANTS)
    }

    /// A question that was not drawn before.
    pub fn question(&mut self) -> String {
        self.text(WORDS_PER_QUESTION)
    }

    fn text(&mut self, words: usize) -> String {
        let words: Vec<String> = (0..words).map(|_| word(self.words.sample())).collect();
        words.join(" ")
    }
}

impl Default for Corpus {
    fn default() -> Self {
        Self::new()
    }
}

/// A pronounceable word of three syllables for each number up to 166,375.
pub(crate) fn word(number: u64) -> String {
    const CONSONANTS: [char; 11] = ['b', 'f', 'k', 'l', 'm', 'n', 'p', 'r', 't', 'v', 'z'];
    const VOWELS: [char; 5] = ['a', 'e', 'i', 'o', 'u'];
    let mut rest = usize::try_from(number).unwrap_or(0);
    let mut word = String::new();
    for _ in 0..3 {
        word.push(CONSONANTS[rest % CONSONANTS.len()]);
        rest /= CONSONANTS.len();
        word.push(VOWELS[rest % VOWELS.len()]);
        rest /= VOWELS.len();
    }
    word
}

/// A Zipf distribution of numbers.
#[derive(Debug)]
pub struct Zipf {
    rng: SeededRng,
    /// For each rank, the cumulative weight.
    sums: Vec<f64>,
}

impl Zipf {
    /// A distribution over the numbers below `count`, which draws the same in every run.
    #[must_use]
    pub fn new(count: usize, exponent: f64) -> Self {
        Self::with_seed(count, exponent, 0x5eed)
    }

    /// As [`new`](Self::new), with draws of its own.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    pub fn with_seed(count: usize, exponent: f64, seed: u64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=count)
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        Self {
            rng: SeededRng::new(seed),
            sums,
        }
    }

    /// A number, 0 for the most frequent.
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
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn frequencies_follow_the_distribution() {
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
    fn words_are_distinct() {
        let words: BTreeSet<String> = (0..VOCABULARY as u64).map(word).collect();
        assert_eq!(words.len(), VOCABULARY);
    }

    #[test]
    fn the_corpus_is_equal_in_every_run_and_has_the_described_form() {
        let memories = Corpus::new().memories(100);
        assert_eq!(memories, Corpus::new().memories(100));
        let of = |value: fn(&MemoryBatchItem) -> String| {
            memories.iter().map(value).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(of(|item| format!("{:?}", item.context)), 5);
        assert_eq!(of(|item| format!("{:?}", item.tags)), 2);
        assert_eq!(of(|item| format!("{:?}", item.metadata)), 100);
        assert_eq!(of(|item| format!("{:?}", item.entities)), 51);
        assert!(
            memories
                .iter()
                .all(|item| item.content.split(' ').count() == WORDS_PER_MEMORY)
        );
    }
}
