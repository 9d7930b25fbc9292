//! Choosing the parts.

use std::fmt;
use std::sync::Arc;

#[cfg(doc)]
use memory_core::Consistency;
use memory_core::{
    CacheBackend, Clock, Embedder, LanguageModel, MemoryConfig, MemoryError, MemoryResult, Store,
};
use memory_engine::{Engine, EngineBuilder};
use memory_moka::MokaBackend;

use crate::open;
use crate::system::MemorySystem;

/// Builds a [`MemorySystem`] from chosen parts; what is not chosen is the
/// default.
///
/// ```no_run
/// # async fn build() -> memory::MemoryResult<()> {
/// use memory::{MemoryConfig, MemorySystem};
/// let memory = MemorySystem::builder()
///     .url("sqlite://agent.db")
///     .config(MemoryConfig::low_memory())
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
pub struct MemorySystemBuilder {
    url: Option<String>,
    store: Option<Arc<dyn Store>>,
    embedder: Option<Arc<dyn Embedder>>,
    #[cfg(feature = "onnx")]
    precision: Option<memory_onnx::Precision>,
    config: Option<MemoryConfig>,
    engine: EngineBuilder,
}

impl Default for MemorySystemBuilder {
    fn default() -> Self {
        Self {
            url: None,
            store: None,
            embedder: None,
            #[cfg(feature = "onnx")]
            precision: None,
            config: None,
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

    /// Takes any store, in place of a URL.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Takes any embedder.
    #[must_use]
    pub fn embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedder = Some(embedder);
        self
    }

    /// Takes a language model, which answers in
    /// [`reflect`](MemorySystem::reflect) and writes the summaries of
    /// [`consolidate`](MemorySystem::consolidate). Nothing else asks it.
    #[must_use]
    pub fn language_model(mut self, model: Arc<dyn LanguageModel>) -> Self {
        self.engine = self.engine.language_model(model);
        self
    }

    /// The precision of the default embedder; [`Precision::Full`] where none
    /// is given. Vectors of different precisions are never compared: what was
    /// retained at the other one is found by its words only.
    ///
    /// [`Precision::Full`]: memory_onnx::Precision::Full
    #[cfg(feature = "onnx")]
    #[must_use]
    pub fn precision(mut self, precision: memory_onnx::Precision) -> Self {
        self.precision = Some(precision);
        self
    }

    /// Makes the tiers of any cache.
    #[must_use]
    pub fn cache(mut self, backend: impl CacheBackend) -> Self {
        self.engine = self.engine.cache_backend(backend);
        self
    }

    /// Takes any clock, so that decay and recency can be replayed.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.engine = self.engine.clock(clock);
        self
    }

    /// Sizes and lifetimes of the tiers, and who else writes to the store.
    /// Where none is given it is [`MemoryConfig::default`], for a URL of
    /// PostgreSQL with [`Consistency::Checked`].
    #[must_use]
    pub fn config(mut self, config: MemoryConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Opens what was chosen and puts it together.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] when there is neither a URL nor a store,
    /// or both, or a setting makes no sense; what opening the parts fails with.
    pub async fn build(self) -> MemoryResult<MemorySystem> {
        let url = self.url.as_deref().unwrap_or_default();
        let config = self.config.unwrap_or_else(|| open::default_config(url));
        config.validate()?;
        if self.store.is_some() == self.url.is_some() {
            return Err(MemoryError::configuration(
                "either a store or a URL must be given, and not both",
            ));
        }
        #[cfg(feature = "onnx")]
        if self.embedder.is_some() && self.precision.is_some() {
            return Err(MemoryError::configuration(
                "the precision is that of the default embedder; one of your own has its own",
            ));
        }
        // The embedder first: when it is missing, no database file is made.
        let embedder = match self.embedder {
            Some(embedder) => embedder,
            #[cfg(feature = "onnx")]
            None => open::default_embedder(self.precision.unwrap_or_default()).await?,
            #[cfg(not(feature = "onnx"))]
            None => open::default_embedder().await?,
        };
        let store = match self.store {
            Some(store) => store,
            None => open::store(url, config.consistency).await?,
        };
        let engine = self.engine.config(config).build(store, embedder)?;
        Ok(MemorySystem::new(engine))
    }
}

impl fmt::Debug for MemorySystemBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySystemBuilder")
            .field("store", &self.store)
            .field("embedder", &self.embedder)
            .field("config", &self.config)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
