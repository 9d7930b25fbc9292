//! Memories and filters for tests, made from a seed and varied in every field.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{
    EmbeddedMemory, Embedding, EntityId, Fingerprint, Memory, MemoryFilter, MemoryId, MemoryKind,
    MemoryTagMode, SummaryGroup,
};

use crate::seeded_rng::SeededRng;

/// Components of the vectors made here: more than one SIMD register, few
/// enough to be quick.
pub const DIMENSIONS: usize = 32;

/// Tags that memories bear and filters ask for.
const TAGS: [&str; 5] = ["market", "mill", "road", "storm", "trade"];
/// Those who take part.
const PEOPLE: [&str; 3] = ["tam", "wenna", "oster"];
const PLACES: [&str; 3] = ["bridge", "mill", "harbour"];
pub(crate) const WORDS: [&str; 24] = [
    "amber", "barrel", "candle", "donkey", "ember", "falcon", "garnet", "hammer", "island",
    "jasper", "kettle", "lantern", "marble", "needle", "orchard", "pepper", "quarry", "ribbon",
    "saddle", "timber", "umbrella", "velvet", "walnut", "zinc",
];

/// Text that has tripped one tokenizer or another.
pub(crate) const ODD_TEXTS: [&str; 14] = [
    "",
    " ",
    " \n\t\r ",
    "!?.,;:…",
    "🐎",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
    "記憶は川のように流れる",
    "\u{1}\u{7f}\u{85} control \u{200b}\u{feff}",
    "\u{202e}right to left\u{202c}",
    "e\u{301} \u{e9} \u{10ffff}\u{fffd}",
    "[CLS] [SEP] [MASK] [UNK] <s> </s> <|endoftext|>",
    "a\u{0}b",
    "CamelCase snake_case http://example.invalid/a?b=c#d",
    "0xDEADBEEF 3.14159 -1e-9",
];

/// The fingerprint of the vectors made here.
#[must_use]
pub fn fingerprint() -> Fingerprint {
    Fingerprint::from("testkit/model-a")
}

/// Another model's fingerprint.
#[must_use]
pub fn other_fingerprint() -> Fingerprint {
    Fingerprint::from("testkit/model-b")
}

/// A moment, in microseconds from 1970.
#[must_use]
pub fn at_micros(micros: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::microseconds(micros)
}

/// A moment in 2024, `seconds` after its first.
#[must_use]
pub fn at(seconds: i64) -> DateTime<Utc> {
    at_micros((1_704_067_200 + seconds) * 1_000_000)
}

/// A plain memory with a fresh id, one random vector and nothing optional.
pub fn plain(entity: &EntityId, content: impl Into<String>, rng: &mut SeededRng) -> EmbeddedMemory {
    let kind = MemoryKind::World;
    EmbeddedMemory {
        memory: Memory {
            id: rng.id(),
            entity_id: entity.clone(),
            kind,
            content: content.into(),
            timestamp: at(0),
            last_accessed: None,
            access_count: 0,
            importance: 0.5,
            decay_rate: kind.decay_rate(),
            context: None,
            metadata: BTreeMap::new(),
            related: BTreeMap::new(),
            entities: BTreeMap::new(),
            tags: BTreeSet::new(),
            archived_by: None,
        },
        embedding: embedding(1, rng),
    }
}

/// A plain summary, and what it is to stand for.
pub fn consolidation(
    entity: &EntityId,
    content: impl Into<String>,
    sources: impl IntoIterator<Item = MemoryId>,
    rng: &mut SeededRng,
) -> SummaryGroup {
    SummaryGroup {
        summary: plain(entity, content, rng),
        sources: sources.into_iter().collect(),
    }
}

/// An embedding of `chunks` random unit vectors.
pub fn embedding(chunks: usize, rng: &mut SeededRng) -> Embedding {
    Embedding {
        fingerprint: fingerprint(),
        vectors: (0..chunks).map(|_| rng.vector(DIMENSIONS)).collect(),
    }
}

/// `size` memories of one entity, varied in every field: kinds, tags (none on
/// a third), people, metadata, times with ties and before 1970, one to three
/// vectors each.
pub fn varied_memories(entity: &EntityId, size: usize, rng: &mut SeededRng) -> Vec<EmbeddedMemory> {
    (0..size)
        .map(|number| varied(entity, number, rng))
        .collect()
}

/// One memory of a [`varied_memories`]; `number` goes into its content, so that no
/// two are alike.
pub fn varied(entity: &EntityId, number: usize, rng: &mut SeededRng) -> EmbeddedMemory {
    let words: Vec<&str> = (0..4 + rng.below(8)).map(|_| *rng.pick(&WORDS)).collect();
    let mut item = plain(entity, format!("{} n{number}", words.join(" ")), rng);
    let memory = &mut item.memory;
    memory.kind = *rng.pick(&MemoryKind::ALL);
    memory.decay_rate = memory.kind.decay_rate();
    memory.timestamp = time(rng);
    memory.importance = rng.unit();
    if rng.one_in(2) {
        memory.context = Some(format!("day {}", rng.below(4)));
    }
    if !rng.one_in(3) {
        memory.tags = tags(rng);
    }
    if rng.one_in(2) {
        let place = (*rng.pick(&PLACES)).to_owned();
        memory.metadata.insert("place".to_owned(), place);
    }
    if rng.one_in(3) {
        let season = rng.below(2).to_string();
        memory.metadata.insert("season".to_owned(), season);
    }
    if rng.one_in(2) {
        let who = EntityId::from(*rng.pick(&PEOPLE));
        memory.entities.insert(who, "seen".to_owned());
    }
    let chunks = 1 + rng.below(3);
    item.embedding = embedding(chunks, rng);
    item
}

/// Filters over a [`varied_memories`]: each condition alone, every tag mode, and
/// `combined` at random.
pub fn filters(combined: usize, rng: &mut SeededRng) -> Vec<MemoryFilter> {
    let new = MemoryFilter::new;
    let mut filters = vec![
        new(),
        new().since(at(5)),
        new().until(at(5)),
        new().since(at(3)).until(at(7)),
        new().until(at_micros(0)),
        new().metadata("place", "mill"),
        new().metadata("place", "mill").metadata("season", "1"),
        new().metadata("place", "nowhere"),
        new().involves("tam"),
        new().involves("nobody"),
    ];
    filters.extend(MemoryKind::ALL.map(|kind| new().kind(kind)));
    filters.push(new().kind(MemoryKind::World).kind(MemoryKind::Opinion));
    for mode in MemoryTagMode::ALL {
        filters.push(new().tags(["mill"], mode));
        filters.push(new().tags(["mill", "storm"], mode));
        filters.push(new().tags(["unheard-of"], mode));
        filters.push(new().tags(Vec::<String>::new(), mode));
    }
    filters.extend((0..combined).map(|_| filter(rng)));
    filters
}

/// A filter of conditions chosen at random.
pub fn filter(rng: &mut SeededRng) -> MemoryFilter {
    let mut filter = MemoryFilter::new();
    if rng.one_in(3) {
        filter = filter.kind(*rng.pick(&MemoryKind::ALL));
        filter = filter.kind(*rng.pick(&MemoryKind::ALL));
    }
    if rng.one_in(2) {
        filter = filter.tags(tags(rng), *rng.pick(&MemoryTagMode::ALL));
    }
    let (one, other) = (time(rng), time(rng));
    if rng.one_in(3) {
        filter = filter.since(one.min(other));
    }
    if one != other && rng.one_in(3) {
        filter = filter.until(one.max(other));
    }
    if rng.one_in(4) {
        filter = filter.metadata("place", *rng.pick(&PLACES));
    }
    if rng.one_in(4) {
        filter = filter.involves(*rng.pick(&PEOPLE));
    }
    filter
}

fn tags(rng: &mut SeededRng) -> BTreeSet<String> {
    (0..1 + rng.below(3))
        .map(|_| (*rng.pick(&TAGS)).to_owned())
        .collect()
}

/// One of a few moments, so that ties are common; some a microsecond apart,
/// some before 1970.
fn time(rng: &mut SeededRng) -> DateTime<Utc> {
    let micros = TimeDelta::microseconds(i64::from(rng.one_in(3)));
    if rng.one_in(8) {
        at_micros(-1_000_000_000) + micros
    } else {
        at(*rng.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])) + micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_population_is_varied_and_its_filters_tell_it_apart() {
        let mut rng = SeededRng::new(1);
        let people = varied_memories(&EntityId::from("mira"), 120, &mut rng);
        for filter in filters(40, &mut rng) {
            filter.validate().unwrap();
        }
        let admitted = |filter: &MemoryFilter| {
            people
                .iter()
                .filter(|item| filter.matches(&item.memory))
                .count()
        };
        for mode in MemoryTagMode::ALL {
            let filter = MemoryFilter::new().tags(["mill", "storm"], mode);
            let found = admitted(&filter);
            assert!((1..120).contains(&found), "{mode}: {found}");
        }
        assert!(admitted(&MemoryFilter::new().until(at_micros(0))) > 3);
        for item in &people {
            item.embedding
                .validate(memory_core::limits::MAX_DIMENSIONS)
                .unwrap();
        }
    }
}
