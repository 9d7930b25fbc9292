//! Moments as text: RFC 3339, in UTC, to the microsecond.

use chrono::{DateTime, SecondsFormat, Utc};

/// What a moment must look like, for messages.
pub(crate) const FORM: &str = "an RFC 3339 time such as 2026-03-01T09:30:00Z";

/// Reads an RFC 3339 time, with any offset. What is finer than a microsecond
/// is cut off, and a leap second becomes the second after it: so that it is
/// here what it will be when it comes back from a store.
pub(crate) fn parse(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .and_then(|time| DateTime::from_timestamp_micros(time.timestamp_micros()))
        .ok_or_else(|| format!("it must be {FORM}"))
}

/// In full, for files and cursors: `2026-03-01T09:30:00.000000Z`.
pub(crate) fn exact(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// To the second, for the eye: `2026-03-01T09:30:00Z`.
pub(crate) fn brief(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for text in [
            "0001-01-01T00:00:00.000000Z",
            "1969-12-31T23:59:59.999999Z",
            "2026-03-01T09:30:00.123456Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            assert_eq!(exact(parse(text).unwrap()), text);
        }
    }

    #[test]
    fn offsets_fractions_and_leap_seconds_become_plain() {
        let written = |text| exact(parse(text).unwrap());
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

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "2026-03-01", "2026-03-01T09:30:00", "yesterday", "0"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
