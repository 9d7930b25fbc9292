//! Calls at the same time do not disturb each other.

use futures_util::future::{join, join_all};

use crate::check::{At, CheckResult, ensure_eq};
use crate::seeded_rng::SeededRng;
use crate::shared_cache::CheckContext;
use crate::shared_cache::context::entry;
use crate::timing::drop_after;

/// Whatever the order in which puts and removals arrive.
pub async fn the_highest_version_wins(context: &CheckContext<'_>) -> CheckResult {
    let mut rng = SeededRng::new(0x5eed);
    for _ in 0..8 {
        let key = context.key();
        let now = context.later(key).await?;
        let mut versions: Vec<u64> = (1..=24).collect();
        rng.shuffle(&mut versions);
        let puts = versions.iter().map(|&version| async move {
            let value = version.to_be_bytes();
            if version % 3 == 0 {
                context.remove(key, version - 1).await
            } else {
                let entry = entry(key, version, now, &value);
                context.put_all(&[entry]).await.map(drop)
            }
        });
        for put in join_all(puts).await {
            put.at("one of many calls")?;
        }
        // The last of them is the removal of version 23.
        context
            .expect(key, None, "after all puts and removals")
            .await?;
        context.put_now(key, 24, b"last").await?;
        context
            .expect(key, Some(b"last"), "a higher version")
            .await?;
    }
    Ok(())
}

/// A dropped call affects no other call, concurrent or later.
pub async fn dropped_calls_have_no_effect(context: &CheckContext<'_>) -> CheckResult {
    let stable = context.key();
    context.put_now(stable, 1, b"stable").await?;
    for round in 0..24 {
        let given_up = context.key();
        let now = context.now(given_up).await?;
        let large = entry(given_up, 1, now, &vec![7; 100_000]);
        let large = [large];
        let put = context.cache().put_many(&large);
        let (_, concurrent) = join(drop_after(round, put), context.get(stable)).await;
        let bytes = concurrent
            .at("concurrent with a dropped call")?
            .map(|value| value.bytes);
        ensure_eq!(
            bytes,
            Some(b"stable".to_vec()),
            "concurrent with a dropped call"
        );
        let keys = [stable];
        drop_after(round, context.cache().get_many(&keys)).await;
        context
            .expect(stable, Some(b"stable"), "after a dropped call")
            .await?;
        // The dropped put was done or not.
        if let Some(value) = context.get(given_up).await? {
            ensure_eq!(value.bytes.len(), 100_000, "bytes of a dropped put");
        }
    }
    Ok(())
}
