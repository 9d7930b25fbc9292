//! When a cached value was last known to match the store.

use std::sync::{Arc, Mutex, PoisonError};

use super::freshness::ReadInstant;

/// The last time when the store was known to be at a value's generation: before
/// it was asked. Shared by the copies of a value.
#[derive(Debug, Clone)]
pub(crate) struct Verified(Arc<Mutex<ReadInstant>>);

impl Verified {
    /// Of a value that was read after `began`.
    pub(crate) fn new(began: ReadInstant) -> Self {
        Self(Arc::new(Mutex::new(began)))
    }

    pub(crate) fn at(&self) -> ReadInstant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the store, asked at `asked`, was at the value's generation.
    /// That holds whatever happened to the tier meanwhile.
    pub(crate) fn update(&self, asked: ReadInstant) {
        let mut verified = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_later_than(*verified) {
            *verified = asked;
        }
    }
}
