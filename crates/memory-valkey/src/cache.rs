//! The shared cache.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use memory_core::{
    MemoryResult, SharedCache, SharedEntry, SharedGroup, SharedKey, SharedLookup, SharedTime,
};

use crate::connection::Connector;
use crate::error::{Errors, is_out_of_memory};
use crate::layout::{self, KeyNames, REMOVED};
use crate::options::ValkeyOptions;
use crate::scripts;

/// Maximum number of keys of one script: a server runs one at a time, and this many take it well
/// below a millisecond.
const MAX_SCRIPT_KEYS: usize = 128;

/// Maximum number of bytes of the values of one script, where there are several.
const MAX_SCRIPT_BYTES: usize = 1 << 20;

/// For how much longer than puts may be late a removal is remembered.
const REMOVAL_MARGIN_MILLIS: u128 = 1_000;

/// A [`SharedCache`] on Valkey or Redis.
///
/// One connection carries all calls at once. It is opened by the first call, and
/// again by the next one after it broke.
#[derive(Debug)]
pub struct ValkeyCache {
    connector: Connector,
    names: KeyNames,
    errors: Errors,
}

impl ValkeyCache {
    /// Makes a cache on the server of a URL; see [`ValkeyOptions`]. Nothing is
    /// contacted before the first call.
    ///
    /// # Errors
    /// [`memory_core::MemoryError::Configuration`]; see [`ValkeyOptions::from_url`]
    /// and [`ValkeyOptions::open`].
    pub fn open(url: &str) -> MemoryResult<Self> {
        ValkeyOptions::from_url(url)?.open()
    }

    pub(crate) fn new(connector: Connector, names: KeyNames) -> Self {
        Self {
            connector,
            names,
            errors: Errors::default(),
        }
    }

    /// Reads keys of one group, given by their indices.
    async fn get_some(
        &self,
        keys: &[SharedKey],
        part: &Part,
    ) -> MemoryResult<Vec<(usize, SharedLookup)>> {
        let names = self.names_of(part, |index| &keys[index]);
        let read = self.connector.run(&scripts::GET, &names, &[]).await;
        let (seconds, micros, values): (u64, u64, Vec<Option<Vec<u8>>>) =
            read.map_err(|error| self.errors.shared_cache("get_many", error))?;
        let now = SharedTime(seconds * 1_000_000 + micros);
        let mut values = values.into_iter();
        let removal = values.next().flatten();
        // One result per key, also where the server answered with fewer.
        let values = values.chain(std::iter::repeat(None));
        let lookups = part.indices.iter().zip(values).map(|(&index, value)| {
            let value =
                value.and_then(|value| layout::decode(&keys[index], &value, removal.as_deref()));
            (index, SharedLookup { now, value })
        });
        Ok(lookups.collect())
    }

    /// Writes entries of one group, given by their indices. Returns the indices of
    /// those that were written.
    async fn put_some(
        &self,
        entries: &[SharedEntry],
        values: &[Option<Vec<u8>>],
        part: &Part,
    ) -> MemoryResult<Vec<usize>> {
        let names = self.names_of(part, |index| &entries[index].key);
        let max_delay = SharedEntry::MAX_PUT_DELAY.as_micros();
        let mut arguments = vec![max_delay.to_string().into_bytes()];
        for &index in &part.indices {
            let entry = &entries[index];
            arguments.push(layout::position(entry.version, entry.as_of).to_vec());
            arguments.push(entry.as_of.0.to_string().into_bytes());
            arguments.push(values[index].clone().unwrap_or_default());
            arguments.push(entry.ttl_millis().to_string().into_bytes());
        }
        let put = self.connector.run(&scripts::PUT, &names, &arguments).await;
        let written: Vec<bool> = match put {
            Err(error) if is_out_of_memory(&error) => Vec::new(),
            outcome => outcome.map_err(|error| self.errors.shared_cache("put_many", error))?,
        };
        let written = part.indices.iter().zip(written);
        Ok(written
            .filter_map(|(&index, is)| is.then_some(index))
            .collect())
    }

    /// Removes keys of one slot, by their names.
    async fn remove_names(
        &self,
        operation: &'static str,
        names: &[String],
        version: u64,
        millis: u128,
    ) -> MemoryResult<()> {
        let arguments = [
            version.to_be_bytes().to_vec(),
            vec![REMOVED],
            (millis + REMOVAL_MARGIN_MILLIS).to_string().into_bytes(),
        ];
        let removed = self.connector.run(&scripts::REMOVE, names, &arguments);
        removed
            .await
            .map_err(|error| self.errors.shared_cache(operation, error))
    }

    /// The key of the group, then those of its part.
    fn names_of<'a>(&self, part: &Part, key: impl Fn(usize) -> &'a SharedKey) -> Vec<String> {
        let keys = part.indices.iter().map(|&index| self.names.key(key(index)));
        std::iter::once(self.names.group(&part.group))
            .chain(keys)
            .collect()
    }
}

/// Keys of one group in a batch, by their indices: what one script handles.
struct Part {
    group: SharedGroup,
    indices: Vec<usize>,
    bytes: usize,
}

/// Divides a batch into parts. Keys stay in their order within a group.
fn divide(items: impl Iterator<Item = (SharedGroup, usize)>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut last: HashMap<SharedGroup, usize> = HashMap::new();
    for (index, (group, bytes)) in items.enumerate() {
        let part = last.get(&group).copied().filter(|&part| {
            let part = &parts[part];
            part.indices.len() < MAX_SCRIPT_KEYS && part.bytes + bytes <= MAX_SCRIPT_BYTES
        });
        let part = part.unwrap_or_else(|| {
            parts.push(Part {
                group,
                indices: Vec::new(),
                bytes: 0,
            });
            last.insert(group, parts.len() - 1);
            parts.len() - 1
        });
        parts[part].indices.push(index);
        parts[part].bytes += bytes;
    }
    parts
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SharedCache for ValkeyCache {
    fn name(&self) -> &'static str {
        "Valkey"
    }

    async fn get_many(&self, keys: &[SharedKey]) -> MemoryResult<Vec<SharedLookup>> {
        self.connector.check_open("get_many")?;
        let parts = divide(keys.iter().map(|key| (key.group, 0)));
        let read = try_join_all(parts.iter().map(|part| self.get_some(keys, part))).await?;
        let mut lookups: Vec<(usize, SharedLookup)> = read.into_iter().flatten().collect();
        lookups.sort_unstable_by_key(|(index, _)| *index);
        Ok(lookups.into_iter().map(|(_, lookup)| lookup).collect())
    }

    async fn put_many(&self, entries: &[SharedEntry]) -> MemoryResult<Vec<bool>> {
        self.connector.check_open("put_many")?;
        let values: Vec<_> = entries.iter().map(layout::encode).collect();
        let sizes = values
            .iter()
            .map(|value| value.as_ref().map_or(0, Vec::len));
        let mut parts = divide(entries.iter().map(|entry| entry.key.group).zip(sizes));
        for part in &mut parts {
            // What is too long is not written.
            part.indices.retain(|&index| values[index].is_some());
        }
        let puts = parts
            .iter()
            .map(|part| self.put_some(entries, &values, part));
        let mut written = vec![false; entries.len()];
        for index in try_join_all(puts).await?.into_iter().flatten() {
            written[index] = true;
        }
        Ok(written)
    }

    async fn remove_many(&self, keys: &[SharedKey], version: u64) -> MemoryResult<()> {
        const OPERATION: &str = "remove_many";
        self.connector.check_open(OPERATION)?;
        let parts = divide(keys.iter().map(|key| (key.group, 0)));
        let millis = SharedEntry::MAX_PUT_DELAY.as_millis();
        let removals = parts.iter().map(|part| async move {
            let keys = part
                .indices
                .iter()
                .map(|&index| self.names.key(&keys[index]));
            let names: Vec<String> = keys.collect();
            self.remove_names(OPERATION, &names, version, millis).await
        });
        try_join_all(removals).await.map(drop)
    }

    async fn remove_group(&self, group: &SharedGroup, version: u64) -> MemoryResult<()> {
        const OPERATION: &str = "remove_group";
        self.connector.check_open(OPERATION)?;
        // As long as the longest-lived value of the group, and late puts of it.
        let millis = (SharedEntry::MAX_TTL + SharedEntry::MAX_PUT_DELAY).as_millis();
        let names = [self.names.group(group)];
        self.remove_names(OPERATION, &names, version, millis).await
    }

    async fn close(&self) -> MemoryResult<()> {
        self.connector.close().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_of_one_group_and_of_limited_size() {
        let (a, b) = (SharedGroup([1; 16]), SharedGroup([2; 16]));
        let mixed = (0..300).map(|n| (if n % 2 == 0 { a } else { b }, 0));
        let parts = divide(mixed);
        let sizes: Vec<usize> = parts.iter().map(|part| part.indices.len()).collect();
        assert_eq!(sizes, [128, 128, 22, 22]);
        assert_eq!(parts[2].indices[..2], [256, 258]);
        let large = divide(
            [600_000, 600_000, 9_000_000, 1]
                .map(|bytes| (a, bytes))
                .into_iter(),
        );
        let sizes: Vec<usize> = large.iter().map(|part| part.indices.len()).collect();
        assert_eq!(sizes, [1, 1, 1, 1]);
    }
}
