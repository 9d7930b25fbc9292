//! Backoff between tries of a write that other writers conflict with.

use std::time::Duration;

use tokio::time::sleep;

/// Waits before the next try, at random up to 2 ms per try made (40 ms at most),
/// so that writers that conflicted once are unlikely to conflict again.
pub(crate) async fn jittered_backoff(tries: u32) {
    let most = Duration::from_millis(2) * tries.min(20);
    sleep(most.mul_f64(fastrand::f64())).await;
}
