//! Versions of a snapshot, and its search against an exhaustive one.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{
    Embedding, MemoryBatchItem, MemoryFilter, MemoryKind, MemoryTagMode, ScoreStats, SnapshotPart,
    SnapshotState,
};
use proptest::prelude::*;

use super::retrieval::Retrieved;
use super::selection::Selection;
use super::*;
use crate::query::Query;
use crate::ranking::{Ranking, RankingContext};
use crate::tiers::EmbeddedText;

pub(super) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

pub(super) fn query_with(text: &str, vector: Vec<f32>) -> Query {
    let embedded = EmbeddedText {
        vector: vector.into(),
        unknown_share: 0.0,
    };
    Query::new(text, None, embedded, now())
}

fn query(text: &str) -> Query {
    query_with(text, vec![1.0, 0.0])
}

pub(super) fn context<'a>(
    query: &'a Query,
    ranking: &'a Ranking,
    limit: usize,
) -> RankingContext<'a> {
    RankingContext {
        ranking,
        words: &query.words,
        dates: &query.dates,
        now: now(),
        is_historical: false,
        min_similarity: None,
        limit,
    }
}

pub(super) fn embedded(memory: Memory, vectors: Vec<Vec<f32>>) -> EmbeddedMemory {
    EmbeddedMemory {
        memory,
        embedding: Embedding {
            fingerprint: "test".into(),
            vectors,
        },
    }
}

fn written(n: u8) -> EmbeddedMemory {
    let item = MemoryBatchItem::new("mira", MemoryKind::World, format!("memory number {n}"))
        .with_context(format!("episode {}", n / 10))
        .with_tag(format!("n{}", n % 10))
        .with_related(MemoryId::new(), "of");
    embedded(
        item.into_memory(now()).unwrap(),
        vec![vec![f32::from(n), 1.0]],
    )
}

pub(super) fn changes(written: Vec<EmbeddedMemory>, removed: Vec<MemoryId>) -> ChangeSet {
    ChangeSet::new(Generation(1), written, removed)
}

pub(super) fn slots(snapshot: &EntitySnapshot) -> impl Iterator<Item = (u32, &Slot)> {
    let slots = (0u32..).zip(snapshot.slots.iter());
    slots.filter_map(|(number, slot)| Some((number, slot.as_ref()?)))
}

fn ids(snapshot: &EntitySnapshot) -> Vec<MemoryId> {
    let slots = slots(snapshot);
    slots
        .map(|(slot, _)| snapshot.memories.get(slot).id())
        .collect()
}

/// The content and similarity of each memory, in the order of slots.
fn contents(snapshot: &EntitySnapshot) -> Vec<(String, f32)> {
    let query = query("");
    let slots = slots(snapshot);
    slots
        .map(|(number, slot)| {
            let similarity = snapshot.vectors.similarity(&query.vector, slot.rows());
            let content = snapshot.memories.get(number).parts().content().to_owned();
            (content, similarity.unwrap())
        })
        .collect()
}

/// The snapshot of a state without pages.
pub(super) fn loaded(memories: Vec<EmbeddedMemory>, dimensions: usize) -> EntitySnapshot {
    let page = None;
    let state = SnapshotState::new(
        Generation(1),
        vec![SnapshotPart::Memories { page, memories }],
    );
    let empty = EntitySnapshot::empty("mira".into(), dimensions, None);
    empty.with_state(state, &|| true).unwrap().0
}

/// The results of a question, with everything that explains them.
pub(super) fn results(
    snapshot: &EntitySnapshot,
    query: &Query,
    filter: &MemoryFilter,
    context: &RankingContext<'_>,
) -> Vec<String> {
    let set = snapshot.candidates(query, filter, context);
    let ranked = set.top_k(context).into_iter();
    ranked
        .map(|ranked| format!("{} {:?}", ranked.memory.id, ranked.explanation))
        .collect()
}

#[test]
fn a_version_is_its_predecessor_with_the_changes() {
    let first = EntitySnapshot::empty("mira".into(), 2, None)
        .apply(changes((0..4).map(written).collect(), vec![]));
    let ids = ids(&first);
    let mut altered = written(9);
    altered.memory.id = ids[1];
    let second = first.apply(changes(
        vec![altered, written(5)],
        vec![ids[0], MemoryId::new()],
    ));
    assert_eq!((first.len(), second.len()), (4, 4));
    let number = |(content, similarity): (String, f32)| {
        // Vectors are rounded to 16 bits.
        assert_eq!(content, format!("memory number {similarity:.0}"));
        similarity.round()
    };
    let numbers: Vec<f32> = contents(&second).into_iter().map(number).collect();
    assert_eq!(numbers, [9.0, 2.0, 3.0, 5.0]);
}

#[test]
fn compaction_keeps_the_order() {
    let all: Vec<EmbeddedMemory> = (0..200).map(written).collect();
    let full = EntitySnapshot::empty("mira".into(), 2, None).apply(changes(all.clone(), vec![]));
    let odd = ids(&full).into_iter().skip(1).step_by(2).collect();
    let even = full.apply(changes(vec![], odd));
    assert_eq!(even.slots.len(), 100, "no empty slots");
    // Compacted, it is what it would be had the removed never been there.
    let kept = all.into_iter().step_by(2).collect();
    let never = EntitySnapshot::empty("mira".into(), 2, None).apply(changes(kept, vec![]));
    assert_eq!(contents(&even), contents(&never));
    let ranking = Ranking::default();
    for text in ["memory", "number 4", "42", "n7", "when was number 8?"] {
        let query = query(text);
        let context = context(&query, &ranking, 100);
        let filter = MemoryFilter::new();
        let of = |snapshot| results(snapshot, &query, &filter, &context);
        assert_eq!(of(&even), of(&never), "{text}");
    }
    let times = |snapshot: &EntitySnapshot| snapshot.times.iter().collect::<Vec<_>>();
    assert_eq!(times(&even), times(&never));
    assert!(even.size_bytes() < full.size_bytes() * 3 / 4);
}

#[test]
fn removing_everything_frees_all_bytes() {
    let empty = EntitySnapshot::empty("mira".into(), 2, None);
    let full = empty.apply(changes((0..10).map(written).collect(), vec![]));
    let emptied = full.without(&ids(&full));
    assert_eq!(emptied.len(), 0);
    assert!(emptied.memories.size_bytes() < 200);
    assert!(emptied.mentions.size_bytes() < 100);
    assert!(emptied.tags.size_bytes() < 100);
    assert!(emptied.size_bytes() < full.size_bytes() / 2);
}

/// What a generated memory is made of: words, episode, hours ago, tag, the
/// memories it is related to, vectors, whether it is removed again.
type Made = (Vec<u8>, u8, i64, u8, Vec<usize>, Vec<Vec<f32>>, bool);

/// Vectors, also such as lose the most where they are rounded to codes.
fn vector() -> impl Strategy<Value = Vec<f32>> {
    let numbers = |number: std::ops::Range<f32>| prop::collection::vec(number, 8);
    let sparse = prop_oneof![4 => Just(0.0), 1 => -1.0f32..1.0];
    prop_oneof![
        12 => numbers(-1.0..1.0),
        1 => (-1.0f32..1.0).prop_map(|number| vec![number; 8]),
        1 => (numbers(-4e-3..4e-3), 0usize..8).prop_map(|(mut numbers, index)| {
            numbers[index] = 1.0;
            numbers
        }),
        1 => numbers(-1e-30..1e-30),
        1 => prop::collection::vec(sparse, 8),
    ]
}

fn made() -> impl Strategy<Value = Made> {
    (
        prop::collection::vec(0u8..30, 1..12),
        0u8..6,
        0i64..400,
        0u8..9,
        prop::collection::vec(0usize..120, 0..3),
        prop::collection::vec(vector(), 0..4),
        prop::bool::weighted(0.1),
    )
}

const WORDS: [&str; 6] = ["mill", "river", "horse", "monday", "not", "allergic"];

fn word(n: u8) -> String {
    match WORDS.get(usize::from(n)) {
        Some(word) => (*word).to_owned(),
        None => format!("word{n}"),
    }
}

/// The memories, and the ids of those that are removed again.
fn memories_of(memories: &[Made]) -> (Vec<EmbeddedMemory>, Vec<MemoryId>) {
    let all_ids: Vec<MemoryId> = memories.iter().map(|_| MemoryId::new()).collect();
    let all = memories.iter().zip(&all_ids).map(|(made, id)| {
        let (words, episode, hours, tag, related, vectors, _) = made;
        let text: Vec<String> = words.iter().map(|n| word(*n)).collect();
        let mut item = MemoryBatchItem::new("mira", MemoryKind::World, text.join(" "))
            .with_id(*id)
            .with_timestamp(now() - TimeDelta::hours(*hours))
            .with_tag(word(*tag));
        if *episode > 0 {
            item = item.with_context(format!("episode {episode}"));
        }
        let others = related.iter().filter_map(|other| all_ids.get(*other));
        for other in others.filter(|other| *other != id) {
            item = item.with_related(*other, "of");
        }
        embedded(item.into_memory(now()).unwrap(), vectors.clone())
    });
    let removed = memories.iter().zip(&all_ids);
    let removed = removed.filter(|(made, _)| made.6).map(|(_, id)| *id);
    (all.collect(), removed.collect())
}

fn snapshot_of(memories: &[Made]) -> EntitySnapshot {
    let (all, removed) = memories_of(memories);
    EntitySnapshot::empty("mira".into(), 8, None)
        .apply(changes(all, vec![]))
        .apply(changes(vec![], removed))
}

/// The pairs of slots of which one's memory is related to the other's, both ways.
fn links(snapshot: &EntitySnapshot, slots: &[u32]) -> BTreeSet<(u32, u32)> {
    let memory = |slot: u32| snapshot.memories.get(slot).unpack(&snapshot.entity);
    let memories: Vec<(u32, Memory)> = slots.iter().map(|&slot| (slot, memory(slot))).collect();
    let mut links = BTreeSet::new();
    for (one, from) in &memories {
        for (other, to) in &memories {
            if one != other && from.related.contains_key(&to.id) {
                links.extend([(*one, *other), (*other, *one)]);
            }
        }
    }
    links
}

/// Of texts that are nearly equal to the model, the one that differs least is not far
/// above the others: deviations are those of exact values.
#[test]
fn nearly_equal_similarities_are_not_spread_by_rounding() {
    let wave = |step: f32, more: f32| -> Vec<f32> {
        let number = |n: u16| (f32::from(n) * step).sin() / 5.66 + more * f32::from(n % 3);
        (0..64).map(number).collect()
    };
    let vectors = [0.0, 2e-4, 5e-4].map(|more| wave(0.7, more));
    let mut memories = [1, 2, 3].map(written).to_vec();
    for (memory, vector) in memories.iter_mut().zip(&vectors) {
        memory.embedding.vectors = vec![vector.clone()];
    }
    let snapshot = EntitySnapshot::empty("mira".into(), 64, None).apply(changes(memories, vec![]));
    let query = query_with("question", wave(0.3, 0.1));
    let retrieved = snapshot.retrieve(&query, &MemoryFilter::new(), &Ranking::default());
    let similarities = vectors.map(|vector| memory_core::cosine(&query.vector, &vector));
    let exact = ScoreStats::of(similarities.into_iter());
    assert!(exact.deviation > 1e-5, "{exact:?}");
    // Rounded to 16 bits, they differ from the exact ones by a thousandth of what
    // the rounding to 8 bits is.
    let found = retrieved.dense_stats;
    assert!((found.mean - exact.mean).abs() < 1e-5, "{found:?}");
    assert!(
        (found.deviation / exact.deviation - 1.0).abs() < 0.1,
        "{found:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Before and after it changes.
    #[test]
    fn a_snapshot_of_pages_is_one_of_memories_that_were_added(
        mut memories in prop::collection::vec(made(), 1..260),
        long in prop::bool::weighted(0.3),
        words in prop::collection::vec(0u8..30, 1..6),
        vector in prop::collection::vec(-1.0f32..1.0, 8),
    ) {
        if long {
            // Texts of several passages.
            for memory in memories.iter_mut().step_by(9) {
                memory.0 = memory.0.repeat(20);
            }
        }
        let (all, removed) = memories_of(&memories);
        let empty = EntitySnapshot::empty("mira".into(), 8, None);
        let added = all.chunks(40).fold(empty, |snapshot, some| {
            snapshot.apply(changes(some.to_vec(), vec![]))
        });
        let loaded = loaded(all, 8);
        let text: Vec<String> = words.iter().map(|n| word(*n)).collect();
        let query = query_with(&text.join(" "), vector);
        let (ranking, filter) = (Ranking::default(), MemoryFilter::new());
        let context = context(&query, &ranking, 300);
        let of = |snapshot: &EntitySnapshot| results(snapshot, &query, &filter, &context);
        prop_assert_eq!(of(&loaded), of(&added));
        prop_assert_eq!(ids(&loaded), ids(&added));
        prop_assert_eq!((loaded.len(), loaded.timed), (added.len(), added.timed));
        let (loaded, added) = (loaded.without(&removed), added.without(&removed));
        prop_assert_eq!(of(&loaded), of(&added));
        let everything = ids(&loaded);
        prop_assert_eq!(everything.len() + removed.len(), memories.len());
        let emptied = loaded.without(&everything);
        prop_assert_eq!(emptied.len(), 0);
        prop_assert!(emptied.mentions.size_bytes() < 100);
        prop_assert!(emptied.tags.size_bytes() < 100);
    }
}

proptest! {
    /// Found by their tags, labels and related memories, by what is known of each slot, or by
    /// looking at each memory; before and after changes.
    #[test]
    fn a_filter_admits_the_memories_that_it_matches(
        memories in prop::collection::vec(made(), 1..90),
        tags in prop::collection::btree_set(0u8..5, 0..4),
        mode in prop::sample::select(&MemoryTagMode::ALL[..]),
        copies in prop::sample::select(&[1usize, 9][..]),
        hours in prop::array::uniform2(prop::option::of(0i64..4_000)),
        nanos in prop::sample::select(&[0u32, 1, 1_000, 1_500_000_000][..]),
        kinds in prop::collection::btree_set(prop::sample::select(&MemoryKind::ALL[..]), 0..3),
        (who, value, related) in (
            prop::option::weighted(0.3, 0usize..5),
            prop::option::weighted(0.3, 0usize..5),
            prop::option::weighted(0.3, 0usize..90),
        ),
    ) {
        // In the order of time, so that some blocks have no memory of those asked for.
        let mut memories = vec![memories; copies].concat();
        for (made, more) in memories.iter_mut().zip((0..).step_by(5)) {
            made.2 += more;
        }
        // The last ones are not in the index of labels.
        let names = ["Tam", "horse market", "tam", "the", "?"];
        let (mut all, removed) = memories_of(&memories);
        for (item, made) in all.iter_mut().zip(&memories) {
            let words = made.0.iter().filter(|word| **word < 5);
            item.memory.tags = words.map(|n| word(*n)).collect();
            let number = |part: usize| usize::from(made.0[0]) + part * made.0.len();
            item.memory.kind = MemoryKind::ALL[number(1) % 4];
            item.memory.entities = [(names[number(2) % 5].into(), "seller".into())].into();
            item.memory.metadata = [("key".into(), names[number(3) % 5].into())].into();
        }
        // The last one is within a leap second.
        let time = |hours: i64| {
            let time = now() - TimeDelta::hours(hours);
            DateTime::from_timestamp(time.timestamp() + 39, nanos).unwrap()
        };
        let limits = hours.into_iter().flatten().cycle().zip([-1, 0, 1].into_iter().cycle());
        for (item, (hours, offset)) in all.iter_mut().step_by(3).zip(limits) {
            let nearby = memory_core::limits::micros_rounded_up(time(hours)) + offset;
            item.memory.timestamp = DateTime::from_timestamp_micros(nearby).unwrap();
        }
        let filter = MemoryFilter {
            kinds,
            since: hours[0].map(time),
            until: hours[1].map(time),
            involves: who.map(|name| names[name].into()),
            metadata: value.map(|name| ("key".into(), names[name].into())).into_iter().collect(),
            relates_to: related.and_then(|n| Some(all.get(n)?.memory.id)),
            ..MemoryFilter::new().tags(tags.into_iter().map(word), mode)
        };
        // The first memory gets the tags of the last one.
        let mut altered = all[0].clone();
        altered.memory.tags = all[all.len() - 1].memory.tags.clone();
        let loaded = loaded(all, 8);
        let changed = loaded.apply(changes(vec![altered], removed));
        for snapshot in [loaded, changed] {
            let admitted = snapshot.admitted(&filter);
            let expected = (0u32..).zip(snapshot.slots.iter()).map(|(number, slot)| {
                let memory = snapshot.memories.get(number).unpack(&snapshot.entity);
                slot.is_some() && filter.matches(&memory)
            });
            prop_assert_eq!(admitted, expected.collect::<Vec<bool>>());
        }
    }
}

proptest! {
    /// The search leaves out most memories. The results, their scores and what
    /// explains them are those of a ranking of all, bit for bit.
    #[test]
    fn a_search_finds_what_an_exhaustive_one_finds(
        memories in prop::collection::vec(made(), 1..120),
        words in prop::collection::vec(0u8..30, 0..6),
        vector in vector(),
        limit in 1usize..15,
        tag in prop::option::of(0u8..9),
        min_similarity in prop::option::of(-0.5f32..0.5),
        weights in (
            0.0f32..1.5,
            0.0f32..0.5,
            prop_oneof![1 => Just(0.0f32), 3 => 0.0f32..1.0],
            0usize..=8,
        ),
        others in prop::array::uniform6(prop_oneof![Just(None), Just(Some(0.0)), (0.0f32..3.0).prop_map(Some)]),
        (is_sum, with_dates) in (any::<bool>(), any::<bool>()),
    ) {
        let snapshot = snapshot_of(&memories);
        let mut text: Vec<String> = words.iter().map(|n| word(*n)).collect();
        if with_dates {
            text.push("when was it last week?".into());
        }
        let query = query_with(&text.join(" "), vector);
        let base = if is_sum { Ranking::weighted_sum() } else { Ranking::default() };
        let (importance, recency, neighbors, neighbor_reach) = weights;
        let mut ranking = Ranking { importance, recency, neighbors, neighbor_reach, ..base };
        let weights = [
            &mut ranking.similarity,
            &mut ranking.lexical,
            &mut ranking.pairs,
            &mut ranking.mention,
            &mut ranking.date,
            &mut ranking.when,
        ];
        for (weight, other) in weights.into_iter().zip(others) {
            *weight = other.unwrap_or(*weight);
        }
        let filter = tag.map_or_else(MemoryFilter::new, |tag| MemoryFilter::new().tags([word(tag)], MemoryTagMode::Any));
        let context = RankingContext { min_similarity, ..context(&query, &ranking, limit) };
        let retrieved = snapshot.retrieve(&query, &filter, &ranking);
        let all: Vec<u32> = (0..snapshot.next_slot())
            .filter(|slot| snapshot.slot(*slot).is_some() && retrieved.is_admitted(*slot))
            .collect();
        let links = links(&snapshot, &all);
        let unfiltered = snapshot.retrieve(&query, &MemoryFilter::new(), &ranking);
        for &slot in &all {
            let values = |of: &Retrieved| {
                (of.lexical.of(slot), of.pairs.of(slot), of.dense()[slot as usize])
            };
            prop_assert_eq!(values(&retrieved), values(&unfiltered));
            let found: BTreeSet<u32> = snapshot.related_to(slot, &retrieved).into_iter().collect();
            let own = links.range((slot, 0)..=(slot, u32::MAX));
            prop_assert_eq!(found, own.map(|(_, other)| *other).collect());
        }
        let selection = Selection {
            best: all.clone(),
            exact: all.clone(),
        };
        let exhaustive = snapshot.candidates_of(&selection, &retrieved, &query, &ranking);
        let expected: Vec<String> = exhaustive
            .top_k(&context)
            .into_iter()
            .map(|ranked| format!("{} {:?}", ranked.memory.id, ranked.explanation))
            .collect();
        prop_assert_eq!(results(&snapshot, &query, &filter, &context), expected);
        // The statistics of 8-bit similarities are nearly the exact ones.
        let exact = all.iter().filter_map(|slot| {
            let rows = snapshot.slot(*slot)?.rows();
            let chunks = rows.end - rows.start;
            let similarity = snapshot.vectors.similarity(&query.vector, rows)?;
            Some(ranking.dense_value(similarity, chunks))
        });
        let exact = ScoreStats::of(exact);
        let error = 2.0 * retrieved.similarities.max_error + 1e-6;
        prop_assert!((exact.mean - retrieved.dense_stats.mean).abs() <= error);
        prop_assert!((exact.deviation - retrieved.dense_stats.deviation).abs() <= error);
    }
}
