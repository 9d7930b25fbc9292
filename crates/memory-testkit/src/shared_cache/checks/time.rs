//! The clock of the cache.

use memory_core::{SharedEntry, SharedKey, SharedTime};

use crate::check::{CheckFailure, CheckResult, ensure};
use crate::shared_cache::CheckContext;
use crate::shared_cache::context::random;

/// Later calls have a later time, or the same.
pub async fn never_goes_back(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    let mut last = context.now(key).await?;
    for _ in 0..50 {
        let now = context.now(key).await?;
        ensure!(now >= last, "the clock went back from {last:?} to {now:?}");
        last = now;
    }
    context.later(key).await?;
    Ok(())
}

/// Keys of one group can be compared in time.
pub async fn is_the_same_for_a_group(context: &CheckContext<'_>) -> CheckResult {
    let group = context.group();
    let mut last = SharedTime(0);
    for _ in 0..20 {
        let now = context.now(SharedKey::new(group, random())).await?;
        ensure!(
            now >= last,
            "another key's clock was at {now:?}, before {last:?}"
        );
        last = now;
    }
    Ok(())
}

/// Nothing was read in the future, not even a little: a clock that was set back is not
/// trusted, and a removal meanwhile would be earlier than the value.
pub async fn in_the_future_is_refused(context: &CheckContext<'_>) -> CheckResult {
    /// A machine may stop for a while between two calls.
    const TRIES: usize = 5;
    const SECOND: u64 = 1_000_000;
    for ahead in [2 * SECOND, 60 * SECOND, 3_600 * SECOND] {
        for round in 1..=TRIES {
            let key = context.key();
            let later = SharedTime(context.now(key).await?.0 + ahead);
            let written = context.put(key, (1, later), b"later").await?;
            if !written {
                context.expect(key, None, "after a refused put").await?;
                break;
            }
            let has_passed = context.now(key).await? >= later;
            ensure!(has_passed, "a time {ahead} µs in the future was accepted");
            ensure!(round < TRIES, "each of {TRIES} calls took {ahead} µs");
        }
    }
    Ok(())
}

/// A put that is older than what is remembered of removals is refused.
pub async fn too_far_back_is_refused(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    let now = context.now(key).await?;
    let limit = SharedEntry::MAX_PUT_DELAY.as_secs() * 1_000_000;
    // A clock that counts from the start of the cache may not have these times yet.
    let old = now.0.checked_sub(limit + 1);
    if let Some(old) = old {
        let written = context.put(key, (1, SharedTime(old)), b"old").await?;
        ensure!(!written, "a time too far back was accepted");
        context.expect(key, None, "after a refused put").await?;
    }
    // Half of the limit leaves time for a slow machine.
    if let Some(recent) = now.0.checked_sub(limit / 2) {
        let recent = (1, SharedTime(recent));
        let written = context.put(key, recent, b"recent").await?;
        ensure!(written, "a time within the limit was refused");
    }
    if old.is_none() {
        let why = "the clock of the cache is younger than a put may be late".to_owned();
        return Err(CheckFailure::NotApplicable(why));
    }
    Ok(())
}
