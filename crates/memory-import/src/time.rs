//! The times of exports.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use memory::limits;

/// Formats without an offset, which count as UTC.
const WITHOUT_OFFSET: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
];

/// Parses RFC 3339, the same without an offset, or a date. A time without an offset
/// counts as UTC, a date as its beginning. `None` for anything else and outside the
/// years 1 to 9999.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let naive = || {
        let mut formats = WITHOUT_OFFSET.iter();
        formats.find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    let date = || {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(date.and_time(NaiveTime::MIN))
    };
    let time = memory_json::time::parse(text)
        .ok()
        .or_else(|| Some(naive().or_else(date)?.and_utc()))?;
    within_limits(time)
}

/// The time that is this many seconds after 1970 in UTC, to the microsecond.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked before"
)]
pub(crate) fn from_epoch_seconds(seconds: f64) -> Option<DateTime<Utc>> {
    // Beyond the years 1 to 9999, and small enough that microseconds fit 64 bits.
    const MAX_SECONDS: f64 = 1e12;
    if !(-MAX_SECONDS..=MAX_SECONDS).contains(&seconds) {
        return None;
    }
    let micros = (seconds * 1e6).round() as i64;
    within_limits(DateTime::from_timestamp_micros(micros)?)
}

/// The time of a file, to the microsecond; `None` outside the years 1 to 9999.
pub(crate) fn from_system_time(time: SystemTime) -> Option<DateTime<Utc>> {
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).ok();
    let micros = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => micros(after)?,
        Err(before) => -micros(before.duration())?,
    };
    within_limits(DateTime::from_timestamp_micros(micros)?)
}

/// The next microsecond: the time of what has none and follows something that has one.
pub(crate) fn next(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    within_limits(time.checked_add_signed(TimeDelta::microseconds(1))?)
}

fn within_limits(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let time = limits::to_micros(time);
    limits::check_timestamp(time).is_ok().then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_format_are_read_as_utc() {
        for (text, expected) in [
            ("2026-03-01T09:30:00.5+02:00", "2026-03-01T07:30:00.500000Z"),
            (
                "2026-03-01T09:30:00.123456789",
                "2026-03-01T09:30:00.123456Z",
            ),
            ("2026-03-01 09:30:00", "2026-03-01T09:30:00.000000Z"),
            (" 2026-03-01 09:30 ", "2026-03-01T09:30:00.000000Z"),
            ("2026-03-01", "2026-03-01T00:00:00.000000Z"),
        ] {
            let time = parse(text).unwrap();
            assert_eq!(memory_json::time::format_exact(time), expected, "{text}");
        }
        for text in ["", "yesterday", "2026-02-30", "10000-01-01", "12"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_of_files_outside_the_limits_are_unknown() {
        const YEAR: u64 = 31_556_952;
        let epoch = SystemTime::UNIX_EPOCH;
        let years = |count| Duration::from_secs(count * YEAR);
        let after = from_system_time(epoch + Duration::from_micros(1)).unwrap();
        assert_eq!(after.timestamp_micros(), 1);
        let before = from_system_time(epoch - Duration::from_micros(1)).unwrap();
        assert_eq!(before.timestamp_micros(), -1);
        assert!(from_system_time(epoch + years(8_000)).is_some());
        // The year 318,857, and what no date of chrono can be.
        for far in [8_100, 316_887, 400_000, 250_000_000_000] {
            assert_eq!(from_system_time(epoch + years(far)), None, "{far} years");
        }
        assert_eq!(from_system_time(epoch - years(2_000)), None);
    }

    #[test]
    fn epoch_seconds_keep_their_fraction() {
        let time = from_epoch_seconds(1_772_357_400.25).unwrap();
        assert_eq!(
            memory_json::time::format_exact(time),
            "2026-03-01T09:30:00.250000Z"
        );
        for bad in [f64::NAN, f64::INFINITY, 1e300, -1e11, 1e12] {
            assert_eq!(from_epoch_seconds(bad), None, "{bad}");
        }
    }
}
