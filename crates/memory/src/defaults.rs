//! The default parts: configuration, store by URL, embedder.

use std::sync::Arc;

#[cfg(any(feature = "postgres", doc))]
use memory_core::Consistency;
use memory_core::{Embedder, MemoryConfig, MemoryError, MemoryResult, SharedCache, Store};

use crate::url_scheme::split_scheme;

/// The URL schemes that this build supports.
const SCHEMES: &[&str] = &[
    #[cfg(feature = "sqlite")]
    "sqlite",
    #[cfg(feature = "postgres")]
    "postgres",
    #[cfg(feature = "postgres")]
    "postgresql",
];

/// Opens the store of a URL's scheme, with the replicas of its server, the target recall of
/// its indexes and the language of the configuration. With [`Consistency::Bounded`], PostgreSQL also notifies other
/// processes of writes, so that their reads are seldom stale; if there are replicas, the
/// bound is divided between them and what is cached.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(clippy::unused_async, reason = "no store to open")
)]
#[cfg_attr(
    not(feature = "postgres"),
    expect(unused_variables, reason = "PostgreSQL alone has all these options")
)]
pub(crate) async fn store(
    url: &str,
    replicas: &[String],
    ann_target_recall: f64,
    config: &mut MemoryConfig,
) -> MemoryResult<Arc<dyn Store>> {
    let scheme = split_scheme(url).map_or("", |(scheme, _)| scheme);
    // As in every URL, upper and lower case are the same.
    match scheme.to_ascii_lowercase().as_str() {
        "sqlite" if !replicas.is_empty() => Err(MemoryError::configuration(
            "replicas are supported for PostgreSQL only; leave out `replicas` and `db_replicas`",
        )),
        #[cfg(feature = "sqlite")]
        "sqlite" => {
            let options = memory_sqlite::SqliteOptions::from_url(url)?;
            let options = options.language(config.language);
            Ok(Arc::new(
                memory_sqlite::SqliteStore::open_with(options).await?,
            ))
        }
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            let mut options = pg_options(config).ann_target_recall(ann_target_recall);
            if let Some(Consistency::Bounded(bound)) = &mut config.consistency
                && !replicas.is_empty()
            {
                let staleness = *bound / 2;
                options = options.replica_staleness(staleness);
                *bound -= staleness;
            }
            let options = options.replicas(replicas);
            Ok(Arc::new(options.connect(url).await?))
        }
        name => Err(MemoryError::configuration(unsupported(name))),
    }
}

/// What a store on PostgreSQL has to know of the configuration, however it is connected.
#[cfg(feature = "postgres")]
pub(crate) fn pg_options(config: &MemoryConfig) -> memory_pg::PgOptions {
    let is_bounded = matches!(config.consistency, Some(Consistency::Bounded(_)));
    memory_pg::PgOptions::new()
        .language(config.language)
        .notify_changes(is_bounded)
}

/// The message for a URL that no store opens. The URL itself stays out of it: it
/// may hold a password.
fn unsupported(scheme: &str) -> String {
    let supported = SCHEMES.join(", ");
    match scheme {
        "sqlite" | "postgres" | "postgresql" => {
            let feature = if scheme == "sqlite" {
                "sqlite"
            } else {
                "postgres"
            };
            format!(
                "this build has no store for {scheme}:// URLs; enable the feature `{feature}` of the crate `memory` (this build supports: {supported})"
            )
        }
        "" => format!(
            "the database URL has no scheme; write sqlite://agent.db for a file (this build supports: {supported})"
        ),
        _ => format!("unsupported URL scheme {scheme:?}; this build supports: {supported}"),
    }
}

/// Makes the shared cache of a URL. Nothing is contacted before the first call.
#[cfg(feature = "valkey")]
pub(crate) fn shared_cache(url: &str) -> MemoryResult<Arc<dyn SharedCache>> {
    Ok(Arc::new(memory_valkey::ValkeyCache::open(url)?))
}

/// Without the feature there is no shared cache for a URL.
#[cfg(not(feature = "valkey"))]
pub(crate) fn shared_cache(_: &str) -> MemoryResult<Arc<dyn SharedCache>> {
    Err(MemoryError::configuration(
        "this build has no shared cache for a URL; enable the feature `valkey` of the crate \
         `memory`, or leave out `shared_cache_url` and the setting `shared_cache`",
    ))
}

/// Opens a model by name or path, or the default one, on ONNX Runtime, off the async
/// workers.
#[cfg(feature = "onnx")]
pub(crate) async fn default_embedder(
    model: Option<String>,
    precision: memory_onnx::Precision,
) -> MemoryResult<Arc<dyn Embedder>> {
    let mut options = memory_onnx::OnnxOptions::default().precision(precision);
    if let Some(model) = model {
        options = options.model(model);
    }
    Ok(Arc::new(memory_onnx::OnnxEmbedder::open(options).await?))
}

/// There is no default embedder without the feature `onnx`.
#[cfg(not(feature = "onnx"))]
#[expect(clippy::unused_async, reason = "same signature as with the feature")]
pub(crate) async fn default_embedder() -> MemoryResult<Arc<dyn Embedder>> {
    Err(MemoryError::configuration(
        "no embedder was set, and this build has none (feature `onnx` is off); set one with `builder().embedder(…)`",
    ))
}
