//! The settings of a run: command line, environment, settings file, preset.

use std::path::PathBuf;

use memory::{MemoryResult, SettingOrigin, Settings};
use serde::Serialize;

use crate::args::SettingsArgs;

/// The database where none is named.
pub(crate) const DEFAULT_DB: &str = "sqlite://memory.db";

/// The variable with the path of the settings file.
const CONFIG_ENV: &str = "MEMORY_CONFIG";

/// Combines the sources.
pub(crate) fn load(args: SettingsArgs) -> MemoryResult<Settings> {
    let variable = std::env::var_os(CONFIG_ENV).filter(|path| !path.is_empty());
    let mut builder = Settings::builder().environment();
    if let Some(path) = args.config.or_else(|| variable.map(PathBuf::from)) {
        builder = builder.file(path);
    }
    if let Some(url) = args.db {
        builder = builder.db(url);
    }
    if let Some(model) = args.model {
        builder = builder.model(model);
    }
    if let Some(url) = args.shared_cache {
        builder = builder.shared_cache(url);
    }
    if let Some(code) = args.language {
        // Any other of the values that the command line accepts is "detect".
        let language = code.parse().ok();
        builder = builder.configure(move |config| config.language = language);
    }
    builder.build()
}

/// A setting and its source, as the doctor reports it.
#[derive(Debug, Serialize)]
pub(crate) struct SettingReport {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    pub(crate) source: String,
}

/// Every setting, without passwords.
pub(crate) fn report(settings: &Settings) -> Vec<SettingReport> {
    let entries = settings.entries().into_iter();
    let report = entries.map(|entry| SettingReport {
        key: entry.key,
        value: match (entry.key, settings.db()) {
            ("db", None) => DEFAULT_DB.to_owned(),
            _ => entry.value,
        },
        source: match entry.origin {
            SettingOrigin::Code => "command line".to_owned(),
            origin => origin.to_string(),
        },
    });
    report.collect()
}
