//! Recall is exact, filtered exactly, and the same from snapshot and store.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Bench, GatedStore, bench, bench_with, item, mira};
use memory_core::{MemoryConfig, MemoryFilter, MemoryKind, MemoryTagMode};
use memory_engine::{Ranking, RecallRequest, Verbs};

/// 300 memories over a small vocabulary, so that similarities vary.
async fn populate(b: &Bench) {
    let words = [
        "mill", "river", "horse", "market", "bridge", "winter", "bread", "song",
    ];
    let batch = (0..300usize)
        .map(|n| {
            let text = format!("{} {} {n}", words[n % 8], words[(n / 8) % 8]);
            let mut item = item(&text).with_importance((n % 10) as f32 / 10.0);
            if n % 3 > 0 {
                item = item.with_tag(format!("tag{}", n % 3));
            }
            if n % 2 == 0 {
                item.kind = MemoryKind::Observation;
            }
            item
        })
        .collect();
    b.engine.retain_batch(batch).await.unwrap();
}

#[tokio::test]
async fn snapshot_and_store_rank_alike() {
    let (warm, pushed) = (
        bench(),
        bench_with(MemoryConfig {
            snapshot_max_memories: 10,
            ..MemoryConfig::default()
        }),
    );
    populate(&warm).await;
    populate(&pushed).await;
    for ranking in [Ranking::default(), Ranking::seed()] {
        let mut overlap = 0;
        for question in [
            "mill river",
            "horse market",
            "winter",
            "bread song 17",
            "bridge mill",
        ] {
            let request = RecallRequest::new(question).ranking(ranking);
            let contents = |b: &Bench| {
                let engine = b.engine.clone();
                let request = request.clone();
                async move {
                    let found = engine.recall(&mira(), &request).await.unwrap();
                    assert_eq!(found.len(), 10);
                    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
                    found
                        .into_iter()
                        .map(|r| r.memory.content.clone())
                        .collect::<Vec<_>>()
                }
            };
            let (a, b) = (contents(&warm).await, contents(&pushed).await);
            overlap += a.iter().filter(|content| b.contains(content)).count();
        }
        assert!(overlap >= 45, "{overlap} of 50 alike");
    }
    assert_eq!(GatedStore::count(&warm.store.searches), 0);
    assert_eq!(GatedStore::count(&pushed.store.searches), 10);
    assert_eq!(pushed.engine.cache_stats().entity.entries, 0);
}

#[tokio::test]
async fn filters_are_exact_and_limit_k_gives_k() {
    let config = MemoryConfig {
        snapshot_max_memories: 10,
        ..MemoryConfig::default()
    };
    for b in [bench(), bench_with(config)] {
        populate(&b).await;
        for mode in MemoryTagMode::ALL {
            let filter = MemoryFilter::new()
                .kind(MemoryKind::Observation)
                .tags(["tag1"], mode);
            let matching = b.engine.count_memories(&mira(), &filter).await.unwrap();
            let request = RecallRequest::new("winter song")
                .filter(filter.clone())
                .limit(200);
            let found = b.engine.recall(&mira(), &request).await.unwrap();
            assert_eq!(found.len() as u64, matching.min(200));
            assert!(found.iter().all(|recalled| filter.admits(&recalled.memory)));
        }
        let request = RecallRequest::new("winter song")
            .min_similarity(0.4)
            .limit(1_000);
        let found = b.engine.recall(&mira(), &request).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(|recalled| recalled.similarity >= 0.4));
    }
}

#[tokio::test]
async fn an_entity_that_outgrows_its_snapshot_is_still_recalled() {
    let b = bench_with(MemoryConfig {
        snapshot_max_memories: 5,
        ..MemoryConfig::default()
    });
    for n in 0..12 {
        b.engine
            .retain_batch(vec![item(&format!("event {n}"))])
            .await
            .unwrap();
        let found = b
            .engine
            .recall(&mira(), &RecallRequest::new(format!("event {n}")))
            .await
            .unwrap();
        assert_eq!(found[0].memory.content, format!("event {n}"));
    }
    assert!(GatedStore::count(&b.store.searches) >= 6);
    assert_eq!(b.engine.cache_stats().entity.entries, 0);
}
