//! Combines the sources of settings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use memory_core::{
    InvalidSetting, MemoryConfig, MemoryError, MemoryResult, Preset, SettingOrigin, SettingProblem,
};

use super::keys::{DB, DB_REPLICAS, DEFAULT_MODEL, KEYS, Key, MODEL, PRESET, SHARED_CACHE};
use super::setting_values::Values;
use super::value::{Mismatch, NONE, RawValue, unless};
use super::{Settings, environment, file};

/// A value of a source, not parsed yet.
pub(super) struct Entry {
    pub(super) key: &'static Key,
    pub(super) value: RawValue,
    pub(super) origin: SettingOrigin,
}

/// A change of the configuration by code.
type Change = Box<dyn FnOnce(&mut MemoryConfig) + Send>;

/// Collects the sources of [`Settings`]; the order of the calls does not matter.
#[derive(Default)]
pub struct SettingsBuilder {
    path: Option<PathBuf>,
    variables: Option<Vec<(OsString, OsString)>>,
    db: Option<String>,
    model: Option<String>,
    db_replicas: Option<Vec<String>>,
    shared_cache: Option<String>,
    preset: Option<Preset>,
    changes: Vec<Change>,
}

impl SettingsBuilder {
    /// Reads a TOML file, which must exist. The keys are in its top table.
    #[must_use]
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.path = Some(path.as_ref().to_owned());
        self
    }

    /// Reads the environment variables of this process that begin with `MEMORY_`,
    /// as they are now.
    #[must_use]
    pub fn environment(self) -> Self {
        self.variables(std::env::vars_os())
    }

    /// As [`environment`](Self::environment), from these variables.
    #[must_use]
    pub fn variables(
        mut self,
        variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Self {
        let variables = variables.into_iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        self.variables = Some(variables.collect());
        self
    }

    /// Sets the database's URL.
    #[must_use]
    pub fn db(mut self, url: impl Into<String>) -> Self {
        self.db = Some(url.into());
        self
    }

    /// Sets the model of the default embedder by name or path.
    #[must_use]
    pub fn model(mut self, name_or_path: impl Into<String>) -> Self {
        self.model = Some(name_or_path.into());
        self
    }

    /// Sets the URLs of the database's read replicas.
    #[must_use]
    pub fn db_replicas(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.db_replicas = Some(urls.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the URL of the shared cache; `none` overrides that of another source.
    #[must_use]
    pub fn shared_cache(mut self, url: impl Into<String>) -> Self {
        self.shared_cache = Some(url.into());
        self
    }

    /// Chooses the preset.
    #[must_use]
    pub fn preset(mut self, preset: Preset) -> Self {
        self.preset = Some(preset);
        self
    }

    /// Changes values of the configuration, after those of every other source.
    /// Several changes are applied in the order of the calls.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut MemoryConfig) + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Whether a source was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.path.is_none()
            && self.variables.is_none()
            && self.db.is_none()
            && self.model.is_none()
            && self.db_replicas.is_none()
            && self.shared_cache.is_none()
            && self.preset.is_none()
            && self.changes.is_empty()
    }

    /// Reads all sources and checks every value, also of those that another source
    /// overrides.
    ///
    /// # Errors
    /// [`MemoryError::InvalidSetting`] with the first problem: it names the key, the
    /// value, what is allowed, and the line of the file or the variable.
    pub fn build(self) -> MemoryResult<Settings> {
        let mut entries = match &self.path {
            Some(path) => file::read(path)?,
            None => Vec::new(),
        };
        // After those of the file, so that they override them.
        entries.extend(environment::read(self.variables.unwrap_or_default())?);

        let mut chosen = Values::of(Preset::Default);
        let mut preset_origin = None;
        for entry in entries.iter().filter(|entry| entry.key.name == PRESET) {
            apply(entry, &mut chosen)?;
            preset_origin = Some(entry.origin.clone());
        }
        if let Some(preset) = self.preset {
            chosen.preset = preset;
            preset_origin = Some(SettingOrigin::Code);
        }

        let mut settings = Settings {
            values: Values::of(chosen.preset),
            origins: BTreeMap::new(),
        };
        settings.mark_changes(
            &Values::of(Preset::Default),
            &SettingOrigin::Preset(chosen.preset),
        );
        if let Some(origin) = preset_origin {
            settings.origins.insert(PRESET, origin);
        }
        for entry in entries.iter().filter(|entry| entry.key.name != PRESET) {
            settings.set(entry)?;
            // Its range as well, alone: another source may override it.
            let mut alone = Settings {
                values: Values::of(chosen.preset),
                origins: BTreeMap::new(),
            };
            alone.set(entry)?;
            alone.validate()?;
        }
        let before = settings.values.clone();
        for change in self.changes {
            change(&mut settings.values.config);
        }
        if let Some(url) = self.db {
            settings.values.db = Some(url);
            settings.origins.insert(DB, SettingOrigin::Code);
        }
        if let Some(model) = self.model {
            settings.values.model = unless(model, DEFAULT_MODEL);
            settings.origins.insert(MODEL, SettingOrigin::Code);
        }
        if let Some(urls) = self.db_replicas {
            settings.values.db_replicas = urls;
            settings.origins.insert(DB_REPLICAS, SettingOrigin::Code);
        }
        if let Some(url) = self.shared_cache {
            settings.values.shared_cache = unless(url, NONE);
            settings.origins.insert(SHARED_CACHE, SettingOrigin::Code);
        }
        settings.mark_changes(&before, &SettingOrigin::Code);
        settings.validate()?;
        Ok(settings)
    }
}

/// Sets the value of an entry.
fn apply(entry: &Entry, values: &mut Values) -> Result<(), InvalidSetting> {
    let Entry { key, value, origin } = entry;
    (key.set)(values, value).map_err(|mismatch| InvalidSetting {
        origin: origin.clone(),
        problem: match mismatch {
            Mismatch::Type(found) => SettingProblem::WrongType {
                key: key.name,
                found,
                expected: key.allowed.to_owned(),
            },
            Mismatch::Value => SettingProblem::InvalidValue {
                key: key.name,
                value: Some(value.display()).filter(|_| !key.is_secret),
                allowed: key.allowed.to_owned(),
            },
        },
    })
}

impl Settings {
    /// Sets the value of an entry, and its origin.
    fn set(&mut self, entry: &Entry) -> Result<(), InvalidSetting> {
        apply(entry, &mut self.values)?;
        self.origins.insert(entry.key.name, entry.origin.clone());
        Ok(())
    }

    /// Records `origin` for each value that is not as in `before`.
    fn mark_changes(&mut self, before: &Values, origin: &SettingOrigin) {
        for key in KEYS {
            if (key.show)(before) != (key.show)(&self.values) {
                self.origins.insert(key.name, origin.clone());
            }
        }
    }

    /// Checks the ranges; an error names the origin of the value.
    fn validate(&self) -> MemoryResult<()> {
        self.values.config.validate().map_err(|error| match error {
            MemoryError::InvalidSetting { mut problem } => {
                if let SettingProblem::InvalidValue { key, .. } = &problem.problem {
                    problem.origin = self.origin(key);
                }
                MemoryError::InvalidSetting { problem }
            }
            error => error,
        })
    }
}

impl fmt::Debug for SettingsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables and the URL may hold passwords.
        f.debug_struct("SettingsBuilder")
            .field("path", &self.path)
            .field("preset", &self.preset)
            .finish_non_exhaustive()
    }
}
