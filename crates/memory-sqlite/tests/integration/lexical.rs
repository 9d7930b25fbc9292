//! The lexical retriever beyond the conformance suite: exact scores that do not
//! depend on other entities.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{EntityId, MemoryId, SearchOutcome, Store};
use memory_sqlite::SqliteStore;
use memory_testkit::{SeededRng, fixtures};
use proptest::prelude::*;

use crate::common::{ids, lexical, memory, mira};

const WORDS: [&str; 12] = [
    "mill", "bridge", "horse", "market", "river", "wheel", "autumn", "village", "road", "stone",
    "lantern", "saddle",
];

fn scores(found: &SearchOutcome) -> BTreeMap<MemoryId, f32> {
    let score = |one: &memory_core::SearchHit| (one.memory.id, one.lexical.unwrap());
    found.candidates.iter().map(score).collect()
}

/// BM25 by its definition, from the contents themselves.
fn reference_bm25(contents: &[String], query: &[&str]) -> Vec<f64> {
    let (k1, b) = (0.9, 0.4);
    let texts: Vec<Vec<&str>> = contents
        .iter()
        .map(|text| text.split(' ').collect())
        .collect();
    let total = texts.len() as f64;
    let mean = texts.iter().map(Vec::len).sum::<usize>() as f64 / total;
    let query: BTreeSet<&str> = query.iter().copied().collect();
    texts
        .iter()
        .map(|text| {
            let part = |word: &&str| {
                let containing = texts.iter().filter(|text| text.contains(word)).count() as f64;
                let idf = (1.0 + (total - containing + 0.5) / (containing + 0.5)).ln();
                let count = text.iter().filter(|one| *one == word).count() as f64;
                let length = 1.0 - b + b * text.len() as f64 / mean;
                idf * count * (k1 + 1.0) / (count + k1 * length)
            };
            query.iter().map(part).sum()
        })
        .collect()
}

#[tokio::test]
async fn scores_equal_reference_bm25() {
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    let mut rng = SeededRng::new(11);
    let contents: Vec<String> = (0..200)
        .map(|_| {
            let words = (0..1 + rng.below(30)).map(|_| *rng.pick(&WORDS));
            words.collect::<Vec<_>>().join(" ")
        })
        .collect();
    // Stemming changes nothing but the final e of these words.
    let batch: Vec<_> = contents.iter().map(|text| memory(text, &mut rng)).collect();
    store.insert(&batch).await.unwrap();
    for query in [
        &["mill"][..],
        &["mill", "saddle", "mill"],
        &["lantern", "stone", "zebra"],
    ] {
        let found = store
            .search(&mira(), &lexical(&query.join(" ")))
            .await
            .unwrap();
        let got = scores(&found);
        for (one, wanted) in batch.iter().zip(reference_bm25(&contents, query)) {
            let got = got.get(&one.memory.id).copied().unwrap_or(0.0);
            assert!((f64::from(got) - wanted).abs() < 1e-4, "{got} {wanted}");
        }
    }
}

#[tokio::test]
async fn scores_do_not_depend_on_other_entities() {
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    let mut rng = SeededRng::new(11);
    let batch: Vec<_> = ["mill bridge", "mill horse river", "saddle"]
        .map(|text| memory(text, &mut rng))
        .into();
    store.insert(&batch).await.unwrap();
    let query = lexical("mill bridge saddle");
    let before = scores(&store.search(&mira(), &query).await.unwrap());
    assert_eq!(before.len(), 3);
    let others: Vec<_> = (0..300)
        .map(|n| {
            let tam = EntityId::from(format!("tam{}", n % 7));
            fixtures::plain(
                &tam,
                "mill mill bridge and much else of no matter",
                &mut rng,
            )
        })
        .collect();
    store.insert(&others).await.unwrap();
    let after = store.search(&mira(), &query).await.unwrap();
    assert_eq!(scores(&after), before);
    // Nor on deleted memories.
    let extra: Vec<_> = (0..50).map(|_| memory("mill saddle", &mut rng)).collect();
    store.insert(&extra).await.unwrap();
    assert_ne!(
        scores(&store.search(&mira(), &query).await.unwrap()),
        before
    );
    store.delete(&mira(), &ids(&extra)).await.unwrap();
    let again = store.search(&mira(), &query).await.unwrap();
    assert_eq!(scores(&again), before);
}

#[tokio::test]
async fn word_forms_accents_and_scripts_are_found() {
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    let mut rng = SeededRng::new(11);
    let texts = [
        "She was riding to the café.",
        "猫の記憶は長い",
        "Übergabe um zehn",
        "¿…?",
    ];
    let batch = texts.map(|text| memory(text, &mut rng));
    store.insert(&batch).await.unwrap();
    for (query, wanted) in [
        ("who rides?", Some(0)),
        ("CAFE", Some(0)),
        ("記憶", Some(1)),
        ("ubergabe", Some(2)),
        ("to the", None),
        ("?", None),
    ] {
        let found = store.search(&mira(), &lexical(query)).await.unwrap();
        let got: Vec<&str> = found
            .candidates
            .iter()
            .map(|c| c.memory.content.as_str())
            .collect();
        let wanted: Vec<&str> = wanted.map(|at: usize| texts[at]).into_iter().collect();
        assert_eq!(got, wanted, "{query:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A query with a memory's text finds that memory (if it has a word at all),
    /// and no query is an error.
    #[test]
    fn every_text_finds_itself(text in "\\PC{1,60}", query in "\\PC{1,60}") {
        prop_assume!(!text.trim().is_empty() && !query.trim().is_empty());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open("sqlite::memory:").await.unwrap();
            let mut rng = SeededRng::new(11);
            let batch = [memory(&text, &mut rng), memory("q", &mut rng)];
            store.insert(&batch).await.unwrap();
            let found = store.search(&mira(), &lexical(&text)).await.unwrap();
            let itself = found.candidates.iter().find(|one| one.memory.content == text);
            let has_words = !found.candidates.is_empty();
            prop_assert_eq!(itself.is_some(), has_words);
            prop_assert!(store.search(&mira(), &lexical(&query)).await.is_ok());
            Ok(())
        })?;
    }
}
