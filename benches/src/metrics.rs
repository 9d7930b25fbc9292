//! Percentiles, retrieval scores and the process's peak memory.

use std::collections::BTreeSet;
use std::time::Duration;

/// Durations collected over a run.
#[derive(Debug, Default)]
pub struct Timings(Vec<Duration>);

impl Timings {
    /// Adds a duration.
    pub fn push(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// Adds the durations of another run.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The `p` quantile (0 to 1), by nearest rank; zero without durations.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a list of measurements"
    )]
    pub fn percentile(&self, p: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted
            .get((last as f64 * p).round() as usize)
            .copied()
            .unwrap_or_default()
    }
}

/// The share of the evidence among the first `k` results, 0 to 1.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "small counts")]
pub fn recall_at(k: usize, recalled: &[String], evidence: &BTreeSet<String>) -> f64 {
    let found = recalled
        .iter()
        .take(k)
        .filter(|id| evidence.contains(*id))
        .count();
    found as f64 / evidence.len().max(1) as f64
}

/// One over the rank of the first evidence; 0 if none was recalled.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "small ranks")]
pub fn reciprocal_rank(recalled: &[String], evidence: &BTreeSet<String>) -> f64 {
    let rank = recalled.iter().position(|id| evidence.contains(id));
    rank.map_or(0.0, |rank| 1.0 / (rank + 1) as f64)
}

/// The peak resident memory of this process in mebibytes; `None` where the
/// system does not report it (other than Linux).
#[must_use]
pub fn peak_memory_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_pushed_durations() {
        let mut timings = Timings::default();
        assert_eq!(timings.percentile(0.5), Duration::ZERO);
        (1..=101u64)
            .rev()
            .for_each(|ms| timings.push(Duration::from_millis(ms)));
        assert_eq!(timings.percentile(0.5), Duration::from_millis(51));
        assert_eq!(timings.percentile(1.0), Duration::from_millis(101));
    }

    #[test]
    fn scores_count_the_recalled_evidence() {
        let evidence = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let recalled = ["x", "a", "y", "b"].map(String::from);
        assert_eq!(recall_at(2, &recalled, &evidence), 0.5);
        assert_eq!(recall_at(4, &recalled, &evidence), 1.0);
        assert_eq!(reciprocal_rank(&recalled, &evidence), 0.5);
        assert_eq!(reciprocal_rank(&recalled[..1], &evidence), 0.0);
    }
}
