//! The pages of lists that the entity tier holds in addition to the snapshots.

use std::iter;
use std::sync::Arc;

use memory_core::{
    Cache, CacheBackend, CachePolicy, EntityId, ListPage, ListRequest, Memory, MemoryConfig,
    MemoryFilter,
};

use super::coherence::LoadToken;
use super::freshness::ReadInstant;
use super::single_flight::SingleFlight;
use super::verified::Verified;

/// Pages that are held of one entity: what a screen shows and a few others. A
/// scan of all pages replaces them without adding to them.
const PAGES_PER_ENTITY: usize = 4;

/// The share of the entity tier's bytes that pages may take.
pub(super) const PAGES_SHARE: u64 = 8;

/// Loads are of one request at one epoch: see [`super::memory::LoadKey`].
type LoadKey = (LoadToken, EntityId, ListRequest);

pub(crate) struct Pages {
    cache: Box<dyn Cache<EntityId, EntityPages>>,
    pub(crate) loads: SingleFlight<LoadKey, CachedPage>,
}

/// The pages of one entity, the latest first.
type EntityPages = Arc<[CachedPage]>;

/// A page, and when the store held it so.
#[derive(Clone)]
pub(crate) struct CachedPage {
    request: Arc<ListRequest>,
    pub(crate) page: Arc<ListPage>,
    /// When the store was last known to be at the page's generation.
    pub(crate) verified: Verified,
    /// Counted here, as the cache is filled under a lock.
    bytes: u64,
}

impl CachedPage {
    /// A page that was read after `began`.
    pub(crate) fn new(request: ListRequest, page: ListPage, began: ReadInstant) -> Self {
        let memories = page.memories.iter().map(Memory::size_bytes);
        let filter = request.filter.size_bytes() - size_of::<MemoryFilter>();
        let own = size_of::<Self>() + size_of::<ListRequest>();
        Self {
            bytes: (own + filter + memories.sum::<usize>()) as u64,
            request: Arc::new(request),
            page: Arc::new(page),
            verified: Verified::new(began),
        }
    }
}

impl Pages {
    pub(super) fn new(backend: &impl CacheBackend, config: &MemoryConfig) -> Self {
        let mut max_bytes = config.entity_cache_max_bytes;
        max_bytes.0 /= PAGES_SHARE;
        let policy = CachePolicy::new(
            config.entity_cache_capacity(),
            max_bytes,
            |_: &EntityId, pages: &EntityPages| pages.iter().map(|page| page.bytes).sum(),
        )
        .ttl(config.cache_ttl())
        .tti(config.cache_tti());
        Self {
            cache: Box::new(backend.build(policy)),
            loads: SingleFlight::new(),
        }
    }

    /// The page that was read for this request. Whether it is a hit, the caller
    /// decides.
    pub(crate) fn get(&self, entity: &EntityId, request: &ListRequest) -> Option<CachedPage> {
        let pages = self.cache.get(entity)?;
        pages.iter().find(|page| *page.request == *request).cloned()
    }

    /// Caches a page. Call it only within [`super::Coherence::publish`].
    pub(crate) fn fill(&self, entity: &EntityId, page: &CachedPage) {
        let cached = self.cache.get(entity);
        let others = cached.iter().flat_map(|pages| pages.iter());
        // Pages of an earlier state are never read again.
        let others = others.filter(|other| {
            other.request != page.request && other.page.generation == page.page.generation
        });
        let pages = iter::once(page).chain(others).take(PAGES_PER_ENTITY);
        self.cache.insert(entity.clone(), pages.cloned().collect());
    }

    pub(super) fn remove(&self, entity: &EntityId) {
        self.cache.remove(entity);
    }

    pub(super) fn clear(&self) {
        self.cache.clear();
    }

    pub(super) fn cache(&self) -> &dyn Cache<EntityId, EntityPages> {
        &*self.cache
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{Generation, MemoryTagMode, SystemClock};

    use super::*;

    #[test]
    fn a_page_counts_the_texts_of_its_filter() {
        let bytes = |filter: MemoryFilter| {
            let request = ListRequest::new(10).filter(filter);
            let page = ListPage::new(Generation(1), Vec::new(), None);
            CachedPage::new(request, page, ReadInstant::now(&SystemClock)).bytes
        };
        let tags = (0..64).map(|n| format!("{n:0>512}"));
        let large = MemoryFilter::new()
            .tags(tags, MemoryTagMode::Any)
            .metadata("notes", "x".repeat(65_000));
        assert!(bytes(large) > bytes(MemoryFilter::new()) + 64 * 512 + 65_000);
    }
}
