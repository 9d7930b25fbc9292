//! Recalling: from the entity's snapshot where there is one, else from the
//! store.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use memory_core::{
    DenseQuery, EntityId, Fingerprint, MemoryError, MemoryFilter, MemoryResult, NeighborRequest,
    SearchRequest, limits,
};
use tracing::debug_span;

use crate::blocking::run_blocking;
use crate::content_embedder::ContentEmbedder;
use crate::engine::{Engine, EngineInner};
use crate::history::{self, ArchivedSince, EarlierState};
use crate::query::Query;
use crate::ranking::{CandidateSet, Ranking, RankingContext, ScoreFusion, StoreCandidates};
use crate::recall::{ExcludedHits, RecallHit, RecallReport, RecallRequest};
use crate::recall_source::RecallSource;
use crate::snapshot::EntitySnapshot;
use crate::tiers::EmbeddedText;

/// Snapshots of more memories or vectors than this are scanned on a blocking thread: up
/// to here a scan takes about as long as handing it over is worth (well under
/// a millisecond), beyond it would hold up its async worker.
const INLINE_SCAN: usize = 4_000;

/// Questions of more bytes than this are divided into words on a blocking thread: it takes
/// milliseconds.
const INLINE_TEXT: usize = 2_000;

/// Candidates requested of each of the store's retrievers, whatever the limit:
/// importance, recency, neighbors and mentions reorder what similarity found
/// (`tests/parity` of the facade).
const CANDIDATES: usize = 400;

/// Memories that stand for all others in the statistics of what the store does not
/// count, such as pairs of words.
const SAMPLE: usize = 256;

/// Searches per recall as of an earlier moment. After the last one, archived memories may be of a
/// later generation than the hits.
const MAX_SEARCHES: u32 = 2;

impl Engine {
    /// Recalls the memories that matter to a text, best first.
    pub async fn recall(
        &self,
        entity: &EntityId,
        request: &RecallRequest,
    ) -> MemoryResult<Vec<RecallHit>> {
        let ranked = self.recall_ranked(entity, request).await?;
        Ok(ranked.hits)
    }

    /// As [`recall`](Self::recall), and counts the memories that have no vector
    /// to compare with the query.
    pub async fn recall_report(
        &self,
        entity: &EntityId,
        request: &RecallRequest,
    ) -> MemoryResult<RecallReport> {
        let ranked = self.recall_ranked(entity, request).await?;
        self.inner.report(entity, request, ranked).await
    }

    async fn recall_ranked(
        &self,
        entity: &EntityId,
        request: &RecallRequest,
    ) -> MemoryResult<Ranked> {
        let ranked = self.inner.recall(entity, request).await?;
        // A recall as of an earlier moment leaves no trace on the present.
        if request.as_of.is_none() {
            self.inner.access_recorder.record(entity, &ranked.hits);
        }
        Ok(ranked)
    }
}

impl EngineInner {
    /// Recalls without counting accesses.
    pub(super) async fn recall(
        &self,
        entity: &EntityId,
        request: &RecallRequest,
    ) -> MemoryResult<Ranked> {
        let second_stage = self.second_stage.as_ref().filter(|_| request.rerank);
        let mut ranked = match second_stage {
            None => self.rank(entity, request, request.limit).await?,
            Some(second_stage) => {
                let limit = second_stage.first_stage_limit(request.limit);
                let mut ranked = self.rank(entity, request, limit).await?;
                let hits = &mut ranked.hits;
                second_stage.rerank(&request.text, hits).await?;
                hits.truncate(request.limit);
                ranked
            }
        };
        if let Some(min_relevance) = request.min_relevance {
            ranked.excluded = ExcludedHits::remove_below(&mut ranked.hits, min_relevance);
        }
        self.recall_counters
            .record_results(ranked.hits.len(), ranked.found_without_vector);
        Ok(ranked)
    }

    /// Recalls at most `limit` memories in the order of the ranking: by the vectors
    /// of the embedder, or of the previous one where more memories have those.
    async fn rank(
        &self,
        entity: &EntityId,
        request: &RecallRequest,
        limit: usize,
    ) -> MemoryResult<Ranked> {
        entity.validate()?;
        request.validate()?;
        self.reader.check_open("recall")?;
        if let Some(moment) = request.as_of
            && history::is_later(&request.filter, moment)
        {
            return Ok(Ranked::none());
        }
        let ranked = self.rank_by_current(entity, request, limit).await?;
        // A given vector is one of the embedder's model. A state of the past has
        // vectors of that model alone, as they are computed for it.
        let is_comparable = request.vector.is_none() && request.as_of.is_none();
        match &self.previous_embedder {
            Some(previous) if is_comparable && ranked.lacks_vectors() => {
                let ranking = self.rank_by_previous(previous, entity, request, limit);
                let by_previous = ranking.await?;
                if self
                    .compares_more(entity, previous, &by_previous, &ranked)
                    .await?
                {
                    return Ok(by_previous);
                }
                // Between the two, the entity may have been completed and the vectors of
                // the previous model removed.
                self.rank_by_current(entity, request, limit).await
            }
            _ => Ok(ranked),
        }
    }

    /// Whether more memories have vectors of the previous embedder.
    async fn compares_more(
        &self,
        entity: &EntityId,
        previous: &ContentEmbedder,
        by_previous: &Ranked,
        by_current: &Ranked,
    ) -> MemoryResult<bool> {
        if let (Some(previous), Some(current)) = (by_previous.compared, by_current.compared) {
            return Ok(previous > current);
        }
        // A search by an approximate index does not count what it compares.
        let counts = match self.store.count_by_model(entity).await {
            Err(MemoryError::Unsupported { .. }) => return Ok(by_current.compared == Some(0)),
            counts => counts?,
        };
        let count = |of: &ContentEmbedder| counts.get(of.fingerprint()).copied().unwrap_or(0);
        Ok(count(previous) > count(&self.embedder))
    }

    /// Recalls from the store by the vectors of the previous embedder: the tiers
    /// have those of the embedder only.
    async fn rank_by_previous(
        &self,
        previous: &ContentEmbedder,
        entity: &EntityId,
        request: &RecallRequest,
        limit: usize,
    ) -> MemoryResult<Ranked> {
        let embedded = previous.embed_query(&request.text).await?;
        let now = self.clock.now();
        let query = self.query(&request.text, embedded, now).await?;
        let plan = RecallPlan::new(request, query, now, limit);
        let memories = self.store.entity_stats(entity).await?.memory_count;
        let fingerprint = previous.fingerprint();
        let ranking = self.recall_from_store(entity, plan, fingerprint, memories, None);
        Ok(Ranked {
            by_previous_model: true,
            ..ranking.await?
        })
    }

    /// Recalls by the vectors of the embedder.
    async fn rank_by_current(
        &self,
        entity: &EntityId,
        request: &RecallRequest,
        limit: usize,
    ) -> MemoryResult<Ranked> {
        let embedded = match &request.vector {
            Some(vector) => self.embedder.given_query(&request.text, vector)?,
            None => self.embedder.embed_query(&request.text).await?,
        };
        let now = request.as_of.unwrap_or_else(|| self.clock.now());
        let query = self.query(&request.text, embedded, now).await?;
        let plan = RecallPlan::new(request, query, now, limit);
        let mut source = self.reader.recall_source(entity).await?;
        if let Some(moment) = request.as_of {
            let filter = &request.filter;
            source = self
                .historical_source(entity, moment, filter, source)
                .await?;
        }
        self.recall_counters.record_source(&source);
        match source {
            RecallSource::Snapshot(snapshot)
                if snapshot.len().max(snapshot.vector_count()) > INLINE_SCAN =>
            {
                let span = debug_span!("scan", memories = snapshot.len());
                run_blocking("recall", move || span.in_scope(|| plan.run(&snapshot))).await
            }
            RecallSource::Snapshot(snapshot) => {
                let span = debug_span!("scan", memories = snapshot.len());
                Ok(span.in_scope(|| plan.run(&snapshot)))
            }
            RecallSource::Store { memories, archived } => {
                let fingerprint = self.embedder.fingerprint();
                self.recall_from_store(entity, plan, fingerprint, memories, archived)
                    .await
            }
        }
    }

    /// A question, prepared for every retriever.
    async fn query(
        &self,
        text: &str,
        embedded: EmbeddedText,
        now: DateTime<Utc>,
    ) -> MemoryResult<Query> {
        let language = self.config.language;
        if text.len() <= INLINE_TEXT {
            return Ok(Query::new(text, language, embedded, now));
        }
        let text = text.to_owned();
        let prepare = move || Query::new(&text, language, embedded, now);
        run_blocking("recall", prepare).await
    }

    /// The hits, with the number of memories that have no vector to compare.
    pub(super) async fn report(
        &self,
        entity: &EntityId,
        request: &RecallRequest,
        ranked: Ranked,
    ) -> MemoryResult<RecallReport> {
        let without_vectors = match (ranked.compared, ranked.matching) {
            (None, _) => ranked.found_without_vector,
            (Some(compared), Some(matching)) => matching.saturating_sub(compared),
            (Some(compared), None) => {
                let filter = RecallPlan::filter(request);
                let matching = self.store.count(entity, &filter).await?;
                matching.saturating_sub(compared)
            }
        };
        Ok(RecallReport {
            hits: ranked.hits,
            without_vectors,
            by_previous_model: ranked.by_previous_model,
            below_min_relevance: ranked.excluded,
        })
    }

    async fn recall_from_store(
        &self,
        entity: &EntityId,
        plan: RecallPlan,
        fingerprint: &Fingerprint,
        memories: u64,
        mut archived: Option<ArchivedSince>,
    ) -> MemoryResult<Ranked> {
        let plan = Arc::new(plan);
        let capabilities = self.store.capabilities();
        let vector = plan.query.vector.to_vec();
        let dense =
            DenseQuery::new(fingerprint.clone(), vector).chunk_discount(plan.chunk_discount());
        let search = SearchRequest {
            filter: plan.filter.clone(),
            limit: CANDIDATES.max(plan.limit),
            dense: Some(dense.clone()),
            lexical: capabilities.lexical.then(|| plan.text.clone()),
            sample: if capabilities.samples { SAMPLE } else { 0 },
        };
        // How many a filter matches may not be known; without one, all do.
        let all = plan.filter.is_empty().then_some(memories);
        let mut outcome = self.store.search(entity, &search).await?;
        let mut searches = 1;
        while let Some(stale) = archived.take_if(|it| !it.is_of(outcome.generation)) {
            // Others wrote meanwhile: a consolidation, or its undo, may have come between what
            // is archived and what is found. What is read after the search has all sources of
            // a consolidation, some of them twice.
            let reading = self.read_archived(entity, stale.moment(), &plan.filter);
            let read = archived.insert(reading.await?);
            if read.is_of(outcome.generation) || searches == MAX_SEARCHES {
                break;
            }
            outcome = self.store.search(entity, &search).await?;
            searches += 1;
        }
        let earlier = match archived {
            Some(archived) => Some(self.earlier_state(archived).await?),
            None => None,
        };
        let moment = earlier.as_ref().map(EarlierState::moment);
        let analyze = {
            let (plan, dense) = (Arc::clone(&plan), dense.clone());
            move || {
                if let Some(earlier) = earlier {
                    earlier.restore(&mut outcome, &dense);
                }
                let counts = (outcome.compared, outcome.matching.or(all));
                let found = StoreCandidates::new(outcome, all, &plan.query, &plan.ranking);
                let best = found.best(&plan.query, &plan.context());
                (found, best, counts)
            }
        };
        let (mut found, best, (compared, matching)) = run_blocking("recall", analyze).await?;
        let mut neighbors = None;
        if capabilities.neighbors && plan.reads_neighbors() && !best.is_empty() {
            let request = NeighborRequest::new(best, plan.ranking.neighbor_reach)
                .filter(plan.filter.clone())
                .dense(dense)
                .max_length(plan.ranking.full_share_length().min(limits::MAX_LIMIT));
            let mut read = self.store.neighbors(entity, &request).await?;
            if let Some(moment) = moment {
                history::remove_later_neighbors(&mut read, moment);
            }
            neighbors = Some(read);
        }
        let rank = move || {
            if let Some(neighbors) = neighbors {
                found.add_neighbors(neighbors, &plan.query);
            }
            plan.rank(&found.candidates(&plan.query))
        };
        Ok(Ranked {
            compared,
            matching,
            ..run_blocking("recall", rank).await?
        })
    }
}

/// Ranked hits, and how many memories were compared with the query.
pub(super) struct Ranked {
    pub(super) hits: Vec<RecallHit>,
    /// Hits below the request's minimum of relevance.
    excluded: ExcludedHits,
    /// How many memories match the filter, and how many of them have a vector;
    /// `None` where the store did not count.
    matching: Option<u64>,
    compared: Option<u64>,
    /// Candidates without a vector.
    found_without_vector: u64,
    /// Whether the vectors compared are those of the previous embedder.
    by_previous_model: bool,
}

impl Ranked {
    /// No memory matches.
    fn none() -> Self {
        Self {
            hits: Vec::new(),
            excluded: ExcludedHits::default(),
            matching: Some(0),
            compared: Some(0),
            found_without_vector: 0,
            by_previous_model: false,
        }
    }

    /// Whether a memory that matches has no vector to compare, as far as is known.
    fn lacks_vectors(&self) -> bool {
        match (self.compared, self.matching) {
            (Some(compared), Some(matching)) => compared < matching,
            _ => self.found_without_vector > 0,
        }
    }
}

/// A recall's request, validated and ready to run on a snapshot or a store.
struct RecallPlan {
    text: String,
    query: Query,
    filter: MemoryFilter,
    ranking: Ranking,
    now: DateTime<Utc>,
    is_historical: bool,
    min_similarity: Option<f32>,
    limit: usize,
}

impl RecallPlan {
    fn new(request: &RecallRequest, query: Query, now: DateTime<Utc>, limit: usize) -> Self {
        Self {
            text: request.text.clone(),
            query,
            filter: Self::filter(request),
            ranking: request.ranking,
            now,
            is_historical: request.as_of.is_some(),
            min_similarity: request.min_similarity,
            limit,
        }
    }

    fn filter(request: &RecallRequest) -> MemoryFilter {
        match request.as_of {
            Some(moment) => history::not_after(&request.filter, moment),
            None => request.filter.clone(),
        }
    }

    fn run(&self, snapshot: &EntitySnapshot) -> Ranked {
        let context = self.context();
        self.rank(&snapshot.candidates(&self.query, &self.filter, &context))
    }

    fn context(&self) -> RankingContext<'_> {
        RankingContext {
            ranking: &self.ranking,
            words: &self.query.words,
            dates: &self.query.dates,
            now: self.now,
            is_historical: self.is_historical,
            min_similarity: self.min_similarity,
            limit: self.limit,
        }
    }

    /// What the store's dense retriever subtracts: see [`Ranking::dense_value`].
    fn chunk_discount(&self) -> f32 {
        match self.ranking.fusion {
            ScoreFusion::Boost => self.ranking.chunk_discount,
            ScoreFusion::Sum => 0.0,
        }
    }

    fn reads_neighbors(&self) -> bool {
        self.ranking.neighbors > 0.0 && self.ranking.neighbor_reach > 0
    }

    fn rank(&self, candidates: &CandidateSet<'_>) -> Ranked {
        let context = self.context();
        let (matching, compared) = (candidates.matching, candidates.compared);
        let ranked = candidates.top_k(&context).into_iter();
        let hits = ranked
            .map(|mut ranked| {
                if self.is_historical {
                    let memory = Arc::unwrap_or_clone(ranked.memory);
                    ranked.memory = Arc::new(history::as_of(memory, self.now));
                }
                RecallHit::new(ranked)
            })
            .collect();
        Ranked {
            hits,
            excluded: ExcludedHits::default(),
            matching: Some(matching),
            compared: Some(compared),
            found_without_vector: matching - compared,
            by_previous_model: false,
        }
    }
}
