//! Results come one for each key, in the order of the keys.

use memory_core::SharedKey;

use crate::check::{At, CheckResult, ensure, ensure_eq};
use crate::shared_cache::CheckContext;
use crate::shared_cache::context::{entry, random};

/// Keys of several groups, some with a value, in one call.
pub async fn come_in_order(context: &CheckContext<'_>) -> CheckResult {
    let groups = [context.group(), context.group(), context.group()];
    let keys: Vec<SharedKey> = (0..12)
        .map(|n| SharedKey::new(groups[n % 3], random()))
        .collect();
    let value = |n: usize| n.to_string().into_bytes();
    let mut entries = Vec::new();
    for (n, lookup) in context.look_up(&keys).await?.into_iter().enumerate() {
        if n % 4 != 1 {
            entries.push(entry(keys[n], n as u64, lookup.now, &value(n)));
        }
    }
    let written = context.put_all(&entries).await?;
    ensure!(written.iter().all(|&written| written), "a put was refused");
    for (n, lookup) in context.look_up(&keys).await?.into_iter().enumerate() {
        let bytes = lookup.value.map(|value| value.bytes);
        let wanted = (n % 4 != 1).then(|| value(n));
        ensure_eq!(bytes, wanted, "value {n} of 12");
    }
    // Of a batch some are refused, and it says which.
    let now = context.later(keys[0]).await?;
    let mixed = [
        entry(keys[2], 1, now, b"lower"),
        entry(keys[0], 50, now, b"higher"),
        entry(keys[3], 2, now, b"lower"),
    ];
    let written = context.put_all(&mixed).await?;
    ensure_eq!(written, [false, true, false], "what was written");
    Ok(())
}

/// Every method accepts an empty batch.
pub async fn may_be_empty(context: &CheckContext<'_>) -> CheckResult {
    ensure_eq!(context.look_up(&[]).await?.len(), 0, "results of no keys");
    ensure_eq!(
        context.put_all(&[]).await?.len(),
        0,
        "results of no entries"
    );
    let removed = context.cache().remove_many(&[], 1).await;
    removed.at("remove_many of nothing")
}

/// A key may occur twice in a call.
pub async fn may_repeat_a_key(context: &CheckContext<'_>) -> CheckResult {
    let (key, other) = (context.key(), context.key());
    let now = context.now(key).await?;
    let twice = [entry(key, 1, now, b"one"), entry(key, 2, now, b"two")];
    context.put_all(&twice).await?;
    context.put_now(other, 1, b"other").await?;
    let lookups = context.look_up(&[key, other, key]).await?;
    let values: Vec<_> = lookups
        .into_iter()
        .map(|lookup| lookup.value.map(|value| value.bytes))
        .collect();
    let [two, other] = [b"two".to_vec(), b"other".to_vec()].map(Some);
    ensure_eq!(values, [two.clone(), other, two], "a repeated key");
    let removed = context.cache().remove_many(&[key, key], 2).await;
    removed.at("remove_many of a repeated key")?;
    context.expect(key, None, "after its removal").await
}

/// A thousand keys of many groups in one call.
pub async fn may_be_large(context: &CheckContext<'_>) -> CheckResult {
    let groups: Vec<_> = (0..16).map(|_| context.group()).collect();
    let keys: Vec<SharedKey> = (0..1_000)
        .map(|n| SharedKey::new(groups[n % groups.len()], random()))
        .collect();
    let lookups = context.look_up(&keys).await?;
    let entries: Vec<_> = keys
        .iter()
        .zip(&lookups)
        .map(|(key, lookup)| entry(*key, 1, lookup.now, &key.id))
        .collect();
    let written = context.put_all(&entries).await?;
    ensure!(written.iter().all(|&written| written), "a put was refused");
    for (key, lookup) in keys.iter().zip(context.look_up(&keys).await?) {
        let bytes = lookup.value.map(|value| value.bytes);
        ensure_eq!(bytes, Some(key.id.to_vec()), "a value of a large batch");
    }
    let removed = context.cache().remove_many(&keys, 1).await;
    removed.at("remove_many")?;
    let left = context.look_up(&keys).await?;
    let left = left.iter().filter(|lookup| lookup.value.is_some()).count();
    ensure_eq!(left, 0, "values after a large removal");
    Ok(())
}
