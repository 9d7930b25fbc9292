//! Reading a page of a list, through the entity tier.

use std::sync::Arc;

use futures_util::FutureExt;
use memory_core::{EntityId, ListPage, ListRequest, MemoryResult};
use tracing::{Instrument, debug_span};

use crate::reader::Reader;
use crate::tiers::{CachedPage, ReadInstant};

impl Reader {
    /// The page, with every write that ended before this call as far as the
    /// consistency requires.
    pub(crate) async fn page(
        &self,
        entity: &EntityId,
        request: &ListRequest,
    ) -> MemoryResult<Arc<ListPage>> {
        let (tier, freshness) = (&self.tiers.entity, self.required_freshness(entity));
        if let Some(CachedPage { page, verified, .. }) = tier.pages.get(entity, request)
            && self
                .is_current(entity, page.generation, &verified, &freshness)
                .await?
        {
            tier.counters.record_hit();
            return Ok(page);
        }
        tier.counters.record_miss();
        let (loaded, joined) = self.load_page(entity, request).await?;
        if !joined || freshness.is_satisfied_by(loaded.verified.at()) {
            return Ok(loaded.page);
        }
        // It joined a load that began too early. That has ended, so a second
        // load began after this call.
        let (loaded, _) = self.load_page(entity, request).await?;
        Ok(loaded.page)
    }

    /// Joins the load in progress, or reads the page. Returns whether it joined.
    async fn load_page(
        &self,
        entity: &EntityId,
        request: &ListRequest,
    ) -> MemoryResult<(CachedPage, bool)> {
        let tier = &self.tiers.entity;
        // Before anything is read: see `tiers::coherence`.
        let token = self.tiers.coherence.load_token(entity);
        let key = (token, entity.clone(), request.clone());
        let (load, joined) = tier.pages.loads.join_or_start(key, || {
            let (reader, entity, request) = (self.clone(), entity.clone(), request.clone());
            async move {
                let tier = &reader.tiers.entity;
                tier.counters.record_load();
                let began = ReadInstant::now(&*reader.clock);
                let span = debug_span!("load", tier = "entity", limit = request.limit);
                let listing = reader.store.list(&entity, &request).instrument(span);
                let loaded = CachedPage::new(request.clone(), listing.await?, began);
                let (coherence, read_at) = (&reader.tiers.coherence, loaded.page.generation);
                if !coherence.publish(token, &entity, read_at, |_| {
                    tier.pages.fill(&entity, &loaded)
                }) {
                    tier.counters.record_refused_fill();
                }
                Ok(loaded)
            }
            .boxed()
        });
        tier.counters.record_coalesced_loads(usize::from(joined));
        Ok((load.await?, joined))
    }
}
