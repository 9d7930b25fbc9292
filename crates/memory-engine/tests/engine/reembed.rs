//! Embedding memories again, with another model or where vectors are missing.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::fixture::{Fixture, fixture, item, mira};
use memory_core::{
    ByteSize, EmbeddedMemory, Embedder, Generation, ListRequest, MemoryConfig, MemoryPatch, Store,
};
use memory_engine::{ConsolidateRequest, Engine, RecallRequest, ReembedReport, ReembedRequest};
use memory_moka::MokaBackend;
use memory_testkit::HashEmbedder;

/// 450 memories by the fixture's model, two of them archived, and an engine
/// with another model on the same store.
async fn other_model() -> (Fixture, Engine, HashEmbedder) {
    let b = fixture();
    let items = (0..448).map(|n| item(&format!("distinct memory {n}")));
    let mut items: Vec<_> = items.collect();
    items.extend((0..2).map(|_| item("the mill burned down")));
    b.engine.retain_batch(items).await.unwrap();
    let request = ConsolidateRequest::new();
    let report = b.engine.consolidate(&mira(), &request).await.unwrap();
    assert_eq!(report.summaries.len(), 1);
    let model = HashEmbedder::new().with_dimensions(48);
    let engine = Engine::builder(MokaBackend)
        .build(b.store.store(), Arc::new(model.clone()))
        .unwrap();
    (b, engine, model)
}

async fn without_vectors(engine: &Engine) -> u64 {
    let request = RecallRequest::new("the mill");
    let report = engine.recall_report(&mira(), &request).await.unwrap();
    report.without_vectors
}

#[tokio::test]
async fn every_memory_gets_vectors_of_the_new_model_once() {
    let (_b, engine, model) = other_model().await;
    assert_eq!(without_vectors(&engine).await, 449);
    let request = ReembedRequest::new();
    let report = engine.reembed(&mira(), &request).await.unwrap();
    assert_eq!(
        (report.checked, report.reembedded, report.changed),
        (451, 451, 0)
    );
    assert_eq!(without_vectors(&engine).await, 0, "and the tiers know");
    let texts = model.texts();
    let again = engine.reembed(&mira(), &request).await.unwrap();
    assert_eq!((again.checked, again.reembedded), (451, 0));
    assert_eq!(model.texts(), texts, "nothing was embedded again");
    let all = engine.reembed(&mira(), &request.all(true)).await.unwrap();
    assert_eq!(all.reembedded, 451);
}

#[tokio::test]
async fn a_memory_with_too_few_vectors_is_embedded_whole() {
    let b = fixture();
    let long = "the mill burned down in the winter. ".repeat(200);
    b.engine.retain_batch(vec![item(&long)]).await.unwrap();
    let (entity, fingerprint) = (mira(), &b.embedder.profile().fingerprint);
    let stored = || async {
        let store = &b.store.inner;
        let all = store.changes_since(&entity, Generation::ZERO, fingerprint);
        all.await.unwrap().written
    };
    let whole: Vec<EmbeddedMemory> = stored().await;
    let vectors = whole[0].embedding.vectors.len();
    assert!(vectors > 1);
    let mut cut = whole[0].embedding.clone();
    cut.vectors.truncate(1);
    let given = [(whole[0].memory.id, cut)];
    let replaced = b
        .store
        .inner
        .replace_vectors(&entity, &given, Generation(1));
    assert_eq!(replaced.await.unwrap().replaced.len(), 1);
    let report = b.engine.reembed(&mira(), &ReembedRequest::new()).await;
    assert_eq!(report.unwrap().reembedded, 1);
    assert_eq!(stored().await[0].embedding.vectors.len(), vectors);
}

/// How many memories have vectors of the first and of the second model.
async fn by_model(b: &Fixture, second: &HashEmbedder) -> (u64, u64) {
    let counts = b.store.inner.count_by_model(&mira()).await.unwrap();
    let of = |model: &HashEmbedder| counts.get(&model.profile().fingerprint).copied();
    assert!(counts.len() <= 2, "{counts:?}");
    (
        of(&b.embedder).unwrap_or_default(),
        of(second).unwrap_or_default(),
    )
}

#[tokio::test]
async fn vectors_of_the_other_model_serve_until_every_memory_has_new_ones() {
    let (b, engine, model) = other_model().await;
    let mut steps = engine.start_reembed(mira(), ReembedRequest::new());
    let (mut last, mut cleared) = (ReembedReport::default(), 0);
    while let Some(report) = steps.next().await.unwrap() {
        // Readers with either model, of what the store has at this moment.
        b.engine.clear_all_caches();
        engine.clear_all_caches();
        assert_eq!(
            without_vectors(&engine).await,
            449u64.saturating_sub(report.reembedded)
        );
        let first = without_vectors(&b.engine).await;
        if report.cleared == 0 {
            assert_eq!(first, 0, "{report:?}");
        } else {
            assert!(report.is_complete && first > 0, "{report:?}");
        }
        assert!(report.cleared >= cleared && report.total == 451);
        (last, cleared) = (report, report.cleared);
    }
    assert_eq!((last.reembedded, last.cleared), (451, 451));
    assert!(last.is_complete);
    assert_eq!(by_model(&b, &model).await, (0, 451));
    assert_eq!(steps.next().await.unwrap(), None, "also when asked again");
}

#[tokio::test]
async fn vectors_of_other_models_can_be_kept_and_removed_later() {
    let (b, engine, model) = other_model().await;
    let keep = ReembedRequest::new().keep_others(true);
    let report = engine.reembed(&mira(), &keep).await.unwrap();
    assert!(report.is_complete && report.cleared == 0, "{report:?}");
    assert_eq!(by_model(&b, &model).await, (451, 451));
    b.engine.clear_all_caches();
    assert_eq!(without_vectors(&b.engine).await, 0);
    assert_eq!(without_vectors(&engine).await, 0);
    let generation = b
        .store
        .inner
        .entity_stats(&mira())
        .await
        .unwrap()
        .generation;
    let report = engine.reembed(&mira(), &ReembedRequest::new()).await;
    let report = report.unwrap();
    assert_eq!((report.reembedded, report.cleared), (0, 451));
    assert_eq!(by_model(&b, &model).await, (0, 451));
    let after = b
        .store
        .inner
        .entity_stats(&mira())
        .await
        .unwrap()
        .generation;
    assert_eq!(after, generation, "no reader has to read anything again");
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_continued_by_another() {
    let (b, engine, model) = other_model().await;
    let mut steps = engine.start_reembed(mira(), ReembedRequest::new());
    let first = steps.next().await.unwrap().unwrap();
    assert!(!first.is_complete && first.reembedded > 0, "{first:?}");
    drop(steps);
    // The next process has nothing of the first one but the store.
    let next = Engine::builder(MokaBackend)
        .build(b.store.store(), Arc::new(model.clone()))
        .unwrap();
    let report = next.reembed(&mira(), &ReembedRequest::new()).await.unwrap();
    assert!(report.is_complete, "{report:?}");
    assert_eq!(first.reembedded + report.reembedded, 451);
    assert_eq!(by_model(&b, &model).await, (0, 451));
}

#[tokio::test]
async fn what_is_written_meanwhile_with_another_model_is_embedded_as_well() {
    let (b, engine, model) = other_model().await;
    let all = ListRequest::new(1_000);
    let mut newest_first = b.store.inner.list(&mira(), &all).await.unwrap().memories;
    newest_first.retain(|memory| memory.content.starts_with("distinct"));
    let mut steps = engine.start_reembed(mira(), ReembedRequest::new());
    let first = steps.next().await.unwrap().unwrap();
    assert!(first.reembedded < 449, "{first:?}");
    // The position of the run is behind the first of these, before the second.
    for memory in [&newest_first[0], &newest_first[447]] {
        let patch = MemoryPatch::new().content(format!("{}, altered", memory.content));
        let (entity, id) = (mira(), memory.id);
        let altering = b.engine.alter_memory(&entity, &id, &patch);
        altering.await.unwrap();
    }
    for (engine, content) in [(&b.engine, "by the first"), (&engine, "by the second")] {
        let retained = engine.retain_batch(vec![item(content)]).await;
        retained.unwrap();
    }
    let mut last = first;
    while let Some(report) = steps.next().await.unwrap() {
        last = report;
    }
    assert!(last.is_complete, "{last:?}");
    assert_eq!(by_model(&b, &model).await, (0, 453));
    engine.clear_all_caches();
    assert_eq!(without_vectors(&engine).await, 0);
}

#[tokio::test]
async fn nothing_is_removed_while_others_keep_writing_with_another_model() {
    let (b, engine, model) = other_model().await;
    let mut steps = engine.start_reembed(mira(), ReembedRequest::new());
    let (mut last, mut written) = (ReembedReport::default(), 0);
    while let Some(report) = steps.next().await.unwrap() {
        let content = format!("written meanwhile {written}");
        b.engine.retain_batch(vec![item(&content)]).await.unwrap();
        (last, written) = (report, written + 1);
    }
    assert!(!last.is_complete && last.cleared == 0, "{last:?}");
    let (first, second) = by_model(&b, &model).await;
    assert_eq!(
        first,
        451 + written,
        "all that the first model's readers need"
    );
    assert!(second >= 451 && second < first, "{second} of {first}");
    b.engine.clear_all_caches();
    assert_eq!(without_vectors(&b.engine).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_can_be_slowed_down() {
    let (_b, engine, _) = other_model().await;
    let rate = NonZeroU32::new(50).unwrap();
    let request = ReembedRequest::new().max_per_second(rate);
    let began = tokio::time::Instant::now();
    let mut steps = engine.start_reembed(mira(), request);
    while let Some(report) = steps.next().await.unwrap() {
        let millis = began.elapsed().as_millis();
        let allowed = 50 * (millis + 1_000) / 1_000;
        assert!(u128::from(report.reembedded) <= allowed, "{report:?}");
    }
    assert_eq!(
        began.elapsed().as_secs(),
        8,
        "451 memories, the last at once"
    );
}

/// The second model on the store, which searches with the first one until an entity
/// has more vectors of its own.
fn with_previous(b: &Fixture, model: &HashEmbedder) -> Engine {
    Engine::builder(MokaBackend)
        .previous_embedder(Arc::clone(&b.embedder) as Arc<dyn Embedder>)
        .build(b.store.store(), Arc::new(model.clone()))
        .unwrap()
}

#[tokio::test]
async fn the_previous_model_searches_until_more_memories_have_new_vectors() {
    let (b, _, model) = other_model().await;
    let engine = with_previous(&b, &model);
    let request = RecallRequest::new("distinct memory 7");
    let mut steps = engine.start_reembed(mira(), ReembedRequest::new());
    let mut by_previous = 0;
    loop {
        let report = engine.recall_report(&mira(), &request).await.unwrap();
        let best = &report.hits[0];
        assert_eq!(best.memory.content, "distinct memory 7");
        assert!(best.similarity.unwrap() > 0.99, "{best:?}");
        assert_eq!(report.without_vectors, 0, "either model has them all");
        by_previous += u32::from(report.by_previous_model);
        let Some(step) = steps.next().await.unwrap() else {
            break;
        };
        assert_eq!(report.by_previous_model, step.checked <= 449, "{step:?}");
    }
    assert!(by_previous > 1);
    let last = engine.recall_report(&mira(), &request).await.unwrap();
    assert!(!last.by_previous_model);
}

#[tokio::test]
async fn the_previous_model_is_not_asked_where_nothing_is_missing() {
    let (b, _, model) = other_model().await;
    let engine = with_previous(&b, &model);
    let request = ReembedRequest::new();
    engine.reembed(&mira(), &request).await.unwrap();
    let texts = b.embedder.texts();
    let question = RecallRequest::new("the mill");
    engine.recall_report(&mira(), &question).await.unwrap();
    assert_eq!(b.embedder.texts(), texts);
}

#[tokio::test]
async fn what_is_retained_before_the_change_is_complete_is_counted() {
    let (b, _, model) = other_model().await;
    let engine = with_previous(&b, &model);
    let retained = engine.retain_batch(vec![item("the ferry runs again")]);
    retained.await.unwrap();
    let question = RecallRequest::new("the ferry runs again");
    let report = engine.recall_report(&mira(), &question).await.unwrap();
    assert!(report.by_previous_model);
    assert_eq!(report.without_vectors, 1);
    assert_eq!(report.hits[0].memory.content, "the ferry runs again");
    // A given vector is of the embedder's model.
    let question = question.vector(model.vector("the ferry runs again"));
    let report = engine.recall_report(&mira(), &question).await.unwrap();
    assert!(!report.by_previous_model && report.hits[0].similarity > Some(0.99));
}

/// As with an approximate index: what it compared is not counted.
#[tokio::test]
async fn the_previous_model_searches_also_where_the_store_does_not_count() {
    let (b, _, model) = other_model().await;
    b.store.is_approximate.store(true, Ordering::SeqCst);
    let config = MemoryConfig {
        entity_cache_max_bytes: ByteSize(0),
        ..MemoryConfig::default()
    };
    let engine = Engine::builder(MokaBackend)
        .config(config)
        .previous_embedder(Arc::clone(&b.embedder) as Arc<dyn Embedder>)
        .build(b.store.store(), Arc::new(model.clone()))
        .unwrap();
    let request = RecallRequest::new("distinct memory 7");
    let mut steps = engine.start_reembed(mira(), ReembedRequest::new());
    let mut checked = 0;
    loop {
        let report = engine.recall_report(&mira(), &request).await.unwrap();
        assert!(report.hits[0].similarity > Some(0.99), "{checked}");
        // The best memory has vectors of both models before all have.
        assert!(report.by_previous_model || checked > 0);
        match steps.next().await.unwrap() {
            Some(step) => checked = step.checked,
            None => break,
        }
    }
    let last = engine.recall_report(&mira(), &request).await.unwrap();
    assert!(!last.by_previous_model);
}

#[tokio::test]
async fn a_dry_run_of_all_says_whether_vectors_are_missing() {
    let (b, engine, _) = other_model().await;
    let dry_run = ReembedRequest::new().all(true).dry_run(true);
    let missing = engine.reembed(&mira(), &dry_run).await.unwrap();
    assert_eq!((missing.lacking, missing.is_complete), (451, false));
    let complete = b.engine.reembed(&mira(), &dry_run).await.unwrap();
    assert_eq!((complete.lacking, complete.reembedded), (451, 0));
    assert!(complete.is_complete);
}
