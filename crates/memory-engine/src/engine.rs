//! The engine's handle, its builder, and what its clones share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{
    CacheBackend, Clock, Embedder, LanguageModel, MemoryConfig, MemoryError, MemoryResult,
    Reranker, SharedCache, Store, SystemClock, VectorPrecision, limits,
};

use crate::accesses::AccessRecorder;
use crate::change_listener::ChangeListener;
use crate::consolidation::Watermarks;
use crate::content_embedder::ContentEmbedder;
use crate::insert::Inserter;
use crate::metrics::{EngineMetrics, RecallCounters};
use crate::reader::Reader;
use crate::second_stage::SecondStage;
use crate::snapshot::SnapshotLoader;
use crate::tiers::Tiers;
use crate::tiers::shared::{DEFAULT_SHARED_CACHE_BUDGET, SharedTier, SharedVectors};
use crate::warming::Warming;
use crate::writer::Writer;

/// The memory system's operations on a store, an embedder and three caches.
/// Cloning shares it.
///
/// Calls need a tokio runtime. A write runs to its end even when the caller's
/// future is dropped; a read is abandoned.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<EngineInner>,
}

impl Engine {
    /// Starts an engine whose three caches this backend builds, with the
    /// machine's clock, no language model, no reranker and the default
    /// configuration.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use memory_engine::Engine;
    /// use memory_testkit::{HashEmbedder, InMemoryStore, MapBackend};
    ///
    /// let engine = Engine::builder(MapBackend)
    ///     .build(Arc::new(InMemoryStore::new()), Arc::new(HashEmbedder::new()))?;
    /// # memory_core::MemoryResult::Ok(()) }).unwrap();
    /// ```
    pub fn builder(cache_backend: impl CacheBackend) -> EngineBuilder {
        EngineBuilder {
            cache_backend: Box::new(cache_backend),
            clock: Arc::new(SystemClock),
            language_model: None,
            reranker: None,
            rerank_candidates: SecondStage::DEFAULT_CANDIDATES,
            previous_embedder: None,
            shared_cache: None,
            shared_cache_budget: DEFAULT_SHARED_CACHE_BUDGET,
            config: MemoryConfig::default(),
        }
    }
}

/// Builds an [`Engine`]; see [`Engine::builder`].
#[derive(Debug)]
pub struct EngineBuilder {
    cache_backend: Box<dyn TiersBuilder>,
    clock: Arc<dyn Clock>,
    language_model: Option<Arc<dyn LanguageModel>>,
    reranker: Option<Arc<dyn Reranker>>,
    rerank_candidates: usize,
    previous_embedder: Option<Arc<dyn Embedder>>,
    shared_cache: Option<Arc<dyn SharedCache>>,
    shared_cache_budget: Duration,
    config: MemoryConfig,
}

impl EngineBuilder {
    /// Builds the three caches with another backend.
    #[must_use]
    pub fn cache_backend(mut self, cache_backend: impl CacheBackend) -> Self {
        self.cache_backend = Box::new(cache_backend);
        self
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Answers questions and writes summaries with this model.
    #[must_use]
    pub fn language_model(mut self, model: Arc<dyn LanguageModel>) -> Self {
        self.language_model = Some(model);
        self
    }

    /// Orders the first results of every recall with this model.
    #[must_use]
    pub fn reranker(mut self, reranker: Arc<dyn Reranker>) -> Self {
        self.reranker = Some(reranker);
        self
    }

    /// Sets how many of the first results the reranker scores, 1 to
    /// [`limits::MAX_LIMIT`](memory_core::limits::MAX_LIMIT); 30 by default.
    #[must_use]
    pub fn rerank_candidates(mut self, candidates: usize) -> Self {
        self.rerank_candidates = candidates;
        self
    }

    /// Compares the vectors of this embedder where more of an entity's memories have
    /// those than have vectors of the engine's own: while
    /// [`reembed`](Engine::reembed) is going on. One with the fingerprint of the
    /// engine's own embedder has no effect.
    #[must_use]
    pub fn previous_embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.previous_embedder = Some(embedder);
        self
    }

    /// Shares vectors with other processes through this cache.
    #[must_use]
    pub fn shared_cache(mut self, cache: Arc<dyn SharedCache>) -> Self {
        self.shared_cache = Some(cache);
        self
    }

    /// Sets for how long a caller waits for one call of the shared cache, more than
    /// zero; 5 ms by default.
    #[must_use]
    pub fn shared_cache_budget(mut self, budget: Duration) -> Self {
        self.shared_cache_budget = budget;
        self
    }

    /// Sets sizes and lifetimes of the tiers, consistency, and limits.
    #[must_use]
    pub fn config(mut self, config: MemoryConfig) -> Self {
        self.config = config;
        self
    }

    /// Puts the engine together. Where other processes write to the store too,
    /// it listens to their writes in a task on the runtime it is called in.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] when a setting makes no sense, the embedder's
    /// profile is not valid or its vectors are longer than the store holds.
    pub fn build(self, store: Arc<dyn Store>, embedder: Arc<dyn Embedder>) -> MemoryResult<Engine> {
        self.config.validate()?;
        let store = store.writer_handle().unwrap_or(store);
        let second_stage = SecondStage::new(self.reranker.clone(), self.rerank_candidates)?;
        if self.shared_cache_budget.is_zero() {
            return Err(MemoryError::configuration(
                "the budget of the shared cache cannot be zero; 5 ms is the default",
            ));
        }
        embedder.profile().validate()?;
        if let Some(previous) = &self.previous_embedder {
            previous.profile().fingerprint.validate()?;
        }
        let (dimensions, capabilities) = (embedder.profile().dimensions, store.capabilities());
        if dimensions > capabilities.max_dimensions {
            return Err(MemoryError::configuration(format!(
                "the embedder makes vectors of {dimensions} dimensions; {} holds 1 to {}",
                capabilities.backend, capabilities.max_dimensions
            )));
        }
        let shared = self.shared_cache.as_ref().map(|cache| {
            let tier = SharedTier::new(Arc::clone(cache), self.shared_cache_budget);
            SharedVectors::new(tier, self.config.embedding_cache_ttl())
        });
        let tiers = self
            .cache_backend
            .build_tiers(&self.config, capabilities.precision, shared);
        Ok(Engine {
            inner: Arc::new(EngineInner::new(self, store, embedder, tiers, second_stage)),
        })
    }
}

/// A cache backend whose type is erased: [`CacheBackend`] builds caches of any
/// type, the engine only those of its tiers.
trait TiersBuilder: fmt::Debug + Send + Sync {
    fn name(&self) -> &'static str;

    fn build_tiers(
        &self,
        config: &MemoryConfig,
        precision: VectorPrecision,
        shared: Option<SharedVectors>,
    ) -> Tiers;
}

impl<B: CacheBackend> TiersBuilder for B {
    fn name(&self) -> &'static str {
        CacheBackend::name(self)
    }

    fn build_tiers(
        &self,
        config: &MemoryConfig,
        precision: VectorPrecision,
        shared: Option<SharedVectors>,
    ) -> Tiers {
        Tiers::new(self, config, precision, shared)
    }
}

/// The components of an engine, shared by its clones. `ops/` composes them.
pub(crate) struct EngineInner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: MemoryConfig,
    pub(crate) language_model: Option<Arc<dyn LanguageModel>>,
    pub(crate) second_stage: Option<SecondStage>,
    pub(crate) tiers: Arc<Tiers>,
    pub(crate) embedder: ContentEmbedder,
    pub(crate) previous_embedder: Option<ContentEmbedder>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) inserter: Inserter,
    pub(crate) access_recorder: Arc<AccessRecorder>,
    pub(crate) watermarks: Watermarks,
    pub(crate) recall_counters: Arc<RecallCounters>,
    cache_name: &'static str,
    _listener: ChangeListener,
    pub(crate) warming: Warming,
    pub(crate) metrics: EngineMetrics,
}

impl EngineInner {
    fn new(
        builder: EngineBuilder,
        store: Arc<dyn Store>,
        embedder: Arc<dyn Embedder>,
        tiers: Tiers,
        second_stage: Option<SecondStage>,
    ) -> Self {
        let (tiers, clock, config) = (Arc::new(tiers), builder.clock, builder.config);
        let consistency = config.effective_consistency(store.capabilities().writers);
        let listener = ChangeListener::start(consistency, &store, &tiers);
        let snapshot_loader =
            SnapshotLoader::new(Arc::clone(&store), Arc::clone(&embedder), config.language);
        let reader = Reader::new(
            Arc::clone(&store),
            snapshot_loader,
            Arc::clone(&clock),
            Arc::clone(&tiers),
            listener.state(),
            consistency,
        );
        let embedder = ContentEmbedder::new(embedder, Arc::clone(&tiers));
        let previous_embedder = builder
            .previous_embedder
            .map(|previous| ContentEmbedder::new(previous, Arc::clone(&tiers)))
            .filter(|previous| previous.fingerprint() != embedder.fingerprint());
        // Processes with the previous model may share vectors of it.
        let embedders = std::iter::once(&embedder).chain(&previous_embedder);
        let writer = Writer::new(Arc::clone(&tiers), embedders.cloned().collect());
        let access_recorder = AccessRecorder::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&tiers),
            &config,
        );
        let recall_counters = Arc::<RecallCounters>::default();
        let warm_entities = usize::try_from(config.warm_entities).unwrap_or(limits::MAX_LIMIT);
        Self {
            warming: Warming::start(&reader, warm_entities),
            metrics: EngineMetrics::start(&reader, &access_recorder, &recall_counters, &config),
            recall_counters,
            inserter: Inserter::new(
                Arc::clone(&store),
                Arc::clone(&clock),
                writer.clone(),
                &config,
            ),
            access_recorder,
            store,
            clock,
            config,
            language_model: builder.language_model,
            second_stage,
            tiers,
            embedder,
            previous_embedder,
            reader,
            writer,
            watermarks: Watermarks::default(),
            cache_name: builder.cache_backend.name(),
            _listener: listener,
        }
    }
}

impl Drop for EngineInner {
    fn drop(&mut self) {
        self.reader.background_loads.stop();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("store", &self.inner.store.capabilities().backend)
            .field("embedder", &self.inner.embedder.profile().model)
            .field("cache", &self.inner.cache_name)
            .finish_non_exhaustive()
    }
}
