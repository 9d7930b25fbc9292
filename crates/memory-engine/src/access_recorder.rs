//! Recording accesses in the background.

use std::sync::{Arc, Weak};
use std::time::Duration;

use memory_core::{AccessCounting, Clock, EntityId, ErrorKind, MemoryConfig, Store, limits};
use tokio::runtime::Handle;

use crate::consolidation::{AccessCounts, FLUSH_AFTER};
use crate::recall::RecallHit;
use crate::tiers::Tiers;

/// How long a close waits for access counts to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Counts what recalls return, and writes the counts to the store in batches.
pub(crate) struct AccessRecorder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    tiers: Arc<Tiers>,
    is_enabled: bool,
    counts: Arc<AccessCounts>,
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
        let (recorder, counts) = (Weak::clone(&self.this), Arc::clone(&self.counts));
        runtime.spawn(async move {
            // Dropped also where the runtime ends before this task does.
            let guard = FlushGuard(counts);
            let flush_due = guard.0.flush_due.notified();
            // Whichever comes first; an elapsed timeout is no failure.
            let _ = tokio::time::timeout(FLUSH_AFTER, flush_due).await;
            if let Some(recorder) = recorder.upgrade() {
                recorder.flush().await;
            }
        });
    }

    /// Writes all pending counts. While the store is unavailable they stay
    /// pending, and nothing more is tried; counts that cannot be written at all
    /// are dropped and logged, unless the store only reads.
    pub(crate) async fn flush(&self) {
        let mut is_available = true;
        // Many entities in one transaction: one for each would keep the connection that
        // writes busy. Not all at once, since others wait for it.
        for updates in self.counts.drain().chunks(limits::MAX_LIMIT) {
            if !is_available {
                self.counts.put_back(updates);
                continue;
            }
            let recorded = self.store.record_accesses(updates).await;
            for own in updates.chunk_by(|a, b| a.entity == b.entity) {
                let ids = own.iter().map(|update| update.id);
                self.tiers.invalidate_access_counts(&own[0].entity, ids);
            }
            let Err(error) = recorded else {
                continue;
            };
            if error.kind() == ErrorKind::Unavailable {
                is_available = false;
                self.counts.put_back(updates);
            }
            match error.kind() {
                // A hot standby, or a file without write permission: as intended.
                ErrorKind::ReadOnly => {
                    tracing::debug!("access counts are not written: the store only reads");
                }
                kind => tracing::warn!(?kind, "access counts were not written"),
            }
        }
    }

    /// Writes pending counts before a close, which does not wait long for them:
    /// what is not written by then is dropped and logged.
    pub(crate) async fn flush_before_close(&self) {
        // A write that has begun runs to its end in the store.
        if tokio::time::timeout(CLOSE_TIMEOUT, self.flush())
            .await
            .is_err()
        {
            tracing::warn!("access counts were not written in time");
        }
    }
}

/// Lets another task be started when the one that writes ends.
struct FlushGuard(Arc<AccessCounts>);

impl Drop for FlushGuard {
    fn drop(&mut self) {
        self.0.writer_stopped();
    }
}
