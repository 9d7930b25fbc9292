//! Consolidation of near-duplicates, and its undo.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use memory_core::{
    ErrorKind, LanguageModel, ListScope, MemoryConfig, MemoryError, MemoryId, MemoryKind,
    MemoryPatch, MemoryResult, limits,
};
use memory_engine::{ConsolidateRequest, Engine, SkipReason};
use memory_testkit::{
    HookedStore, InMemoryStore, StoreCall, StoreHooks, StoreOperation, wait_until,
};
use tokio::sync::Notify;

use crate::fixture::{
    Fixture, ScriptedModel, days_ago, fixture, fixture_on, fixture_with, item, mira,
};

fn request() -> ConsolidateRequest {
    ConsolidateRequest::new().min_similarity(0.6)
}

/// Three that state the same of a horse, two of a ferry, a single one, and one of
/// another kind.
async fn equal_statements(b: &Fixture) -> Vec<MemoryId> {
    let mut opinion = item("Tam sold me a lame horse");
    opinion.kind = MemoryKind::Opinion;
    b.retain(vec![
        item("Tam sold me a lame horse")
            .with_timestamp(days_ago(9))
            .with_importance(0.5)
            .with_metadata("place", "fair"),
        item("tam sold me  a lame horse")
            .with_timestamp(days_ago(8))
            .with_importance(0.6)
            .with_tag("market")
            .with_metadata("place", "fair"),
        item("Tam sold me a lame horse.")
            .with_timestamp(days_ago(7))
            .with_metadata("place", "fair"),
        item("The ferry left the harbour at dawn").with_timestamp(days_ago(6)),
        item("The ferry left the harbour at dawn!").with_timestamp(days_ago(5)),
        item("Bread is dear this winter").with_timestamp(days_ago(4)),
        opinion.with_timestamp(days_ago(3)),
    ])
    .await
}

/// Three similar ones of a horse, two of a ferry, a single one, and one of
/// another kind.
async fn near_duplicates(b: &Fixture) -> Vec<MemoryId> {
    let mut opinion = item("Tam sold me a lame horse");
    opinion.kind = MemoryKind::Opinion;
    b.retain(vec![
        item("Tam sold me a lame horse")
            .with_timestamp(days_ago(9))
            .with_importance(0.5),
        item("Tam sold me a lame horse yesterday")
            .with_timestamp(days_ago(8))
            .with_importance(0.6)
            .with_tag("market"),
        item("Tam sold me the lame horse")
            .with_timestamp(days_ago(7))
            .with_metadata("place", "fair"),
        item("The ferry left the harbour at dawn").with_timestamp(days_ago(6)),
        item("The ferry left the harbour at dawn again").with_timestamp(days_ago(5)),
        item("Bread is dear this winter").with_timestamp(days_ago(4)),
        opinion.with_timestamp(days_ago(3)),
    ])
    .await
}

#[tokio::test]
async fn near_duplicates_become_one_and_undo_restores_them_exactly() {
    let b = fixture();
    let ids = equal_statements(&b).await;
    assert_eq!(b.recall("lame horse").await.len(), 7);
    let before = b.state().await.written;

    let done = b.engine.consolidate(&mira(), &request()).await.unwrap();
    let sources: Vec<_> = done.summaries.iter().map(|s| s.sources.clone()).collect();
    assert_eq!(sources, [ids[0..3].to_vec(), ids[3..5].to_vec()]);

    // Live are two summaries and the memories in no group.
    let found = b.recall("lame horse").await;
    assert_eq!(found.len(), 4, "{found:?}");
    let summary = b
        .engine
        .get_memory(&mira(), &done.summaries[0].id)
        .await
        .unwrap();
    assert_eq!(summary.content, "Tam sold me a lame horse.");
    assert!((summary.importance - 0.66).abs() < 1e-6);
    assert!((summary.decay_rate - 0.008).abs() < 1e-6);
    assert!(summary.tags.contains("market"));
    assert_eq!(summary.metadata["place"], "fair");
    assert_eq!(summary.timestamp, days_ago(7));
    assert!(ids[0..3].iter().all(|id| summary.related.contains_key(id)));
    // The sources can be read by id and name their summary.
    for id in &ids[0..3] {
        let source = b.engine.get_memory(&mira(), id).await.unwrap();
        assert_eq!(source.archived_by, Some(summary.id));
    }
    let archived = b.all(ListScope::SourcesOf(summary.id)).await;
    assert_eq!(archived.len(), 3);

    for (done, count) in done.summaries.iter().zip([3, 2]) {
        let undone = b
            .engine
            .undo_consolidation(&mira(), &done.id)
            .await
            .unwrap();
        assert_eq!(undone.len(), count);
    }
    assert_eq!(
        b.state().await.written,
        before,
        "rows and vectors are unchanged"
    );
    assert_eq!(b.recall("lame horse").await.len(), 7);
    let again = b.engine.undo_consolidation(&mira(), &summary.id).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::NotFound);
    let none = b.engine.undo_consolidation(&mira(), &ids[5]).await;
    let none = none.unwrap_err().to_string();
    let says = format!("memory {} is not a summary", ids[5]);
    assert!(none.contains(&says), "{none}");
}

#[tokio::test]
async fn summaries_are_summarized_and_undone_from_the_top() {
    let b = fixture();
    let text = "the ferry left the harbour";
    let retain = |n: i64| b.retain(vec![item(text).with_timestamp(days_ago(n)); 2]);
    retain(9).await;
    let first = b.engine.consolidate(&mira(), &request()).await.unwrap();
    retain(5).await;
    let second = b.engine.consolidate(&mira(), &request()).await.unwrap();
    let (low, high) = (&first.summaries[0], &second.summaries[0]);
    assert!(high.sources.contains(&low.id) && high.sources.len() == 3);
    let top = b.engine.get_memory(&mira(), &high.id).await.unwrap();
    assert_eq!(
        top.metadata["consolidation.from"],
        days_ago(9).to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    );
    let error = b.engine.undo_consolidation(&mira(), &low.id).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Archived);
    b.engine
        .undo_consolidation(&mira(), &high.id)
        .await
        .unwrap();
    b.engine.undo_consolidation(&mira(), &low.id).await.unwrap();
    assert_eq!(b.all(ListScope::Live).await.len(), 4);
    assert!(b.all(ListScope::Archived).await.is_empty());
}

#[tokio::test]
async fn a_language_model_writes_the_summary_from_quoted_data() {
    let model_script = ScriptedModel::with_replies([Ok("  Tam sells lame horses.\n"), Ok("   ")]);
    let model = Arc::clone(&model_script) as Arc<dyn LanguageModel>;
    let b = fixture_with(MemoryConfig::default(), Some(model));
    let ids = near_duplicates(&b).await;
    let done = b.engine.consolidate(&mira(), &request()).await.unwrap();
    let content = |n: usize| {
        let id = done.summaries[n].id;
        let engine = b.engine.clone();
        async move {
            engine
                .get_memory(&mira(), &id)
                .await
                .unwrap()
                .content
                .clone()
        }
    };
    assert_eq!(content(0).await, "Tam sells lame horses.");
    // An empty reply is no summary: its sources stay live.
    assert_eq!(done.summaries.len(), 1);
    assert_eq!(done.skipped[0].sources, ids[3..5]);
    assert_eq!(done.skipped[0].reason, SkipReason::EmptyCompletion);
    assert_eq!(b.all(ListScope::Archived).await.len(), 3);
    let asked = model_script.prompts();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].contains(r#""content":"Tam sold me a lame horse yesterday"}"#));
    // The summary is found by its own terms.
    assert_eq!(
        b.recall("sells lame horses").await[0],
        "Tam sells lame horses."
    );
}

#[tokio::test]
async fn a_group_that_the_model_fails_on_is_skipped_and_the_rest_is_kept() {
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::InvalidInput,
        ErrorKind::Other,
    ] {
        let refused = MemoryError::language_model(kind, "complete", "refused");
        let model = ScriptedModel::with_replies([Err(refused), Ok("The ferry left again.")]);
        let b = fixture_with(MemoryConfig::default(), Some(model));
        let ids = near_duplicates(&b).await;
        let done = b.engine.consolidate(&mira(), &request()).await.unwrap();
        assert_eq!(done.summaries.len(), 1);
        assert_eq!(done.summaries[0].sources, ids[3..5]);
        assert_eq!(done.skipped.len(), 1);
        assert_eq!(done.skipped[0].sources, ids[0..3]);
        assert_eq!(done.skipped[0].reason, SkipReason::ModelFailed);
        let live = b.all(ListScope::Live).await;
        assert_eq!(live.len(), 6, "the skipped sources stay live");
    }
}

#[tokio::test]
async fn an_unavailable_model_is_not_called_for_every_group() {
    let down = || MemoryError::language_model(ErrorKind::Unavailable, "complete", "down");
    let model = ScriptedModel::with_replies((0..20).map(|_| Err(down())));
    let calls = Arc::clone(&model);
    let b = fixture_with(MemoryConfig::default(), Some(model));
    let words = [
        "horse", "ferry", "bread", "snow", "mill", "song", "key", "road", "rain", "fire",
    ];
    let pairs = words.iter().flat_map(|word| {
        let text = format!("{word} {word} {word}");
        [item(&text), item(&format!("{text} {word}"))]
    });
    b.retain(pairs.collect()).await;
    let before = b.state().await;
    let done = b.engine.consolidate(&mira(), &request()).await.unwrap();
    assert!(done.summaries.is_empty());
    assert_eq!(done.skipped.len(), words.len());
    assert!(
        calls.prompts().len() < words.len(),
        "{}",
        calls.prompts().len()
    );
    assert_eq!(b.state().await, before);
}

#[tokio::test]
async fn a_completion_that_lacks_a_fact_is_not_used() {
    let b = fixture_with(
        MemoryConfig::default(),
        Some(ScriptedModel::with_replies([Ok("The rent is 900 euros.")])),
    );
    b.retain(vec![
        item("The rent of the old mill is 500 euros a month"),
        item("The rent of the old mill is 900 euros a month"),
    ])
    .await;
    let before = b.state().await;
    let done = b.engine.consolidate(&mira(), &request()).await.unwrap();
    assert_eq!(done.skipped[0].reason, SkipReason::FactsMissing);
    assert_eq!(b.state().await, before);
}

#[tokio::test]
async fn without_a_model_facts_that_differ_stay_live() {
    let b = fixture();
    let texts = [
        "The rent is 500 euros.",
        "The rent is 900 euros.",
        "Anna is allergic to nuts.",
        "Anna is not allergic to nuts.",
        "Alice paid Bob 10 euros.",
        "Bob paid Alice 10 euros.",
        "我喜欢喝咖啡",
        "我讨厌喝咖啡",
        "แมวนอนบนเตียง",
        "ฝนตกหนักเมื่อวาน",
        "🐎",
        "🔥",
    ];
    b.retain(texts.iter().map(|text| item(text)).collect())
        .await;
    let any = ConsolidateRequest::new().min_similarity(-1.0);
    let done = b.engine.consolidate(&mira(), &any).await.unwrap();
    assert!(done.summaries.is_empty(), "{done:?}");
    assert_eq!(b.all(ListScope::Live).await.len(), texts.len());
}

/// Whatever the model answers: text of unknown tokens has the same vector for
/// every meaning, so it is never sent to the model.
#[tokio::test]
async fn text_of_unknown_tokens_is_grouped_only_if_it_states_the_same() {
    let b = fixture_with(
        MemoryConfig::default(),
        Some(ScriptedModel::with_replies([])),
    );
    b.retain(vec![
        item("我喜欢喝咖啡"),
        item("我讨厌喝咖啡"),
        item("🐎"),
        item("🔥"),
        item("我喜欢喝咖啡。"),
    ])
    .await;
    let any = ConsolidateRequest::new().min_similarity(-1.0);
    let done = b.engine.consolidate(&mira(), &any).await.unwrap();
    assert_eq!(done.summaries.len(), 1);
    assert_eq!(done.summaries[0].sources.len(), 2);
}

#[tokio::test]
async fn a_long_completion_is_truncated_to_the_limit() {
    let long: &'static str = Box::leak("水车 turns. ".repeat(3_000).into_boxed_str());
    let model_script = ScriptedModel::with_replies([Ok(long), Ok("short")]);
    let b = fixture_with(MemoryConfig::default(), Some(model_script));
    near_duplicates(&b).await;
    let done = b.engine.consolidate(&mira(), &request()).await.unwrap();
    let memory = b.engine.get_memory(&mira(), &done.summaries[0].id).await;
    let chars = memory.unwrap().content.chars().count();
    assert!(
        chars <= limits::MAX_CONTENT_CHARS && chars > 9_000,
        "{chars}"
    );
}

/// Changes a memory of the entity during the first `times` completions.
#[derive(Debug)]
struct ConcurrentWriter {
    engine: OnceLock<Engine>,
    id: OnceLock<MemoryId>,
    times: std::sync::atomic::AtomicI32,
}

#[async_trait]
impl LanguageModel for ConcurrentWriter {
    async fn complete(&self, _prompt: &str) -> MemoryResult<String> {
        use std::sync::atomic::Ordering;
        if self.times.fetch_sub(1, Ordering::SeqCst) > 0 {
            let patch = MemoryPatch::new().content("Tam sold me a lame horse, or two");
            let (engine, id) = (self.engine.get().unwrap(), self.id.get().unwrap());
            engine.alter_memory(&mira(), id, &patch).await?;
        }
        Ok("Tam sells lame horses.".to_owned())
    }
}

#[tokio::test]
async fn concurrent_changes_are_reread_and_never_summarized_unseen() {
    for (times, ends_well) in [(1, true), (1_000, false)] {
        let concurrent_writer = Arc::new(ConcurrentWriter {
            engine: OnceLock::new(),
            id: OnceLock::new(),
            times: times.into(),
        });
        let model = Arc::clone(&concurrent_writer) as Arc<dyn LanguageModel>;
        let b = fixture_with(MemoryConfig::default(), Some(model));
        let ids = near_duplicates(&b).await;
        concurrent_writer.engine.set(b.engine.clone()).unwrap();
        concurrent_writer.id.set(ids[1]).unwrap();
        let outcome = b.engine.consolidate(&mira(), &request()).await;
        if ends_well {
            assert_eq!(outcome.unwrap().summaries.len(), 2);
            let source = b.engine.get_memory(&mira(), &ids[1]).await.unwrap();
            assert!(source.content.ends_with("or two") && source.archived_by.is_some());
        } else {
            // Another draft is only asked for where the contents changed: the
            // concurrent_writer writes the same again, so the retries end.
            let done = outcome.unwrap();
            assert_eq!(done.summaries.len(), 2);
        }
    }
}

/// Forgets a memory of the entity while it writes a summary of it.
#[derive(Debug, Default)]
struct ForgetfulModel {
    source: OnceLock<(Engine, MemoryId)>,
}

#[async_trait]
impl LanguageModel for ForgetfulModel {
    async fn complete(&self, _prompt: &str) -> MemoryResult<String> {
        let (engine, id) = self.source.get().unwrap();
        engine.forget(&mira(), id).await?;
        Ok("Tam sells lame horses.".to_owned())
    }
}

#[tokio::test]
async fn nothing_stays_of_a_summary_whose_source_was_forgotten_meanwhile() {
    let model = Arc::new(ForgetfulModel::default());
    let given = Arc::clone(&model) as Arc<dyn LanguageModel>;
    let b = fixture_with(MemoryConfig::default(), Some(given));
    let sources = vec![
        item("Tam sold me a lame horse"),
        item("Tam sold me the lame horse"),
    ];
    let ids = b.retain(sources).await;
    model.source.set((b.engine.clone(), ids[0])).unwrap();
    let done = b.engine.consolidate(&mira(), &request()).await.unwrap();
    assert!(done.summaries.is_empty());
    let vectors = b.engine.cache_stats().embedding.entries;
    assert_eq!(vectors, 1, "that of the other source");
}

/// Keeps consolidations from being written.
#[derive(Debug, Default)]
struct HeldConsolidations {
    reached: Notify,
    released: Notify,
}

#[async_trait]
impl StoreHooks for HeldConsolidations {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        if call.operation == StoreOperation::Consolidate {
            self.reached.notify_one();
            self.released.notified().await;
            let message = "not written";
            return Err(MemoryError::store(
                ErrorKind::Unavailable,
                "consolidate",
                message,
            ));
        }
        Ok(())
    }
}

#[tokio::test]
async fn nothing_stays_of_a_summary_whose_consolidation_is_dropped() {
    let held = Arc::new(HeldConsolidations::default());
    let hooks = Arc::clone(&held) as Arc<dyn StoreHooks>;
    let store = HookedStore::new(Arc::new(InMemoryStore::new()), hooks);
    let model = ScriptedModel::with_replies([Ok("Tam sells lame horses.")]);
    let b = fixture_on(Arc::new(store), MemoryConfig::default(), Some(model));
    let sources = ["Tam sold me a lame horse", "Tam sold me the lame horse"];
    b.retain(sources.map(item).to_vec()).await;
    let vectors = || b.engine.cache_stats().embedding.entries;
    assert_eq!(vectors(), 2);
    let engine = b.engine.clone();
    let consolidating = tokio::spawn(async move { engine.consolidate(&mira(), &request()).await });
    held.reached.notified().await;
    assert_eq!(vectors(), 3);
    consolidating.abort();
    assert!(consolidating.await.is_err());
    wait_until("its vector is dropped", || async { vectors() == 2 }).await;
    held.released.notify_one();
}

#[tokio::test]
async fn an_archived_memory_is_not_embedded_to_be_altered() {
    let b = fixture();
    let ids = equal_statements(&b).await;
    b.engine.consolidate(&mira(), &request()).await.unwrap();
    let texts = b.embedder.texts();
    let patch = MemoryPatch::new().content("Tam sold me a sound horse");
    let altered = b.engine.alter_memory(&mira(), &ids[0], &patch).await;
    assert_eq!(altered.unwrap_err().kind(), ErrorKind::Archived);
    assert_eq!(b.embedder.texts(), texts);
}

#[tokio::test]
async fn requests_are_validated() {
    let b = fixture();
    for similarity in [1.1, f32::NAN] {
        let request = ConsolidateRequest::new().min_similarity(similarity);
        let error = b.engine.consolidate(&mira(), &request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let nobody = memory_core::EntityId::from("");
    let error = b.engine.consolidate(&nobody, &request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let empty = b.engine.consolidate(&mira(), &request()).await.unwrap();
    assert!(empty.summaries.is_empty());
}
