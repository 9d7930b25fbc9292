//! What was removed stays removed, and only that.

use memory_core::{SharedGroup, SharedKey};

use crate::check::{At, CheckResult, ensure};
use crate::shared_cache::CheckContext;
use crate::shared_cache::context::random;

async fn remove_group(context: &CheckContext<'_>, group: SharedGroup, version: u64) -> CheckResult {
    let removed = context.cache().remove_group(&group, version).await;
    removed.at("remove_group")
}

/// After a removal at its version or a higher one, a value is gone.
pub async fn hides_the_value(context: &CheckContext<'_>) -> CheckResult {
    for version in [7, 8, u64::MAX] {
        let key = context.key();
        context.put_now(key, 7, b"seven").await?;
        context.remove(key, version).await?;
        context.expect(key, None, "after its removal").await?;
    }
    Ok(())
}

/// A key without a value can be removed, once or twice.
pub async fn of_an_unknown_key_is_fine(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    context.remove(key, 3).await?;
    context.remove(key, 3).await?;
    context.expect(key, None, "after its removal").await
}

/// A value that was read before the removal may be what was removed.
pub async fn refuses_puts_that_began_before(context: &CheckContext<'_>) -> CheckResult {
    for put_first in [true, false] {
        let key = context.key();
        let before = context.now(key).await?;
        if put_first {
            context.put_now(key, 3, b"removed").await?;
        }
        context.later(key).await?;
        context.remove(key, 3).await?;
        // One at a lower version comes late, and changes nothing.
        context.remove(key, 1).await?;
        let written = context.put(key, (3, before), b"removed").await?;
        context.expect(key, None, "a put that began before").await?;
        ensure!(!written, "a refused put was reported as written");
    }
    Ok(())
}

/// What is read after the removal is up to date.
pub async fn accepts_puts_that_began_after(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    context.put_now(key, 3, b"removed").await?;
    context.remove(key, 3).await?;
    context.put_now(key, 3, b"retained again").await?;
    context
        .expect(key, Some(b"retained again"), "a put that began after")
        .await
}

/// A removal that is late does not affect what was written since.
pub async fn keeps_higher_versions(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    context.put_now(key, 9, b"nine").await?;
    context.remove(key, 8).await?;
    context
        .expect(key, Some(b"nine"), "a higher version")
        .await?;
    // And a value may follow whose version is higher than the removal's.
    let key = context.key();
    let before = context.now(key).await?;
    context.later(key).await?;
    context.remove(key, 8).await?;
    let written = context.put(key, (9, before), b"nine").await?;
    ensure!(written, "a higher version was refused after a removal");
    Ok(())
}

/// A lower version is refused, whenever it was read.
pub async fn refuses_lower_versions(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    context.put_now(key, 3, b"three").await?;
    context.remove(key, 4).await?;
    let now = context.later(key).await?;
    let written = context.put(key, (3, now), b"three").await?;
    ensure!(!written, "a lower version was written after a removal");
    context.expect(key, None, "after a removal").await
}

/// After a removal at its version or a higher one, every key of the group is gone,
/// however many there are.
pub async fn of_a_group_hides_all_of_it(context: &CheckContext<'_>) -> CheckResult {
    for version in [2, 3, u64::MAX] {
        let group = context.group();
        let keys: Vec<_> = (0..50).map(|_| SharedKey::new(group, random())).collect();
        for key in &keys {
            context.put_now(*key, 2, b"value").await?;
        }
        remove_group(context, group, version).await?;
        for lookup in context.look_up(&keys).await? {
            ensure!(
                lookup.value.is_none(),
                "a value of version 2 outlived its group, removed at {version}"
            );
        }
    }
    Ok(())
}

/// What is read after the removal of the group is up to date.
pub async fn of_a_group_accepts_puts_that_began_after(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    context.put_now(key, 2, b"value").await?;
    remove_group(context, key.group, 2).await?;
    context.put_now(key, 2, b"again").await?;
    context
        .expect(key, Some(b"again"), "a put that began after")
        .await
}

/// As with the removal of a key.
pub async fn of_a_group_refuses_puts_that_began_before(context: &CheckContext<'_>) -> CheckResult {
    for put_first in [true, false] {
        let key = context.key();
        let before = context.now(key).await?;
        if put_first {
            context.put_now(key, 5, b"removed").await?;
        }
        context.later(key).await?;
        remove_group(context, key.group, 5).await?;
        // One at a lower version comes late, and changes nothing.
        remove_group(context, key.group, 1).await?;
        let written = context.put(key, (5, before), b"old").await?;
        context.expect(key, None, "a put that began before").await?;
        ensure!(!written, "a refused put was reported as written");
    }
    Ok(())
}

/// A lower version is refused, whenever it was read.
pub async fn of_a_group_refuses_lower_versions(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    context.put_now(key, 3, b"three").await?;
    remove_group(context, key.group, 4).await?;
    let now = context.later(key).await?;
    let written = context.put(key, (3, now), b"three").await?;
    ensure!(!written, "a lower version was written after a removal");
    context.expect(key, None, "after a removal").await
}

/// Values of higher versions stay, and a removal at a lower version changes
/// nothing of a removal at a higher one.
pub async fn of_a_group_keeps_higher_versions(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    context.put_now(key, 9, b"nine").await?;
    remove_group(context, key.group, 8).await?;
    context
        .expect(key, Some(b"nine"), "a higher version")
        .await?;
    remove_group(context, key.group, 9).await?;
    remove_group(context, key.group, 1).await?;
    context
        .expect(key, None, "after a removal at its version")
        .await?;
    // And a value may follow whose version is higher than the removal's.
    let key = context.key();
    let before = context.now(key).await?;
    context.later(key).await?;
    remove_group(context, key.group, 8).await?;
    let written = context.put(key, (9, before), b"nine").await?;
    ensure!(written, "a higher version was refused after a removal");
    Ok(())
}

/// Other groups keep their values.
pub async fn of_a_group_leaves_others(context: &CheckContext<'_>) -> CheckResult {
    let (key, other) = (context.key(), context.key());
    context.put_now(key, 2, b"value").await?;
    context.put_now(other, 2, b"other").await?;
    remove_group(context, key.group, 2).await?;
    context.expect(other, Some(b"other"), "another group").await
}
