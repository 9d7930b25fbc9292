//! The default parts: configuration, store by URL, embedder.

use std::sync::Arc;

#[cfg(feature = "postgres")]
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
/// its indexes and the language of the configuration. Returns it with the configuration that
/// the engine is to have.
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
    config: MemoryConfig,
) -> MemoryResult<(Arc<dyn Store>, MemoryConfig)> {
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
            let store = memory_sqlite::SqliteStore::open_with(options).await?;
            Ok((Arc::new(store), config))
        }
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            let options = memory_pg::PgOptions::new();
            let (options, config) =
                configure_postgres(options, config, replicas, ann_target_recall);
            Ok((Arc::new(options.connect(url).await?), config))
        }
        name => Err(MemoryError::configuration(unsupported(name))),
    }
}

/// Applies a configuration to the options of a store on PostgreSQL, as
/// [`MemorySystem::open`](crate::MemorySystem::open) does, for programs that open the store
/// themselves. Returns the options, and the configuration for
/// [`MemorySystemBuilder::config`](crate::MemorySystemBuilder::config).
///
/// Sets the language of the configuration, the target recall, and the replicas if any are given;
/// to be applied to a configuration once. With [`Consistency::Bounded`] the store also
/// notifies other processes of writes, so that their reads are seldom stale; if there are
/// replicas, the bound is divided between them and what is cached, so that the returned
/// configuration has a shorter one.
///
/// ```no_run
/// # async fn open() -> memory::MemoryResult<()> {
/// use memory::MemorySystem;
/// use memory::postgres::{PgOptions, configure_postgres};
///
/// let settings = memory::Settings::builder().environment().build()?;
/// let (options, config) = configure_postgres(
///     PgOptions::new().max_connections(32),
///     settings.config().clone(),
///     settings.db_replicas(),
///     settings.ann_target_recall(),
/// );
/// let store = options.connect("postgres://app@localhost/memories").await?;
/// let memory = MemorySystem::builder().store(store).config(config).build().await?;
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "postgres")]
#[must_use]
pub fn configure_postgres(
    options: memory_pg::PgOptions,
    mut config: MemoryConfig,
    replicas: &[String],
    ann_target_recall: f64,
) -> (memory_pg::PgOptions, MemoryConfig) {
    let mut options = options
        .language(config.language)
        .ann_target_recall(ann_target_recall);
    if !replicas.is_empty() {
        options = options.replicas(replicas);
    }
    if let Some(Consistency::Bounded(bound)) = &mut config.consistency {
        options = options.notify_changes(true);
        if !replicas.is_empty() {
            let staleness = *bound / 2;
            options = options.replica_staleness(staleness);
            *bound -= staleness;
        }
    }
    (options, config)
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

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use std::time::Duration;

    use memory_core::Language;
    use memory_pg::PgOptions;

    use super::*;

    /// The options, as text, and the consistency that the engine is to have.
    fn configured(
        consistency: Option<Consistency>,
        replicas: &[String],
    ) -> (String, Option<Consistency>) {
        let config = MemoryConfig {
            consistency,
            language: Some(Language::German),
            ..MemoryConfig::default()
        };
        let (options, config) = configure_postgres(PgOptions::new(), config, replicas, 0.9);
        (format!("{options:?}"), config.consistency)
    }

    #[test]
    fn a_bound_is_divided_between_replicas_and_caches() {
        let bounded = |millis| Some(Consistency::Bounded(Duration::from_millis(millis)));
        let replicas = ["postgres://app@replica.example/memories".to_owned()];
        let options = PgOptions::new()
            .language(Some(Language::German))
            .ann_target_recall(0.9);
        let replicated = options.clone().replicas(&replicas);
        let notifying = options.clone().notify_changes(true);
        let both = replicated.clone().notify_changes(true);
        let both = both.replica_staleness(Duration::from_secs(1));
        for (consistency, replicas, wanted, remaining) in [
            (bounded(2_000), &replicas[..], both, bounded(1_000)),
            (bounded(2_000), &[], notifying, bounded(2_000)),
            (None, &replicas, replicated.clone(), None),
            (
                Some(Consistency::Checked),
                &replicas,
                replicated,
                Some(Consistency::Checked),
            ),
            (None, &[], options, None),
        ] {
            let found = configured(consistency, replicas);
            assert_eq!(found, (format!("{wanted:?}"), remaining));
        }
    }
}
