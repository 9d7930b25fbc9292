//! Counting recalls in the background.

use std::sync::Arc;

use memory_core::{AccessCounting, EntityId, ErrorKind, limits};
use tokio::runtime::Handle;

use crate::consolidation::{AccessCounts, FLUSH_AFTER};
use crate::engine::EngineInner;
use crate::recall::RecallHit;

impl EngineInner {
    /// Counts what a recall returned. Never fails, never waits: the counts are
    /// written by a task of their own.
    pub(super) fn count_accesses(self: &Arc<Self>, entity: &EntityId, recalled: &[RecallHit]) {
        if self.config.access_counting == AccessCounting::Off || recalled.is_empty() {
            return;
        }
        let ids = recalled.iter().map(|recalled| recalled.memory.id);
        let now = limits::to_micros(self.clock.now());
        if self.access_counts.record(entity, ids, now) {
            self.send_writer();
        }
    }

    /// Sends a task that writes the counts after a while, or sooner when there
    /// are many, and then ends. It does not keep the system alive: what was
    /// not written when the last handle goes is lost, as in a crash.
    fn send_writer(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else {
            self.access_counts.writer_stopped();
            return;
        };
        let (system, accesses) = (Arc::downgrade(self), Arc::clone(&self.access_counts));
        runtime.spawn(async move {
            // Also where the runtime ends before this task does.
            let post = Post(accesses);
            let many = post.0.flush_due.notified();
            // Whichever comes first; an elapsed timeout is no failure.
            let _ = tokio::time::timeout(FLUSH_AFTER, many).await;
            if let Some(system) = system.upgrade() {
                system.write_accesses().await;
            }
        });
    }

    /// Writes all counts that wait. What cannot be written just now waits on;
    /// what cannot be written at all is lost, and logged.
    pub(super) async fn write_accesses(&self) {
        for (entity, updates) in self.access_counts.drain() {
            for updates in updates.chunks(limits::MAX_LIMIT) {
                let Err(error) = self.store.record_accesses(&entity, updates).await else {
                    continue;
                };
                if error.kind() == ErrorKind::Unavailable {
                    self.access_counts.put_back(&entity, updates);
                }
                tracing::warn!(%entity, kind = ?error.kind(), "accesses were not written");
            }
        }
    }
}

/// Who waits to write; leaves its post when it is dropped before that.
struct Post(Arc<AccessCounts>);

impl Drop for Post {
    fn drop(&mut self) {
        self.0.writer_stopped();
    }
}
