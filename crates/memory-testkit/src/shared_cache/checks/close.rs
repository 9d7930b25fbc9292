//! A closed cache answers with an error.

use memory_core::ErrorKind;

use crate::check::{At, CheckResult, refused};
use crate::shared_cache::CheckContext;
use crate::shared_cache::context::entry;

/// Every call after it is refused, and closing again is fine. The last check: it
/// closes the cache under test.
pub async fn ends_every_call(context: &CheckContext<'_>) -> CheckResult {
    let (cache, key) = (context.cache(), context.key());
    let now = context.now(key).await?;
    cache.close().await.at("close")?;
    cache.close().await.at("close again")?;
    let closed = &[ErrorKind::Closed];
    refused(cache.get_many(&[key]).await, closed, "get_many")?;
    let put = cache.put_many(&[entry(key, 1, now, b"late")]).await;
    refused(put, closed, "put_many")?;
    refused(cache.remove_many(&[key], 1).await, closed, "remove_many")?;
    let removed = cache.remove_group(&key.group, 1).await;
    refused(removed, closed, "remove_group")
}
