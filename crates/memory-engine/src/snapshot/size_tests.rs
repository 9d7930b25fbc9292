//! What a memory takes of a snapshot, by its parts.

use chrono::{DateTime, TimeDelta};
use memory_core::{Embedding, MemoryBatchItem, MemoryKind, SnapshotPart, SnapshotState};
use memory_testkit::SeededRng;

use super::*;

const DIMENSIONS: usize = 384;

#[expect(clippy::cast_precision_loss, reason = "a number below 2^24")]
fn fraction(random: &mut SeededRng) -> f32 {
    random.below(1 << 24) as f32 / (1 << 24) as f32
}

/// A word of six letters from a vocabulary of 5,000, as frequent as Zipf's law says.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank of 1 to 5,000"
)]
fn word(random: &mut SeededRng) -> String {
    let mut rank = 5_000f32.powf(fraction(random)) as u32;
    let mut word = String::new();
    for _ in 0..3 {
        for letters in ["bfklmnprtvz", "aeiou"] {
            let length = u32::try_from(letters.len()).unwrap();
            word.extend(letters.chars().nth((rank % length) as usize));
            rank /= length;
        }
    }
    word
}

/// A memory like those of the bench `scale`: 20 words, an episode of 20 memories, one of
/// two tags, a distinct ID; every other one has a participant.
fn memory(random: &mut SeededRng, number: u32) -> EmbeddedMemory {
    let words: Vec<String> = (0..20).map(|_| word(random)).collect();
    let mut item = MemoryBatchItem::new("mira", MemoryKind::Experience, words.join(" "))
        .with_timestamp(DateTime::UNIX_EPOCH + TimeDelta::minutes(number.into()))
        .with_context(format!("episode-{}", number / 20))
        .with_metadata("id", format!("memory-{number}"))
        .with_tag(["tag-even", "tag-odd"][number as usize % 2]);
    if number.is_multiple_of(2) {
        item = item.with_entity(format!("participant-{}", number / 2 % 200), "speaker");
    }
    let vector = (0..DIMENSIONS).map(|_| fraction(random) - 0.5).collect();
    EmbeddedMemory {
        memory: item.into_memory(DateTime::UNIX_EPOCH).unwrap(),
        embedding: Embedding {
            fingerprint: "test".into(),
            vectors: vec![vector],
        },
    }
}

/// The parts of a snapshot, in bytes a memory.
fn parts(snapshot: &EntitySnapshot) -> Vec<(&'static str, usize)> {
    let parts = [
        ("vectors", snapshot.vectors.size_bytes()),
        ("memories", snapshot.memories.size_bytes()),
        ("slots", snapshot.slots.size_bytes()),
        ("ids", snapshot.by_id.size_bytes()),
        ("stems", snapshot.inverted_index.size_bytes()),
        ("pairs", snapshot.pairs.size_bytes()),
        ("episodes", snapshot.episodes.size_bytes()),
        ("mentions", snapshot.mentions.size_bytes()),
        ("tags", snapshot.tags.size_bytes()),
        ("all", snapshot.size_bytes()),
    ];
    let parts = parts.into_iter();
    parts
        .map(|(name, bytes)| (name, bytes / snapshot.len()))
        .collect()
}

/// The limit is some percent above what was measured.
#[test]
fn a_memory_takes_a_kilobyte_and_its_text() {
    const COUNT: u32 = 2_000;
    let mut random = SeededRng::new(7);
    let mut memories: Vec<EmbeddedMemory> = (0..COUNT)
        .map(|number| memory(&mut random, number))
        .collect();
    let text: usize = memories.iter().map(|it| it.memory.content.len()).sum();
    let text = text / COUNT as usize;
    let later = memories.split_off(memories.len() * 9 / 10);
    let part = SnapshotPart::Memories {
        page: None,
        memories,
    };
    let state = SnapshotState::new(Generation(1), vec![part]);
    let empty = EntitySnapshot::empty("mira".into(), DIMENSIONS, None);
    let mut snapshot = empty.with_state(state, &|| true).unwrap().0;
    let loaded = parts(&snapshot);
    assert!(loaded[9].1 <= text + 1_150, "{loaded:?}, text: {text}");
    // Indexes that changed often take a little more.
    for written in later {
        snapshot = snapshot.apply(ChangeSet::new(Generation(1), vec![written], vec![]));
    }
    let changed = parts(&snapshot);
    assert!(changed[9].1 <= text + 1_200, "{changed:?}, text: {text}");
}
