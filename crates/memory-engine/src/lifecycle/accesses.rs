//! Counts of accesses that wait to be written.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use memory_core::{AccessUpdate, EntityId, MemoryId};
use tokio::sync::Notify;

/// How long counts wait at most before they are written: what a crash loses.
pub(crate) const FLUSH_AFTER: Duration = Duration::from_secs(5);

/// So many memories with counts are written without waiting longer.
const FLUSH_AT: usize = 1_000;

/// Most memories whose counts wait, some 200 bytes each; accesses of further
/// ones are not counted until there is room again.
const MAX_PENDING: usize = 20_000;

/// Counts that wait to be written, and whether somebody waits to write them.
#[derive(Default)]
pub(crate) struct Accesses {
    pending: Mutex<Pending>,
    /// Told when as many wait as are worth writing at once.
    pub(crate) many: Notify,
}

#[derive(Default)]
struct Pending {
    by_entity: HashMap<EntityId, HashMap<MemoryId, Count>>,
    memories: usize,
    awaited: bool,
}

struct Count {
    accesses: u64,
    last: DateTime<Utc>,
}

impl Accesses {
    /// Counts one access of each memory. Answers whether somebody must be sent
    /// to write the counts, who then calls [`take`](Self::take).
    pub(crate) fn record(
        &self,
        entity: &EntityId,
        ids: impl Iterator<Item = MemoryId>,
        now: DateTime<Utc>,
    ) -> bool {
        let mut pending = self.lock();
        pending.add(entity, ids.map(|id| (id, 1)), now);
        if pending.memories >= FLUSH_AT {
            self.many.notify_one();
        }
        let needed = !pending.awaited && pending.memories > 0;
        pending.awaited |= needed;
        needed
    }

    /// Takes all that waits. Whoever records next sends somebody anew.
    pub(crate) fn take(&self) -> Vec<(EntityId, Vec<AccessUpdate>)> {
        let mut pending = self.lock();
        let Pending { by_entity, .. } = std::mem::take(&mut *pending);
        let updates = |counts: HashMap<MemoryId, Count>| {
            let update = |(id, count): (MemoryId, Count)| AccessUpdate {
                id,
                accesses: count.accesses,
                last_accessed: count.last,
            };
            counts.into_iter().map(update).collect()
        };
        by_entity
            .into_iter()
            .map(|(entity, counts)| (entity, updates(counts)))
            .collect()
    }

    /// Puts back what could not be written just now; the next access has it
    /// tried again.
    pub(crate) fn put_back(&self, entity: &EntityId, updates: &[AccessUpdate]) {
        let mut pending = self.lock();
        for update in updates {
            let one = std::iter::once((update.id, update.accesses));
            pending.add(entity, one, update.last_accessed);
        }
    }

    /// Nobody waits to write them any more.
    pub(crate) fn abandoned(&self) {
        self.lock().awaited = false;
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // A panic under the lock leaves counts, which are advisory.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn add(
        &mut self,
        entity: &EntityId,
        accesses: impl Iterator<Item = (MemoryId, u64)>,
        at: DateTime<Utc>,
    ) {
        if !self.by_entity.contains_key(entity) {
            self.by_entity.insert(entity.clone(), HashMap::new());
        }
        let Some(counts) = self.by_entity.get_mut(entity) else {
            return;
        };
        for (id, accesses) in accesses {
            if let Some(count) = counts.get_mut(&id) {
                count.accesses = count.accesses.saturating_add(accesses);
                count.last = count.last.max(at);
            } else if self.memories < MAX_PENDING {
                self.memories += 1;
                counts.insert(id, Count { accesses, last: at });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_add_up_and_one_is_sent_to_write_them() {
        let (accesses, mira) = (Accesses::default(), EntityId::from("mira"));
        let (a, b) = (MemoryId::new(), MemoryId::new());
        let (early, late) = (DateTime::UNIX_EPOCH, Utc::now());
        assert!(accesses.record(&mira, [a, b].into_iter(), late));
        assert!(!accesses.record(&mira, [a].into_iter(), early));
        let taken = accesses.take();
        assert_eq!((taken.len(), taken[0].1.len()), (1, 2));
        let of_a = taken[0].1.iter().find(|update| update.id == a).unwrap();
        assert_eq!((of_a.accesses, of_a.last_accessed), (2, late));
        accesses.put_back(&mira, &taken[0].1);
        assert!(accesses.record(&mira, [a].into_iter(), late), "sent anew");
        accesses.abandoned();
        assert!(accesses.record(&mira, std::iter::empty(), late));
        let again = accesses.take();
        assert_eq!(
            again[0].1.iter().map(|update| update.accesses).sum::<u64>(),
            4
        );
    }

    #[test]
    fn what_waits_is_bounded() {
        let (accesses, mira) = (Accesses::default(), EntityId::from("mira"));
        let ids = (0..MAX_PENDING + 100).map(|_| MemoryId::new());
        accesses.record(&mira, ids, Utc::now());
        assert_eq!(accesses.take()[0].1.len(), MAX_PENDING);
    }
}
