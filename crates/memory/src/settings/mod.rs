//! Settings from code, environment variables, a TOML file and presets.

mod builder;
mod environment;
mod file;
pub(crate) mod keys;
mod secrets;
mod setting_values;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use memory_core::{ByteSize, MemoryConfig, Preset, SettingOrigin};

use keys::KEYS;
use setting_values::Values;

pub use builder::SettingsBuilder;
pub use environment::OTHER_VARIABLES;

/// The effective settings: the URLs of database and shared cache, and the
/// [`MemoryConfig`], each value with its origin.
///
/// Of several sources of a value the first of this list decides:
///
/// 1. code ([`SettingsBuilder::db`], [`model`](SettingsBuilder::model),
///    [`shared_cache`](SettingsBuilder::shared_cache),
///    [`preset`](SettingsBuilder::preset), [`configure`](SettingsBuilder::configure)),
/// 2. the environment: `MEMORY_` and the key in capital letters
///    ([`environment`](SettingsBuilder::environment)),
/// 3. a TOML file ([`file`](SettingsBuilder::file)),
/// 4. the preset, wherever it was chosen,
/// 5. the default.
///
/// ```
/// use memory::{Preset, Settings};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("memory.toml");
/// # std::fs::write(&path, "preset = 'low_memory'\ncache_ttl_seconds = '5 min'").unwrap();
/// let settings = Settings::builder()
///     .file(&path)
///     .configure(|config| config.cache_max_capacity = 2_000)
///     .build()?;
/// assert_eq!(settings.preset(), Preset::LowMemory);
/// assert_eq!(settings.config().cache_ttl_seconds, 300);
/// assert_eq!(settings.config().cache_max_capacity, 2_000);
/// # Ok::<(), memory::MemoryError>(())
/// ```
///
/// `docs/operations.md` lists the keys. [`MemorySystemBuilder`] takes the same
/// sources directly.
///
/// [`MemorySystemBuilder`]: crate::MemorySystemBuilder
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    values: Values,
    origins: BTreeMap<&'static str, SettingOrigin>,
}

/// A setting for display.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingEntry {
    /// The key.
    pub key: &'static str,
    /// The value as it is written in a file or a variable, without passwords.
    pub value: String,
    /// Where the value comes from.
    pub origin: SettingOrigin,
}

impl Settings {
    /// Starts without any source.
    #[must_use]
    pub fn builder() -> SettingsBuilder {
        SettingsBuilder::default()
    }

    /// The database's URL, if it was set. It may contain a password.
    #[must_use]
    pub fn db(&self) -> Option<&str> {
        self.values.db.as_deref()
    }

    /// The model of the default embedder by name or path, if it was set; see
    /// [`MemorySystemBuilder::model`].
    ///
    /// [`MemorySystemBuilder::model`]: crate::MemorySystemBuilder::model
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.values.model.as_deref()
    }

    /// The model that a database was embedded with before, by name or path, if it was
    /// set; see [`MemorySystemBuilder::previous_embedder`].
    ///
    /// [`MemorySystemBuilder::previous_embedder`]: crate::MemorySystemBuilder::previous_embedder
    #[must_use]
    pub fn previous_model(&self) -> Option<&str> {
        self.values.previous_model.as_deref()
    }

    /// The URLs of the database's read replicas. They may contain passwords.
    #[must_use]
    pub fn db_replicas(&self) -> &[String] {
        &self.values.db_replicas
    }

    /// The URL of the shared cache, if it was set. It may contain a password.
    #[must_use]
    pub fn shared_cache(&self) -> Option<&str> {
        self.values.shared_cache.as_deref()
    }

    /// How many requests per second a server answers for each token, if it was set.
    #[must_use]
    pub fn http_rate_limit(&self) -> Option<NonZeroU32> {
        self.values.http_rate_limit
    }

    /// The origins of web pages that may use a server.
    #[must_use]
    pub fn http_allowed_origins(&self) -> &[String] {
        &self.values.http_allowed_origins
    }

    /// The most bytes of a request to a server.
    #[must_use]
    pub fn http_max_body_bytes(&self) -> ByteSize {
        self.values.http_max_body_bytes
    }

    /// The most bytes of an import into a server.
    #[must_use]
    pub fn http_max_import_bytes(&self) -> ByteSize {
        self.values.http_max_import_bytes
    }

    /// The longest time that a server takes for a request.
    #[must_use]
    pub fn http_request_timeout(&self) -> Duration {
        Duration::from_secs(self.values.http_request_timeout_seconds)
    }

    /// The longest time that requests in progress get when a server ends.
    #[must_use]
    pub fn http_drain_timeout(&self) -> Duration {
        Duration::from_secs(self.values.http_drain_timeout_seconds)
    }

    /// For how long a caller waits for one call of the shared cache; see
    /// [`MemorySystemBuilder::shared_cache_budget`].
    ///
    /// [`MemorySystemBuilder::shared_cache_budget`]: crate::MemorySystemBuilder::shared_cache_budget
    #[must_use]
    pub fn shared_cache_budget(&self) -> Duration {
        self.values.shared_cache_budget
    }

    /// The share of the nearest vectors that approximate indexes of PostgreSQL have to
    /// find; see [`MemorySystemBuilder::ann_target_recall`].
    ///
    /// [`MemorySystemBuilder::ann_target_recall`]: crate::MemorySystemBuilder::ann_target_recall
    #[must_use]
    pub fn ann_target_recall(&self) -> f64 {
        self.values.ann_target_recall.0
    }

    /// The preset that was chosen, or the default one.
    #[must_use]
    pub fn preset(&self) -> Preset {
        self.values.preset
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &MemoryConfig {
        &self.values.config
    }

    /// All settings in the order of the documentation, for display.
    #[must_use]
    pub fn entries(&self) -> Vec<SettingEntry> {
        let entry = |key: &keys::Key| SettingEntry {
            key: key.name,
            value: (key.show)(&self.values),
            origin: self.origin(key.name),
        };
        KEYS.iter().map(entry).collect()
    }

    fn origin(&self, key: &str) -> SettingOrigin {
        self.origins
            .get(key)
            .cloned()
            .unwrap_or(SettingOrigin::Default)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            values: Values::of(Preset::Default),
            origins: BTreeMap::new(),
        }
    }
}

/// Shows no password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries();
        f.debug_map()
            .entries(entries.iter().map(|entry| (entry.key, &entry.value)))
            .finish()
    }
}

#[cfg(test)]
mod tests;
