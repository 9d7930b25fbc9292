//! Access counts of recalls.

use std::time::Duration;

use chrono::TimeDelta;
use memory_core::{AccessCounting, EntityId, ListScope, MemoryConfig, MemoryId};
use memory_engine::RecallRequest;

use crate::fixture::{Fixture, fixture, fixture_with, item, mira, now};

async fn counted(b: &Fixture, id: &MemoryId) -> u64 {
    let found = b.store.get(&mira(), &[*id]).await.unwrap().memories;
    found[0].as_ref().unwrap().access_count
}

/// The runtime's time is paused and advanced by the test.
#[tokio::test(start_paused = true)]
async fn recalls_are_counted_in_the_background_without_a_new_generation() {
    let b = fixture();
    let ids = b.retain(vec![item("horse"), item("ferry")]).await;
    let generation = b.engine.entity_stats(&mira()).await.unwrap().generation;
    let one = RecallRequest::new("horse").limit(1);
    for _ in 0..3 {
        b.engine.recall(&mira(), &one).await.unwrap();
    }
    b.clock.advance(TimeDelta::minutes(1));
    b.engine
        .recall(&mira(), &RecallRequest::new("horse"))
        .await
        .unwrap();
    assert_eq!(counted(&b, &ids[0]).await, 0, "no read waits for it");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        (counted(&b, &ids[0]).await, counted(&b, &ids[1]).await),
        (4, 1)
    );
    let found = b.store.get(&mira(), &ids).await.unwrap();
    let last = found.memories[0].as_ref().unwrap().last_accessed;
    assert_eq!(last, Some(now() + TimeDelta::minutes(1)));
    assert_eq!(found.generation, generation);
    // And again, by the next flush.
    b.engine.recall(&mira(), &one).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(counted(&b, &ids[0]).await, 5);
}

#[tokio::test(start_paused = true)]
async fn counts_that_were_written_are_listed() {
    let b = fixture();
    b.retain(vec![item("horse")]).await;
    assert_eq!(b.all(ListScope::Live).await[0].access_count, 0);
    let request = RecallRequest::new("horse");
    b.engine.recall(&mira(), &request).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(b.all(ListScope::Live).await[0].access_count, 1);
}

#[tokio::test(start_paused = true)]
async fn many_counts_are_flushed_early_and_historical_recalls_do_not_count() {
    let b = fixture();
    let all = RecallRequest::new("horse").limit(1_000);
    let mut ids = Vec::new();
    for owner in (0..9)
        .map(|n| EntityId::from(format!("stable {n}")))
        .chain([mira()])
    {
        let horses = (0..1_000).map(|n| {
            let mut horse = item(&format!("horse {n}"));
            horse.entity_id = owner.clone();
            horse
        });
        ids = b.retain(horses.collect()).await;
        b.engine.recall(&owner, &all).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(
        counted(&b, &ids[999]).await,
        1,
        "ten thousand are flushed at once"
    );

    let few = RecallRequest::new("horse").limit(1_000).as_of(now());
    b.engine.recall(&mira(), &few).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        counted(&b, &ids[999]).await,
        1,
        "a historical recall is not counted"
    );
    b.engine.get_memory(&mira(), &ids[0]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        counted(&b, &ids[0]).await,
        1,
        "reading by id is not counted"
    );
}

#[tokio::test(start_paused = true)]
async fn access_counting_can_be_turned_off() {
    let config = MemoryConfig {
        access_counting: AccessCounting::Off,
        ..MemoryConfig::default()
    };
    let b = fixture_with(config, None);
    let ids = b.retain(vec![item("horse")]).await;
    b.recall("horse").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(counted(&b, &ids[0]).await, 0);
}
