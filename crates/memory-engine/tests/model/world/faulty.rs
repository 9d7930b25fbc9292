//! Store faults: failed reads and lost responses of writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use memory_core::{ErrorKind, MemoryError, MemoryResult, Store};
use memory_testkit::{HookedStore, StoreCall, StoreHooks, StoreOperation};
use tokio::task::yield_now;

/// Faults of any store.
#[derive(Debug)]
pub(crate) struct StoreFaults {
    /// The store without faults.
    pub(crate) inner: Arc<dyn Store>,
    /// The next read fails.
    pub(crate) fail_next_read: AtomicBool,
    /// The next write is executed and its response lost.
    pub(crate) lose_next_response: AtomicBool,
    /// Writes in progress.
    writing: AtomicU64,
}

impl StoreFaults {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            fail_next_read: AtomicBool::default(),
            lose_next_response: AtomicBool::default(),
            writing: AtomicU64::default(),
        })
    }

    /// The store with these faults.
    pub(crate) fn store(self: &Arc<Self>) -> Arc<dyn Store> {
        let hooks = Arc::clone(self);
        Arc::new(HookedStore::new(Arc::clone(&self.inner), hooks))
    }

    pub(crate) fn clear(&self) {
        self.fail_next_read.store(false, Ordering::SeqCst);
        self.lose_next_response.store(false, Ordering::SeqCst);
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writing.load(Ordering::SeqCst) > 0
    }
}

/// Writes that raise a generation.
fn is_write(call: StoreCall<'_>) -> bool {
    call.operation.is_write() && call.operation != StoreOperation::RecordAccesses
}

#[async_trait]
impl StoreHooks for StoreFaults {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        use StoreOperation::{ChangesSince, EntityStats, Get, List, ReadSnapshotPages, Search};
        if is_write(call) {
            self.writing.fetch_add(1, Ordering::SeqCst);
            yield_now().await;
        }
        let can_fail = matches!(
            call.operation,
            Get | List | Search | ChangesSince | ReadSnapshotPages | EntityStats
        );
        if can_fail && self.fail_next_read.swap(false, Ordering::SeqCst) {
            let message = "a read fails on purpose";
            return Err(MemoryError::store(ErrorKind::Unavailable, "read", message));
        }
        Ok(())
    }

    async fn after(&self, call: StoreCall<'_>, _: Result<(), &MemoryError>) -> MemoryResult<()> {
        use StoreOperation::{ChangesSince, Get, ReadSnapshotPages};
        if is_write(call) {
            yield_now().await;
            self.writing.fetch_sub(1, Ordering::SeqCst);
            if self.lose_next_response.swap(false, Ordering::SeqCst) {
                let message = "the response of a write is lost on purpose";
                return Err(MemoryError::store(
                    ErrorKind::OutcomeUnknown,
                    "write",
                    message,
                ));
            }
        } else if matches!(call.operation, Get | ChangesSince | ReadSnapshotPages) {
            yield_now().await;
        }
        Ok(())
    }
}
