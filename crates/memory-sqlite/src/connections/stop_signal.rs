//! Ending work in the background when the store is closed or dropped.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// Stops what has a [`StopSignal`] of it when it is told to or dropped.
#[derive(Debug)]
pub(crate) struct StopOnDrop(Mutex<Option<watch::Sender<()>>>);

/// Says when work in the background has to end.
#[derive(Debug, Clone)]
pub(crate) struct StopSignal(watch::Receiver<()>);

impl StopOnDrop {
    pub(crate) fn new() -> (Self, StopSignal) {
        let (sender, receiver) = watch::channel(());
        (Self(Mutex::new(Some(sender))), StopSignal(receiver))
    }

    pub(crate) fn stop(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl StopSignal {
    /// Whether work has to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// Waits for this time, or until work has to end.
    pub(crate) async fn sleep(&mut self, time: Duration) {
        // An error says that the sender is gone, and nothing is ever sent.
        let _ = tokio::time::timeout(time, self.0.changed()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pause_ends_with_the_store() {
        let (stop, mut signal) = StopOnDrop::new();
        signal.sleep(Duration::from_millis(1)).await;
        assert!(!signal.is_stopped());
        let mut other = signal.clone();
        let pause = tokio::spawn(async move { other.sleep(Duration::from_secs(3_600)).await });
        tokio::task::yield_now().await;
        stop.stop();
        pause.await.unwrap();
        assert!(signal.is_stopped());
        signal.sleep(Duration::from_secs(3_600)).await;
    }
}
