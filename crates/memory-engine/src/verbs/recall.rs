//! Recalling: from the snapshot where there is one, else from the store.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use memory_core::{
    CacheBackend, DenseQuery, EntityId, ErrorKind, MemoryError, MemoryResult, SearchRequest, bounds,
};

use crate::engine::Shared;
use crate::ranking::Contest;
use crate::recall::{RecallRequest, Recalled};
use crate::snapshot::{self, EntitySnapshot};
use crate::tiers::Vector;

/// Snapshots of more memories than this are scanned on a blocking thread: up
/// to here a scan takes about as long as handing it over is worth (well under
/// a millisecond), beyond it would hold up its async worker.
const INLINE_SCAN: usize = 4_000;

/// How many candidates the store is asked for, for each that is wanted, as
/// importance and recency reorder what similarity found.
const OVERSAMPLING: usize = 4;
const MIN_CANDIDATES: usize = 100;

impl<B: CacheBackend> Shared<B> {
    pub(crate) async fn recall(
        self: &Arc<Self>,
        entity: &EntityId,
        request: &RecallRequest,
    ) -> MemoryResult<Vec<Recalled>> {
        entity.validate()?;
        request.validate()?;
        let query = self.embed_query(&request.text).await?;
        let now = self.clock.now();
        match self.snapshot(entity).await? {
            Some(snapshot) if snapshot.len() > INLINE_SCAN => {
                let request = request.clone();
                let scan = move || recall_from_snapshot(&snapshot, &query, &request, now);
                tokio::task::spawn_blocking(scan).await.map_err(|ended| {
                    MemoryError::store(ErrorKind::Other, "recall", "the scan's task ended early")
                        .with_source(ended)
                })
            }
            Some(snapshot) => Ok(recall_from_snapshot(&snapshot, &query, request, now)),
            None => self.recall_from_store(entity, &query, request, now).await,
        }
    }

    /// The entity's snapshot, caught up with every write that ended before
    /// this call; `None` where the entity is too large to be held.
    async fn snapshot(
        self: &Arc<Self>,
        entity: &EntityId,
    ) -> MemoryResult<Option<Arc<EntitySnapshot>>> {
        let tier = &self.tiers.entity;
        let base = match tier.get(entity) {
            Some(held) if !held.behind => return Ok(Some(held.snapshot)),
            Some(held) => Some(held.snapshot),
            None => None,
        };
        // Before anything is read: see `tiers::coherence`.
        let ticket = self.tiers.coherence.ticket(entity);
        if base.is_none() {
            let stats = self.store.entity_stats(entity).await?;
            if stats.memory_count > self.config.snapshot_max_memories {
                return Ok(None);
            }
        }
        let shared = Arc::clone(self);
        let owned = entity.clone();
        let (flight, joined) = tier.flights.board_one((ticket, entity.clone()), || {
            async move {
                let tiers = &shared.tiers;
                tiers.entity.tally.load();
                let profile = shared.embedder.profile();
                let snapshot = snapshot::load(&*shared.store, profile, &owned, base).await?;
                let fits = snapshot.len() as u64 <= shared.config.snapshot_max_memories;
                let kept = tiers
                    .coherence
                    .publish(ticket, &owned, snapshot.generation(), || {
                        if fits {
                            tiers.entity.fill(&snapshot);
                        } else {
                            tiers.entity.remove(&owned);
                        }
                    });
                if !kept {
                    tiers.entity.tally.refused();
                }
                Ok(snapshot)
            }
            .boxed()
        });
        if joined {
            tier.tally.coalesced();
        }
        flight.await.map(Some)
    }

    async fn recall_from_store(
        &self,
        entity: &EntityId,
        query: &Vector,
        request: &RecallRequest,
        now: DateTime<Utc>,
    ) -> MemoryResult<Vec<Recalled>> {
        let limit = (request.limit * OVERSAMPLING).clamp(MIN_CANDIDATES, bounds::MAX_LIMIT);
        let search = SearchRequest {
            filter: request.filter.clone(),
            limit,
            dense: Some(DenseQuery {
                fingerprint: self.embedder.profile().fingerprint.clone(),
                vector: query.to_vec(),
            }),
            lexical: None,
        };
        let found = self.store.search(entity, &search).await?.candidates;
        let entries = found.into_iter().filter_map(|candidate| {
            candidate
                .similarity
                .map(|similarity| (Arc::new(candidate.memory), similarity))
        });
        let entries: Vec<_> = entries.collect();
        let best = contest(request, now).best(
            entries
                .iter()
                .map(|(memory, similarity)| (memory, &**memory, *similarity)),
        );
        Ok(best
            .into_iter()
            .map(|scored| Recalled {
                memory: Arc::clone(scored.of),
                score: scored.score,
                similarity: scored.similarity,
            })
            .collect())
    }
}

fn recall_from_snapshot(
    snapshot: &EntitySnapshot,
    query: &[f32],
    request: &RecallRequest,
    now: DateTime<Utc>,
) -> Vec<Recalled> {
    let scanned = snapshot.scan(query, &request.filter);
    let best = contest(request, now).best(
        scanned
            .iter()
            .map(|entry| (entry.slot, entry.memory, entry.similarity)),
    );
    best.into_iter()
        .map(|scored| Recalled {
            memory: snapshot.memory(scored.of),
            score: scored.score,
            similarity: scored.similarity,
        })
        .collect()
}

fn contest(request: &RecallRequest, now: DateTime<Utc>) -> Contest<'_> {
    Contest {
        ranking: &request.ranking,
        now,
        min_similarity: request.min_similarity,
        limit: request.limit,
    }
}
