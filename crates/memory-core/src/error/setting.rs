//! Reasons why a setting is refused.

use std::fmt;
use std::path::PathBuf;

use crate::config::Preset;

/// A setting that is refused: what is wrong with it, and where it was made.
///
/// The text contains the key, the value and what is allowed; of keys that may hold
/// a password it contains no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSetting {
    /// Where it was made.
    pub origin: SettingOrigin,
    /// What is wrong, and what is allowed.
    pub problem: SettingProblem,
}

impl InvalidSetting {
    /// A problem of a setting that was made in code.
    #[must_use]
    pub const fn in_code(problem: SettingProblem) -> Self {
        Self {
            origin: SettingOrigin::Code,
            problem,
        }
    }
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            // The caller knows their own code.
            SettingOrigin::Code => write!(f, "{}", self.problem),
            _ => write!(f, "{}: {}", self.origin, self.problem),
        }
    }
}

impl std::error::Error for InvalidSetting {}

/// Where the value of a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingOrigin {
    /// Nobody set it.
    Default,
    /// A preset, in which it differs from the default.
    Preset(Preset),
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line, from 1; 0 where the whole file is meant.
        line: usize,
    },
    /// An environment variable of this name.
    Variable(String),
    /// Code, or an option of the command.
    Code,
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(preset) => write!(f, "preset {preset}"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Code => f.write_str("code"),
        }
    }
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingProblem {
    /// There is no setting of this name.
    #[error("unknown setting {key}; {}", suggestion(nearest.as_deref(), valid))]
    UnknownKey {
        /// The name found.
        key: String,
        /// The most similar valid name, if one is similar.
        nearest: Option<String>,
        /// The valid names.
        valid: Vec<String>,
    },
    /// A value of another type.
    #[error("{key} is {found}; it must be {expected}")]
    WrongType {
        /// The setting.
        key: &'static str,
        /// The type found, with an article.
        found: &'static str,
        /// What is allowed.
        expected: String,
    },
    /// A value that is not allowed.
    #[error("{key} is {}; it must be {allowed}", value.as_deref().unwrap_or("invalid"))]
    InvalidValue {
        /// The setting.
        key: &'static str,
        /// The value found; `None` if it may contain a password or is not UTF-8.
        value: Option<String>,
        /// What is allowed.
        allowed: String,
    },
    /// A file that is not TOML.
    #[error("the file is not valid TOML: {message}")]
    Syntax {
        /// What the parser expected.
        message: String,
    },
    /// A file that cannot be read as UTF-8 text.
    #[error("the settings file cannot be read: {message}")]
    Unreadable {
        /// Why.
        message: String,
    },
}

/// The most similar name, or all of them.
fn suggestion(nearest: Option<&str>, valid: &[String]) -> String {
    match nearest {
        Some(name) => format!("did you mean {name}?"),
        None => format!("the settings are {}", valid.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_origin_key_value_and_what_is_allowed() {
        let problem = SettingProblem::InvalidValue {
            key: "cache_ttl_seconds",
            value: Some("0".to_owned()),
            allowed: "from 1 to 10".to_owned(),
        };
        let in_file = InvalidSetting {
            origin: SettingOrigin::File {
                path: "memory.toml".into(),
                line: 3,
            },
            problem: problem.clone(),
        };
        assert_eq!(
            in_file.to_string(),
            "memory.toml:3: cache_ttl_seconds is 0; it must be from 1 to 10"
        );
        assert_eq!(
            InvalidSetting::in_code(problem).to_string(),
            "cache_ttl_seconds is 0; it must be from 1 to 10"
        );
        let unknown = |nearest: Option<&str>| SettingProblem::UnknownKey {
            key: "ttl".to_owned(),
            nearest: nearest.map(str::to_owned),
            valid: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(
            unknown(Some("a")).to_string(),
            "unknown setting ttl; did you mean a?"
        );
        assert_eq!(
            unknown(None).to_string(),
            "unknown setting ttl; the settings are a, b"
        );
    }
}
