//! A shared cache that breaks one promise.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use memory_core::{
    ErrorKind, MemoryError, MemoryResult, SharedCache, SharedEntry, SharedGroup, SharedKey,
    SharedLookup, SharedTime,
};

use super::faults;
use crate::in_memory_shared_cache::InMemorySharedCache;
use crate::timing::yield_now;

faults! {
    /// The one promise that a [`FaultySharedCache`] breaks.
    pub enum SharedCacheFault {
        /// Every key has a value.
        InventsValues => "values::are_missing_before_the_first_put",
        /// Versions are not kept.
        ForgetsVersions => "values::are_returned_as_put",
        /// The time of a value is that of the read.
        ForgetsTimes => "values::are_returned_as_put",
        /// Bytes that are no text are replaced.
        TakesBytesForText => "values::of_any_bytes_are_kept",
        /// Values beyond 64 KiB are cut.
        CutsLargeValues => "values::of_any_size_are_kept",
        /// Keys of all groups are in one.
        MixesGroups => "values::belong_to_group_and_id",
        /// The id is not part of the key.
        MixesIds => "values::belong_to_group_and_id",
        /// Values never expire.
        KeepsForever => "values::expire",
        /// The first value stays.
        KeepsTheFirst => "versions::replace_lower_ones",
        /// The last value stays, whatever its version.
        ReplacesBlindly => "versions::never_replace_higher_ones",
        /// Versions are compared as text.
        ComparesVersionsAsText => "versions::are_compared_as_numbers",
        /// Versions are compared with 53 bits.
        ComparesVersionsAsFloats => "versions::are_compared_as_numbers",
        /// Of equal versions the last put stays, whatever its time.
        IgnoresTimes => "versions::that_are_equal_are_ordered_by_time",
        /// The clock runs backward.
        TurnsTheClockBack => "time::never_goes_back",
        /// Each key has a clock of its own.
        HasAClockPerKey => "time::is_the_same_for_a_group",
        /// Times in the future are accepted.
        AcceptsTheFuture => "time::in_the_future_is_refused",
        /// Times up to five minutes in the future are accepted.
        AcceptsTheNearFuture => "time::in_the_future_is_refused",
        /// Times long ago are accepted.
        AcceptsThePast => "time::too_far_back_is_refused",
        /// Removals are ignored.
        IgnoresRemovals => "removal::hides_the_value",
        /// Keys without a value cannot be removed.
        RefusesUnknownKeys => "removal::of_an_unknown_key_is_fine",
        /// A removal deletes, and is not remembered.
        DeletesBlindly => "removal::refuses_puts_that_began_before",
        /// A removal at a lower version replaces one at a higher version.
        ReplacesHigherRemovals => "removal::refuses_puts_that_began_before",
        /// A removal is for ever.
        RemovesForever => "removal::accepts_puts_that_began_after",
        /// A removal ignores its version.
        RemovesHigherVersions => "removal::keeps_higher_versions",
        /// A removal is remembered without its version.
        RemembersNoVersion => "removal::refuses_lower_versions",
        /// Removals of groups are ignored.
        IgnoresGroupRemovals => "removal::of_a_group_hides_all_of_it",
        /// A removal of a group removes the values of its version only.
        RemovesOneVersionOfGroups => "removal::of_a_group_hides_all_of_it",
        /// A removal of a group is for ever.
        RemovesGroupsForever => "removal::of_a_group_accepts_puts_that_began_after",
        /// A removal of a group is remembered without its version.
        RemembersNoVersionOfGroups => "removal::of_a_group_refuses_lower_versions",
        /// A removal of a group at a lower version replaces one at a higher version.
        ReplacesHigherRemovalsOfGroups => "removal::of_a_group_refuses_puts_that_began_before",
        /// A removal of a group deletes, and is not remembered.
        DeletesGroupsBlindly => "removal::of_a_group_refuses_puts_that_began_before",
        /// A removal of a group ignores its version.
        RemovesHigherVersionsOfGroups => "removal::of_a_group_keeps_higher_versions",
        /// A removal of a group removes everything.
        RemovesEveryGroup => "removal::of_a_group_leaves_others",
        /// Values come in the opposite order.
        ReversesValues => "batches::come_in_order",
        /// Says that everything was written.
        ReportsEverythingWritten => "batches::come_in_order",
        /// An empty batch is an error.
        RefusesNothing => "batches::may_be_empty",
        /// A key that occurs twice in a batch has a value once.
        MergesRepeats => "batches::may_repeat_a_key",
        /// Batches beyond 512 keys are cut.
        CutsLargeBatches => "batches::may_be_large",
        /// Reads and writes a key in two steps.
        ComparesInTwoSteps => "concurrency::the_highest_version_wins",
        /// After a dropped call, the cache is busy for ever.
        StaysBusy => "concurrency::dropped_calls_have_no_effect",
        /// A closed cache still answers.
        StaysOpen => "close::ends_every_call",
    }
}

/// An [`InMemorySharedCache`] with one fault.
#[derive(Debug)]
pub struct FaultySharedCache {
    inner: InMemorySharedCache,
    fault: SharedCacheFault,
    calls: AtomicU64,
    busy: AtomicBool,
}

impl FaultySharedCache {
    /// A cache with this fault.
    #[must_use]
    pub fn new(fault: SharedCacheFault) -> Self {
        Self {
            inner: InMemorySharedCache::new(),
            fault,
            calls: AtomicU64::new(0),
            busy: AtomicBool::new(false),
        }
    }

    fn is(&self, fault: SharedCacheFault) -> bool {
        self.fault == fault
    }

    fn key(&self, mut key: SharedKey) -> SharedKey {
        if self.is(SharedCacheFault::MixesGroups) {
            key.group = SharedGroup([0; 16]);
        }
        if self.is(SharedCacheFault::MixesIds) {
            key.id = [0; 16];
        }
        key
    }

    fn refuse(&self, is_empty: bool) -> MemoryResult<()> {
        let is_refused = match self.fault {
            SharedCacheFault::RefusesNothing => is_empty,
            SharedCacheFault::StaysBusy => self.busy.swap(true, Ordering::SeqCst),
            _ => false,
        };
        if is_refused {
            let message = "refused on purpose";
            return Err(MemoryError::shared_cache(ErrorKind::Other, "call", message));
        }
        Ok(())
    }

    /// What is written in place of an entry; `None` where nothing is.
    async fn spoil(&self, mut entry: SharedEntry) -> MemoryResult<Option<SharedEntry>> {
        use SharedCacheFault as Fault;
        let now = self.inner.now();
        let present = self.inner.get_many(&[entry.key]).await?;
        let present = present.into_iter().find_map(|lookup| lookup.value);
        let version = present.as_ref().map(|value| value.version);
        match self.fault {
            Fault::TakesBytesForText => {
                entry.bytes = String::from_utf8_lossy(&entry.bytes).into_owned().into();
            }
            Fault::CutsLargeValues => entry.bytes.truncate(1 << 16),
            Fault::KeepsForever => entry.ttl = SharedEntry::MAX_TTL,
            Fault::KeepsTheFirst if present.is_some() => return Ok(None),
            Fault::ReplacesBlindly => self.inner.erase(&entry.key),
            Fault::ComparesVersionsAsText => match version {
                Some(version) if entry.version.to_string() <= version.to_string() => {
                    return Ok(None);
                }
                _ => self.inner.erase(&entry.key),
            },
            #[expect(clippy::cast_precision_loss, reason = "the fault")]
            Fault::ComparesVersionsAsFloats => match version {
                Some(version) if (entry.version as f64) <= version as f64 => return Ok(None),
                _ => {}
            },
            Fault::IgnoresTimes if version == Some(entry.version) => {
                self.inner.erase(&entry.key);
            }
            Fault::AcceptsTheFuture => entry.as_of = entry.as_of.min(now),
            Fault::AcceptsTheNearFuture => {
                const SKEW: u64 = 300_000_000;
                if entry.as_of.0 <= now.0 + SKEW {
                    entry.as_of = entry.as_of.min(now);
                }
            }
            Fault::AcceptsThePast => entry.as_of = entry.as_of.max(SharedTime(now.0 - 1_000)),
            Fault::ComparesInTwoSteps => {
                let is_later = version < Some(entry.version);
                yield_now().await;
                if !is_later {
                    return Ok(None);
                }
                self.inner.erase(&entry.key);
                entry.as_of = self.inner.now();
            }
            _ => {}
        }
        Ok(Some(entry))
    }

    fn spoil_lookup(&self, lookup: &mut SharedLookup, key: &SharedKey) {
        match self.fault {
            SharedCacheFault::InventsValues if lookup.value.is_none() => {
                lookup.value = Some(memory_core::SharedValue {
                    version: 0,
                    as_of: lookup.now,
                    bytes: Vec::new(),
                });
            }
            SharedCacheFault::ForgetsVersions => {
                lookup.value.iter_mut().for_each(|value| value.version = 0);
            }
            SharedCacheFault::ForgetsTimes => {
                let now = lookup.now;
                lookup.value.iter_mut().for_each(|value| value.as_of = now);
            }
            SharedCacheFault::TurnsTheClockBack => {
                let calls = self.calls.fetch_add(1, Ordering::SeqCst);
                lookup.now.0 -= calls * 1_000_000;
            }
            SharedCacheFault::HasAClockPerKey => lookup.now.0 -= u64::from(key.id[0]) * 1_000_000,
            _ => {}
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SharedCache for FaultySharedCache {
    fn name(&self) -> &'static str {
        "faulty"
    }

    async fn get_many(&self, keys: &[SharedKey]) -> MemoryResult<Vec<SharedLookup>> {
        self.refuse(keys.is_empty())?;
        yield_now().await;
        let mut wanted: Vec<SharedKey> = keys.iter().map(|&key| self.key(key)).collect();
        if self.is(SharedCacheFault::CutsLargeBatches) {
            wanted.truncate(512);
        }
        let mut lookups = self.inner.get_many(&wanted).await?;
        for (n, lookup) in lookups.iter_mut().enumerate() {
            self.spoil_lookup(lookup, &keys[n]);
            if self.is(SharedCacheFault::MergesRepeats) && keys[..n].contains(&keys[n]) {
                lookup.value = None;
            }
        }
        if self.is(SharedCacheFault::ReversesValues) {
            lookups.reverse();
        }
        // Only a call that gets here releases the cache.
        self.busy.store(false, Ordering::SeqCst);
        Ok(lookups)
    }

    async fn put_many(&self, entries: &[SharedEntry]) -> MemoryResult<Vec<bool>> {
        self.refuse(entries.is_empty())?;
        yield_now().await;
        let mut written = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = self.key(entry.key);
            let entry = SharedEntry {
                key,
                ..entry.clone()
            };
            written.push(match self.spoil(entry).await? {
                Some(entry) => self.inner.put_many(&[entry]).await? == [true],
                None => false,
            });
        }
        if self.is(SharedCacheFault::ReportsEverythingWritten) {
            written.fill(true);
        }
        self.busy.store(false, Ordering::SeqCst);
        Ok(written)
    }

    async fn remove_many(&self, keys: &[SharedKey], version: u64) -> MemoryResult<()> {
        use SharedCacheFault as Fault;
        self.refuse(keys.is_empty())?;
        yield_now().await;
        self.busy.store(false, Ordering::SeqCst);
        let keys: Vec<SharedKey> = keys.iter().map(|&key| self.key(key)).collect();
        match self.fault {
            Fault::IgnoresRemovals => Ok(()),
            Fault::RefusesUnknownKeys => {
                let lookups = self.inner.get_many(&keys).await?;
                if lookups.iter().any(|lookup| lookup.value.is_none()) {
                    let message = "there is no such key";
                    return Err(MemoryError::shared_cache(
                        ErrorKind::NotFound,
                        "remove_many",
                        message,
                    ));
                }
                self.inner.remove_many(&keys, version).await
            }
            Fault::DeletesBlindly => {
                keys.iter().for_each(|key| self.inner.erase(key));
                Ok(())
            }
            Fault::RemovesForever | Fault::RemovesHigherVersions => {
                self.inner.remove_many(&keys, u64::MAX).await
            }
            Fault::ReplacesHigherRemovals => {
                keys.iter().for_each(|key| self.inner.erase(key));
                self.inner.remove_many(&keys, version).await
            }
            Fault::RemembersNoVersion => {
                keys.iter().for_each(|key| self.inner.erase(key));
                self.inner.remove_many(&keys, 0).await
            }
            _ => self.inner.remove_many(&keys, version).await,
        }
    }

    async fn remove_group(&self, group: &SharedGroup, version: u64) -> MemoryResult<()> {
        use SharedCacheFault as Fault;
        match self.fault {
            Fault::IgnoresGroupRemovals => Ok(()),
            Fault::DeletesGroupsBlindly | Fault::RemovesEveryGroup => {
                self.inner.flush();
                Ok(())
            }
            Fault::RemovesOneVersionOfGroups => {
                self.inner.erase_version(group, version);
                Ok(())
            }
            Fault::RemembersNoVersionOfGroups => {
                self.inner.erase_group(group);
                self.inner.remove_group(group, 0).await
            }
            Fault::ReplacesHigherRemovalsOfGroups => {
                // It hides what is there as before.
                self.inner.erase_version(group, version);
                self.inner.forget_removal(group);
                self.inner.remove_group(group, version).await
            }
            Fault::RemovesGroupsForever | Fault::RemovesHigherVersionsOfGroups => {
                self.inner.remove_group(group, u64::MAX).await
            }
            _ => self.inner.remove_group(group, version).await,
        }
    }

    async fn close(&self) -> MemoryResult<()> {
        if self.is(SharedCacheFault::StaysOpen) {
            return Ok(());
        }
        self.inner.close().await
    }
}
