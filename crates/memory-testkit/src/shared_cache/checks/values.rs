//! A value is returned as it was put, until it expires.

use std::time::Duration;

use memory_core::SharedKey;

use crate::check::{CheckFailure, CheckResult, ensure, ensure_eq};
use crate::shared_cache::CheckContext;
use crate::shared_cache::context::{entry, random};
use crate::timing::yield_now;

/// A key that nobody put has no value.
pub async fn are_missing_before_the_first_put(context: &CheckContext<'_>) -> CheckResult {
    context
        .expect(context.key(), None, "a key without a put")
        .await
}

/// Bytes, version and time are those of the put, also when read again.
pub async fn are_returned_as_put(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    let as_of = context.put_now(key, 7, b"first").await?;
    for _ in 0..2 {
        let Some(value) = context.get(key).await? else {
            return Err(CheckFailure::failed("no value after a put"));
        };
        ensure_eq!(value.bytes, b"first".to_vec(), "bytes");
        ensure_eq!(value.version, 7, "version");
        ensure_eq!(value.as_of, as_of, "time");
    }
    Ok(())
}

/// Every byte, in every place; no bytes; bytes that are no text.
pub async fn of_any_bytes_are_kept(context: &CheckContext<'_>) -> CheckResult {
    let all: Vec<u8> = (0..=255).collect();
    for bytes in [&[][..], &[0], &[0, 0, 0], &[255], b"\r\n$-1\r\n", &all] {
        let key = context.key();
        context.put_now(key, 0, bytes).await?;
        context.expect(key, Some(bytes), "any bytes").await?;
    }
    Ok(())
}

/// Up to 256 KiB, whether it compresses or not.
pub async fn of_any_size_are_kept(context: &CheckContext<'_>) -> CheckResult {
    for size in [1_536, 100_000, 1 << 18] {
        let noise: Vec<u8> = std::iter::repeat_with(random)
            .flatten()
            .take(size)
            .collect();
        for bytes in [vec![b'a'; size], noise] {
            let key = context.key();
            context.put_now(key, 1, &bytes).await?;
            context
                .expect(key, Some(&bytes), &format!("{size} bytes"))
                .await?;
        }
    }
    Ok(())
}

/// Keys that differ in either part have values of their own.
pub async fn belong_to_group_and_id(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    let other_group = SharedKey::new(context.group(), key.id);
    let other_id = SharedKey::new(key.group, random());
    context.put_now(key, 5, b"own").await?;
    context.expect(other_group, None, "another group").await?;
    context.expect(other_id, None, "another id").await?;
    context.put_now(other_group, 6, b"group").await?;
    context.put_now(other_id, 6, b"id").await?;
    context.expect(key, Some(b"own"), "the first key").await
}

/// A value is gone some time after its time to live, and another one may be put.
pub async fn expire(context: &CheckContext<'_>) -> CheckResult {
    let key = context.key();
    let now = context.now(key).await?;
    let mut short = entry(key, 3, now, b"short");
    short.ttl = Duration::from_millis(20);
    ensure!(
        context.put_all(&[short]).await? == [true],
        "a short-lived value was refused"
    );
    // Far more than any backend needs; it ends with the value.
    for _ in 0..10_000 {
        if context.get(key).await?.is_none() {
            context.put_now(key, 3, b"again").await?;
            return context.expect(key, Some(b"again"), "after expiry").await;
        }
        std::thread::sleep(Duration::from_millis(1));
        yield_now().await;
    }
    Err(CheckFailure::failed("it never expired"))
}
