//! A read after a write sees it, and nothing stale is ever kept.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::fixture::{Fixture, StoreGate, fixture, fixture_on, fixture_with, item, mira};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use memory_core::{
    Consistency, ErrorKind, LimitPolicy, Memory, MemoryConfig, MemoryId, MemoryPatch, MemoryResult,
};
use memory_engine::RecallRequest;
use memory_testkit::wait_until;

fn ask(text: &str) -> RecallRequest {
    RecallRequest::new(text)
}

#[tokio::test]
async fn a_read_after_a_write_sees_it_in_every_tier() {
    let b = fixture();
    let id = b
        .engine
        .retain_batch(vec![item("the mill burned")])
        .await
        .unwrap()[0];
    assert_eq!(
        b.engine.get_memory(&mira(), &id).await.unwrap().content,
        "the mill burned"
    );
    assert_eq!(
        b.engine.recall(&mira(), &ask("mill")).await.unwrap().len(),
        1
    );

    let patch = MemoryPatch::new().content("the mill was rebuilt");
    let altered = b.engine.alter_memory(&mira(), &id, &patch).await.unwrap();
    assert_eq!(altered.content, "the mill was rebuilt");
    assert_eq!(
        b.engine.get_memory(&mira(), &id).await.unwrap().content,
        "the mill was rebuilt"
    );
    let recalled = b.engine.recall(&mira(), &ask("rebuilt")).await.unwrap();
    assert_eq!(recalled[0].memory.content, "the mill was rebuilt");
    assert!(
        recalled[0].similarity > Some(0.3),
        "the new content has its own vector"
    );

    b.engine.delete_memory(&mira(), &id).await.unwrap();
    let gone = b.engine.get_memory(&mira(), &id).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(
        b.engine
            .recall(&mira(), &ask("mill"))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        b.engine
            .delete_memory(&mira(), &id)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn a_warm_snapshot_follows_what_is_written_without_the_store() {
    let b = fixture();
    let batch = (0..20)
        .map(|n| item(&format!("memory number {n}")))
        .collect();
    b.engine.retain_batch(batch).await.unwrap();
    for n in 0..10 {
        b.engine
            .retain_batch(vec![item(&format!("later memory {n}"))])
            .await
            .unwrap();
        let found = b
            .engine
            .recall(&mira(), &ask(&format!("later memory {n}")))
            .await
            .unwrap();
        assert_eq!(found[0].memory.content, format!("later memory {n}"));
    }
    assert_eq!(StoreGate::count(&b.store.full_loads), 1);
    assert_eq!(
        StoreGate::count(&b.store.deltas),
        0,
        "the store is not asked for what this system wrote itself"
    );
    assert_eq!(StoreGate::count(&b.store.searches), 0);
}

#[tokio::test]
async fn a_load_that_a_write_overtakes_answers_and_is_not_kept() {
    let b = fixture();
    let id = b
        .engine
        .retain_batch(vec![item("x").with_importance(0.25)])
        .await
        .unwrap()[0];
    b.store.hold_reads();
    let engine = b.engine.clone();
    let slow = tokio::spawn(async move { engine.get_memory(&mira(), &id).await });
    b.store.reached.notified().await;
    let patch = MemoryPatch::new().importance(0.75);
    b.engine.alter_memory(&mira(), &id, &patch).await.unwrap();

    // A caller that asks after the write must not get a load that began before it.
    let engine = b.engine.clone();
    let after = tokio::spawn(async move { engine.get_memory(&mira(), &id).await });
    b.store.reached.notified().await;
    b.store.release();
    assert_eq!(slow.await.unwrap().unwrap().importance, 0.25);
    assert_eq!(after.await.unwrap().unwrap().importance, 0.75);
    let kept = b.engine.get_memory(&mira(), &id).await.unwrap();
    assert_eq!(kept.importance, 0.75);
    assert_eq!(b.engine.cache_stats().memory.stale_fills_refused, 1);
}

#[tokio::test]
async fn a_snapshot_that_a_write_overtakes_is_not_kept() {
    let b = fixture();
    b.engine.retain_batch(vec![item("old news")]).await.unwrap();
    b.store.hold_reads();
    let engine = b.engine.clone();
    let slow = tokio::spawn(async move { engine.recall(&mira(), &ask("news")).await });
    b.store.reached.notified().await;
    b.engine
        .retain_batch(vec![item("fresh news")])
        .await
        .unwrap();
    b.store.release();
    assert_eq!(
        slow.await.unwrap().unwrap().len(),
        1,
        "it answers what it read"
    );
    assert_eq!(b.engine.cache_stats().entity.stale_fills_refused, 1);
    let found = b.engine.recall(&mira(), &ask("fresh news")).await.unwrap();
    assert_eq!(found[0].memory.content, "fresh news");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_seen_all_the_same() {
    let b = fixture();
    b.engine.retain_batch(vec![item("before")]).await.unwrap();
    b.engine.recall(&mira(), &ask("warm up")).await.unwrap();
    b.store.lose_next_response.store(true, Ordering::SeqCst);
    let error = b
        .engine
        .retain_batch(vec![item("during")])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert!(error.is_retryable());
    let found = b.engine.recall(&mira(), &ask("during")).await.unwrap();
    assert_eq!(found[0].memory.content, "during");
}

#[tokio::test]
async fn a_caller_who_leaves_during_a_write_leaves_no_stale_tier() {
    let b = fixture();
    b.engine.retain_batch(vec![item("before")]).await.unwrap();
    b.engine.recall(&mira(), &ask("warm up")).await.unwrap();
    b.store.hold_writes();
    let impatient = b.engine.retain_batch(vec![item("abandoned")]);
    tokio::time::timeout(Duration::from_millis(20), impatient)
        .await
        .unwrap_err();
    b.store.release();
    // The write goes on by itself; wait for its end through the store.
    wait_until("the memory is stored", async || {
        b.engine.entity_stats(&mira()).await.unwrap().memory_count >= 2
    })
    .await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let found = b.engine.recall(&mira(), &ask("abandoned")).await.unwrap();
    assert_eq!(found[0].memory.content, "abandoned");
}

#[tokio::test]
async fn deleting_leaves_nothing_in_any_tier() {
    let b = fixture();
    let ids = b
        .engine
        .retain_batch(vec![item("a secret"), item("no secret")])
        .await
        .unwrap();
    b.engine.get_memory(&mira(), &ids[0]).await.unwrap();
    b.engine.recall(&mira(), &ask("secret")).await.unwrap();
    b.engine.delete_memory(&mira(), &ids[0]).await.unwrap();
    let stats = b.engine.cache_stats();
    assert_eq!(stats.memory.entries, 0);
    assert_eq!(stats.embedding.entries, 2, "the query and the other memory");
    let embedded = b.embedder.texts();
    b.engine.retain_batch(vec![item("a secret")]).await.unwrap();
    assert_eq!(b.embedder.texts(), embedded + 1, "its vector was forgotten");
}

#[tokio::test]
async fn a_check_of_the_embedder_is_answered_by_no_tier() {
    let b = fixture();
    for calls in 1..=3 {
        b.engine.check_embedder().await.unwrap();
        assert_eq!(b.embedder.texts(), calls);
    }
    assert_eq!(b.engine.cache_stats().embedding.entries, 0);
    assert_eq!(b.store.reads(), 0);
}

#[tokio::test]
async fn invalidations_let_go_of_what_they_name() {
    let b = fixture();
    let id = b.engine.retain_batch(vec![item("x")]).await.unwrap()[0];
    let warm = || async {
        b.engine.get_memory(&mira(), &id).await.unwrap();
        b.engine.recall(&mira(), &ask("x")).await.unwrap();
    };
    warm().await;
    warm().await;
    let before = b.engine.cache_stats();
    assert_eq!((before.memory.entries, before.entity.entries), (1, 1));
    assert_eq!((before.memory.hits, before.memory.misses), (1, 1));
    b.engine.invalidate_memory_cache(&id);
    assert_eq!(b.engine.cache_stats().memory.entries, 0);
    b.engine.invalidate_entity_cache(&mira());
    assert_eq!(b.engine.cache_stats().entity.entries, 0);
    warm().await;
    b.engine.clear_all_caches();
    let after = b.engine.cache_stats();
    assert_eq!(
        (
            after.memory.entries,
            after.entity.entries,
            after.embedding.entries
        ),
        (0, 0, 0)
    );
    warm().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stampede_loads_once() {
    let b = fixture();
    let id = b.engine.retain_batch(vec![item("popular")]).await.unwrap()[0];
    let embedded = b.embedder.texts();
    b.store.hold_reads();
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let engine = b.engine.clone();
            tokio::spawn(async move {
                if n % 2 == 0 {
                    engine.get_memory(&mira(), &id).await.unwrap();
                } else {
                    assert_eq!(
                        engine
                            .recall(&mira(), &ask("popular?"))
                            .await
                            .unwrap()
                            .len(),
                        1
                    );
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    b.store.release();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(StoreGate::count(&b.store.gets), 1);
    assert_eq!(StoreGate::count(&b.store.full_loads), 1);
    assert_eq!(b.embedder.texts(), embedded + 1);
    let stats = b.engine.cache_stats();
    assert_eq!(stats.memory.loads, 1);
    assert!(stats.memory.coalesced_loads >= 1 && stats.entity.coalesced_loads >= 1);
}

#[tokio::test]
async fn one_id_under_two_entities_is_two_memories() {
    let b = fixture();
    let id = memory_core::MemoryId::new();
    let tam = memory_core::EntityId::from("tam");
    let mut other = item("tam's own").with_id(id);
    other.entity_id = tam.clone();
    b.engine
        .retain_batch(vec![item("mira's own").with_id(id), other])
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(
            b.engine.get_memory(&mira(), &id).await.unwrap().content,
            "mira's own"
        );
        assert_eq!(
            b.engine.get_memory(&tam, &id).await.unwrap().content,
            "tam's own"
        );
    }
    let stranger = memory_core::EntityId::from("stranger");
    let error = b.engine.get_memory(&stranger, &id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        b.engine
            .recall(&stranger, &ask("own"))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn where_others_write_too_their_writes_are_seen_at_once() {
    let checked = MemoryConfig {
        consistency: Some(Consistency::Checked),
        ..MemoryConfig::default()
    };
    let first = fixture();
    let second = fixture_on(std::sync::Arc::clone(&first.store), checked);
    let id = first
        .engine
        .retain_batch(vec![item("the mill burned")])
        .await
        .unwrap()[0];
    for content in [
        "the mill was rebuilt",
        "the mill was sold",
        "the mill was flooded",
    ] {
        let patch = MemoryPatch::new().content(content);
        first
            .engine
            .alter_memory(&mira(), &id, &patch)
            .await
            .unwrap();
        let found = second.engine.recall(&mira(), &ask("mill")).await.unwrap();
        assert_eq!(found[0].memory.content, content);
        assert_eq!(
            second
                .engine
                .get_memory(&mira(), &id)
                .await
                .unwrap()
                .content,
            content
        );
    }
    assert_eq!(
        StoreGate::count(&first.store.full_loads),
        1,
        "by the changes, not a full load"
    );
    first.engine.delete_memory(&mira(), &id).await.unwrap();
    assert!(
        second
            .engine
            .recall(&mira(), &ask("mill"))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(second.engine.get_memory(&mira(), &id).await.is_err());
}

/// 150 memories, all in the memory tier; the limit is 150.
async fn full_and_warm() -> (Fixture, Vec<MemoryId>) {
    let b = fixture_with(MemoryConfig {
        max_memories_per_entity: Some(150),
        limit_policy: LimitPolicy::Prune,
        prune_min_keep: 0,
        ..MemoryConfig::default()
    });
    let items = (0..150).map(|n| item(&format!("old {n}")));
    let ids = b.engine.retain_batch(items.collect()).await.unwrap();
    assert!(readable(&b, &ids).await.iter().all(|readable| *readable));
    (b, ids)
}

async fn readable(b: &Fixture, ids: &[MemoryId]) -> Vec<bool> {
    let mut readable = Vec::new();
    for id in ids {
        readable.push(b.engine.get_memory(&mira(), id).await.is_ok());
    }
    readable
}

#[tokio::test]
async fn evicted_memories_are_unreadable_however_large_the_batch() {
    for new in [1, 99, 100, 101, 150] {
        let (b, ids) = full_and_warm().await;
        let items = (0..new).map(|n| item(&format!("new {n}")));
        b.engine.retain_batch(items.collect()).await.unwrap();
        let left = readable(&b, &ids).await.into_iter().filter(|left| *left);
        assert_eq!(left.count(), 150 - new, "after a batch of {new}");
    }
}

#[tokio::test]
async fn after_an_unknown_outcome_nothing_of_the_entity_is_trusted() {
    let b = fixture();
    let items = ["a source", "a summary", "links to the summary"].map(item);
    let ids = b.engine.retain_batch(items.to_vec()).await.unwrap();
    let [source, summary, linking] = ids[..] else {
        panic!("three ids")
    };
    let patch = MemoryPatch::new().relate(summary, "mentions");
    b.engine
        .alter_memory(&mira(), &linking, &patch)
        .await
        .unwrap();
    let whole = b.engine.get_memory(&mira(), &summary).await.unwrap();
    let above = Memory {
        id: MemoryId::new(),
        ..(*whole).clone()
    };
    let archived = b.engine.restore_summary(above.clone().into(), vec![source]);
    assert!(archived.await.unwrap());
    let patch = MemoryPatch::new().relate(above.id, "mentions");
    b.engine
        .alter_memory(&mira(), &linking, &patch)
        .await
        .unwrap();
    let get = async |id| b.engine.get_memory(&mira(), id).await.unwrap();
    assert_eq!(get(&source).await.archived_by, Some(above.id));
    assert!(get(&linking).await.related.contains_key(&above.id));

    b.store.lose_next_response.store(true, Ordering::SeqCst);
    let removed = b.engine.delete_memory(&mira(), &above.id).await;
    assert_eq!(removed.unwrap_err().kind(), ErrorKind::OutcomeUnknown);

    let gone = b.engine.get_memory(&mira(), &above.id).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert_eq!(get(&source).await.archived_by, None, "it is live again");
    let links = get(&linking).await.related.clone();
    assert!(!links.contains_key(&above.id), "the link was dropped");
}

#[tokio::test]
async fn a_cancelled_removal_leaves_no_vector_of_its_text() {
    let b = fixture();
    let items = ["delete this", "forget this", "alter this"].map(item);
    let ids = b.engine.retain_batch(items.to_vec()).await.unwrap();
    let calls: [BoxFuture<'_, MemoryResult<()>>; 3] = [
        async { b.engine.delete_memory(&mira(), &ids[0]).await.map(drop) }.boxed(),
        async { b.engine.forget(&mira(), &ids[1]).await.map(drop) }.boxed(),
        async {
            let patch = MemoryPatch::new().content("altered");
            let altered = b.engine.alter_memory(&mira(), &ids[2], &patch).await;
            altered.map(drop)
        }
        .boxed(),
    ];
    b.store.hold_writes();
    for call in calls {
        let cancelled = tokio::time::timeout(Duration::from_millis(20), call);
        cancelled.await.unwrap_err();
    }
    b.store.release();
    let only_the_altered = async || {
        while b.engine.cache_stats().embedding.entries > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), only_the_altered());
    waited.await.expect("the vectors of removed texts stay");
    let calls = b.embedder.calls();
    let texts = ["altered".to_owned()];
    b.engine.generate_embeddings_batch(&texts).await.unwrap();
    assert_eq!(b.embedder.calls(), calls, "the new text is cached");
}
