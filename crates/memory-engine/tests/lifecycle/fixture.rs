//! An engine on the reference store with a manual clock and a scripted language
//! model.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use memory_core::{
    ChangeSet, Embedder, EntityId, Fingerprint, Generation, LanguageModel, ListRequest, ListScope,
    ManualClock, Memory, MemoryBatchItem, MemoryConfig, MemoryError, MemoryId, MemoryKind,
    MemoryResult, Store,
};
use memory_engine::{Engine, RecallRequest};
use memory_moka::MokaBackend;
use memory_testkit::{
    HashEmbedder, HookedStore, InMemoryStore, StoreCall, StoreHooks, StoreOperation,
};

/// An engine and its parts.
pub(crate) struct Fixture {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) embedder: Arc<HashEmbedder>,
    pub(crate) clock: Arc<ManualClock>,
}

pub(crate) fn fixture() -> Fixture {
    fixture_with(MemoryConfig::default(), None)
}

pub(crate) fn fixture_with(
    config: MemoryConfig,
    language_model: Option<Arc<dyn LanguageModel>>,
) -> Fixture {
    fixture_on(Arc::new(InMemoryStore::new()), config, language_model)
}

pub(crate) fn fixture_on(
    store: Arc<dyn Store>,
    config: MemoryConfig,
    language_model: Option<Arc<dyn LanguageModel>>,
) -> Fixture {
    let embedder = Arc::new(HashEmbedder::new());
    let clock = Arc::new(ManualClock::new(now()));
    let mut builder = Engine::builder(MokaBackend)
        .config(config)
        .clock(Arc::clone(&clock) as _);
    if let Some(model) = language_model {
        builder = builder.language_model(model);
    }
    let engine = builder
        .build(
            Arc::clone(&store),
            Arc::clone(&embedder) as Arc<dyn Embedder>,
        )
        .unwrap();
    Fixture {
        engine,
        store,
        embedder,
        clock,
    }
}

impl Fixture {
    pub(crate) async fn retain(&self, items: Vec<MemoryBatchItem>) -> Vec<MemoryId> {
        self.engine.retain_batch(items).await.unwrap()
    }

    pub(crate) async fn recall(&self, text: &str) -> Vec<String> {
        let request = RecallRequest::new(text).limit(100);
        let recalled = self.engine.recall(&mira(), &request).await.unwrap();
        let contents = recalled.iter().map(|one| one.memory.content.clone());
        contents.collect()
    }

    pub(crate) async fn all(&self, scope: ListScope) -> Vec<Memory> {
        let request = ListRequest::new(1_000).scope(scope);
        let page = self.engine.list_memories(&mira(), &request).await.unwrap();
        assert_eq!(page.next, None);
        page.memories.clone()
    }

    /// The whole live state with its vectors, in the order of ids.
    pub(crate) async fn state(&self) -> ChangeSet {
        let fingerprint: &Fingerprint = &self.embedder.profile().fingerprint;
        let changes = self
            .store
            .changes_since(&mira(), Generation::ZERO, fingerprint)
            .await;
        let mut changes = changes.unwrap();
        changes.written.sort_by_key(|item| item.memory.id);
        changes
    }
}

pub(crate) fn mira() -> EntityId {
    EntityId::from("mira")
}

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

pub(crate) fn days_ago(days: i64) -> DateTime<Utc> {
    now() - TimeDelta::days(days)
}

pub(crate) fn item(content: &str) -> MemoryBatchItem {
    MemoryBatchItem::new("mira", MemoryKind::Experience, content)
}

/// Replies with a list of completions in order, and records the prompts.
#[derive(Debug, Default)]
pub(crate) struct ScriptedModel {
    pub(crate) replies: Mutex<VecDeque<MemoryResult<String>>>,
    pub(crate) prompts: Mutex<Vec<String>>,
}

impl ScriptedModel {
    pub(crate) fn with_replies(
        replies: impl IntoIterator<Item = Result<&'static str, MemoryError>>,
    ) -> Arc<Self> {
        let replies = replies.into_iter().map(|reply| reply.map(str::to_owned));
        Arc::new(Self {
            replies: Mutex::new(replies.collect()),
            prompts: Mutex::default(),
        })
    }

    pub(crate) fn prompts(&self) -> Vec<String> {
        self.prompts.lock().unwrap().clone()
    }
}

#[async_trait]
impl LanguageModel for ScriptedModel {
    async fn complete(&self, prompt: &str) -> MemoryResult<String> {
        self.prompts.lock().unwrap().push(prompt.to_owned());
        let next = self.replies.lock().unwrap().pop_front();
        next.expect("a scripted reply for every prompt")
    }
}

/// Counts how often all memories of an entity are read.
#[derive(Debug, Default)]
pub(crate) struct Lists(pub(crate) AtomicU64);

#[async_trait]
impl StoreHooks for Lists {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        if call.operation == StoreOperation::List {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// A write that comes between two steps of another operation.
#[derive(Default)]
pub(crate) struct Interleaving {
    next: Mutex<Option<(StoreOperation, BoxFuture<'static, ()>)>>,
}

impl Interleaving {
    /// The fixture of a store, and another one of the same store whose calls nothing comes
    /// between.
    pub(crate) fn fixtures(config: &MemoryConfig) -> (Arc<Self>, Fixture, Arc<Fixture>) {
        let (hooks, inner) = (Arc::new(Self::default()), InMemoryStore::new());
        let other = fixture_on(Arc::new(inner.clone()), config.clone(), None);
        let store = HookedStore::new(Arc::new(inner), Arc::clone(&hooks) as _);
        let own = fixture_on(Arc::new(store), config.clone(), None);
        (hooks, own, Arc::new(other))
    }

    /// Runs `action` after the next call of this operation.
    pub(crate) fn after(
        &self,
        operation: StoreOperation,
        action: impl Future<Output = ()> + Send + 'static,
    ) {
        let previous = self
            .next
            .lock()
            .unwrap()
            .replace((operation, Box::pin(action)));
        assert!(previous.is_none(), "it did not run");
    }
}

impl std::fmt::Debug for Interleaving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interleaving")
    }
}

#[async_trait]
impl StoreHooks for Interleaving {
    async fn after(&self, call: StoreCall<'_>, _: Result<(), &MemoryError>) -> MemoryResult<()> {
        let action = {
            let mut next = self.next.lock().unwrap();
            next.take_if(|(operation, _)| *operation == call.operation)
        };
        if let Some((_, action)) = action {
            action.await;
        }
        Ok(())
    }
}
