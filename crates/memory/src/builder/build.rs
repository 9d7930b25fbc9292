//! Opening the parts that a builder has chosen.

use std::sync::Arc;
use std::time::Duration;

use memory_core::{
    Embedder, MemoryConfig, MemoryError, MemoryResult, SharedCache, Store, check_target_recall,
    limits,
};

use super::MemorySystemBuilder;
use crate::defaults;
use crate::settings::Settings;
#[cfg(feature = "onnx")]
use crate::settings::keys::DEFAULT_MODEL;
use crate::settings::value::{NONE, unless};
use crate::system::MemorySystem;

/// Where the memories are.
enum StoreSource {
    Url(String),
    Opened(Arc<dyn Store>),
}

impl MemorySystemBuilder {
    /// Opens the chosen parts and builds the system. The embedder is opened
    /// first: if it is missing, no database file is created.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] when there is neither a URL nor a store,
    /// or both are set in code; [`MemoryError::InvalidSetting`] for a setting that is
    /// refused; errors of opening the parts.
    pub async fn build(mut self) -> MemoryResult<MemorySystem> {
        self.check_choices()?;
        let (config, settings) = self.resolve_settings()?;
        let shared_cache = self.open_shared_cache(&settings)?;
        let source = self.store_source(&settings)?;
        let embedder = self.open_embedder(&settings).await?;
        let previous_embedder = self.open_previous_embedder(&settings).await?;
        let (store, config) = match source {
            StoreSource::Opened(store) => (store, config),
            StoreSource::Url(url) => {
                let replicas = self.replicas.as_deref();
                let replicas = replicas.unwrap_or(settings.db_replicas());
                let recall = self.ann_target_recall;
                let recall = recall.unwrap_or(settings.ann_target_recall());
                defaults::store(&url, replicas, recall, config).await?
            }
        };
        let budget = self.shared_cache_budget;
        let mut engine = self
            .engine
            .shared_cache_budget(budget.unwrap_or(settings.shared_cache_budget()));
        if let Some(candidates) = self.rerank_candidates {
            engine = engine.rerank_candidates(candidates);
        }
        if let Some(previous) = previous_embedder {
            engine = engine.previous_embedder(previous);
        }
        if let Some(cache) = shared_cache {
            engine = engine.shared_cache(cache);
        }
        let engine = engine.config(config).build(store, embedder)?;
        Ok(MemorySystem::new(engine))
    }

    /// Checks what code chose, before anything is read or opened.
    fn check_choices(&self) -> MemoryResult<()> {
        if self.config.is_some() && !self.settings.is_empty() {
            return Err(MemoryError::configuration(
                "`config` sets every value, so a preset, a settings file, the environment \
                 and `configure` would have no effect; leave it out, or them",
            ));
        }
        // The engine checks these as well, when the model and the store are open.
        if let Some(candidates) = self.rerank_candidates
            && !(1..=limits::MAX_LIMIT).contains(&candidates)
        {
            return Err(MemoryError::configuration(format!(
                "rerank_candidates is {candidates}; it must be from 1 to {}",
                limits::MAX_LIMIT
            )));
        }
        if self.shared_cache_budget == Some(Duration::ZERO) {
            return Err(MemoryError::configuration(
                "the budget of the shared cache cannot be zero; 5 ms is the default",
            ));
        }
        if self.store.is_some() && self.url.is_some() {
            return Err(MemoryError::configuration(
                "set either a URL or a store, not both",
            ));
        }
        if self.store.is_some() && self.replicas.as_ref().is_some_and(|urls| !urls.is_empty()) {
            return Err(MemoryError::configuration(
                "replicas are of a URL's server; for a store, set them in its options",
            ));
        }
        if self.store.is_some() && self.ann_target_recall.is_some() {
            return Err(MemoryError::configuration(
                "`ann_target_recall` is of a URL's server; for a store, set it in its options",
            ));
        }
        if let Some(recall) = self.ann_target_recall {
            let checked = check_target_recall(recall);
            checked.map_err(|error| MemoryError::configuration(error.to_string()))?;
        }
        if self.shared_cache.is_some() && self.shared_cache_url.is_some() {
            return Err(MemoryError::configuration(
                "set either a URL of a shared cache or a shared cache, not both",
            ));
        }
        #[cfg(feature = "onnx")]
        if self.embedder.is_some() && (self.precision.is_some() || self.model.is_some()) {
            return Err(MemoryError::configuration(
                "`precision` and `model` apply to the default embedder only; set them in your own embedder's options",
            ));
        }
        #[cfg(feature = "onnx")]
        if self.previous_embedder.is_some() && self.previous_model.is_some() {
            return Err(MemoryError::configuration(
                "set either a previous embedder or a previous model, not both",
            ));
        }
        Ok(())
    }

    /// The configuration, and the settings of the other sources.
    fn resolve_settings(&mut self) -> MemoryResult<(MemoryConfig, Settings)> {
        let (config, settings) = match self.config.take() {
            Some(config) => (config, Settings::default()),
            None => {
                let settings = std::mem::take(&mut self.settings).build()?;
                (settings.config().clone(), settings)
            }
        };
        config.validate()?;
        Ok((config, settings))
    }

    fn open_shared_cache(
        &mut self,
        settings: &Settings,
    ) -> MemoryResult<Option<Arc<dyn SharedCache>>> {
        if let Some(cache) = self.shared_cache.take() {
            return Ok(Some(cache));
        }
        let url = chosen(self.shared_cache_url.take(), NONE, settings.shared_cache());
        url.map(|url| defaults::shared_cache(&url)).transpose()
    }

    fn store_source(&mut self, settings: &Settings) -> MemoryResult<StoreSource> {
        if let Some(store) = self.store.take() {
            return Ok(StoreSource::Opened(store));
        }
        let url = self.url.take();
        let url = url.or_else(|| settings.db().map(str::to_owned));
        url.map(StoreSource::Url).ok_or_else(|| {
            MemoryError::configuration("set a URL or a store, or `db` in the settings")
        })
    }

    #[cfg(feature = "onnx")]
    async fn open_embedder(&mut self, settings: &Settings) -> MemoryResult<Arc<dyn Embedder>> {
        if let Some(embedder) = self.embedder.take() {
            return Ok(embedder);
        }
        let model = chosen(self.model.take(), DEFAULT_MODEL, settings.model());
        defaults::default_embedder(model, self.precision.unwrap_or_default()).await
    }

    #[cfg(not(feature = "onnx"))]
    async fn open_embedder(&mut self, _: &Settings) -> MemoryResult<Arc<dyn Embedder>> {
        match self.embedder.take() {
            Some(embedder) => Ok(embedder),
            None => defaults::default_embedder().await,
        }
    }

    #[cfg(feature = "onnx")]
    async fn open_previous_embedder(
        &mut self,
        settings: &Settings,
    ) -> MemoryResult<Option<Arc<dyn Embedder>>> {
        if let Some(previous) = self.previous_embedder.take() {
            return Ok(Some(previous));
        }
        let model = self.previous_model.take();
        let Some(model) = chosen(model, NONE, settings.previous_model()) else {
            return Ok(None);
        };
        let precision = self.precision.unwrap_or_default();
        let previous = defaults::default_embedder(Some(model), precision).await?;
        Ok(Some(previous))
    }

    /// Without the feature there is no embedder for a model of the settings.
    #[cfg(not(feature = "onnx"))]
    #[expect(clippy::unused_async, reason = "same signature as with the feature")]
    async fn open_previous_embedder(
        &mut self,
        _: &Settings,
    ) -> MemoryResult<Option<Arc<dyn Embedder>>> {
        Ok(self.previous_embedder.take())
    }
}

/// What code chose, else what the settings have. `absent` in code is nothing, whatever they
/// have.
fn chosen(code: Option<String>, absent: &str, setting: Option<&str>) -> Option<String> {
    match code {
        Some(value) => unless(value, absent),
        None => setting.map(str::to_owned),
    }
}
