//! Requests per second for each token.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::StatusCode;
use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::problem::Problem;

/// A token bucket for each token: it holds the requests of one second, and is filled at
/// that rate. Only ids of valid tokens become keys, so there are no more than tokens.
pub(crate) struct RateLimit {
    limiter: DefaultKeyedRateLimiter<String>,
    per_second: NonZeroU32,
}

impl RateLimit {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self {
            limiter: RateLimiter::keyed(Quota::per_second(per_second)),
            per_second,
        }
    }

    /// Counts a request of a token; refuses it with 429 where the bucket is empty.
    pub(crate) fn check(&self, token_id: &str) -> Result<(), Problem> {
        let outcome = self.limiter.check_key(&token_id.to_owned());
        outcome.map_err(|until| {
            let wait = until.wait_time_from(self.limiter.clock().now());
            let per_second = self.per_second;
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Too many requests",
                format!("the token may send {per_second} requests per second; wait, then repeat"),
            )
            .retryable(true)
            .retry_after(wait)
        })
    }
}

/// A duration in whole seconds, rounded up, and at least one.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    let begun = u64::from(duration.subsec_nanos() > 0);
    (duration.as_secs() + begun).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_has_its_own_bucket() {
        let limit = RateLimit::new(NonZeroU32::new(3).unwrap());
        let accepted = |token: &str| (0..50).filter(|_| limit.check(token).is_ok()).count();
        // Some may have been filled up meanwhile.
        assert!((3..50).contains(&accepted("a")));
        assert!((3..50).contains(&accepted("b")));
    }

    #[test]
    fn waits_are_rounded_up() {
        for (millis, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }
}
