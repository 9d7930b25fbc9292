//! The keys of the settings: how each is parsed and shown.

use std::num::NonZeroU32;
use std::time::Duration;

use memory_core::{
    AccessCounting, ByteSize, Consistency, LimitPolicy, Preset, SettingProblem, check_target_recall,
};

use super::secrets::redact_url;
use super::setting_values::{Share, Values};
use super::value::{Mismatch, NONE, RawValue, parse_duration, show_bytes, show_seconds, unless};

/// A setting.
pub(super) struct Key {
    /// Its name in files; in the environment, in capital letters after `MEMORY_`.
    pub(super) name: &'static str,
    /// What is allowed: completes "it must be".
    pub(super) allowed: &'static str,
    /// Whether a value may contain a password.
    pub(super) is_secret: bool,
    /// Sets the value.
    pub(super) set: fn(&mut Values, &RawValue) -> Result<(), Mismatch>,
    /// The value as it is written, without a password.
    pub(super) show: fn(&Values) -> String,
}

impl Key {
    const fn new(
        name: &'static str,
        allowed: &'static str,
        set: fn(&mut Values, &RawValue) -> Result<(), Mismatch>,
        show: fn(&Values) -> String,
    ) -> Self {
        Self {
            name,
            allowed,
            is_secret: false,
            set,
            show,
        }
    }

    /// The name of the environment variable.
    pub(super) fn variable(&self) -> String {
        format!("MEMORY_{}", self.name.to_uppercase())
    }
}

/// The key of the database's URL.
pub(super) const DB: &str = "db";

/// The key of the URLs of read replicas.
pub(super) const DB_REPLICAS: &str = "db_replicas";

/// The key of the shared cache's URL.
pub(super) const SHARED_CACHE: &str = "shared_cache";

/// The key of the default embedder's model.
pub(super) const MODEL: &str = "model";

/// The value of [`MODEL`] for the default model.
pub(crate) const DEFAULT_MODEL: &str = "default";

/// The value of the key `language` where that of each text is detected.
const DETECT: &str = "detect";

/// The key that is applied before all others.
pub(super) const PRESET: &str = "preset";

const NUMBER: &str = "a whole number, such as 1000";
const DURATION: &str =
    "a whole number of seconds, or a text with a unit, such as \"5 min\" or \"1h 30m\"";
const SIZE: &str = "a whole number of bytes, or a text with a unit, such as \"64 MiB\"";

const POLICIES: [(&str, LimitPolicy); 2] = [
    ("reject", LimitPolicy::Reject),
    ("prune", LimitPolicy::Prune),
];
const COUNTING: [(&str, AccessCounting); 2] = [
    ("background", AccessCounting::Background),
    ("off", AccessCounting::Off),
];
const CONSISTENCIES: [(&str, Option<Consistency>); 3] = [
    ("automatic", None),
    ("local", Some(Consistency::Local)),
    ("checked", Some(Consistency::Checked)),
];

/// The key of a value of the configuration that has the name of its field and a usual kind.
macro_rules! config_key {
    ($field:ident: number) => {
        Key::new(
            stringify!($field),
            NUMBER,
            |values, raw| raw.integer().map(|n| values.config.$field = n),
            |values| values.config.$field.to_string(),
        )
    };
    ($field:ident: duration) => {
        Key::new(
            stringify!($field),
            DURATION,
            |values, raw| raw.seconds().map(|n| values.config.$field = n),
            |values| show_seconds(values.config.$field),
        )
    };
    ($field:ident: size) => {
        Key::new(
            stringify!($field),
            SIZE,
            |values, raw| raw.bytes().map(|size| values.config.$field = size),
            |values| show_bytes(values.config.$field),
        )
    };
}

/// Every key, in the order of the documentation.
pub(super) const KEYS: &[Key] = &[
    Key {
        is_secret: true,
        ..Key::new(
            DB,
            "a database URL such as \"sqlite://agent.db\"",
            |values, raw| match raw.text()? {
                text if text.trim().is_empty() => Err(Mismatch::Value),
                text => {
                    values.db = Some(text.to_owned());
                    Ok(())
                }
            },
            |values| match &values.db {
                Some(url) => redact_url(url),
                None => NONE.to_owned(),
            },
        )
    },
    Key {
        is_secret: true,
        ..Key::new(
            DB_REPLICAS,
            "\"none\", or URLs of replicas, separated by spaces, such as \
             \"postgres://app@replica/memories\"",
            |values, raw| {
                let mut urls: Vec<&str> = raw.text()?.split_whitespace().collect();
                if urls == [NONE] {
                    urls.clear();
                } else if urls.is_empty() || urls.iter().any(|url| !url.contains("://")) {
                    return Err(Mismatch::Value);
                }
                values.db_replicas = urls.into_iter().map(str::to_owned).collect();
                Ok(())
            },
            |values| match values.db_replicas.as_slice() {
                [] => NONE.to_owned(),
                urls => {
                    let urls: Vec<String> = urls.iter().map(|url| redact_url(url)).collect();
                    urls.join(" ")
                }
            },
        )
    },
    Key::new(
        MODEL,
        "\"default\", the name of an installed model, or a path such as \"./models/e5\"",
        |values, raw| match raw.text()? {
            text if text.trim().is_empty() => Err(Mismatch::Value),
            text => {
                values.model = unless(text, DEFAULT_MODEL);
                Ok(())
            }
        },
        |values| {
            let model = values.model.as_deref();
            model.unwrap_or(DEFAULT_MODEL).to_owned()
        },
    ),
    Key::new(
        "previous_model",
        "\"none\", \"default\", the name of an installed model, or a path such as \"./models/e5\"",
        |values, raw| match raw.text()? {
            text if text.trim().is_empty() => Err(Mismatch::Value),
            text => {
                values.previous_model = unless(text, NONE);
                Ok(())
            }
        },
        |values| {
            let model = values.previous_model.as_deref();
            model.unwrap_or(NONE).to_owned()
        },
    ),
    Key {
        is_secret: true,
        ..Key::new(
            SHARED_CACHE,
            "\"none\", or a URL such as \"valkey://cache.example:6379\"",
            |values, raw| match raw.text()? {
                text if text != NONE && !text.contains("://") => Err(Mismatch::Value),
                text => {
                    values.shared_cache = unless(text, NONE);
                    Ok(())
                }
            },
            |values| match &values.shared_cache {
                Some(url) => redact_url(url),
                None => NONE.to_owned(),
            },
        )
    },
    Key::new(
        "shared_cache_budget",
        "a duration of more than zero, such as \"5 ms\"",
        |values, raw| match raw.duration()? {
            Duration::ZERO => Err(Mismatch::Value),
            budget => {
                values.shared_cache_budget = budget;
                Ok(())
            }
        },
        |values| humantime::format_duration(values.shared_cache_budget).to_string(),
    ),
    Key::new(
        PRESET,
        "default, high_traffic or low_memory",
        |values, raw| {
            values.preset = Preset::from_name(raw.text()?).ok_or(Mismatch::Value)?;
            Ok(())
        },
        |values| values.preset.name().to_owned(),
    ),
    config_key!(cache_max_capacity: number),
    config_key!(cache_ttl_seconds: duration),
    config_key!(cache_tti_seconds: duration),
    config_key!(embedding_cache_capacity: number),
    config_key!(embedding_cache_ttl_seconds: duration),
    config_key!(memory_cache_max_bytes: size),
    config_key!(entity_cache_max_bytes: size),
    config_key!(embedding_cache_max_bytes: size),
    Key::new(
        "consistency",
        "automatic, local, checked, or bounded and a duration, such as \"bounded 2 s\"",
        |values, raw| parse_consistency(raw).map(|choice| values.config.consistency = choice),
        |values| show_consistency(values.config.consistency),
    ),
    Key::new(
        "max_memories_per_entity",
        "a whole number, such as 1000, or \"none\"",
        |values, raw| {
            raw.optional_integer()
                .map(|n| values.config.max_memories_per_entity = n)
        },
        |values| match values.config.max_memories_per_entity {
            Some(max) => max.to_string(),
            None => NONE.to_owned(),
        },
    ),
    Key::new(
        "limit_policy",
        "reject or prune",
        |values, raw| {
            raw.choice(&POLICIES)
                .map(|policy| values.config.limit_policy = policy)
        },
        |values| name_of(&POLICIES, values.config.limit_policy),
    ),
    config_key!(prune_min_keep: number),
    config_key!(consolidation_threshold: number),
    Key::new(
        "access_counting",
        "background or off",
        |values, raw| {
            raw.choice(&COUNTING)
                .map(|counting| values.config.access_counting = counting)
        },
        |values| name_of(&COUNTING, values.config.access_counting),
    ),
    Key::new(
        "language",
        "\"detect\", or the code of a language with stems: da, de, en, es, fi, fr, hu, it, nl, no, \
         pt, ro, sv or tr",
        |values, raw| {
            values.config.language = match raw.text()? {
                DETECT => None,
                code => Some(code.parse().map_err(|_| Mismatch::Value)?),
            };
            Ok(())
        },
        |values| match values.config.language {
            Some(language) => language.to_string(),
            None => DETECT.to_owned(),
        },
    ),
    Key::new(
        "ann_target_recall",
        "a number above 0 and at most 1, such as 0.95",
        |values, raw| {
            let recall = raw.number()?;
            check_target_recall(recall).map_err(|_| Mismatch::Value)?;
            values.ann_target_recall = Share(recall);
            Ok(())
        },
        |values| values.ann_target_recall.0.to_string(),
    ),
    config_key!(warm_entities: number),
    Key::new(
        "http_rate_limit",
        "a whole number of requests per second, at least 1, or \"none\"",
        |values, raw| {
            values.http_rate_limit = match raw.optional_integer()? {
                None => None,
                Some(number) => {
                    let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
                    Some(number.ok_or(Mismatch::Value)?)
                }
            };
            Ok(())
        },
        |values| {
            let limit = values.http_rate_limit;
            limit.map_or_else(|| NONE.to_owned(), |limit| limit.to_string())
        },
    ),
    Key::new(
        "http_allowed_origins",
        "\"none\", or origins separated by spaces, such as \"https://app.example\"",
        |values, raw| {
            let origins: Vec<&str> = match raw.text()? {
                NONE => Vec::new(),
                text => text.split_whitespace().collect(),
            };
            if origins.iter().any(|origin| !origin.contains("://")) {
                return Err(Mismatch::Value);
            }
            values.http_allowed_origins = origins.into_iter().map(str::to_owned).collect();
            Ok(())
        },
        |values| match values.http_allowed_origins.as_slice() {
            [] => NONE.to_owned(),
            origins => origins.join(" "),
        },
    ),
    Key::new(
        "http_max_body_bytes",
        "a size from 1 KiB to 1 GiB, such as \"8 MiB\"",
        |values, raw| {
            values.http_max_body_bytes = within(raw.bytes()?, KIB, GIB)?;
            Ok(())
        },
        |values| show_bytes(values.http_max_body_bytes),
    ),
    Key::new(
        "http_max_import_bytes",
        "a size from 1 KiB to 1 PiB, such as \"1 GiB\"",
        |values, raw| {
            values.http_max_import_bytes = within(raw.bytes()?, KIB, PIB)?;
            Ok(())
        },
        |values| show_bytes(values.http_max_import_bytes),
    ),
    Key::new(
        "http_request_timeout_seconds",
        "a duration from 1 s to 1 day, such as \"30 s\"",
        |values, raw| {
            values.http_request_timeout_seconds = within(raw.seconds()?, 1, DAY_SECONDS)?;
            Ok(())
        },
        |values| show_seconds(values.http_request_timeout_seconds),
    ),
    Key::new(
        "http_drain_timeout_seconds",
        "a duration up to 1 day, such as \"10 s\"",
        |values, raw| {
            values.http_drain_timeout_seconds = within(raw.seconds()?, 0, DAY_SECONDS)?;
            Ok(())
        },
        |values| show_seconds(values.http_drain_timeout_seconds),
    ),
];

const KIB: ByteSize = ByteSize(1 << 10);
const GIB: ByteSize = ByteSize(1 << 30);
const PIB: ByteSize = ByteSize(1 << 50);
const DAY_SECONDS: u64 = 86_400;

fn within<T: PartialOrd>(value: T, min: T, max: T) -> Result<T, Mismatch> {
    match (min..=max).contains(&value) {
        true => Ok(value),
        false => Err(Mismatch::Value),
    }
}

fn parse_consistency(raw: &RawValue) -> Result<Option<Consistency>, Mismatch> {
    match raw.text()?.strip_prefix("bounded ") {
        Some(bound) => Ok(Some(Consistency::Bounded(parse_duration(bound)?))),
        None => raw.choice(&CONSISTENCIES),
    }
}

fn show_consistency(consistency: Option<Consistency>) -> String {
    match consistency {
        Some(Consistency::Bounded(bound)) => {
            format!("bounded {}", humantime::format_duration(bound))
        }
        choice => name_of(&CONSISTENCIES, choice),
    }
}

fn name_of<T: PartialEq>(names: &[(&str, T)], value: T) -> String {
    let name = names.iter().find(|(_, known)| *known == value);
    name.map_or_else(String::new, |(name, _)| (*name).to_owned())
}

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The problem of a name that is not among the valid ones. Suggests the most
/// similar one, if one is similar: Jaro-Winkler similarity of 0.8 or more, which
/// favors a common beginning (`cache_ttl`).
pub(super) fn unknown_key(
    name: &str,
    valid: impl IntoIterator<Item = impl Into<String>>,
) -> SettingProblem {
    const SIMILAR: f64 = 0.8;
    let valid: Vec<String> = valid.into_iter().map(Into::into).collect();
    let lower = name.to_lowercase();
    let nearest = valid
        .iter()
        .map(|candidate| {
            let similarity = strsim::jaro_winkler(&lower, &candidate.to_lowercase());
            (similarity, candidate)
        })
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate.clone());
    SettingProblem::UnknownKey {
        key: name.to_owned(),
        nearest,
        valid,
    }
}

#[cfg(test)]
mod tests;
