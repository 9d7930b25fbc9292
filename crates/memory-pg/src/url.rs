//! Parameters of the connection URL: checking all of them, and applying those
//! that this crate defines.

use memory_core::{MemoryError, MemoryResult};

use crate::options::{PgOptions, Pooler};

/// The parameters of the driver, each with its other spellings.
const DRIVER_PARAMETERS: &[&[&str]] = &[
    &["application_name"],
    &["dbname"],
    &["host"],
    &["hostaddr"],
    &["options"],
    &["password"],
    &["port"],
    &["sslcert", "ssl-cert"],
    &["sslkey", "ssl-key"],
    &["sslmode", "ssl-mode"],
    &["sslrootcert", "ssl-root-cert", "ssl-ca"],
    &["statement-cache-capacity"],
    &["user"],
];

/// The parameters that this crate defines.
const OWN_PARAMETERS: &[&str] = &["notify_changes", "pooler", "row_level_security"];

const SSL_MODES: &[&str] = &[
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// Names beyond this length are not quoted in errors.
const MAX_QUOTED_NAME: usize = 40;

impl PgOptions {
    /// Checks the parameters of a URL and applies this crate's own. Returns the
    /// URL without them.
    pub(crate) fn apply_url_parameters(&mut self, url: &str) -> MemoryResult<String> {
        let Some((address, parameters)) = url.split_once('?') else {
            return Ok(url.to_owned());
        };
        let mut seen = Vec::new();
        let mut others = Vec::new();
        for parameter in parameters.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let canonical = canonical_name(name).ok_or_else(|| unknown_parameter(name))?;
            if seen.contains(&canonical) {
                return Err(MemoryError::configuration(format!(
                    "the URL parameter {canonical} is given more than once"
                )));
            }
            seen.push(canonical);
            match canonical {
                "pooler" => self.pooler = parse_pooler(value)?,
                "row_level_security" => self.row_level_security = parse_switch(name, value)?,
                "notify_changes" => self.notify_changes = parse_switch(name, value)?,
                "sslmode" if !SSL_MODES.contains(&value) => {
                    return Err(invalid_value(name, value, &SSL_MODES.join(", ")));
                }
                _ => others.push(parameter),
            }
        }
        Ok(match others.is_empty() {
            true => address.to_owned(),
            false => format!("{address}?{}", others.join("&")),
        })
    }
}

/// The first spelling of a known parameter. `options[name]` sets one setting of
/// the session each, and is a parameter of its own.
fn canonical_name(name: &str) -> Option<&str> {
    if name.starts_with("options[") && name.ends_with(']') {
        return Some(name);
    }
    let own = OWN_PARAMETERS.iter().find(|it| **it == name).copied();
    let driver = DRIVER_PARAMETERS.iter().find(|it| it.contains(&name));
    own.or_else(|| driver.and_then(|it| it.first()).copied())
}

/// What is not like a name is not quoted: it may be a part of a password with an
/// unescaped `?`.
fn unknown_parameter(name: &str) -> MemoryError {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '[' | ']');
    let quoted = if name.len() <= MAX_QUOTED_NAME && name.chars().all(is_word) {
        format!(" {name:?}")
    } else {
        String::new()
    };
    let driver = DRIVER_PARAMETERS.iter().filter_map(|it| it.first());
    let mut known: Vec<&str> = driver.chain(OWN_PARAMETERS).copied().collect();
    known.sort_unstable();
    MemoryError::configuration(format!(
        "unknown URL parameter{quoted}; known are: {}",
        known.join(", ")
    ))
}

fn parse_pooler(value: &str) -> MemoryResult<Pooler> {
    match value {
        "transaction" => Ok(Pooler::Transaction),
        "none" => Ok(Pooler::None),
        _ => Err(invalid_value("pooler", value, "transaction or none")),
    }
}

fn parse_switch(name: &str, value: &str) -> MemoryResult<bool> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(invalid_value(name, value, "on or off")),
    }
}

fn invalid_value(name: &str, value: &str, allowed: &str) -> MemoryError {
    MemoryError::configuration(format!(
        "invalid value {value:?} of the URL parameter {name}: must be one of {allowed}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(parameters: &str) -> Result<String, String> {
        let url = format!("postgres://app:secret@db/memories?{parameters}");
        let applied = PgOptions::new().apply_url_parameters(&url);
        applied.map_err(|error| error.to_string())
    }

    #[test]
    fn unknown_parameters_are_refused_by_name_with_the_known_ones() {
        for name in [
            "sslmod",
            "row_level_securty",
            "announcements",
            "connect_timeout",
        ] {
            let message = apply(&format!("user=app&{name}=on")).unwrap_err();
            assert!(message.contains(&format!("{name:?}")), "{message}");
            assert!(message.contains("sslmode"), "{message}");
            assert!(message.contains("row_level_security"), "{message}");
        }
    }

    #[test]
    fn duplicate_parameters_are_refused() {
        for parameters in [
            "sslmode=require&sslmode=disable",
            "sslmode=require&ssl-mode=disable",
            "pooler=none&pooler=transaction",
        ] {
            let message = apply(parameters).unwrap_err();
            assert!(message.contains("more than once"), "{message}");
        }
        apply("options[a]=1&options[b]=2").unwrap();
    }

    #[test]
    fn invalid_values_are_refused_with_the_allowed_ones() {
        for (parameters, allowed) in [
            ("sslmode=verify", "verify-full"),
            ("pooler=session", "transaction"),
            ("notify_changes", "on or off"),
        ] {
            let message = apply(parameters).unwrap_err();
            assert!(message.contains(allowed), "{message}");
        }
    }

    #[test]
    fn part_of_a_password_is_not_quoted() {
        let url = "postgres://app:what?hunter2@db/memories";
        let refused = PgOptions::new().apply_url_parameters(url).unwrap_err();
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }

    #[test]
    fn own_parameters_are_applied_and_removed() {
        let mut options = PgOptions::new();
        let url = "postgres://db/m?pooler=transaction&sslmode=disable&notify_changes=on";
        let rest = options.apply_url_parameters(url).unwrap();
        assert_eq!(rest, "postgres://db/m?sslmode=disable");
        assert_eq!(options.pooler, Pooler::Transaction);
        assert!(options.notify_changes);
    }
}
