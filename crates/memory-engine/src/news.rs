//! Listening to what other processes write.
//!
//! News makes the tiers fresh early and is never needed for correctness: what
//! a read may be shown is decided by `tiers::age`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use memory_core::{ChangeStream, Consistency, ErrorKind, Store, StoreEvent};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::engine::EngineInner;

/// The first pause before a listener that cannot be had is asked for again;
/// each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// The engine's ear. Dropping it ends the task that listens.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Whether news may be missed just now.
    lost: Arc<AtomicBool>,
    task: OnceLock<AbortHandle>,
}

impl News {
    /// Whether news may be missed just now, where there ought to be news.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Stops listening; from now on news is missed.
    pub(crate) fn stop(&self) {
        if let Some(task) = self.task.get() {
            self.lost.store(true, Ordering::Release);
            task.abort();
        }
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Listens in a task of its own for as long as the engine lives, where others
/// write too and there is a runtime to listen on.
pub(crate) fn start(shared: &Arc<EngineInner>) {
    if shared.config.consistency == Consistency::Local {
        return;
    }
    if let Ok(runtime) = Handle::try_current() {
        let silence = Silence(Arc::clone(&shared.news.lost));
        silence.begins();
        let (engine, store) = (Arc::downgrade(shared), Arc::clone(&shared.store));
        let task = runtime.spawn(listen(engine, store, silence));
        // Started once, when the engine is put together.
        shared.news.task.set(task.abort_handle()).ok();
    }
}

/// Not to hear what is told. It begins by itself when the task ends, for
/// whatever reason.
struct Silence(Arc<AtomicBool>);

impl Silence {
    fn begins(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn ends(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Where nothing is ever told, nothing is missed.
    fn never_was(mut self) {
        self.ends();
        self.0 = Arc::default();
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.begins();
    }
}

async fn listen(engine: Weak<EngineInner>, store: Arc<dyn Store>, silence: Silence) {
    let mut watch = match open(store).await {
        Ok(Some(watch)) => watch,
        Ok(None) => return silence.never_was(),
        Err(Closed) => return,
    };
    let hear_again = || {
        // What was written while nothing was heard is not told any more.
        let engine = engine.upgrade()?;
        engine.tiers.clear_shown();
        silence.ends();
        Some(())
    };
    if hear_again().is_none() {
        return;
    }
    loop {
        let news = watch.next().await;
        let heard = match news {
            StoreEvent::Changed { entity, generation } => engine
                .upgrade()
                .map(|engine| engine.tiers.heard(&entity, generation)),
            StoreEvent::Reconnected => hear_again(),
            StoreEvent::Closed => None,
            // What this version does not know of may be anything.
            _ => {
                silence.begins();
                Some(())
            }
        };
        if heard.is_none() {
            return;
        }
    }
}

/// The store was closed.
struct Closed;

/// The store's watch, asked for until it is had; `None` where the store has no
/// such channel.
async fn open(store: Arc<dyn Store>) -> Result<Option<Box<dyn ChangeStream>>, Closed> {
    let mut pause = FIRST_PAUSE;
    loop {
        match store.watch().await {
            Ok(watch) => return Ok(watch),
            Err(error) if error.kind() == ErrorKind::Closed => return Err(Closed),
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), ?pause, "no news of writes; asking again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
        }
    }
}
