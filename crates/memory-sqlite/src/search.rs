//! [`Store::search`](memory_core::Store::search).

use std::collections::{HashMap, HashSet};

use memory_core::{
    EntityId, ListScope, MemoryFilter, ScoreStats, ScoreStatsBuilder, SearchHit, SearchOutcome,
    SearchRequest, TermStats,
};
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, query};

use crate::blocking::fold_rows;
use crate::error::Failure;
use crate::filter::{push_conditions, push_scope};
use crate::rows::{EntityRow, MemoryRow, encode_count, memory_columns, to_json};
use crate::top_k::TopK;
use crate::transaction::Transaction;
use crate::vectors::BestChunk;
use crate::{dense, entity, lexical, list};

pub(crate) struct Search {
    pub(crate) entity: EntityId,
    pub(crate) request: SearchRequest,
}

impl Transaction for Search {
    type Output = SearchOutcome;
    const OPERATION: &'static str = "search";

    async fn run(self, conn: &mut SqliteConnection) -> Result<SearchOutcome, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(SearchOutcome::default()
                .compared(self.request.dense.as_ref().map(|_| 0))
                .dense(self.request.dense.map(|_| ScoreStats::default()))
                .lexical(self.request.lexical.as_ref().map(|_| ScoreStats::default()))
                .terms(self.request.lexical.map(|_| TermStats::default()))
                .matching(0));
        };
        let SearchRequest {
            filter,
            limit,
            dense,
            lexical,
            sample,
        } = self.request;
        let matching = list::count_matching(conn, &entity, &filter).await?;
        let (mut lexical_stats, mut terms, mut scores) = (None, None, HashMap::new());
        if let Some(text) = lexical {
            let scan = lexical::scan(conn, &entity, &filter, &text).await?;
            let mut stats = ScoreStatsBuilder::default();
            scan.scores.values().for_each(|score| stats.add(*score));
            stats.add_zeros(matching.saturating_sub(scan.scores.len() as u64));
            lexical_stats = Some(stats.summary());
            terms = Some(scan.terms);
            scores = scan.scores;
        }
        let mut top_k = TopK::new(limit);
        for (key, score) in &scores {
            top_k.offer(*key, *score, ());
        }
        let sample = sample_keys(conn, &entity, &filter, sample).await?;
        let mut is_candidate: HashSet<i64> = top_k.keys().collect();
        // Every memory that is read, with its best chunk.
        let keys = top_k.keys().chain(sample.iter().copied());
        let mut found: HashMap<i64, Option<BestChunk>> = keys.map(|key| (key, None)).collect();
        let mut dense_stats = None;
        let mut compared = None;
        if let Some(dense) = dense {
            let scan = dense::scan(conn, &entity, &filter, dense, limit, found).await?;
            dense_stats = Some(scan.stats.summary());
            compared = Some(scan.stats.count());
            found = scan.others;
            is_candidate.extend(scan.top_k.keys());
            found.extend(scan.top_k.into_iter().map(|(key, best)| (key, Some(best))));
        }
        let (mut candidates, mut sampled) = (Vec::new(), Vec::new());
        for MemoryRow { key, memory } in find_memories(conn, self.entity, found.keys()).await? {
            let best = found.get(&key).copied().flatten();
            let hit = SearchHit::new(memory)
                .similarity(best.map(|best| best.similarity))
                .chunks(best.map(|best| best.chunks))
                .lexical(scores.get(&key).copied());
            match (is_candidate.contains(&key), sample.contains(&key)) {
                (true, true) => {
                    candidates.push(hit.clone());
                    sampled.push(hit);
                }
                (true, false) => candidates.push(hit),
                (false, _) => sampled.push(hit),
            }
        }
        Ok(SearchOutcome::new(entity.generation, candidates)
            .dense(dense_stats)
            .lexical(lexical_stats)
            .compared(compared)
            .matching(matching)
            .sample(sampled)
            .terms(terms))
    }
}

/// The keys of up to `size` of the memories that match: those whose numbers,
/// which count up, come first when they are multiplied modulo 2^32. The factor (of
/// a linear congruential generator in the C standard) spreads them evenly.
async fn sample_keys(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    filter: &MemoryFilter,
    size: usize,
) -> Result<HashSet<i64>, Failure> {
    if size == 0 {
        return Ok(HashSet::new());
    }
    let mut query = QueryBuilder::new("SELECT m.memory_key FROM memory AS m WHERE m.entity_key = ");
    query.push_bind(entity.key);
    push_scope(&mut query, ListScope::Live);
    push_conditions(&mut query, entity.key, filter);
    query
        .push(
            " ORDER BY (m.memory_key & 4294967295) * 1103515245 & 4294967295, m.memory_key LIMIT ",
        )
        .push_bind(encode_count(size as u64));
    let keys: Vec<i64> = query.build_query_scalar().fetch_all(conn).await?;
    Ok(keys.into_iter().collect())
}

/// Reads the memories with these keys.
pub(crate) async fn find_memories(
    conn: &mut SqliteConnection,
    entity: EntityId,
    keys: impl Iterator<Item = &i64>,
) -> Result<Vec<MemoryRow>, Failure> {
    let keys = to_json(&keys.collect::<Vec<_>>())?;
    let rows = query(concat!(
        "SELECT ",
        memory_columns!(),
        " FROM json_each(?1) AS wanted
         CROSS JOIN memory AS m ON m.memory_key = wanted.value
         LEFT JOIN memory_access AS a ON a.memory_key = m.memory_key",
    ))
    .bind(keys)
    .fetch(conn);
    let state = (Vec::new(), entity);
    let (memories, _) = fold_rows(rows, state, |(memories, entity), row| {
        memories.push(MemoryRow::decode(row, entity)?);
        Ok(())
    })
    .await?;
    Ok(memories)
}
