//! Access counts that are pending until a background task flushes them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use memory_core::{AccessUpdate, EntityId, MemoryId};
use tokio::sync::Notify;

/// The longest time that counts stay pending, which is what a crash loses.
pub(crate) const FLUSH_AFTER: Duration = Duration::from_secs(5);

/// Memories, recorded since the last flush, from which on the next starts early.
const FLUSH_AT: usize = 10_000;

/// Maximum number of memories with pending counts, some 200 bytes each; accesses of further
/// memories are not counted until the next flush.
const MAX_PENDING: usize = 20_000;

/// Pending access counts, and whether a flush is scheduled.
#[derive(Default)]
pub(crate) struct AccessCounts {
    pending: Mutex<Pending>,
    /// Notified when [`FLUSH_AT`] memories were recorded, or few more can be.
    pub(crate) flush_due: Notify,
}

#[derive(Default)]
struct Pending {
    by_entity: HashMap<EntityId, HashMap<MemoryId, Count>>,
    memories: usize,
    /// Those that a flush has left: no reason to begin the next early.
    left: usize,
    flush_scheduled: bool,
}

struct Count {
    accesses: u64,
    last: DateTime<Utc>,
}

impl AccessCounts {
    /// Counts one access of each memory. Returns whether the caller must start
    /// a task that flushes the counts: it calls [`take`](Self::take).
    pub(crate) fn record(
        &self,
        entity: &EntityId,
        ids: impl Iterator<Item = MemoryId>,
        now: DateTime<Utc>,
    ) -> bool {
        let mut pending = self.lock();
        pending.add(entity, ids.map(|id| (id, 1)), now);
        let is_nearly_full = pending.memories >= MAX_PENDING - FLUSH_AT / 2;
        if pending.memories - pending.left >= FLUSH_AT || is_nearly_full {
            self.flush_due.notify_one();
        }
        pending.schedule()
    }

    /// Memories with pending counts.
    pub(crate) fn len(&self) -> usize {
        self.lock().memories
    }

    /// Takes all pending counts for a flush. The next [`record`](Self::record) schedules a
    /// new one.
    pub(crate) fn take(&self) -> TakenCounts<'_> {
        TakenCounts {
            counts: self,
            updates: self.drain().into(),
            deferred: Vec::new(),
        }
    }

    /// Removes and returns all pending counts, those of an entity one after the other.
    fn drain(&self) -> Vec<AccessUpdate> {
        let pending = std::mem::take(&mut *self.lock());
        let mut updates = Vec::with_capacity(pending.memories);
        for (entity, counts) in pending.by_entity {
            let update = |(id, count): (MemoryId, Count)| {
                AccessUpdate::new(entity.clone(), id, count.accesses, count.last)
            };
            updates.extend(counts.into_iter().map(update));
        }
        updates
    }

    /// Restores counts that were not written; the next access schedules a retry, unless
    /// the caller does, as a flush in the background.
    fn put_back(&self, updates: &[AccessUpdate]) {
        let mut pending = self.lock();
        for update in updates {
            let before = pending.memories;
            let one = std::iter::once((update.id, update.accesses));
            pending.add(&update.entity, one, update.last_accessed);
            pending.left += pending.memories - before;
        }
    }

    /// As [`record`](Self::record) of nothing: whether the caller must start a task that
    /// flushes what is pending.
    pub(crate) fn schedule(&self) -> bool {
        self.lock().schedule()
    }

    /// The flushing task ended without draining.
    pub(crate) fn writer_stopped(&self) {
        self.lock().flush_scheduled = false;
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // Counts are advisory: those left by a panic are usable.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pending counts that a flush has taken. Those whose write has not begun when it ends, or
/// is dropped, are pending again.
pub(crate) struct TakenCounts<'a> {
    counts: &'a AccessCounts,
    updates: VecDeque<AccessUpdate>,
    /// Those that were not written at the first try.
    deferred: Vec<AccessUpdate>,
}

impl TakenCounts<'_> {
    /// The updates to write next: of those that are left, so many as `length` says, in whose
    /// slice those of an entity follow each other. `None` where none are left but deferred ones.
    pub(crate) fn next(
        &mut self,
        length: impl FnOnce(&[AccessUpdate]) -> usize,
    ) -> Option<Vec<AccessUpdate>> {
        let length = length(self.updates.make_contiguous()).min(self.updates.len());
        (length > 0).then(|| self.updates.drain(..length).collect())
    }

    /// Gives back updates that were not written.
    pub(crate) fn defer(&mut self, updates: Vec<AccessUpdate>) {
        self.deferred.extend(updates);
    }

    /// Has those that were deferred written next.
    pub(crate) fn retry_deferred(&mut self) {
        self.updates.extend(self.deferred.drain(..));
    }

    pub(crate) fn len(&self) -> usize {
        self.updates.len() + self.deferred.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for TakenCounts<'_> {
    fn drop(&mut self) {
        self.counts.put_back(self.updates.make_contiguous());
        self.counts.put_back(&self.deferred);
    }
}

impl Pending {
    fn schedule(&mut self) -> bool {
        let is_needed = !self.flush_scheduled && self.memories > 0;
        self.flush_scheduled |= is_needed;
        is_needed
    }

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
    fn accesses_add_up_and_one_flush_is_scheduled() {
        let (accesses, mira) = (AccessCounts::default(), EntityId::from("mira"));
        let (a, b) = (MemoryId::new(), MemoryId::new());
        let (early, late) = (DateTime::UNIX_EPOCH, Utc::now());
        assert!(accesses.record(&mira, [a, b].into_iter(), late));
        assert!(!accesses.record(&mira, [a].into_iter(), early));
        let drained = accesses.drain();
        assert_eq!(drained.len(), 2);
        let of_a = drained.iter().find(|update| update.id == a).unwrap();
        assert_eq!((of_a.accesses, of_a.last_accessed), (2, late));
        accesses.put_back(&drained);
        assert!(
            accesses.record(&mira, [a].into_iter(), late),
            "a new flush is scheduled"
        );
        accesses.writer_stopped();
        assert!(accesses.record(&mira, std::iter::empty(), late));
        let again = accesses.drain();
        assert_eq!(again.iter().map(|update| update.accesses).sum::<u64>(), 4);
    }

    /// Or a locked entity with many memories would have every access begin a flush.
    #[tokio::test(start_paused = true)]
    async fn what_a_flush_has_left_begins_no_early_flush() {
        let (accesses, mira) = (AccessCounts::default(), EntityId::from("mira"));
        let some = || (0..FLUSH_AT).map(|_| MemoryId::new());
        accesses.record(&mira, some(), Utc::now());
        let is_due = async || {
            let due = accesses.flush_due.notified();
            let limit = Duration::from_millis(1);
            tokio::time::timeout(limit, due).await.is_ok()
        };
        assert!(is_due().await);
        accesses.put_back(&accesses.drain());
        assert!(accesses.schedule() && !accesses.schedule());
        accesses.record(&mira, std::iter::once(MemoryId::new()), Utc::now());
        assert!(!is_due().await);
        assert_eq!(accesses.len(), FLUSH_AT + 1);
        accesses.record(&mira, some(), Utc::now());
        assert!(is_due().await);
    }

    #[test]
    fn counts_of_an_entity_are_drained_together() {
        let accesses = AccessCounts::default();
        for name in ["mira", "tam", "mira", "otto", "tam"] {
            accesses.record(&name.into(), std::iter::once(MemoryId::new()), Utc::now());
        }
        let drained = accesses.drain();
        let entities = drained.chunk_by(|a, b| a.entity == b.entity);
        assert_eq!((drained.len(), entities.count()), (5, 3));
    }

    #[test]
    fn taken_counts_are_pending_again_unless_their_write_has_begun() {
        let accesses = AccessCounts::default();
        for name in ["mira", "tam", "otto", "eva"] {
            accesses.record(&name.into(), std::iter::once(MemoryId::new()), Utc::now());
        }
        let mut taken = accesses.take();
        assert_eq!((accesses.len(), taken.len()), (0, 4));
        let written = taken.next(|updates| updates.len() - 1).unwrap();
        assert_eq!(written.len(), 3);
        taken.defer(written[..1].to_vec());
        assert_eq!(taken.next(|_| 1).unwrap().len(), 1);
        assert_eq!(taken.next(|updates| updates.len()), None);
        taken.retry_deferred();
        let rest = taken.next(|_| 7).unwrap();
        taken.defer(rest);
        drop(taken);
        assert_eq!(accesses.drain(), written[..1]);
    }

    #[test]
    fn pending_counts_are_limited() {
        let (accesses, mira) = (AccessCounts::default(), EntityId::from("mira"));
        let ids = (0..MAX_PENDING + 100).map(|_| MemoryId::new());
        accesses.record(&mira, ids, Utc::now());
        assert_eq!(accesses.drain().len(), MAX_PENDING);
    }
}
