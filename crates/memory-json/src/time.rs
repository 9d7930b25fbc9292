//! Parsing and formatting times: RFC 3339, in UTC, to the microsecond.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, de::Error};

/// The accepted format, for error messages.
pub const EXPECTED_FORMAT: &str = "an RFC 3339 time such as 2026-03-01T09:30:00Z";

/// Parses an RFC 3339 time with any offset. It is truncated to the microsecond,
/// and a leap second becomes the second after it, because that is what a store
/// returns.
///
/// # Errors
/// What the text must be, for people; it completes "X is TEXT; …".
pub fn parse(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .and_then(|time| DateTime::from_timestamp_micros(time.timestamp_micros()))
        .ok_or_else(|| format!("it must be {EXPECTED_FORMAT}"))
}

/// Parses an RFC 3339 time with any offset as it is, for filters: a bound between two
/// microseconds is not one at the first of them.
///
/// # Errors
/// As [`parse`].
pub fn parse_exact(text: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(text).map(DateTime::<Utc>::from);
    time.map_err(|_| format!("it must be {EXPECTED_FORMAT}"))
}

/// Reads an optional time as [`parse_exact`] does: what serde reads as a time need not be RFC
/// 3339. For fields with `#[serde(default)]`.
///
/// # Errors
/// For what is no text, or no such time.
pub fn deserialize<'de, D: Deserializer<'de>>(value: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = Option::<String>::deserialize(value)?;
    let time = text.map(|text| parse_exact(&text)).transpose();
    time.map_err(D::Error::custom)
}

/// Formats with microseconds, for files and cursors: `2026-03-01T09:30:00.000000Z`.
pub fn format_exact(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Formats with seconds, for people: `2026-03-01T09:30:00Z`.
pub fn format_seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatted_times_parse_back() {
        for text in [
            "0001-01-01T00:00:00.000000Z",
            "1969-12-31T23:59:59.999999Z",
            "2026-03-01T09:30:00.123456Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            assert_eq!(format_exact(parse(text).unwrap()), text);
        }
    }

    #[test]
    fn offsets_fractions_and_leap_seconds_are_normalized() {
        let written = |text| format_exact(parse(text).unwrap());
        assert_eq!(
            written("2026-03-01T09:30:00+02:00"),
            "2026-03-01T07:30:00.000000Z"
        );
        assert_eq!(
            written("2026-03-01T09:30:00.1234567Z"),
            "2026-03-01T09:30:00.123456Z"
        );
        assert_eq!(
            written("2016-12-31T23:59:60Z"),
            "2017-01-01T00:00:00.000000Z"
        );
    }

    fn read(text: &str) -> Result<Option<DateTime<Utc>>, serde_json::Error> {
        deserialize(serde_json::Value::from(text))
    }

    #[test]
    fn other_formats_are_refused() {
        for text in [
            "",
            "2026-03-01",
            "2026-03-01T09:30:00",
            "2026-03-01 09:30:00 +0200",
            "2026-03-01T09:30:00+0200",
            "yesterday",
            "0",
        ] {
            assert!(parse(text).is_err(), "{text}");
            assert!(parse_exact(text).is_err(), "{text}");
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bounds_of_filters_keep_all_digits() {
        let text = "2026-03-01T09:30:00.1234567Z";
        let exact = parse_exact(text).unwrap();
        assert!(exact > parse(text).unwrap());
        assert_eq!(read(text).unwrap(), Some(exact));
        assert_eq!(deserialize(serde_json::Value::Null).unwrap(), None);
    }
}
