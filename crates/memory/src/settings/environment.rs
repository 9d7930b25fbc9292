//! Settings of environment variables.

use std::ffi::{OsStr, OsString};

use memory_core::{InvalidSetting, SettingOrigin, SettingProblem};

use super::builder::Entry;
use super::keys::{self, KEYS, Key};
use super::value::RawValue;

/// The beginning of the variables of this system.
const PREFIX: &str = "MEMORY_";

/// Variables that begin with `MEMORY_` and are not settings: those that other parts
/// of this system read, those of its tests, and those that systemd
/// (`MEMORY_PRESSURE_…`) and Cloud Foundry (`MEMORY_LIMIT`) set for every process.
/// Any other unknown variable with this beginning is refused.
pub const OTHER_VARIABLES: &[&str] = &[
    "MEMORY_ASSETS_TEST_CHILD",
    "MEMORY_ASSETS_TEST_HOSTILE",
    "MEMORY_BENCH_RECORDS",
    "MEMORY_CACHE_DIR",
    "MEMORY_CONFIG",
    "MEMORY_CONVERSATIONS",
    "MEMORY_LIMIT",
    "MEMORY_ONNX_TEST_CASE",
    "MEMORY_OPENAI_TEST_URL",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "MEMORY_REEMBED_TEST",
    "MEMORY_SHARED_FILE_TEST",
    "MEMORY_SQLITE_KILL_TEST",
    "MEMORY_SQLITE_OTHER_PROCESS",
    "MEMORY_TESTKIT_NO_SKIPS",
    "MEMORY_TEST_CHROMIUM",
    "MEMORY_TEST_PG",
    "MEMORY_TEST_PGBOUNCER",
    "MEMORY_TEST_VALKEY_SERVER",
    "MEMORY_UPDATE_HELP",
];

/// The settings among these variables. An empty value counts as unset.
pub(super) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<Entry>, InvalidSetting> {
    let mut entries = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        if value.is_empty() || OTHER_VARIABLES.contains(&name) {
            continue;
        }
        let origin = SettingOrigin::Variable(name.to_owned());
        match read_variable(name, &value) {
            Ok((key, value)) => entries.push(Entry { key, value, origin }),
            Err(problem) => return Err(InvalidSetting { origin, problem }),
        }
    }
    Ok(entries)
}

fn read_variable(name: &str, value: &OsStr) -> Result<(&'static Key, RawValue), SettingProblem> {
    let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
        return Err(unknown(name));
    };
    match value.to_str() {
        Some(text) => Ok((key, RawValue::Untyped(text.to_owned()))),
        None => Err(SettingProblem::InvalidValue {
            key: key.name,
            value: None,
            allowed: "UTF-8".to_owned(),
        }),
    }
}

/// Compares without the common beginning, which would make all names similar.
fn unknown(name: &str) -> SettingProblem {
    /// Variables that users set, besides those of the settings.
    const FOR_USERS: [&str; 2] = ["CACHE_DIR", "CONFIG"];
    let keys = KEYS.iter().map(|key| key.name.to_uppercase());
    let valid = keys.chain(FOR_USERS.map(str::to_owned));
    let short = name.strip_prefix(PREFIX).unwrap_or(name);
    match keys::unknown_key(short, valid) {
        SettingProblem::UnknownKey { nearest, valid, .. } => SettingProblem::UnknownKey {
            key: name.to_owned(),
            nearest: nearest.map(|name| format!("{PREFIX}{name}")),
            valid: valid.iter().map(|name| format!("{PREFIX}{name}")).collect(),
        },
        problem => problem,
    }
}
