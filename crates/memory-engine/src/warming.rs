//! Loading snapshots after a start, before they are asked for.

use std::time::{Duration, Instant};

use memory_core::{ErrorKind, MemoryResult};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::reader::Reader;
use crate::tiers::EntityTier;

/// The shortest pause between two loads: at most 20 each second.
const MIN_PAUSE: Duration = Duration::from_millis(50);

/// A pause is so many times as long as the load before it, so that loads take a fifth of
/// the time of what they need: a processor, and one connection.
const PAUSE_FACTOR: u32 = 4;

/// How often the task looks at most whether changes are heard.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The task that loads. Dropping it ends the task.
#[derive(Debug)]
pub(crate) struct Warming {
    task: Option<AbortHandle>,
}

impl Warming {
    /// Loads in a task of its own, where there is a runtime and anything to load.
    pub(crate) fn start(reader: &Reader, max_entities: usize) -> Self {
        let runtime = Handle::try_current().ok().filter(|_| max_entities > 0);
        let task = runtime.map(|runtime| {
            let reader = reader.clone();
            runtime
                .spawn(async move { warm_in_background(&reader, max_entities).await })
                .abort_handle()
        });
        Self { task }
    }

    /// Ends the task.
    pub(crate) fn stop(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Drop for Warming {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn warm_in_background(reader: &Reader, max_entities: usize) {
    // The change listener drops what was cached before it is connected.
    let mut wait = MIN_PAUSE;
    while reader.listener.is_disconnected() {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(MAX_WAIT);
    }
    let Err(error) = reader.warm(max_entities, pause_after).await else {
        return;
    };
    match error.kind() {
        ErrorKind::Unsupported | ErrorKind::Closed => {
            tracing::debug!(kind = ?error.kind(), "no snapshots loaded after the start");
        }
        kind => tracing::warn!(?kind, "loading snapshots after the start ended early"),
    }
}

fn pause_after(load: Duration) -> Duration {
    MIN_PAUSE.max(load * PAUSE_FACTOR)
}

impl Reader {
    /// Loads the snapshots of the entities whose memories were accessed last, one at a
    /// time, with a pause after each, and returns how many. Skips those that are cached,
    /// and those that are too large for what is left of half the tier; ends when nothing
    /// is left of it.
    ///
    /// A recall that needs the same snapshot meanwhile joins the load, if the entity is so
    /// small that recalls wait for it; otherwise the store answers. What is loaded for
    /// recalls in the background is left to them.
    ///
    /// # Errors
    /// Those of the store; what was loaded until then stays.
    pub(crate) async fn warm(
        &self,
        max_entities: usize,
        pause_after: impl Fn(Duration) -> Duration,
    ) -> MemoryResult<usize> {
        let entities = self.store.recently_accessed_entities(max_entities).await?;
        let tier = &self.tiers.entity;
        let dimensions = self.snapshot_loader.dimensions();
        let min_bytes = EntityTier::min_bytes_per_memory(dimensions);
        let (mut loaded, mut loaded_memories, mut loaded_bytes) = (0, 1, min_bytes);
        for entity in entities {
            let started = Instant::now();
            if tier.get(&entity).is_some() || self.background_loads.is_loading(&entity) {
                continue;
            }
            tier.run_pending_tasks();
            if !tier.is_half_free(0) {
                break;
            }
            let memories = self.store.entity_stats(&entity).await?.memory_count;
            // What a memory took of those that were loaded is more than the least.
            let bytes = memories.saturating_mul(loaded_bytes / loaded_memories);
            if tier.can_cache(&entity, memories, dimensions) && tier.is_half_free(bytes) {
                let token = self.tiers.coherence.load_token(&entity);
                let (load, _) = self.load_snapshot(token, &entity, None, EntityTier::fill_free);
                let snapshot = load.await?.cached.snapshot;
                loaded += 1;
                loaded_memories += snapshot.len() as u64;
                loaded_bytes += snapshot.size_bytes() as u64;
                tier.counters.record_warmed();
            }
            tokio::time::sleep(pause_after(started.elapsed())).await;
        }
        Ok(loaded)
    }
}
