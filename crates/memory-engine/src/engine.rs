//! The engine: its parts, put together.

use std::fmt;
use std::sync::Arc;

use memory_core::{
    CacheBackend, Clock, Embedder, LanguageModel, MemoryConfig, MemoryError, MemoryResult, Store,
    SystemClock,
};

use crate::lifecycle::{Accesses, LookedAt, Turns};
use crate::news::{self, News};
use crate::tiers::Tiers;

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineParts<B> {
    /// Where memories are kept.
    pub store: Arc<dyn Store>,
    /// What turns text into vectors.
    pub embedder: Arc<dyn Embedder>,
    /// What the tiers are made of.
    pub cache: B,
    /// Where "now" comes from.
    pub clock: Arc<dyn Clock>,
    /// What answers and summarizes; without one, memories speak for themselves.
    pub language_model: Option<Arc<dyn LanguageModel>>,
    /// Sizes and lifetimes of the tiers, and how many memories there may be.
    pub config: MemoryConfig,
}

impl<B> EngineParts<B> {
    /// Parts with the machine's clock and the balanced configuration.
    pub fn new(store: Arc<dyn Store>, embedder: Arc<dyn Embedder>, cache: B) -> Self {
        Self {
            store,
            embedder,
            cache,
            clock: Arc::new(SystemClock),
            language_model: None,
            config: MemoryConfig::default(),
        }
    }
}

/// The memory system, generic over its cache backend. Cloning shares it.
pub struct Engine<B: CacheBackend> {
    pub(crate) shared: Arc<Shared<B>>,
}

/// What the clones of an engine, and the work they leave running, share.
pub(crate) struct Shared<B: CacheBackend> {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: MemoryConfig,
    pub(crate) language_model: Option<Arc<dyn LanguageModel>>,
    pub(crate) tiers: Tiers<B>,
    pub(crate) accesses: Arc<Accesses>,
    pub(crate) turns: Turns,
    pub(crate) looked_at: LookedAt,
    pub(crate) news: News,
    cache_name: &'static str,
}

impl<B: CacheBackend> Engine<B> {
    /// Puts the parts together. Where others write to the store too, it listens
    /// to what they write, in a task on the runtime that it is called in.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] when a setting makes no sense or the
    /// embedder's vectors are longer than the store holds.
    pub fn new(parts: EngineParts<B>) -> MemoryResult<Self> {
        parts.config.validate()?;
        let (dimensions, capabilities) = (
            parts.embedder.profile().dimensions,
            parts.store.capabilities(),
        );
        if dimensions == 0 || dimensions > capabilities.max_dimensions {
            return Err(MemoryError::configuration(format!(
                "the embedder makes vectors of {dimensions} dimensions; {} holds 1 to {}",
                capabilities.backend, capabilities.max_dimensions
            )));
        }
        let tiers = Tiers::new(&parts.cache, &parts.config, capabilities.precision);
        let shared = Arc::new(Shared {
            store: parts.store,
            embedder: parts.embedder,
            clock: parts.clock,
            config: parts.config,
            language_model: parts.language_model,
            tiers,
            accesses: Arc::default(),
            turns: Turns::new(),
            looked_at: LookedAt::default(),
            cache_name: parts.cache.name(),
            news: News::default(),
        });
        news::start(&shared);
        Ok(Self { shared })
    }
}

impl<B: CacheBackend> Clone for Engine<B> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<B: CacheBackend> fmt::Debug for Engine<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("store", &self.shared.store.capabilities().backend)
            .field("embedder", &self.shared.embedder.profile().model)
            .field("cache", &self.shared.cache_name)
            .finish_non_exhaustive()
    }
}
