//! Decay of importance over time and its boost by accesses.

use chrono::TimeDelta;

/// Seconds in a day, as decay rates are per day.
const SECONDS_PER_DAY: f64 = 86_400.0;

/// How much each e-fold of accesses adds: 10 %, as in the original system.
const ACCESS_WEIGHT: f64 = 0.1;

/// The most that a recent access adds, at the moment of the access.
const RECENT_ACCESS_BOOST: f64 = 0.1;

/// How long a recent access counts, in seconds; the boost falls to 0 over it.
const RECENT_ACCESS_SECONDS: f64 = 3_600.0;

/// Importance now:
/// `importance · exp(−decay_rate · age_days) · (1 + 0.1 · ln(max(access_count, 1)))`,
/// times up to 1.1 when the last access lies within the hour (falling linearly
/// to 1 over it; an access after `now` adds nothing).
///
/// The formula and the 0.1 are those of the original system, whose boost for a
/// recent access had no limit. A memory of the future (negative age) has not decayed.
/// The result is not clamped: an often recalled memory may exceed 1.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "f64 to f32 rounds, by design"
)]
pub fn current_importance(
    importance: f32,
    decay_rate: f32,
    age: TimeDelta,
    access_count: u64,
    since_access: Option<TimeDelta>,
) -> f32 {
    let age_days = (seconds(age) / SECONDS_PER_DAY).max(0.0);
    let decayed = f64::from(importance) * (-f64::from(decay_rate) * age_days).exp();
    (decayed * access_boost(access_count) * recent_access_boost(since_access)) as f32
}

/// The factor for accesses: `1 + 0.1 · ln(max(access_count, 1))`.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "counts beyond 2^53 are equally large"
)]
pub fn access_boost(access_count: u64) -> f64 {
    1.0 + ACCESS_WEIGHT * (access_count.max(1) as f64).ln()
}

fn recent_access_boost(since_access: Option<TimeDelta>) -> f64 {
    let Some(since) = since_access else {
        return 1.0;
    };
    if since < TimeDelta::zero() {
        return 1.0;
    }
    let freshness = 1.0 - seconds(since) / RECENT_ACCESS_SECONDS;
    1.0 + RECENT_ACCESS_BOOST * freshness.max(0.0)
}

fn seconds(delta: TimeDelta) -> f64 {
    delta.as_seconds_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_memory_has_the_importance_it_was_given() {
        assert_eq!(
            current_importance(0.8, 0.01, TimeDelta::zero(), 0, None),
            0.8
        );
        assert_eq!(
            current_importance(0.8, 0.01, TimeDelta::days(-3), 1, None),
            0.8
        );
    }

    // ln 2 / 0.01 per day = 69.31472 days.
    #[test]
    fn it_halves_after_ln2_over_lambda_days() {
        let age = TimeDelta::milliseconds(5_988_793_600);
        let got = current_importance(1.0, 0.01, age, 1, None);
        assert!((got - 0.5).abs() < 1e-5, "{got}");
    }

    #[test]
    fn use_lifts_it_slowly_and_a_fresh_access_by_a_tenth_at_most() {
        let at = |count, since| current_importance(0.5, 0.02, TimeDelta::zero(), count, since);
        assert!((at(100, None) - 0.5 * (1.0 + 0.1 * 100f32.ln())).abs() < 1e-6);
        assert!((at(1, Some(TimeDelta::zero())) - 0.55).abs() < 1e-6);
        assert!((at(1, Some(TimeDelta::minutes(30))) - 0.525).abs() < 1e-6);
        assert_eq!(at(1, Some(TimeDelta::hours(2))), 0.5);
        // An access after the moment in question.
        assert_eq!(at(1, Some(TimeDelta::seconds(-1))), 0.5);
    }
}
