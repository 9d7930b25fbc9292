//! Faulty samples, statistics of terms, and neighbors.

use memory_core::{
    EntityId, MemoryFilter, MemoryResult, NeighborOutcome, NeighborRequest, SearchOutcome,
    SearchRequest, Store, limits,
};

use super::{FaultyStore, StoreFault as Fault};

impl FaultyStore {
    /// What a search gives a ranking besides its candidates.
    pub(super) async fn spoil_statistics(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
        found: &mut SearchOutcome,
    ) -> MemoryResult<()> {
        match self.fault {
            Fault::CountsMatchesWithoutTheFilter => {
                let all = self.inner.count(entity, &MemoryFilter::new()).await?;
                found.matching = Some(all);
            }
            Fault::CountsTermsWithinTheFilter => {
                let matching = self.inner.count(entity, &request.filter).await?;
                if let Some(terms) = &mut found.terms {
                    terms.memories = matching;
                }
            }
            Fault::IgnoresTheChunkDiscount => {
                let mut request = request.clone();
                if let Some(dense) = &mut request.dense {
                    dense.chunk_discount = 0.0;
                }
                *found = self.inner.search(entity, &request).await?;
            }
            Fault::ReturnsDiscountedSimilarities => {
                let hits = found.candidates.iter_mut();
                for (hit, query) in hits.zip(request.dense.iter().cycle()) {
                    let value = |similarity| query.value(similarity, hit.chunks.unwrap_or(1));
                    hit.similarity = hit.similarity.map(value);
                }
            }
            Fault::SamplesHalf => found.sample.truncate(request.sample / 2),
            Fault::SamplesWithoutTheFilter => {
                let mut request = request.clone();
                request.filter = MemoryFilter::new();
                found.sample = self.inner.search(entity, &request).await?.sample;
            }
            Fault::SamplesTheBest => {
                found.sample = found.candidates.clone();
                found.sample.truncate(request.sample);
            }
            Fault::SamplesWithoutValues => {
                let hits = found.sample.iter_mut();
                hits.for_each(|hit| hit.similarity = None);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) async fn faulty_neighbors(
        &self,
        entity: &EntityId,
        request: &NeighborRequest,
    ) -> MemoryResult<NeighborOutcome> {
        let mut request = request.clone();
        match self.fault {
            Fault::ReadsNeighborsWithoutTheFilter => request.filter = MemoryFilter::new(),
            Fault::ReadsNeighborsWithoutValues => request.dense = None,
            Fault::ClampsNeighborLimits => {
                request.ids.truncate(limits::MAX_LIMIT);
                request.reach = request.reach.clamp(1, limits::MAX_LIMIT);
                request.max_length = request.max_length.max(1);
                if request.ids.is_empty() {
                    return Ok(NeighborOutcome::default());
                }
            }
            _ => {}
        }
        let mut found = self.inner.neighbors(entity, &request).await?;
        match self.fault {
            Fault::ReversesNeighbors => {
                let parts = found.episodes.iter_mut();
                parts.for_each(|part| part.before.reverse());
            }
            Fault::CountsNeighborsAsLength => {
                for part in &mut found.episodes {
                    part.length = (part.before.len() + 1 + part.after.len()) as u64;
                }
            }
            Fault::RepeatsNeighbors => found.hits.extend(found.hits.first().cloned()),
            Fault::ReadsNeighborsOfAllEntities => {
                for other in self.everybody().iter().filter(|other| *other != entity) {
                    let theirs = self.inner.neighbors(other, &request).await?;
                    found.episodes.extend(theirs.episodes);
                    found.hits.extend(theirs.hits);
                }
            }
            _ => {}
        }
        Ok(found)
    }
}
