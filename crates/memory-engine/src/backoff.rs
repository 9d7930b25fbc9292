//! Backoff between tries of a write that other writers conflict with.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Waits before the next try, at random up to 2 ms per try made (40 ms at most),
/// so that writers that conflicted once are unlikely to conflict again.
pub(crate) async fn jittered_backoff(tries: u32) {
    // A new hasher is randomly seeded, which is random enough for jitter.
    let random = RandomState::new().build_hasher().finish() % 1_000;
    let most = Duration::from_millis(2) * tries.min(20);
    tokio::time::sleep(most.mul_f64(f64::from(u16::try_from(random).unwrap_or(500)) / 1_000.0))
        .await;
}
