//! Opening the default parts.

use std::sync::Arc;

use memory_core::{Consistency, Embedder, MemoryConfig, MemoryError, MemoryResult, Store};

/// The URL schemes that this build answers to.
const KNOWN: &[&str] = &[
    #[cfg(feature = "sqlite")]
    "sqlite",
    #[cfg(feature = "postgres")]
    "postgres",
    #[cfg(feature = "postgres")]
    "postgresql",
];

/// The balanced preset; a database that is made to be shared is not taken for
/// this system's own.
pub(crate) fn default_config(url: &str) -> MemoryConfig {
    let shared = url.starts_with("postgres");
    MemoryConfig {
        consistency: if shared {
            Consistency::Checked
        } else {
            Consistency::Local
        },
        ..MemoryConfig::default()
    }
}

/// Opens the store that a URL's scheme names. Where reads may be old for a
/// while, one that can announces what it writes, so that they seldom are.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(clippy::unused_async, reason = "no store to open")
)]
#[cfg_attr(
    not(feature = "postgres"),
    expect(unused_variables, reason = "nobody to tell")
)]
pub(crate) async fn store(url: &str, consistency: Consistency) -> MemoryResult<Arc<dyn Store>> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(Arc::new(memory_sqlite::SqliteStore::open(url).await?)),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            let bounded = matches!(consistency, Consistency::Bounded(_));
            let options = memory_pg::PgOptions::new().notify_changes(bounded);
            Ok(Arc::new(options.connect(url).await?))
        }
        // The URL itself stays out of the message: it may hold a password.
        _ => Err(MemoryError::configuration(format!(
            "no store answers to a URL of scheme {scheme:?}; this build knows: {}",
            KNOWN.join(", ")
        ))),
    }
}

/// Opens the default model on ONNX Runtime, off the async workers.
#[cfg(feature = "onnx")]
pub(crate) async fn default_embedder(
    precision: memory_onnx::Precision,
) -> MemoryResult<Arc<dyn Embedder>> {
    let options = memory_onnx::OnnxOptions::default().precision(precision);
    Ok(Arc::new(memory_onnx::OnnxEmbedder::open(options).await?))
}

/// Without the feature there is no default.
#[cfg(not(feature = "onnx"))]
#[expect(clippy::unused_async, reason = "as its twin")]
pub(crate) async fn default_embedder() -> MemoryResult<Arc<dyn Embedder>> {
    Err(MemoryError::configuration(
        "no embedder was given, and the feature onnx is off",
    ))
}
