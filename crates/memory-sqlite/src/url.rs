//! Parsing of database URLs.

use std::path::PathBuf;

use memory_core::{MemoryError, MemoryResult};

use crate::options::{Access, Location};

/// The parts of a database URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DatabaseUrl {
    pub(crate) location: Location,
    pub(crate) access: Access,
}

/// Parses `sqlite:` URLs; text without a scheme is a path, taken literally.
pub(crate) fn parse(text: &str) -> MemoryResult<DatabaseUrl> {
    let Some(rest) = strip_scheme(text)? else {
        return Ok(DatabaseUrl {
            location: location(text.to_owned())?,
            access: Access::Create,
        });
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut access = Access::Create;
    let mut in_memory = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair {
            "mode=ro" => access = Access::Read,
            "mode=rw" => access = Access::Write,
            "mode=rwc" => access = Access::Create,
            "mode=memory" => in_memory = true,
            other => {
                return Err(MemoryError::configuration(format!(
                    "unknown parameter {other:?} in the database URL; allowed: mode=ro, mode=rw, mode=rwc, mode=memory"
                )));
            }
        }
    }
    let location = if in_memory {
        Location::Memory
    } else {
        location(percent_decode(path)?)?
    };
    Ok(DatabaseUrl { location, access })
}

/// The text after `sqlite:` or `sqlite://`; `None` for a plain path.
fn strip_scheme(text: &str) -> MemoryResult<Option<&str>> {
    match text.split_once(':') {
        // As in every URL, upper and lower case are the same.
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sqlite") => {
            Ok(Some(rest.strip_prefix("//").unwrap_or(rest)))
        }
        Some((scheme, rest)) if rest.starts_with("//") && is_scheme(scheme) => {
            Err(MemoryError::configuration(format!(
                "unsupported URL scheme {scheme:?}; the SQLite store opens sqlite:// URLs and paths"
            )))
        }
        _ => Ok(None),
    }
}

/// Whether text is a URL scheme: a letter, then letters, digits, `+`, `-` and
/// `.` (RFC 3986, section 3.1).
fn is_scheme(text: &str) -> bool {
    let is_scheme_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(is_scheme_byte)
}

fn location(path: String) -> MemoryResult<Location> {
    match path.as_str() {
        "" => Err(MemoryError::configuration(
            "the database URL has no path; give a path such as sqlite://agent.db, or :memory:",
        )),
        ":memory:" => Ok(Location::Memory),
        _ => Ok(Location::File(PathBuf::from(path))),
    }
}

/// Decodes percent-encoded bytes.
fn percent_decode(path: &str) -> MemoryResult<String> {
    let malformed = || {
        MemoryError::configuration(
            "invalid path in the database URL: each % must be followed by two hexadecimal digits, and the result must be UTF-8",
        )
    };
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = tail.get(..2).ok_or_else(malformed)?;
        let [high, low] = [digits[0], digits[1]].map(|digit| char::from(digit).to_digit(16));
        let value = high.zip(low).map(|(high, low)| high * 16 + low);
        let value = value.and_then(|value| u8::try_from(value).ok());
        bytes.push(value.ok_or_else(malformed)?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, access: Access) -> DatabaseUrl {
        let location = Location::File(path.into());
        DatabaseUrl { location, access }
    }

    #[test]
    fn urls_and_paths_are_parsed_as_documented() {
        for (text, wanted) in [
            ("agent.db", file("agent.db", Access::Create)),
            (
                "/data/a b?c%20.db",
                file("/data/a b?c%20.db", Access::Create),
            ),
            ("sqlite:agent.db", file("agent.db", Access::Create)),
            ("sqlite://agent.db", file("agent.db", Access::Create)),
            ("SQLite://agent.db", file("agent.db", Access::Create)),
            ("./a://b", file("./a://b", Access::Create)),
            (
                "sqlite:///data/agent.db",
                file("/data/agent.db", Access::Create),
            ),
            (
                "sqlite://a%20b%3F.db?mode=ro",
                file("a b?.db", Access::Read),
            ),
            (
                "sqlite://%E8%A8%98.db?mode=rw",
                file("記.db", Access::Write),
            ),
            (
                "sqlite://agent.db?mode=rwc",
                file("agent.db", Access::Create),
            ),
        ] {
            assert_eq!(parse(text).unwrap(), wanted, "{text}");
        }
        for text in [
            ":memory:",
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite://?mode=memory",
        ] {
            assert_eq!(parse(text).unwrap().location, Location::Memory, "{text}");
        }
    }

    #[test]
    fn unknown_schemes_parameters_and_encodings_are_refused() {
        for text in [
            "",
            "sqlite:",
            "sqlite://",
            "postgres://host/db",
            "postgresql+asyncpg://host/db",
            "sqlite3://agent.db",
            "sqlite://a.db?mode=fast",
            "sqlite://a.db?cache=shared",
            "sqlite://a%2.db",
            "sqlite://a%zz.db",
            "sqlite://a%FF.db",
        ] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, MemoryError::Configuration { .. }), "{text}");
        }
    }
}
