//! Tests of equivalence.

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::MemoryBatchItem;
use proptest::prelude::*;

use super::super::statement::{FILLERS, normalized_words};
use super::*;
use crate::consolidation::facts::facts_of;

fn memory(day: i64, content: &str) -> Arc<Memory> {
    edited(day, content, |item| item)
}

fn edited(
    day: i64,
    content: &str,
    edit: impl Fn(MemoryBatchItem) -> MemoryBatchItem,
) -> Arc<Memory> {
    let at = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(day);
    let item = MemoryBatchItem::new("mira", MemoryKind::Experience, content).with_timestamp(at);
    Arc::new(edit(item).into_memory(at).unwrap())
}

fn groups(memories: Vec<Arc<Memory>>) -> Vec<Group> {
    group_equal_statements(memories, &MemoryFilter::new(), 2)
}

fn are_grouped(a: &str, b: &str) -> bool {
    let forward = groups(vec![memory(1, a), memory(2, b)]);
    let backward = groups(vec![memory(1, b), memory(2, a)]);
    assert_eq!(forward.len(), backward.len(), "{a:?} {b:?}");
    !forward.is_empty()
}

#[test]
fn insignificant_differences_are_ignored() {
    for (a, b) in [
        ("The rent is 500 euros.", "the rent is  500 euros"),
        ("The rent is 500 euros.", "The rent is 500 euros!"),
        ("He said “no”.", "He said \"no\"."),
        ("Tam’s horse is lame", "Tam's horse is lame"),
        ("caf\u{e9} Central is open", "cafe\u{301} Central is open"),
        ("Bread is dear. Milk is not.", "bread is dear.\nmilk is not"),
        ("我喜欢喝咖啡", "我喜欢喝咖啡。"),
        ("🐎", "🐎"),
    ] {
        assert!(are_grouped(a, b), "{a:?} {b:?}");
    }
}

#[test]
fn statements_that_differ_in_a_fact_are_not_grouped() {
    for (a, b) in [
        ("The rent is 500 euros.", "The rent is 900 euros."),
        ("It is 5 degrees", "It is -5 degrees"),
        ("It is 5 degrees", "It is 5. degrees"),
        ("The price is 1,000", "The price is 1.000"),
        ("The price is 1,000", "The price is 1000"),
        ("It is 1.5 m long", "It is 1.5 km long"),
        ("The load is 3 mW", "The load is 3 MW"),
        ("release v1.2.3 shipped", "release v1.3.2 shipped"),
        ("Anna is allergic to nuts.", "Anna is not allergic to nuts."),
        ("Anna is allergic", "Anna isn't allergic"),
        ("I smoke", "I never smoke"),
        ("Alice paid Bob 10 euros.", "Bob paid Alice 10 euros."),
        ("Anna is here.", "Anna is here?"),
        ("Anna is here", "Is Anna here"),
        ("He said yes", "He said \"yes\""),
        ("Eat, grandma", "Eat grandma"),
        ("It is raining", "It might be raining"),
        ("The mill burned", "It is false that the mill burned"),
        ("The mill burned", "The mill burned. That is a lie."),
        ("He came", "He came, they say"),
        ("The shop is open", "The shop is open today"),
        ("Anna never came", "Anna never came too"),
        ("the password is Secret", "the password is secret"),
        ("the password is aB3x", "the password is Ab3x"),
        ("Secret", "secret"),
        ("use camelCase here", "use camelcase here"),
        ("server 10.0.0.1 is up", "server 10.0.0.2 is up"),
        ("Call +49 30 1234567.", "Call +49 30 1234568."),
        ("x² is large", "x2 is large"),
        ("The answer is 5!", "The answer is 5"),
        ("我喜欢喝咖啡", "我讨厌喝咖啡"),
        ("我喜欢喝咖啡", "我不喜欢喝咖啡"),
        ("แมวนอนบนเตียง", "ฝนตกหนักเมื่อวาน"),
        ("🐎", "🔥"),
        ("✅ done", "❌ done"),
        ("Er kommt", "Er kommt nicht"),
        ("Wait", "Wait…"),
    ] {
        assert!(!are_grouped(a, b), "{a:?} {b:?}");
    }
}

#[test]
fn everything_around_the_content_must_be_equal_too() {
    type Edit = fn(MemoryBatchItem) -> MemoryBatchItem;
    let edits: [Edit; 4] = [
        |item| item.with_metadata("server", "b"),
        |item| item.with_context("another session"),
        |item| item.with_entity("tam", "seller"),
        |mut item| {
            item.kind = MemoryKind::Observation;
            item
        },
    ];
    for edit in edits {
        let pair = vec![memory(1, "It works"), edited(2, "It works", edit)];
        assert!(groups(pair).is_empty());
    }
    let opinions = |mut item: MemoryBatchItem| {
        item.kind = MemoryKind::Opinion;
        item
    };
    let pair = (1..3).map(|day| edited(day, "It works", opinions));
    assert!(groups(pair.collect()).is_empty());
}

#[test]
fn relative_times_are_grouped_within_a_day_only() {
    for text in [
        "The shop is closed today",
        "昨天来过",
        "The exam is in two days",
        "Nächsten Montag ist Prüfung",
        "Die Prüfung ist in drei Tagen.",
        "L'examen est lundi prochain",
        "El examen es el lunes",
        "The shop is closed this week",
    ] {
        assert!(groups(vec![memory(1, text), memory(2, text)]).is_empty());
        assert_eq!(groups(vec![memory(1, text), memory(1, text)]).len(), 1);
    }
}

#[test]
fn the_longer_statement_becomes_the_summary() {
    let memories = vec![
        memory(3, "the mill burned"),
        memory(1, "The mill burned indeed."),
        memory(2, "The mill burned, too"),
        memory(4, "The mill burned too"),
    ];
    let groups = groups(memories);
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].sources.len(), 2);
    assert_eq!(
        groups[0].content.as_deref(),
        Some("The mill burned indeed.")
    );
}

/// What only one of two equal texts contains is not lost: it may be a fact.
#[test]
fn a_final_mark_that_only_one_text_has_is_kept() {
    for (longer, shorter) in [
        ("The password is secret!", "The password is secret"),
        ("The initial is J.", "The initial is J"),
    ] {
        for (first, second) in [(longer, shorter), (shorter, longer)] {
            let groups = groups(vec![memory(1, first), memory(2, second)]);
            assert_eq!(groups[0].content.as_deref(), Some(longer));
        }
    }
}

#[test]
fn a_large_group_is_split() {
    let same = (0..MAX_SOURCES * 2 + 1).map(|_| memory(1, "The mill burned"));
    let sizes: Vec<usize> = groups(same.collect())
        .iter()
        .map(|group| group.sources.len())
        .collect();
    assert_eq!(sizes, [MAX_SOURCES, MAX_SOURCES]);
}

/// Texts from few parts, so that many of them are nearly equal.
fn text() -> impl Strategy<Value = String> {
    let subjects = ["Alice", "Bob", "alice", "The server", "服务器", "🐎"];
    let negations = ["", "", "not ", "never ", "n't ", "不"];
    let verbs = ["paid", "paid 5 to", "paid -5 to", "moved to v1.2.3", "runs"];
    let objects = [
        "Bob",
        "Alice",
        "port 22",
        "port 49222",
        "LH123",
        "today",
        "",
    ];
    let ends = ["", ".", "!", "?", "...", " indeed", " too.", " 5", "。"];
    (
        prop::sample::select(subjects.to_vec()),
        prop::sample::select(negations.to_vec()),
        prop::sample::select(verbs.to_vec()),
        prop::sample::select(objects.to_vec()),
        prop::sample::select(ends.to_vec()),
    )
        .prop_map(|(subject, negation, verb, object, end)| {
            format!("{subject} {negation}{verb} {object}{end}")
        })
}

proptest! {
    #[test]
    fn every_fact_of_a_source_is_in_its_summary(
        texts in prop::collection::vec((text(), 0i64..3), 2..60),
    ) {
        let memories = texts.iter().map(|(text, day)| memory(*day, text)).collect();
        for group in groups(memories) {
            let content = group.content.unwrap();
            for source in &group.sources {
                let (of_source, of_summary) = (facts_of(&source.content), facts_of(&content));
                prop_assert_eq!(&of_source, &of_summary, "{} / {}", source.content, content);
                let order = |text: &str| {
                    normalized_words(text).into_iter().filter(|word| !FILLERS.contains(&word.as_str())).collect::<Vec<_>>()
                };
                prop_assert_eq!(order(&source.content), order(&content));
            }
        }
    }
}
