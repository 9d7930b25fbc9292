//! Consolidation where enough is new.

use std::sync::Arc;

use chrono::TimeDelta;
use memory_core::{ErrorKind, MemoryConfig, MemoryError, MemoryPatch, Store};
use memory_engine::ReembedRequest;
use memory_testkit::InMemoryStore;

use crate::fixture::{ScriptedModel, fixture_on, fixture_with, item, mira, now};

#[tokio::test]
async fn automatic_consolidation_runs_when_enough_is_new() {
    let config = MemoryConfig {
        consolidation_threshold: 6,
        ..MemoryConfig::default()
    };
    let store: Arc<dyn Store> = Arc::new(InMemoryStore::new());
    let b = fixture_on(Arc::clone(&store), config.clone(), None);
    let auto = || async { b.engine.auto_consolidate_if_needed(&mira()).await.unwrap() };
    assert!(auto().await.is_none(), "nothing is there");
    let same = |n: usize| (0..n).map(|_| item("the same again and again")).collect();
    b.retain(same(5)).await;
    assert!(auto().await.is_none(), "five of six");
    b.retain(same(1)).await;
    let done = auto().await.expect("six of six");
    assert_eq!(done.summaries[0].sources.len(), 6);
    assert!(auto().await.is_none());
    let apart = |n: usize| {
        let words = ["horse", "ferry", "bread", "snow", "mill", "song", "key"];
        words[..n].iter().map(|word| item(word)).collect::<Vec<_>>()
    };
    b.retain(apart(5)).await;
    assert!(auto().await.is_none(), "five since the last time");
    // Another system without watermarks reads them from the summaries.
    let other = fixture_on(store, config, None);
    let told = other.engine.auto_consolidate_if_needed(&mira()).await;
    assert!(told.unwrap().is_none());
    b.retain(vec![item("something else")]).await;
    let none = auto().await.expect("it ran, though no group was found");
    assert!(none.summaries.is_empty());
    assert!(
        auto().await.is_none(),
        "and not again before there is more to do"
    );
}

/// An outage of the model is no consolidation; a refusal of the prompt is one.
#[tokio::test]
async fn automatic_consolidation_is_repeated_where_the_model_was_unavailable() {
    let config = MemoryConfig {
        consolidation_threshold: 4,
        ..MemoryConfig::default()
    };
    for (kind, is_repeated) in [
        (ErrorKind::Unavailable, true),
        (ErrorKind::InvalidInput, false),
    ] {
        let failed = || Err(MemoryError::language_model(kind, "complete", "refused"));
        let reply = "the mill stands north of the old bridge near the river and the road";
        let model = ScriptedModel::with_replies([failed(), Ok(reply), Ok(reply)]);
        let b = fixture_with(config.clone(), Some(model));
        // One group that the model summarizes, and one that it is not asked about.
        b.retain(vec![
            item(reply),
            item(&format!("{reply} here")),
            item("snow"),
            item("snow"),
            item("bread"),
        ])
        .await;
        let auto = || async { b.engine.auto_consolidate_if_needed(&mira()).await.unwrap() };
        let first = auto().await.expect("five are new");
        assert_eq!((first.summaries.len(), first.skipped.len()), (1, 1));
        assert!(auto().await.is_none(), "three are left of the five");
        b.retain(vec![item("ferry")]).await;
        if is_repeated {
            assert!(auto().await.is_none(), "the model failed just now");
            b.clock.advance(TimeDelta::minutes(5));
        }
        let second = auto().await;
        assert_eq!(second.is_some(), is_repeated, "{kind:?}");
        if let Some(second) = second {
            assert_eq!((second.summaries.len(), second.skipped.len()), (1, 0));
            assert!(auto().await.is_none());
        }
    }
}

#[tokio::test]
async fn what_was_written_again_is_not_new() {
    let config = MemoryConfig {
        consolidation_threshold: 4,
        ..MemoryConfig::default()
    };
    let b = fixture_with(config, None);
    let auto = || async { b.engine.auto_consolidate_if_needed(&mira()).await.unwrap() };
    let words = ["horse", "ferry", "bread", "mill", "song", "key"];
    let mut items: Vec<_> = words.iter().map(|word| item(word)).collect();
    items.extend([item("snow"), item("snow")]);
    let ids = b.retain(items).await;
    let first = auto().await.expect("eight are new");
    assert_eq!(first.summaries.len(), 1);
    let all = ReembedRequest::new().all(true);
    let report = b.engine.reembed(&mira(), &all).await.unwrap();
    assert_eq!(report.reembedded, 9);
    assert!(auto().await.is_none(), "embedded again");
    for id in &ids[..6] {
        let patch = MemoryPatch::new().importance(0.75);
        b.engine.alter_memory(&mira(), id, &patch).await.unwrap();
    }
    assert!(auto().await.is_none(), "altered");
    // What is removed makes nothing less new.
    b.engine.delete_memory(&mira(), &ids[0]).await.unwrap();
    let new = |words: &[&str]| words.iter().map(|word| item(word)).collect();
    b.retain(new(&["road", "rain", "fire"])).await;
    assert!(auto().await.is_none(), "three of four");
    b.retain(new(&["hill"])).await;
    assert!(auto().await.is_some(), "four of four");
    assert!(auto().await.is_none());
}

/// How far the entity was consolidated is read from its summaries, as after a restart.
#[tokio::test]
async fn what_was_written_again_after_a_restart_is_not_new() {
    let config = MemoryConfig {
        consolidation_threshold: 4,
        ..MemoryConfig::default()
    };
    let store: Arc<dyn Store> = Arc::new(InMemoryStore::new());
    let before = fixture_on(Arc::clone(&store), config.clone(), None);
    let words = ["horse", "ferry", "bread", "mill", "snow", "snow"];
    before.retain(words.map(item).to_vec()).await;
    let first = before.engine.auto_consolidate_if_needed(&mira()).await;
    assert!(first.unwrap().is_some());

    let b = fixture_on(store, config, None);
    let auto = || async { b.engine.auto_consolidate_if_needed(&mira()).await.unwrap() };
    b.retain(vec![item("song")]).await;
    assert!(auto().await.is_none(), "one is new");
    let all = ReembedRequest::new().all(true);
    b.engine.reembed(&mira(), &all).await.unwrap();
    assert!(auto().await.is_none(), "embedded again");
    b.retain(["road", "rain"].map(item).to_vec()).await;
    assert!(auto().await.is_none(), "three of four");
    b.retain(vec![item("hill")]).await;
    assert!(auto().await.is_some(), "four of four");
}

#[tokio::test]
async fn a_summary_of_another_database_says_nothing_of_this_one() {
    let config = MemoryConfig {
        consolidation_threshold: 4,
        ..MemoryConfig::default()
    };
    let b = fixture_with(config, None);
    let plain = ["horse", "ferry", "bread"].map(item);
    let summary = item("snow").with_metadata("consolidation.generation", "5000");
    let memories = plain.into_iter().chain([summary]);
    let memories = memories.map(|item| item.into_memory(now()).unwrap().into());
    let restored = b.engine.restore_memories(memories.collect()).await;
    assert_eq!(restored.unwrap().len(), 4);
    let auto = || async { b.engine.auto_consolidate_if_needed(&mira()).await.unwrap() };
    assert!(auto().await.is_some(), "when that was is not known");
    assert!(auto().await.is_none());
}
