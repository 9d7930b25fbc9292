//! Opening the default parts.

use std::sync::Arc;

use memory_core::{Embedder, MemoryError, MemoryResult, Store};

/// Opens the store that a URL's scheme names.
#[cfg_attr(
    not(feature = "sqlite"),
    expect(clippy::unused_async, reason = "no store to open")
)]
pub(crate) async fn store(url: &str) -> MemoryResult<Arc<dyn Store>> {
    #[cfg(feature = "sqlite")]
    if url.starts_with("sqlite:") {
        return Ok(Arc::new(memory_sqlite::SqliteStore::open(url).await?));
    }
    // The URL itself stays out of the message: it may hold a password.
    let scheme = url.split_once(':').map_or("none", |(scheme, _)| scheme);
    Err(MemoryError::configuration(format!(
        "no store answers to a URL of scheme {scheme:?}; this build knows: {}",
        if cfg!(feature = "sqlite") {
            "sqlite"
        } else {
            "none (feature sqlite is off)"
        }
    )))
}

/// Opens the default model on ONNX Runtime, off the async workers.
#[cfg(feature = "onnx")]
pub(crate) async fn default_embedder() -> MemoryResult<Arc<dyn Embedder>> {
    Ok(Arc::new(
        memory_onnx::OnnxEmbedder::open(memory_onnx::OnnxOptions::default()).await?,
    ))
}

/// Without the feature there is no default.
#[cfg(not(feature = "onnx"))]
#[expect(clippy::unused_async, reason = "as its twin")]
pub(crate) async fn default_embedder() -> MemoryResult<Arc<dyn Embedder>> {
    Err(MemoryError::configuration(
        "no embedder was given, and the feature onnx is off",
    ))
}
