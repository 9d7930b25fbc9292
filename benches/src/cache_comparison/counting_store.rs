//! A store that counts its calls and delays its reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{MemoryResult, Store};
use memory_testkit::{HookedStore, InMemoryStore, StoreCall, StoreHooks, StoreOperation};
use serde::{Deserialize, Serialize};

/// The number of calls of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreCalls {
    /// Read calls.
    pub reads: u64,
    /// Write calls.
    pub writes: u64,
}

/// Counts the calls of a store.
#[derive(Debug)]
pub struct CallCounter {
    /// The duration of each read.
    delay: Duration,
    reads: AtomicU64,
    writes: AtomicU64,
}

impl CallCounter {
    /// An empty in-memory store whose reads take at least `delay`, and the
    /// counter of its calls.
    #[must_use]
    pub fn with_store(delay: Duration) -> (Arc<Self>, Arc<dyn Store>) {
        Self::around(Arc::new(InMemoryStore::new()), delay)
    }

    /// A store whose reads take `delay` longer, and the counter of its calls.
    #[must_use]
    pub fn around(store: Arc<dyn Store>, delay: Duration) -> (Arc<Self>, Arc<dyn Store>) {
        let counter = Arc::new(Self {
            delay,
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        });
        let hooks = Arc::clone(&counter) as Arc<dyn StoreHooks>;
        (counter, Arc::new(HookedStore::new(store, hooks)))
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> StoreCalls {
        StoreCalls {
            reads: self.reads.load(Ordering::SeqCst),
            writes: self.writes.load(Ordering::SeqCst),
        }
    }
}

#[async_trait]
impl StoreHooks for CallCounter {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        if call.operation.is_write() {
            self.writes.fetch_add(1, Ordering::SeqCst);
        } else if !matches!(
            call.operation,
            StoreOperation::Watch | StoreOperation::Close
        ) {
            self.reads.fetch_add(1, Ordering::SeqCst);
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
        }
        Ok(())
    }
}
