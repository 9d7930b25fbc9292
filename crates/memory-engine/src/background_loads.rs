//! Loads of large snapshots that no recall waits for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::{AbortHandle, Abortable};
use memory_core::EntityId;
use memory_metrics::{Samples, label};

use crate::reader::Reader;
use crate::tiers::LoadToken;

/// The shortest pause after a load that failed: a store that cannot be read fails at once.
const MIN_PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Maximum number of entities whose pauses are remembered. Beyond it those that are over are
/// dropped, and all where none is: that costs loads, and no memory.
const MAX_PAUSES: usize = 1_024;

/// Loads one snapshot at a time in a task of its own, which goes on where the recall that
/// started it is canceled, as the next one will want it too.
///
/// One at a time: it uses all processors and one connection, and needs the rows and the
/// snapshot in memory, which is no more than once the size of the entity tier and what was
/// read for it. An entity that is recalled while another is loading is not queued: its next
/// recall tries again.
///
/// After a load the same entity is not loaded again for as long as that took, so that one
/// that is evicted at once, or overtaken by writes again and again, takes half of the time
/// at most.
#[derive(Default)]
pub(crate) struct BackgroundLoads {
    state: Mutex<State>,
    published: AtomicU64,
    overtaken: AtomicU64,
    failed: AtomicU64,
}

#[derive(Default)]
struct State {
    loading: Option<Loading>,
    paused_until: HashMap<EntityId, Instant>,
    is_stopped: bool,
}

struct Loading {
    entity: EntityId,
    abort: AbortHandle,
}

/// How a load ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LoadOutcome {
    /// Its task was dropped: the system was closed, or its runtime ended.
    Dropped,
    Published,
    /// Writes overtook it too often, or a cache was cleared.
    Overtaken,
    Failed,
}

impl BackgroundLoads {
    /// Whether the entity is loading.
    pub(crate) fn is_loading(&self, entity: &EntityId) -> bool {
        let state = self.lock();
        let loading = state.loading.as_ref();
        loading.is_some_and(|loading| loading.entity == *entity)
    }

    /// Loads the entity's snapshot and caches it, unless a load is in progress or this entity
    /// was loaded a moment ago.
    pub(crate) fn start(self: &Arc<Self>, reader: &Reader, token: LoadToken, entity: &EntityId) {
        let started = Instant::now();
        let (abort, registration) = AbortHandle::new_pair();
        {
            let mut state = self.lock();
            let paused_until = state.paused_until.get(entity);
            if state.is_stopped
                || state.loading.is_some()
                || paused_until.is_some_and(|until| started < *until)
            {
                return;
            }
            state.loading = Some(Loading {
                entity: entity.clone(),
                abort,
            });
        }
        let running = Running {
            loads: Arc::clone(self),
            entity: entity.clone(),
            started,
            outcome: LoadOutcome::Dropped,
        };
        let (reader, entity) = (reader.clone(), entity.clone());
        let loading = async move {
            let mut running = running;
            running.outcome = match reader.load_and_follow(token, &entity).await {
                Ok(true) => LoadOutcome::Published,
                Ok(false) => LoadOutcome::Overtaken,
                Err(error) => {
                    tracing::warn!(
                        kind = ?error.kind(),
                        "a snapshot could not be loaded; the store answers in its place"
                    );
                    LoadOutcome::Failed
                }
            };
        };
        // Outside of the lock: a runtime that has ended drops the task at once.
        tokio::spawn(Abortable::new(loading, registration));
    }

    /// Ends the load in progress, and lets none begin.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        if let Some(loading) = &state.loading {
            loading.abort.abort();
        }
    }

    /// Lets loads begin again.
    pub(crate) fn resume(&self) {
        self.lock().is_stopped = false;
    }

    /// Reports how loads ended.
    pub(crate) fn sample(&self, samples: &mut Samples) {
        for (outcome, count) in [
            (label!("outcome": "ok"), &self.published),
            (label!("outcome": "overtaken"), &self.overtaken),
            (label!("outcome": "failed"), &self.failed),
        ] {
            let count = count.load(Ordering::Relaxed);
            samples.counter(&memory_metrics::SNAPSHOT_BACKGROUND_LOADS, outcome, count);
        }
    }

    fn finish(&self, entity: &EntityId, took: Duration, outcome: LoadOutcome) {
        let mut state = self.lock();
        state.loading = None;
        let (counter, pause) = match outcome {
            LoadOutcome::Dropped => return,
            LoadOutcome::Published => (&self.published, took),
            LoadOutcome::Overtaken => (&self.overtaken, took),
            LoadOutcome::Failed => (&self.failed, took.max(MIN_PAUSE_AFTER_FAILURE)),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let (now, paused) = (Instant::now(), &mut state.paused_until);
        if paused.len() >= MAX_PAUSES {
            paused.retain(|_, until| now < *until);
        }
        if paused.len() >= MAX_PAUSES {
            paused.clear();
        }
        paused.insert(entity.clone(), now + pause);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves a state that is still sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load in progress. Ends with its task, also where that is dropped with its runtime.
struct Running {
    loads: Arc<BackgroundLoads>,
    entity: EntityId,
    started: Instant,
    outcome: LoadOutcome,
}

impl Drop for Running {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let outcome = match self.outcome {
            LoadOutcome::Dropped if thread::panicking() => LoadOutcome::Failed,
            outcome => outcome,
        };
        self.loads.finish(&self.entity, took, outcome);
    }
}
