//! The context of a check: a shared cache, keys of its own, and helpers to call it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use memory_core::{
    SharedCache, SharedEntry, SharedGroup, SharedKey, SharedLookup, SharedTime, SharedValue,
};
use uuid::Uuid;

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};

/// What a check is given.
#[derive(Debug)]
pub struct CheckContext<'a> {
    cache: &'a dyn SharedCache,
}

impl<'a> CheckContext<'a> {
    /// A shared cache under test.
    #[must_use]
    pub fn new(cache: &'a dyn SharedCache) -> Self {
        Self { cache }
    }

    /// The shared cache under test.
    #[must_use]
    pub fn cache(&self) -> &dyn SharedCache {
        self.cache
    }

    /// A group that no other check uses, in this run or another.
    pub(crate) fn group(&self) -> SharedGroup {
        SharedGroup(random())
    }

    /// A key that no other check uses, in this run or another.
    pub(crate) fn key(&self) -> SharedKey {
        SharedKey::new(self.group(), random())
    }

    /// Reads keys; there must be a result for each.
    pub(crate) async fn look_up(
        &self,
        keys: &[SharedKey],
    ) -> Result<Vec<SharedLookup>, CheckFailure> {
        let lookups = self.cache.get_many(keys).await.at("get_many")?;
        ensure_eq!(lookups.len(), keys.len(), "results of get_many");
        Ok(lookups)
    }

    /// The value under a key.
    pub(crate) async fn get(&self, key: SharedKey) -> Result<Option<SharedValue>, CheckFailure> {
        let lookups = self.look_up(&[key]).await?;
        Ok(lookups.into_iter().next().and_then(|lookup| lookup.value))
    }

    /// The time by the clock of a key.
    pub(crate) async fn now(&self, key: SharedKey) -> Result<SharedTime, CheckFailure> {
        let lookups = self.look_up(&[key]).await?;
        let now = lookups.first().map(|lookup| lookup.now);
        now.ok_or_else(|| CheckFailure::failed("no time"))
    }

    /// A time that is later than every one so far.
    pub(crate) async fn later(&self, key: SharedKey) -> Result<SharedTime, CheckFailure> {
        /// A clock may be of seconds.
        const TIMEOUT: Duration = Duration::from_secs(10);
        /// Most clocks are of microseconds, and one passes between two calls.
        const QUICK_CALLS: usize = 1_000;
        let before = self.now(key).await?;
        let begun = Instant::now();
        for call in 0.. {
            if call >= QUICK_CALLS {
                if begun.elapsed() > TIMEOUT {
                    break;
                }
                sleep(Duration::from_millis(1));
            }
            let now = self.now(key).await?;
            ensure!(
                now >= before,
                "the clock went back from {before:?} to {now:?}"
            );
            if now > before {
                return Ok(now);
            }
        }
        Err(CheckFailure::failed("the clock stands still"))
    }

    /// Writes entries; there must be a result for each.
    pub(crate) async fn put_all(&self, entries: &[SharedEntry]) -> Result<Vec<bool>, CheckFailure> {
        let written = self.cache.put_many(entries).await.at("put_many")?;
        ensure_eq!(written.len(), entries.len(), "results of put_many");
        Ok(written)
    }

    /// Writes a value as of a time.
    pub(crate) async fn put(
        &self,
        key: SharedKey,
        (version, as_of): (u64, SharedTime),
        bytes: &[u8],
    ) -> Result<bool, CheckFailure> {
        let written = self.put_all(&[entry(key, version, as_of, bytes)]).await?;
        Ok(written == [true])
    }

    /// Writes a value as of now.
    pub(crate) async fn put_now(
        &self,
        key: SharedKey,
        version: u64,
        bytes: &[u8],
    ) -> Result<SharedTime, CheckFailure> {
        let now = self.later(key).await?;
        let written = self.put(key, (version, now), bytes).await?;
        ensure!(written, "version {version} was refused");
        Ok(now)
    }

    /// Removes a key.
    pub(crate) async fn remove(&self, key: SharedKey, version: u64) -> CheckResult {
        self.cache
            .remove_many(&[key], version)
            .await
            .at("remove_many")
    }

    /// Demands a value, or that there is none.
    pub(crate) async fn expect(
        &self,
        key: SharedKey,
        wanted: Option<&[u8]>,
        what: &str,
    ) -> CheckResult {
        let value = self.get(key).await?;
        let bytes = value.as_ref().map(|value| value.bytes.as_slice());
        ensure!(
            bytes == wanted,
            "{what}: got {} bytes, expected {}",
            bytes.map_or("no".to_owned(), |bytes| bytes.len().to_string()),
            wanted.map_or("none".to_owned(), |bytes| format!("other {}", bytes.len()))
        );
        Ok(())
    }
}

/// A value to write that lives long enough for every check.
pub(crate) fn entry(key: SharedKey, version: u64, as_of: SharedTime, bytes: &[u8]) -> SharedEntry {
    SharedEntry {
        key,
        version,
        as_of,
        bytes: bytes.to_vec(),
        ttl: Duration::from_secs(600),
    }
}

/// Random bytes: other processes may use the same cache.
pub(crate) fn random() -> [u8; 16] {
    Uuid::new_v5(&Uuid::now_v7(), b"key").into_bytes()
}
