//! Exponential backoff between retries.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The settings of the backoff.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// The upper limit of the delay before the first retry. It doubles with
    /// each further retry.
    pub(crate) initial: Duration,
    /// The maximum delay, including what the endpoint asks for.
    pub(crate) max: Duration,
}

impl Backoff {
    /// The delay before retry number `retry` (from 0), if the endpoint asks for
    /// `retry_after`; `None` if it asks for more than the maximum, because it
    /// would reject any earlier request.
    ///
    /// Exponential backoff with "equal jitter" (Brooker, *Exponential Backoff
    /// And Jitter*, AWS Architecture Blog, 2015): with
    /// `d = min(initial · 2^retry, max)`, the delay is `d/2 + random · d/2`
    /// for a `random` from 0 to 1. It is added to `retry_after`, so that
    /// clients that were rejected at the same time do not all return at the
    /// same time.
    pub(crate) fn delay(
        self,
        retry: u32,
        retry_after: Option<Duration>,
        random: f64,
    ) -> Option<Duration> {
        let doubled = 2_u32
            .checked_pow(retry)
            .and_then(|factor| self.initial.checked_mul(factor));
        let half = doubled.unwrap_or(self.max).min(self.max) / 2;
        let backoff = half + half.mul_f64(random.clamp(0.0, 1.0));
        match retry_after {
            Some(asked) if asked > self.max => None,
            Some(asked) => Some((asked + backoff).min(self.max)),
            None => Some(backoff),
        }
    }
}

/// Parses `Retry-After`: seconds or a date (RFC 9110, section 10.2.3). An
/// invalid header is ignored.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
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

    const BACKOFF: Backoff = Backoff {
        initial: Duration::from_millis(500),
        max: Duration::from_secs(30),
    };

    fn millis(retry: u32, retry_after: Option<u64>, random: f64) -> Option<u128> {
        let delay = BACKOFF.delay(retry, retry_after.map(Duration::from_secs), random);
        delay.map(|delay| delay.as_millis())
    }

    #[test]
    fn the_delay_doubles_up_to_the_maximum() {
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
    fn the_delay_is_at_least_what_the_endpoint_asks_for() {
        assert_eq!(millis(0, Some(2), 0.0), Some(2_250));
        assert_eq!(millis(0, Some(2), 1.0), Some(2_500));
        assert_eq!(millis(0, Some(0), 0.0), Some(250));
        assert_eq!(millis(0, Some(30), 1.0), Some(30_000));
        assert_eq!(millis(0, Some(31), 0.0), None);
        assert_eq!(millis(0, Some(u64::MAX), 0.0), None);
    }

    #[test]
    fn the_header_is_in_seconds_or_a_date() {
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let parsed = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            retry_after(&headers, now).map(|delay| delay.as_secs())
        };
        assert_eq!(parsed("120"), Some(120));
        assert_eq!(parsed("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(parsed("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        for invalid in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(parsed(invalid), None, "{invalid}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
