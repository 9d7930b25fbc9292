//! How a system is opened.

use std::path::PathBuf;
use std::time::Duration;

use memory::onnx::Precision;
use memory::{MemoryResult, MemorySystemBuilder};
use pyo3::prelude::*;

use crate::language_model::PythonModel;
use crate::names::Named;
use crate::requests::Labels;
use crate::requests::config::MemoryConfig;

/// The builder with what is given.
#[expect(
    clippy::too_many_arguments,
    reason = "keyword arguments of Python, one for each part"
)]
pub(crate) fn builder(
    url: Option<String>,
    config: Option<MemoryConfig>,
    model: Option<String>,
    precision: Option<Named<Precision>>,
    previous_model: Option<String>,
    settings_file: Option<PathBuf>,
    settings_from_env: bool,
    replicas: Option<Labels>,
    shared_cache_url: Option<String>,
    shared_cache_budget: Option<Duration>,
    language_model: Option<Py<PyAny>>,
) -> MemorySystemBuilder {
    let mut builder = memory::MemorySystem::builder();
    if let Some(url) = url {
        builder = builder.url(url);
    }
    if let Some(path) = settings_file {
        builder = builder.settings_file(path);
    }
    if settings_from_env {
        builder = builder.settings_from_env();
    }
    if let Some(config) = config {
        if let Some(preset) = config.preset {
            builder = builder.preset(preset);
        }
        builder = builder.configure(move |values| config.apply(values));
    }
    if let Some(model) = model {
        builder = builder.model(model);
    }
    if let Some(precision) = precision {
        builder = builder.precision(precision.0);
    }
    if let Some(model) = previous_model {
        builder = builder.previous_model(model);
    }
    if let Some(urls) = replicas {
        builder = builder.replicas(urls.0);
    }
    if let Some(url) = shared_cache_url {
        builder = builder.shared_cache_url(url);
    }
    if let Some(budget) = shared_cache_budget {
        builder = builder.shared_cache_budget(budget);
    }
    if let Some(callable) = language_model {
        builder = builder.language_model(PythonModel::new(callable));
    }
    builder
}

/// Opens the chosen parts, as a system of either class.
pub(crate) async fn open<S>(
    builder: MemorySystemBuilder,
    system: fn(memory::MemorySystem) -> S,
) -> MemoryResult<S> {
    builder.build().await.map(system)
}
