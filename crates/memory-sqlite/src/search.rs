//! [`Store::search`](memory_core::Store::search).

use std::collections::HashMap;

use memory_core::{
    EntityId, ScoreStats, ScoreStatsBuilder, SearchHit, SearchOutcome, SearchRequest,
};
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::blocking::fold_rows;
use crate::error::Failure;
use crate::rows::{MemoryRow, memory_columns, to_json};
use crate::top_k::TopK;
use crate::transaction::Transaction;
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
                .lexical(self.request.lexical.map(|_| ScoreStats::default())));
        };
        let SearchRequest {
            filter,
            limit,
            dense,
            lexical,
        } = self.request;
        let mut lexical_stats = None;
        let lexical = match lexical {
            Some(text) => {
                let scores = lexical::scores(conn, &entity, &filter, &text).await?;
                let mut stats = ScoreStatsBuilder::default();
                scores.values().for_each(|score| stats.add(*score));
                let matching = list::count_matching(conn, &entity, &filter).await?;
                stats.add_zeros(matching.saturating_sub(scores.len() as u64));
                lexical_stats = Some(stats.summary());
                scores
            }
            None => HashMap::new(),
        };
        let mut top_k = TopK::new(limit);
        for (key, score) in &lexical {
            top_k.offer(*key, *score);
        }
        // Every candidate, with its similarity.
        let mut found: HashMap<i64, Option<f32>> = top_k.keys().map(|key| (key, None)).collect();
        let mut dense_stats = None;
        let mut compared = None;
        if let Some(dense) = dense {
            let scan = dense::scan(conn, &entity, &filter, dense, limit, found).await?;
            dense_stats = Some(scan.stats.summary());
            compared = Some(scan.stats.count());
            found = scan.others;
            found.extend(
                scan.top_k
                    .into_iter()
                    .map(|(key, score)| (key, Some(score))),
            );
        }
        let memories = find_memories(conn, self.entity, found.keys()).await?;
        let hit = |MemoryRow { key, memory }| {
            SearchHit::new(memory)
                .similarity(found.get(&key).copied().flatten())
                .lexical(lexical.get(&key).copied())
        };
        Ok(
            SearchOutcome::new(entity.generation, memories.into_iter().map(hit).collect())
                .dense(dense_stats)
                .lexical(lexical_stats)
                .compared(compared),
        )
    }
}

/// Reads the memories with these keys.
async fn find_memories(
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
