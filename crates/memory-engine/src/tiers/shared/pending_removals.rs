//! Removals that the shared cache must do before it is used again.

use std::collections::BTreeSet;

use memory_core::{SharedGroup, SharedKey};

/// Maximum number of keys that are remembered one by one; beyond them, their groups are.
const MAX_KEYS: usize = 10_000;

/// What is to be removed: single keys, and whole groups.
#[derive(Debug, Default)]
pub(super) struct PendingRemovals {
    keys: BTreeSet<SharedKey>,
    groups: BTreeSet<SharedGroup>,
}

impl PendingRemovals {
    pub(super) fn of_keys(keys: impl IntoIterator<Item = SharedKey>) -> Self {
        Self {
            keys: keys.into_iter().collect(),
            groups: BTreeSet::new(),
        }
    }

    pub(super) fn of_groups(groups: impl IntoIterator<Item = SharedGroup>) -> Self {
        Self {
            keys: BTreeSet::new(),
            groups: groups.into_iter().collect(),
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.groups.extend(other.groups);
        if self.keys.len() > MAX_KEYS {
            let keys = std::mem::take(&mut self.keys);
            self.groups.extend(keys.into_iter().map(|key| key.group));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.groups.is_empty()
    }

    pub(super) fn keys(&self) -> Vec<SharedKey> {
        self.keys.iter().copied().collect()
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &SharedGroup> {
        self.groups.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_keys_become_their_groups() {
        let mut pending = PendingRemovals::default();
        assert!(pending.is_empty());
        let key = |n: u32| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&n.to_be_bytes());
            let group = SharedGroup([u8::from(n.is_multiple_of(2)); 16]);
            SharedKey::new(group, id)
        };
        pending.add(PendingRemovals::of_keys((0..10_000).map(key)));
        let sizes = (pending.keys().len(), pending.groups().count());
        assert_eq!(sizes, (10_000, 0));
        pending.add(PendingRemovals::of_keys([key(10_000)]));
        let sizes = (pending.keys().len(), pending.groups().count());
        assert_eq!(sizes, (0, 2));
    }
}
