//! How long to wait before a request is sent again.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The bounds of a wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    /// The whole wait before the first retry; each further one doubles it.
    pub(crate) first: Duration,
    /// The longest wait, the endpoint's wishes included.
    pub(crate) longest: Duration,
}

impl Waits {
    /// The wait before retry number `retry` (from 0), when the endpoint asks
    /// for `asked`; `None` when it asks for more than the longest wait, as any
    /// earlier request would be in vain.
    ///
    /// Exponential backoff with "equal jitter" (Brooker, *Exponential Backoff
    /// And Jitter*, AWS Architecture Blog, 2015): half of the wait is fixed and
    /// `dice`, from 0 to 1, says how much of the other half is added. What the
    /// endpoint asks for comes on top, so that all whom it sent away at once do
    /// not come back at once.
    pub(crate) fn before(self, retry: u32, asked: Option<Duration>, dice: f64) -> Option<Duration> {
        let doubled = 2_u32
            .checked_pow(retry)
            .map(|by| self.first.checked_mul(by));
        let whole = doubled.flatten().unwrap_or(self.longest).min(self.longest);
        let backoff = whole / 2 + (whole / 2).mul_f64(dice.clamp(0.0, 1.0));
        match asked {
            Some(asked) if asked > self.longest => None,
            Some(asked) => Some((asked + backoff).min(self.longest)),
            None => Some(backoff),
        }
    }
}

/// What `Retry-After` asks for: seconds, or a date (RFC 9110, section 10.2.3).
/// A header that does not read is none.
pub(crate) fn after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Waits = Waits {
        first: Duration::from_millis(500),
        longest: Duration::from_secs(30),
    };

    fn millis(retry: u32, asked: Option<u64>, dice: f64) -> Option<u128> {
        let wait = WAITS.before(retry, asked.map(Duration::from_secs), dice);
        wait.map(|wait| wait.as_millis())
    }

    #[test]
    fn each_wait_is_twice_the_one_before() {
        for (retry, least, most) in [
            (0, 250, 500),
            (1, 500, 1_000),
            (3, 2_000, 4_000),
            (6, 15_000, 30_000),
            (u32::MAX, 15_000, 30_000),
        ] {
            assert_eq!(millis(retry, None, 0.0), Some(least));
            assert_eq!(millis(retry, None, 1.0), Some(most));
        }
    }

    #[test]
    fn nobody_comes_back_before_the_endpoint_asks_for_it() {
        assert_eq!(millis(0, Some(2), 0.0), Some(2_250));
        assert_eq!(millis(0, Some(2), 1.0), Some(2_500));
        assert_eq!(millis(0, Some(0), 0.0), Some(250));
        assert_eq!(millis(0, Some(30), 1.0), Some(30_000));
        assert_eq!(millis(0, Some(31), 0.0), None);
        assert_eq!(millis(0, Some(u64::MAX), 0.0), None);
    }

    #[test]
    fn the_header_is_seconds_or_a_date() {
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let of = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(of("120"), Some(120));
        assert_eq!(of("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(of("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        for unreadable in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(of(unreadable), None, "{unreadable}");
        }
        assert_eq!(after(&HeaderMap::new(), now), None);
    }
}
