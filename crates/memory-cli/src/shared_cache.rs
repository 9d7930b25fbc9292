//! The shared cache that the settings name.

use std::sync::Arc;

#[cfg(not(feature = "valkey"))]
use memory::MemoryError;
use memory::cache::SharedCache;
use memory::{MemoryResult, Settings};

/// Makes the shared cache, if the settings name one. Nothing is contacted yet.
#[cfg(feature = "valkey")]
pub(crate) fn open(settings: &Settings) -> MemoryResult<Option<Arc<dyn SharedCache>>> {
    let Some(url) = settings.shared_cache() else {
        return Ok(None);
    };
    Ok(Some(Arc::new(memory::valkey::ValkeyCache::open(url)?)))
}

/// Without the feature there is no shared cache.
#[cfg(not(feature = "valkey"))]
pub(crate) fn open(settings: &Settings) -> MemoryResult<Option<Arc<dyn SharedCache>>> {
    match settings.shared_cache() {
        None => Ok(None),
        Some(_) => Err(MemoryError::configuration(
            "this build of the memory command supports no shared cache; leave out --shared-cache, \
             MEMORY_SHARED_CACHE and shared_cache, or run cargo install --path crates/memory-cli \
             --features valkey in its repository",
        )),
    }
}
