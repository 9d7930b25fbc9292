//! Puts are ordered by version, then by time.

use crate::check::{CheckResult, ensure};
use crate::shared_cache::CheckContext;

/// A higher version replaces a lower one, also with an earlier time.
pub async fn replace_lower_ones(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    let early = context.now(key).await?;
    context.put_now(key, 1, b"one").await?;
    context.put_now(key, 2, b"two").await?;
    context.expect(key, Some(b"two"), "after version 2").await?;
    ensure!(
        context.put(key, (3, early), b"three").await?,
        "a higher version with an earlier time was refused"
    );
    context.expect(key, Some(b"three"), "after version 3").await
}

/// A lower version is refused, also with a later time.
pub async fn never_replace_higher_ones(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    context.put_now(key, 5, b"five").await?;
    let now = context.later(key).await?;
    let written = context.put(key, (4, now), b"four").await?;
    context
        .expect(key, Some(b"five"), "after version 4")
        .await?;
    ensure!(!written, "a lower version was reported as written");
    Ok(())
}

/// Versions are numbers of 64 bits, not text and not floating point.
pub async fn are_compared_as_numbers(context: &CheckContext<'_>) -> CheckResult {
    for (low, high) in [
        (9, 10),
        (99, 100),
        (1 << 53, (1 << 53) + 1),
        (1 << 63, (1 << 63) + 1),
        (u64::MAX - 1, u64::MAX),
    ] {
        let key = context.key();
        context.put_now(key, low, b"low").await?;
        context.put_now(key, high, b"high").await?;
        let now = context.later(key).await?;
        let written = context.put(key, (low, now), b"low").await?;
        ensure!(!written, "{low} replaced {high}");
        context.expect(key, Some(b"high"), "the higher one").await?;
    }
    Ok(())
}

/// Of two values of one version, the one with the later time stays.
pub async fn that_are_equal_are_ordered_by_time(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    let early = context.now(key).await?;
    let middle = context.put_now(key, 4, b"middle").await?;
    for time in [early, middle] {
        let written = context.put(key, (4, time), b"early").await?;
        ensure!(!written, "an equal version with no later time was written");
    }
    context
        .expect(key, Some(b"middle"), "the later one")
        .await?;
    context.put_now(key, 4, b"late").await?;
    context.expect(key, Some(b"late"), "the latest one").await
}
