//! Ending work whose caller is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Says whether the caller of some work is gone: closing the store would wait for the work.
#[derive(Debug, Clone, Default)]
pub(crate) struct CancelSignal(Arc<AtomicBool>);

/// Sets its signal when it is dropped.
#[derive(Debug)]
pub(crate) struct CancelOnDrop(CancelSignal);

impl CancelSignal {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// To be kept by the caller as long as it waits.
    pub(crate) fn on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }

    /// How many have it.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
