//! Recalling: from the snapshot where there is one, else from the store.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use memory_core::{
    CacheBackend, Consistency, DenseQuery, EntityId, ErrorKind, MemoryError, MemoryFilter,
    MemoryResult, SearchRequest, bounds,
};

use crate::engine::Shared;
use crate::found::Found;
use crate::query::Query;
use crate::ranking::{Contest, Field, Ranking};
use crate::recall::{RecallRequest, Recalled};
use crate::snapshot::{self, EntitySnapshot};

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
        let query = Query::new(&request.text, self.embed_query(&request.text).await?);
        let question = Question::new(request, query, self.clock.now());
        match self.snapshot(entity).await? {
            Some(snapshot) if snapshot.len() > INLINE_SCAN => {
                let scan = move || question.ask(&snapshot);
                tokio::task::spawn_blocking(scan).await.map_err(|ended| {
                    MemoryError::store(ErrorKind::Other, "recall", "the scan's task ended early")
                        .with_source(ended)
                })
            }
            Some(snapshot) => Ok(question.ask(&snapshot)),
            None => self.recall_from_store(entity, &question).await,
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
            Some(held) if !held.behind && self.is_current(&held.snapshot).await? => {
                return Ok(Some(held.snapshot));
            }
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

    /// Whether nobody wrote to the entity behind this system's back, as far as
    /// the consistency asks.
    async fn is_current(&self, snapshot: &EntitySnapshot) -> MemoryResult<bool> {
        match self.config.consistency {
            Consistency::Checked => {
                let stats = self.store.entity_stats(snapshot.entity()).await?;
                Ok(stats.generation == snapshot.generation())
            }
            _ => Ok(true),
        }
    }

    async fn recall_from_store(
        &self,
        entity: &EntityId,
        question: &Question,
    ) -> MemoryResult<Vec<Recalled>> {
        let search = SearchRequest {
            filter: question.filter.clone(),
            limit: (question.limit * OVERSAMPLING).clamp(MIN_CANDIDATES, bounds::MAX_LIMIT),
            dense: Some(DenseQuery {
                fingerprint: self.embedder.profile().fingerprint.clone(),
                vector: question.query.vector.to_vec(),
            }),
            lexical: self
                .store
                .capabilities()
                .lexical
                .then(|| question.text.clone()),
        };
        let found = Found::new(self.store.search(entity, &search).await?);
        Ok(question.answer(&found.field(&question.query)))
    }
}

/// A recall's request, checked and ready to be put to a snapshot or a store.
struct Question {
    text: String,
    query: Query,
    filter: MemoryFilter,
    ranking: Ranking,
    now: DateTime<Utc>,
    min_similarity: Option<f32>,
    limit: usize,
}

impl Question {
    fn new(request: &RecallRequest, query: Query, clock: DateTime<Utc>) -> Self {
        let mut filter = request.filter.clone();
        if let Some(moment) = request.as_of {
            // `until` excludes its moment, and time is in whole microseconds.
            let later = bounds::to_micros(moment) + TimeDelta::microseconds(1);
            filter.until = Some(filter.until.map_or(later, |until| until.min(later)));
        }
        Self {
            text: request.text.clone(),
            query,
            filter,
            ranking: request.ranking,
            now: request.as_of.unwrap_or(clock),
            min_similarity: request.min_similarity,
            limit: request.limit,
        }
    }

    fn ask(&self, snapshot: &EntitySnapshot) -> Vec<Recalled> {
        self.answer(&snapshot.field(&self.query, &self.filter))
    }

    fn answer(&self, field: &Field<'_>) -> Vec<Recalled> {
        let contest = Contest {
            ranking: &self.ranking,
            now: self.now,
            min_similarity: self.min_similarity,
            limit: self.limit,
        };
        let ranked = field.best(&contest).into_iter();
        ranked
            .map(|ranked| Recalled {
                memory: ranked.memory,
                score: ranked.score,
                similarity: ranked.explanation.similarity,
                explanation: ranked.explanation,
            })
            .collect()
    }
}
