//! Listening to other processes' writes.
//!
//! Change events let the tiers be refreshed early. Correctness never depends on
//! them: what a read may use is decided by `tiers::freshness`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use memory_core::{ChangeStream, Consistency, ErrorKind, Store, StoreEvent};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::tiers::Tiers;

/// The first wait before subscribing again after a failure; each further one is
/// twice as long as the one before.
const INITIAL_BACKOFF: Duration = Duration::from_secs(1);

/// The longest wait.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Whether change events may be missed at present, where they are expected.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListenerState(Arc<AtomicBool>);

impl ListenerState {
    #[inline]
    pub(crate) fn is_disconnected(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set_disconnected(&self, disconnected: bool) {
        self.0.store(disconnected, Ordering::Release);
    }
}

/// The task that listens. Dropping it ends the task.
#[derive(Debug)]
pub(crate) struct ChangeListener {
    state: ListenerState,
    task: Option<AbortHandle>,
}

impl ChangeListener {
    /// Listens in a task of its own, where the consistency lets other processes
    /// write and there is a runtime to listen on.
    pub(crate) fn start(
        consistency: Consistency,
        store: &Arc<dyn Store>,
        tiers: &Arc<Tiers>,
    ) -> Self {
        let state = ListenerState::default();
        let runtime = Handle::try_current().ok();
        let runtime = runtime.filter(|_| consistency != Consistency::Local);
        let task = runtime.map(|runtime| {
            state.set_disconnected(true);
            let guard = DisconnectGuard(state.clone());
            let listening = listen(Arc::downgrade(tiers), Arc::clone(store), guard);
            runtime.spawn(listening).abort_handle()
        });
        Self { state, task }
    }

    pub(crate) fn state(&self) -> ListenerState {
        self.state.clone()
    }
}

impl Drop for ChangeListener {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            self.state.set_disconnected(true);
            task.abort();
        }
    }
}

/// Marks the listener as disconnected when its task ends, for whatever reason.
struct DisconnectGuard(ListenerState);

impl DisconnectGuard {
    /// A store without change events has none to miss.
    fn disarm(mut self) {
        self.0.set_disconnected(false);
        self.0 = ListenerState::default();
    }
}

impl Drop for DisconnectGuard {
    fn drop(&mut self) {
        self.0.set_disconnected(true);
    }
}

async fn listen(tiers: Weak<Tiers>, store: Arc<dyn Store>, guard: DisconnectGuard) {
    let mut changes = match subscribe(store).await {
        Ok(Some(changes)) => changes,
        Ok(None) => return guard.disarm(),
        Err(Closed) => return,
    };
    let on_connected = || {
        // Writes while nothing was heard are not reported any more.
        tiers.upgrade()?.clear_store_backed();
        guard.0.set_disconnected(false);
        Some(())
    };
    if on_connected().is_none() {
        return;
    }
    loop {
        let event = changes.next().await;
        let handled = match event {
            StoreEvent::Changed { entity, generation } => tiers
                .upgrade()
                .map(|tiers| tiers.on_remote_write(&entity, generation)),
            StoreEvent::Reconnected => on_connected(),
            StoreEvent::Closed => None,
            // An event that this version does not know may mean anything.
            _ => {
                guard.0.set_disconnected(true);
                Some(())
            }
        };
        if handled.is_none() {
            return;
        }
    }
}

/// The store was closed.
struct Closed;

/// Subscribes to the store's changes, again after each failure; `None` where
/// the store has no such channel.
async fn subscribe(store: Arc<dyn Store>) -> Result<Option<Box<dyn ChangeStream>>, Closed> {
    let mut backoff = INITIAL_BACKOFF;
    loop {
        match store.watch().await {
            Ok(changes) => return Ok(changes),
            Err(error) if error.kind() == ErrorKind::Closed => return Err(Closed),
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), ?backoff, "cannot subscribe to changes; retrying");
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(MAX_BACKOFF);
            }
        }
    }
}
