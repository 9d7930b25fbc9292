//! Recalling: from the snapshot where there is one, else from the store.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{
    DenseQuery, EntityId, ErrorKind, MemoryError, MemoryFilter, MemoryResult, SearchRequest, limits,
};

use crate::engine::EngineInner;
use crate::found::Found;
use crate::ranking::{CandidateSet, Ranking, RankingContext};
use crate::recall::Query;
use crate::recall::{RecallHit, RecallRequest};
use crate::snapshot::EntitySnapshot;
use crate::verbs::shown::Shown;

/// Snapshots of more memories than this are scanned on a blocking thread: up
/// to here a scan takes about as long as handing it over is worth (well under
/// a millisecond), beyond it would hold up its async worker.
const INLINE_SCAN: usize = 4_000;

/// How many candidates each retriever of the store is to find, whatever is wanted:
/// importance, recency, neighbors and labels reorder what similarity found,
/// and the more of the entity takes part, the nearer it comes to what a
/// snapshot would show (`tests/parity.rs` of the facade).
const CANDIDATES: usize = limits::MAX_LIMIT;

impl EngineInner {
    pub(crate) async fn recall(
        self: &Arc<Self>,
        entity: &EntityId,
        request: &RecallRequest,
    ) -> MemoryResult<Vec<RecallHit>> {
        entity.validate()?;
        request.validate()?;
        let query = Query::new(&request.text, self.embed_query(&request.text).await?);
        let question = Question::new(request, query, self.clock.now());
        match self.shown(entity).await? {
            Shown::Snapshot(snapshot) if snapshot.len() > INLINE_SCAN => {
                let scan = move || question.ask(&snapshot);
                tokio::task::spawn_blocking(scan).await.map_err(|ended| {
                    MemoryError::store(ErrorKind::Other, "recall", "the scan's task ended early")
                        .with_source(ended)
                })
            }
            Shown::Snapshot(snapshot) => Ok(question.ask(&snapshot)),
            Shown::Store { memories } => self.recall_from_store(entity, &question, memories).await,
        }
    }

    async fn recall_from_store(
        &self,
        entity: &EntityId,
        question: &Question,
        memories: u64,
    ) -> MemoryResult<Vec<RecallHit>> {
        let search = SearchRequest {
            filter: question.filter.clone(),
            limit: CANDIDATES,
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
        // How many the filter admits is not known; without one, all are.
        let admitted = question.filter.is_empty().then_some(memories);
        let found = Found::new(self.store.search(entity, &search).await?, admitted);
        Ok(question.answer(&found.candidates(&question.query)))
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
            let later = limits::to_micros(moment) + TimeDelta::microseconds(1);
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

    fn ask(&self, snapshot: &EntitySnapshot) -> Vec<RecallHit> {
        self.answer(&snapshot.candidates(&self.query, &self.filter))
    }

    fn answer(&self, candidates: &CandidateSet<'_>) -> Vec<RecallHit> {
        let context = RankingContext {
            ranking: &self.ranking,
            now: self.now,
            min_similarity: self.min_similarity,
            limit: self.limit,
        };
        let ranked = candidates.top_k(&context).into_iter();
        ranked
            .map(|ranked| RecallHit {
                memory: ranked.memory,
                score: ranked.score,
                similarity: ranked.explanation.similarity,
                explanation: ranked.explanation,
            })
            .collect()
    }
}
