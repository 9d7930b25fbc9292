//! Batches under way: one is embedded while the one before it is written.

use std::collections::VecDeque;
use std::sync::Arc;

use memory::MemorySystem;
use tokio::task::JoinHandle;

use super::batch::{Batch, Key, Settled};
use crate::exit::{Code, Failure};

/// Batches under way at most; each is held whole, so that this bounds memory.
const AT_ONCE: usize = 2;

pub(super) struct Flights(VecDeque<(Arc<Batch>, JoinHandle<Settled>)>);

impl Flights {
    pub(super) fn new() -> Self {
        Self(VecDeque::with_capacity(AT_ONCE))
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= AT_ONCE
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this memory is under way.
    pub(super) fn hold(&self, key: &Key) -> bool {
        self.0.iter().any(|(batch, _)| batch.holds(key))
    }

    pub(super) fn start(&mut self, batch: Batch, system: &MemorySystem) {
        let (batch, system) = (Arc::new(batch), system.clone());
        let own = Arc::clone(&batch);
        let task = tokio::spawn(async move { own.run_pending_tasks(&system).await });
        self.0.push_back((batch, task));
    }

    /// Waits for the one that began first.
    pub(super) async fn next(&mut self) -> Result<Option<Settled>, Failure> {
        let Some((_, task)) = self.0.pop_front() else {
            return Ok(None);
        };
        let ended = |_| Failure::new(Code::Failed, "other", "a batch's task ended early");
        task.await.map(Some).map_err(ended)
    }
}
