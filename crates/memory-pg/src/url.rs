//! The connection URL: checking it and its parameters, and applying the parameters
//! that this crate defines.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use memory_core::{MemoryError, MemoryResult};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

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
const OWN_PARAMETERS: &[&str] = &[
    "load_timeout",
    "notify_changes",
    "pooler",
    "row_level_security",
    "statement_timeout",
];

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

/// URLs, which may have passwords and so are not shown.
#[derive(Clone, Default)]
pub(crate) struct ReplicaUrls(pub(crate) Vec<String>);

impl fmt::Debug for ReplicaUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} URLs", self.0.len())
    }
}

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
                "statement_timeout" => self.statement_timeout = parse_seconds(name, value)?,
                "load_timeout" => self.load_timeout = parse_seconds(name, value)?,
                "sslmode" if !SSL_MODES.contains(&value) => {
                    return Err(invalid_value(
                        name,
                        value,
                        &format!("one of {}", SSL_MODES.join(", ")),
                    ));
                }
                "port" if value.parse::<u16>().is_err() => {
                    return Err(invalid_value(name, value, "from 0 to 65535"));
                }
                "hostaddr" if value.parse::<IpAddr>().is_err() => {
                    return Err(invalid_value(name, value, "an IP address"));
                }
                "statement-cache-capacity" if value.parse::<usize>().is_err() => {
                    return Err(invalid_value(name, value, "a whole number, 0 or more"));
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

/// The options of connections to the server of a URL whose parameters were checked.
///
/// # Errors
/// As [`parse`]; [`MemoryError::Configuration`] where the URL requires TLS and this build
/// has none.
pub(crate) fn connect_options(url: &str) -> MemoryResult<PgConnectOptions> {
    check_tls(parse(url)?)
}

/// Parses a URL whose parameters were checked.
///
/// # Errors
/// [`MemoryError::Configuration`] without a part of the URL, as every part may be
/// one of a password with an unescaped character.
fn parse(url: &str) -> MemoryResult<PgConnectOptions> {
    check_escapes(url)?;
    let options = PgConnectOptions::from_str(url).map_err(|error| malformed(&cause(&error)))?;
    if options.get_socket().is_some() {
        return Ok(options);
    }
    let host = options.get_host();
    if host.is_empty() {
        return Err(malformed("the host is empty"));
    }
    if host.contains(',') {
        return Err(malformed(
            "several hosts are not supported; name one, which may be a proxy",
        ));
    }
    // In a URL an IPv6 address is in brackets, and to the driver that is a name.
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    Ok(match address.map(str::to_owned) {
        Some(address) => options.host(&address),
        None => options,
    })
}

/// The driver takes a malformed escape as it is, and what follows a `#` not at all.
fn check_escapes(url: &str) -> MemoryResult<()> {
    if url.contains('#') {
        return Err(malformed("it contains #, which must be written as %23"));
    }
    let mut escapes = url.split('%').skip(1);
    let is_hex = |escape: &str| {
        let digits = escape.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    match escapes.all(is_hex) {
        true => Ok(()),
        false => Err(malformed(
            "each % must be followed by two hexadecimal digits; a % itself is written as %25",
        )),
    }
}

/// What the URL's parser says, which quotes nothing; other messages may.
fn cause(error: &sqlx::Error) -> String {
    let sqlx::Error::Configuration(source) = error else {
        return "invalid value".to_owned();
    };
    let syntax = source.downcast_ref::<::url::ParseError>();
    syntax.map_or_else(|| "invalid value".to_owned(), ToString::to_string)
}

fn malformed(cause: &str) -> MemoryError {
    MemoryError::configuration(format!(
        "cannot parse the database URL: {cause}; the expected form is \
         postgres://user:password@host:5432/database?parameter=value, with @ : / ? # % in a name \
         or password as %40 %3A %2F %3F %23 %25"
    ))
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

/// Connections by a Unix socket use no TLS. Where this build has none, the modes
/// that require it are refused.
fn check_tls(options: PgConnectOptions) -> MemoryResult<PgConnectOptions> {
    if options.get_socket().is_some() || options.get_host().starts_with('/') {
        return Ok(options.ssl_mode(PgSslMode::Disable));
    }
    let mode = options.get_ssl_mode();
    let is_required = matches!(
        mode,
        PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull
    );
    if is_required && !cfg!(feature = "tls") {
        return Err(MemoryError::configuration(
            "the database URL requires TLS (sslmode), and this build has no TLS; build with the \
             feature tls",
        ));
    }
    Ok(options)
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

fn parse_seconds(name: &str, value: &str) -> MemoryResult<Duration> {
    // The server counts milliseconds in 31 bits.
    let seconds = value.parse().ok().filter(|it| (1..=2_147_483).contains(it));
    let seconds = seconds.map(Duration::from_secs);
    seconds.ok_or_else(|| invalid_value(name, value, "a whole number of seconds, 1 to 2147483"))
}

fn invalid_value(name: &str, value: &str, allowed: &str) -> MemoryError {
    MemoryError::configuration(format!(
        "invalid value {value:?} of the URL parameter {name}: must be {allowed}"
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
            ("load_timeout=5min", "seconds"),
            ("load_timeout=0", "seconds"),
            ("statement_timeout=2147484", "2147483"),
        ] {
            let message = apply(parameters).unwrap_err();
            assert!(message.contains(allowed), "{message}");
        }
    }

    #[test]
    fn part_of_a_password_is_not_quoted() {
        for url in [
            "postgres://app:what?hunter2@db/memories",
            "postgres://app:hunter2#x@db/memories",
            "postgres://app:hunter2/x@db/memories",
            "postgres://app:hunter2%@db/memories",
            "postgres://app:hunter2%zz@db/memories",
            "postgres://app@hunter2:99999/memories",
        ] {
            let applied = PgOptions::new().apply_url_parameters(url);
            let refused = applied.and_then(|url| parse(&url)).unwrap_err();
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn malformed_urls_are_refused_with_their_fault() {
        for (url, fault) in [
            ("postgres://db:99999/m", "invalid port number"),
            ("postgres://a:1,b:2/m", "invalid port number"),
            ("postgres://a,b/m", "several hosts"),
            ("postgres://db/m?host=a,b", "several hosts"),
            ("postgres://db/m?host=", "host is empty"),
            ("postgres://[::1/m", "invalid IPv6 address"),
            ("postgres://db/m?port=99999", "0 to 65535"),
            ("postgres://db/m?hostaddr=db", "IP address"),
            ("postgres://db/m%2", "hexadecimal"),
            ("postgres://db/m?password=%x1", "hexadecimal"),
            ("postgres://db/m#x", "%23"),
        ] {
            let applied = PgOptions::new().apply_url_parameters(url);
            let refused = applied.and_then(|url| parse(&url)).unwrap_err().to_string();
            assert!(refused.contains(fault), "{url}: {refused}");
        }
    }

    #[test]
    fn every_form_of_a_host_is_parsed() {
        for (url, host) in [
            ("postgres://db/m", "db"),
            ("postgres://10.0.0.1:5433/m", "10.0.0.1"),
            ("postgres://app:p%40ss@[::1]:5433/m", "::1"),
            ("postgres://[2001:db8::1]/m", "2001:db8::1"),
            ("postgres://db/m?host=::1", "::1"),
            ("postgres://db/m?host=[::1]", "::1"),
            ("postgres://db/m?hostaddr=::1", "::1"),
        ] {
            assert_eq!(parse(url).unwrap().get_host(), host, "{url}");
        }
        for url in ["postgres://%2Frun%2Fpg/m", "postgres:///m?host=/run/pg"] {
            let options = parse(url).unwrap();
            let socket = options.get_socket().unwrap();
            assert_eq!(socket.to_str(), Some("/run/pg"), "{url}");
        }
    }

    #[test]
    fn own_parameters_are_applied_and_removed() {
        let mut options = PgOptions::new();
        let url = "postgres://db/m?pooler=transaction&sslmode=disable&notify_changes=on\
                   &statement_timeout=60&load_timeout=600";
        let rest = options.apply_url_parameters(url).unwrap();
        assert_eq!(rest, "postgres://db/m?sslmode=disable");
        assert_eq!(options.pooler, Pooler::Transaction);
        assert!(options.notify_changes);
        assert_eq!(options.statement_timeout, Duration::from_secs(60));
        assert_eq!(options.load_timeout, Duration::from_secs(600));
    }
}
