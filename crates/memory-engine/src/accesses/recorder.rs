//! Recording accesses in the background.

use std::collections::HashSet;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use memory_core::{
    AccessCounting, AccessUpdate, Clock, EntityId, ErrorKind, MemoryConfig, Store, limits,
};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use super::counts::{AccessCounts, FLUSH_AFTER, TakenCounts};
use crate::recall::RecallHit;
use crate::tiers::Tiers;

/// How long a close waits for access counts to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How much longer a close waits for entities that others have locked.
const CLOSE_LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// As much longer, a flush in the background. What is locked for longer, as during a large
/// import, waits for the next.
const FLUSH_LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait for one locked entity at a time: long enough for a usual write to end.
const LOCK_WAIT: Duration = Duration::from_millis(100);
/// The most entities of one transaction, which may lock all of them until it ends.
const MAX_ENTITIES: usize = 50;

/// Counts what recalls return, and writes the counts to the store in batches.
pub(crate) struct AccessRecorder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    tiers: Arc<Tiers>,
    is_enabled: bool,
    counts: Arc<AccessCounts>,
    /// Locked during a flush, which has counts that are not pending meanwhile.
    flushing: Mutex<()>,
    /// Those that wait for a flush in the background to end.
    closing: AtomicUsize,
    /// For the task that writes: it does not keep the recorder alive.
    this: Weak<Self>,
}

impl AccessRecorder {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        tiers: Arc<Tiers>,
        config: &MemoryConfig,
    ) -> Arc<Self> {
        let is_enabled = config.access_counting != AccessCounting::Off;
        Arc::new_cyclic(|this| Self {
            store,
            clock,
            tiers,
            is_enabled,
            counts: Arc::default(),
            flushing: Mutex::default(),
            closing: AtomicUsize::new(0),
            this: Weak::clone(this),
        })
    }

    /// Memories whose counts wait to be written.
    pub(crate) fn pending(&self) -> usize {
        self.counts.len()
    }

    /// Counts an access of each hit. Never fails and never waits: the counts
    /// are written by a background task.
    pub(crate) fn record(&self, entity: &EntityId, hits: &[RecallHit]) {
        if !self.is_enabled || hits.is_empty() {
            return;
        }
        let ids = hits.iter().map(|hit| hit.memory.id);
        let now = limits::to_micros(self.clock.now());
        if self.counts.record(entity, ids, now) {
            self.schedule_flush();
        }
    }

    /// Starts a task that writes the counts after a while, or sooner when there
    /// are many, and then ends. What is not written when the last handle is
    /// dropped is lost, as in a crash.
    fn schedule_flush(&self) {
        let Ok(runtime) = Handle::try_current() else {
            self.counts.writer_stopped();
            return;
        };
        let recorder = Weak::clone(&self.this);
        // Dropped also where the runtime ends before this task does, or before it begins.
        let guard = FlushGuard(Arc::clone(&self.counts));
        runtime.spawn(async move {
            let flush_due = guard.0.flush_due.notified();
            // Whichever comes first; an elapsed timeout is no failure.
            let _ = timeout(FLUSH_AFTER, flush_due).await;
            let Some(recorder) = recorder.upgrade() else {
                return;
            };
            let _flushing = recorder.flushing.lock().await;
            // From here on the next access, or what this flush leaves, starts a task.
            drop(guard);
            recorder.flush().await;
        });
    }

    /// Writes pending counts. Those of entities that others have locked, and those that an
    /// unavailable store did not take, stay pending for the next flush, which needs no
    /// further access: what is pending is lost in a crash.
    async fn flush(&self) {
        let mut taken = self.counts.take();
        if self.write_unlocked(&mut taken).await.is_ok() {
            let limit = LockLimit::of_flush(&self.closing);
            // What is left is written later, whatever the reason.
            let _ = self.write_locked(&mut taken, limit).await;
        }
        let is_left = !taken.is_empty();
        drop(taken);
        if is_left && self.counts.schedule() {
            self.schedule_flush();
        }
    }

    /// Writes the counts of entities that nobody has locked. While the store is unavailable
    /// nothing more is tried; counts that cannot be written at all are dropped and logged,
    /// unless the store only reads.
    async fn write_unlocked(&self, taken: &mut TakenCounts<'_>) -> Result<(), Unavailable> {
        // Many entities in one transaction: one for each would keep the connection that
        // writes busy. Not all at once, since others wait for it, and for the entities.
        while let Some(updates) = taken.next(first_batch) {
            match self.write(&updates, Duration::ZERO).await {
                Ok(deferred) => taken.defer(deferred),
                Err(Unavailable) => {
                    taken.defer(updates);
                    return Err(Unavailable);
                }
            }
        }
        Ok(())
    }

    /// Writes the counts of locked entities, each in a transaction of its own, which waits
    /// for the lock while it has none. Those that are still locked are tried again until
    /// the limit.
    async fn write_locked(
        &self,
        taken: &mut TakenCounts<'_>,
        limit: LockLimit<'_>,
    ) -> Result<(), Unavailable> {
        loop {
            taken.retry_deferred();
            while let Some(wait) = limit.next_wait()
                && let Some(updates) = taken.next(of_first_entity)
            {
                match limit.wait_for(self.write(&updates, wait)).await {
                    Some(Ok(deferred)) => taken.defer(deferred),
                    Some(Err(Unavailable)) => {
                        taken.defer(updates);
                        return Err(Unavailable);
                    }
                    // It runs to its end in the store, and must not be written twice.
                    None => {
                        tracing::warn!("access counts were not written in time");
                        return Err(Unavailable);
                    }
                }
            }
            if taken.is_empty() || limit.next_wait().is_none() {
                return Ok(());
            }
            // A store that does not wait for a lock.
            tokio::time::sleep(LOCK_WAIT / 10).await;
        }
    }

    /// Writes counts and drops what is cached of these memories. Returns the counts that
    /// the store deferred.
    async fn write(
        &self,
        updates: &[AccessUpdate],
        max_wait: Duration,
    ) -> Result<Vec<AccessUpdate>, Unavailable> {
        let recorded = self.store.record_accesses(updates, max_wait).await;
        let (deferred, error) = match recorded {
            Ok(outcome) => (outcome.deferred, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let kind = error.map(|error| error.kind());
        if !matches!(kind, Some(ErrorKind::Unavailable | ErrorKind::ReadOnly)) {
            let keys = deferred.iter().map(|update| (&update.entity, update.id));
            let keys: HashSet<(&EntityId, _)> = keys.collect();
            for own in updates.chunk_by(|a, b| a.entity == b.entity) {
                let entity = &own[0].entity;
                let ids = own.iter().map(|update| update.id);
                let mut written = ids.filter(|id| !keys.contains(&(entity, *id))).peekable();
                if written.peek().is_some() {
                    self.tiers.invalidate_access_counts(entity, written);
                }
            }
        }
        match kind {
            None => {}
            // A hot standby, or a file without write permission: as intended.
            Some(ErrorKind::ReadOnly) => {
                tracing::debug!("access counts are not written: the store only reads");
            }
            Some(kind) => tracing::warn!(?kind, "access counts were not written"),
        }
        match kind {
            Some(ErrorKind::Unavailable) => Err(Unavailable),
            _ => Ok(deferred),
        }
    }

    /// Writes pending counts before a close, which does not wait long for them: what is not
    /// written by then is logged and stays pending, and is lost with the process. It waits
    /// longer for entities that others have locked, so that no count is lost because of a
    /// usual write.
    pub(crate) async fn flush_before_close(&self) {
        let _closing = ClosingGuard::new(&self.closing);
        let unlocked = async {
            // What a flush in the background has is pending again when it ends.
            let flushing = self.flushing.lock().await;
            let mut taken = self.counts.take();
            let written = self.write_unlocked(&mut taken).await;
            (flushing, taken, written)
        };
        // A write that has begun runs to its end in the store. What is left is pending again
        // before another flush can begin.
        let unlocked = timeout(CLOSE_TIMEOUT, unlocked).await;
        let Ok((_flushing, mut taken, mut written)) = unlocked else {
            let memories = self.pending();
            tracing::warn!(memories, "access counts were not written in time");
            return;
        };
        if written.is_ok() {
            written = self.write_locked(&mut taken, LockLimit::of_close()).await;
        }
        let memories = taken.len();
        match written {
            _ if memories == 0 => {}
            Ok(()) => tracing::warn!(
                memories,
                "access counts were not written: others have locked the entities"
            ),
            Err(Unavailable) => tracing::warn!(
                memories,
                "access counts were not written: the store is unavailable or did not answer in \
                 time"
            ),
        }
    }
}

/// The store could not be reached, and has written nothing, or did not answer in time.
struct Unavailable;

/// How long a flush waits for what others have locked.
struct LockLimit<'a> {
    /// No wait for a lock goes on after this.
    locks: Instant,
    /// After this, it does not wait for what the store is writing either.
    writes: Option<Instant>,
    /// Those that wait for this flush to end, so that it waits for no lock.
    closing: Option<&'a AtomicUsize>,
}

impl<'a> LockLimit<'a> {
    /// Of a flush in the background, which ends sooner where a close waits for it.
    fn of_flush(closing: &'a AtomicUsize) -> Self {
        Self {
            locks: Instant::now() + FLUSH_LOCK_TIMEOUT,
            writes: None,
            closing: Some(closing),
        }
    }

    /// Of a flush before a close.
    fn of_close() -> Self {
        let locks = Instant::now() + CLOSE_LOCK_TIMEOUT;
        Self {
            locks,
            writes: Some(locks + LOCK_WAIT),
            closing: None,
        }
    }

    /// How long to wait for the next locked entity; `None` where none is waited for any more.
    fn next_wait(&self) -> Option<Duration> {
        let is_awaited = |closing: &AtomicUsize| closing.load(Ordering::SeqCst) > 0;
        if self.closing.is_some_and(is_awaited) {
            return None;
        }
        let left = self.locks.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| LOCK_WAIT.min(left))
    }

    /// Waits for a write; `None` where it took too long.
    async fn wait_for<T>(&self, write: impl Future<Output = T>) -> Option<T> {
        match self.writes {
            Some(limit) => timeout_at(limit, write).await.ok(),
            None => Some(write.await),
        }
    }
}

/// How many of these updates, of which those of an entity follow each other, are written
/// in the next transaction.
fn first_batch(updates: &[AccessUpdate]) -> usize {
    let (mut entities, mut length) = (0, 0);
    for own in updates.chunk_by(|a, b| a.entity == b.entity) {
        if entities == MAX_ENTITIES || length >= limits::MAX_LIMIT {
            break;
        }
        entities += 1;
        length += own.len();
    }
    length.min(limits::MAX_LIMIT)
}

/// As [`first_batch`], of one entity.
fn of_first_entity(updates: &[AccessUpdate]) -> usize {
    let mut entities = updates.chunk_by(|a, b| a.entity == b.entity);
    let length = entities.next().map_or(0, <[AccessUpdate]>::len);
    length.min(limits::MAX_LIMIT)
}

/// Lets another task be started when the one that writes ends.
struct FlushGuard(Arc<AccessCounts>);

impl Drop for FlushGuard {
    fn drop(&mut self) {
        self.0.writer_stopped();
    }
}

/// Has a flush in the background wait for no lock.
struct ClosingGuard<'a>(&'a AtomicUsize);

impl<'a> ClosingGuard<'a> {
    fn new(closing: &'a AtomicUsize) -> Self {
        closing.fetch_add(1, Ordering::SeqCst);
        Self(closing)
    }
}

impl Drop for ClosingGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use memory_core::MemoryId;

    use super::*;

    #[test]
    fn batches_have_few_entities_and_few_updates() {
        let update = |entity: &str| AccessUpdate::new(entity, MemoryId::new(), 1, Utc::now());
        let mut updates: Vec<_> = (0..120).map(|n| update(&format!("npc {n}"))).collect();
        updates.extend((0..2_500).map(|_| update("mira")));
        let sizes = |first: fn(&[AccessUpdate]) -> usize| {
            let mut rest = &updates[..];
            let mut sizes = Vec::new();
            while !rest.is_empty() {
                let (batch, after) = rest.split_at(first(rest));
                let entities = batch.chunk_by(|a, b| a.entity == b.entity);
                assert!(entities.count() <= MAX_ENTITIES);
                sizes.push(batch.len());
                rest = after;
            }
            sizes
        };
        assert_eq!(sizes(first_batch), [50, 50, 1_000, 1_000, 520]);
        let of_one = [&[1; 120][..], &[1_000, 1_000, 500]].concat();
        assert_eq!(sizes(of_first_entity), of_one);
        assert_eq!((first_batch(&[]), of_first_entity(&[])), (0, 0));
    }
}
