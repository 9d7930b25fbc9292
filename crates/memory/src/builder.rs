//! The builder of a memory system.

mod build;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{
    CacheBackend, Clock, Embedder, IntoShared, LanguageModel, MemoryConfig, Preset, Reranker,
    SharedCache, Store,
};
#[cfg(doc)]
use memory_core::{Consistency, MemoryError};
use memory_engine::{Engine, EngineBuilder};
use memory_moka::MokaBackend;

use crate::settings::{Settings, SettingsBuilder};
#[cfg(doc)]
use crate::system::MemorySystem;

/// Builds a [`MemorySystem`] from chosen parts; what is not chosen is the
/// default.
///
/// Parts are taken by value, in an `Arc` of their own type, or as an
/// `Arc<dyn …>`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> memory::MemoryResult<()> {
/// use memory::{MemoryConfig, MemoryKind, MemorySystem};
/// # use memory_testkit::HashEmbedder as MyEmbedder;
///
/// let memory = MemorySystem::builder()
///     .url("sqlite::memory:")
///     .embedder(MyEmbedder::new())
///     .config(MemoryConfig::low_memory())
///     .build()
///     .await?;
/// memory.retain("mira", MemoryKind::World, "The mill is north of the bridge.").await?;
/// # Ok(())
/// # }
/// ```
pub struct MemorySystemBuilder {
    url: Option<String>,
    replicas: Option<Vec<String>>,
    ann_target_recall: Option<f64>,
    store: Option<Arc<dyn Store>>,
    embedder: Option<Arc<dyn Embedder>>,
    shared_cache: Option<Arc<dyn SharedCache>>,
    shared_cache_url: Option<String>,
    shared_cache_budget: Option<Duration>,
    #[cfg(feature = "onnx")]
    precision: Option<memory_onnx::Precision>,
    #[cfg(feature = "onnx")]
    model: Option<String>,
    previous_embedder: Option<Arc<dyn Embedder>>,
    #[cfg(feature = "onnx")]
    previous_model: Option<String>,
    config: Option<MemoryConfig>,
    rerank_candidates: Option<usize>,
    settings: SettingsBuilder,
    engine: EngineBuilder,
}

impl Default for MemorySystemBuilder {
    fn default() -> Self {
        Self {
            url: None,
            replicas: None,
            ann_target_recall: None,
            store: None,
            embedder: None,
            shared_cache: None,
            shared_cache_url: None,
            shared_cache_budget: None,
            #[cfg(feature = "onnx")]
            precision: None,
            #[cfg(feature = "onnx")]
            model: None,
            previous_embedder: None,
            #[cfg(feature = "onnx")]
            previous_model: None,
            config: None,
            rerank_candidates: None,
            settings: Settings::builder(),
            engine: Engine::builder(MokaBackend),
        }
    }
}

impl MemorySystemBuilder {
    /// Opens the store that a URL names; see [`MemorySystem::open`].
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Reads from hot standbys of the URL's PostgreSQL server as well: each read goes
    /// to one that has replayed what the read must see, and otherwise to the server.
    /// With [`Consistency::Bounded`], half of the bound is for what is cached, and a
    /// replica may be behind by the other half. `memory::postgres::PgOptions::replicas`
    /// has the details. No URLs override those of a file or a variable.
    #[must_use]
    pub fn replicas(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.replicas = Some(urls.into_iter().map(Into::into).collect());
        self
    }

    /// The share of the ten nearest vectors that an approximate index of the URL's
    /// PostgreSQL server has to find for
    /// [`maintain_indexes`](MemorySystem::maintain_indexes) to keep it, above 0 and at most
    /// 1; 0.95 by default. A store of another kind has no such indexes and ignores it. In
    /// settings the key is `ann_target_recall`.
    #[must_use]
    pub fn ann_target_recall(mut self, recall: f64) -> Self {
        self.ann_target_recall = Some(recall);
        self
    }

    /// Uses a store, in place of a URL.
    #[must_use]
    pub fn store(mut self, store: impl IntoShared<dyn Store>) -> Self {
        self.store = Some(store.into_shared());
        self
    }

    /// Uses an embedder, in place of the default model.
    #[must_use]
    pub fn embedder(mut self, embedder: impl IntoShared<dyn Embedder>) -> Self {
        self.embedder = Some(embedder.into_shared());
        self
    }

    /// Searches with the model that a database was embedded with before, until
    /// [`reembed`](MemorySystem::reembed) has embedded it with the embedder: a
    /// recall of an entity of which more memories have vectors of this model than
    /// of the embedder's compares those. It reads the store, not a cache, and
    /// [`RecallReport::by_previous_model`](crate::RecallReport::by_previous_model)
    /// says so. Everything that is retained gets vectors of the embedder alone,
    /// so that until then it is found by its words only, and counted in
    /// [`RecallReport::without_vectors`](crate::RecallReport::without_vectors).
    ///
    /// Not for a recall with a given [`vector`](crate::RecallRequest::vector) or
    /// [`as_of`](crate::RecallRequest::as_of) a moment. docs/models.md says how to
    /// change the model of a system that is in use.
    #[must_use]
    pub fn previous_embedder(mut self, embedder: impl IntoShared<dyn Embedder>) -> Self {
        self.previous_embedder = Some(embedder.into_shared());
        self
    }

    /// As [`previous_embedder`](Self::previous_embedder), a model on ONNX Runtime by
    /// name or path, as [`model`](Self::model) takes it; `default` is the default model. In
    /// settings the key is `previous_model`; `none` overrides it.
    #[cfg(feature = "onnx")]
    #[must_use]
    pub fn previous_model(mut self, name_or_path: impl Into<String>) -> Self {
        self.previous_model = Some(name_or_path.into());
        self
    }

    /// Uses a language model, which answers in
    /// [`reflect`](MemorySystem::reflect) and writes the summaries of
    /// [`consolidate`](MemorySystem::consolidate). No other operation calls it.
    #[must_use]
    pub fn language_model(mut self, model: impl IntoShared<dyn LanguageModel>) -> Self {
        self.engine = self.engine.language_model(model.into_shared());
        self
    }

    /// Orders the first results of every recall with a model that reads the
    /// question together with each memory. Without one, the ranking's order is
    /// the result; measure on your own data which is better, and read
    /// docs/models.md on what it costs.
    ///
    /// The ranking's first [`rerank_candidates`](Self::rerank_candidates) results
    /// are ordered by the reranker's scores, equal ones as they were, and the
    /// others follow. A result's `score` stays that of the ranking; the
    /// reranker's is in its explanation. If the reranker fails, the recall fails
    /// with [`MemoryError::Reranker`]: another order is never returned unnoticed.
    /// [`RecallRequest::without_reranker`](crate::RecallRequest::without_reranker)
    /// recalls without it.
    #[must_use]
    pub fn reranker(mut self, reranker: impl IntoShared<dyn Reranker>) -> Self {
        self.engine = self.engine.reranker(reranker.into_shared());
        self
    }

    /// How many of the ranking's first results the reranker reads, 1 to
    /// [`limits::MAX_LIMIT`](crate::limits::MAX_LIMIT), 30 by default. More cost
    /// proportionally more time.
    #[must_use]
    pub fn rerank_candidates(mut self, candidates: usize) -> Self {
        self.rerank_candidates = Some(candidates);
        self
    }

    /// The precision of the default embedder, [`Precision::Full`] by default.
    /// Vectors of different precisions are never compared: memories retained
    /// with another precision are found by their words only, until they are
    /// embedded again.
    ///
    /// [`Precision::Full`]: memory_onnx::Precision::Full
    #[cfg(feature = "onnx")]
    #[must_use]
    pub fn precision(mut self, precision: memory_onnx::Precision) -> Self {
        self.precision = Some(precision);
        self
    }

    /// The model of the default embedder, `all-MiniLM-L6-v2` by default: the name of
    /// a directory in `models` of the cache directory, such as
    /// `multilingual-e5-small`, or a path, which contains a separator (`./model`). The
    /// directory is in sentence-transformers format; docs/models.md says which are
    /// supported, and which to choose. In settings the key is `model`; `default` overrides it.
    ///
    /// Vectors of different models are never compared; see [`precision`](Self::precision).
    #[cfg(feature = "onnx")]
    #[must_use]
    pub fn model(mut self, name_or_path: impl Into<String>) -> Self {
        self.model = Some(name_or_path.into());
        self
    }

    /// Builds the three tiers on a cache backend, in place of moka.
    #[must_use]
    pub fn cache_backend(mut self, backend: impl CacheBackend) -> Self {
        self.engine = self.engine.cache_backend(backend);
        self
    }

    /// Shares vectors with other processes through a cache outside this process:
    /// several processes embed a text once. docs/shared-cache.md says what it holds
    /// and what happens when it fails: answers are the same, and a call waits for the
    /// [budget](Self::shared_cache_budget) at most, once.
    #[must_use]
    pub fn shared_cache(mut self, cache: impl IntoShared<dyn SharedCache>) -> Self {
        self.shared_cache = Some(cache.into_shared());
        self
    }

    /// As [`shared_cache`](Self::shared_cache), on the Valkey or Redis server of a URL
    /// such as `valkey://host:6379/0?namespace=game` (feature `valkey`). It need not
    /// be reachable. `none` overrides the setting `shared_cache`.
    #[must_use]
    pub fn shared_cache_url(mut self, url: impl Into<String>) -> Self {
        self.shared_cache_url = Some(url.into());
        self
    }

    /// For how long a caller waits for one call of the shared cache, more than zero;
    /// 5 ms by default. After a call that takes longer, the cache is not used until
    /// it answers a probe in the background within this time. In settings the key is
    /// `shared_cache_budget`.
    #[must_use]
    pub fn shared_cache_budget(mut self, budget: Duration) -> Self {
        self.shared_cache_budget = Some(budget);
        self
    }

    /// Uses a clock, so that decay and recency can be replayed.
    #[must_use]
    pub fn clock(mut self, clock: impl IntoShared<dyn Clock>) -> Self {
        self.engine = self.engine.clock(clock.into_shared());
        self
    }

    /// Sizes and lifetimes of the tiers, limits of entities, and the
    /// [`Consistency`]: every value, so that it excludes the other sources of
    /// settings. [`MemoryConfig::default`] where there is no source.
    #[must_use]
    pub fn config(mut self, config: MemoryConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Reads the settings of a TOML file; see [`Settings`] for the order of
    /// precedence of the sources.
    ///
    /// ```no_run
    /// # async fn open() -> memory::MemoryResult<()> {
    /// use memory::MemorySystem;
    ///
    /// let memory = MemorySystem::builder()
    ///     .settings_file("memory.toml")
    ///     .settings_from_env()
    ///     .configure(|config| config.max_memories_per_entity = Some(50_000))
    ///     .build()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn settings_file(mut self, path: impl AsRef<Path>) -> Self {
        self.settings = self.settings.file(path);
        self
    }

    /// Reads the settings of environment variables (`MEMORY_…`).
    #[must_use]
    pub fn settings_from_env(mut self) -> Self {
        self.settings = self.settings.environment();
        self
    }

    /// Chooses the preset that other settings change.
    #[must_use]
    pub fn preset(mut self, preset: Preset) -> Self {
        self.settings = self.settings.preset(preset);
        self
    }

    /// Changes values of the configuration, after those of every other source.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut MemoryConfig) + Send + 'static) -> Self {
        self.settings = self.settings.configure(change);
        self
    }
}

impl fmt::Debug for MemorySystemBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySystemBuilder")
            .field("store", &self.store)
            .field("embedder", &self.embedder)
            .field("previous_embedder", &self.previous_embedder)
            .field("shared_cache", &self.shared_cache)
            .field("config", &self.config)
            .field("settings", &self.settings)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
