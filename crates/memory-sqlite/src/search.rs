//! [`Store::search`](memory_core::Store::search).

use std::collections::HashMap;

use memory_core::{
    EntityId, Memory, ScoreStats, ScoreStatsBuilder, SearchHit, SearchOutcome, SearchRequest,
};
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::best::Best;
use crate::database::Work;
use crate::entity;
use crate::error::Failure;
use crate::offload::fold;
use crate::row::{self, memory_columns, to_json};
use crate::{dense, lexical, list};

pub(crate) struct Search {
    pub(crate) entity: EntityId,
    pub(crate) request: SearchRequest,
}

impl Work for Search {
    type Output = SearchOutcome;
    const OPERATION: &'static str = "search";

    async fn run(self, conn: &mut SqliteConnection) -> Result<SearchOutcome, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(SearchOutcome {
                dense: self.request.dense.map(|_| ScoreStats::default()),
                lexical: self.request.lexical.map(|_| ScoreStats::default()),
                ..SearchOutcome::default()
            });
        };
        let SearchRequest {
            filter,
            limit,
            dense,
            lexical,
        } = self.request;
        let mut words = None;
        let lexical = match lexical {
            Some(text) => {
                let scores = lexical::scores(conn, &entity, &filter, &text).await?;
                let mut tally = ScoreStatsBuilder::default();
                scores.values().for_each(|score| tally.add(*score));
                let admitted = list::admitted(conn, &entity, &filter).await?;
                tally.add_zeros(admitted.saturating_sub(scores.len() as u64));
                words = Some(tally.summary());
                scores
            }
            None => HashMap::new(),
        };
        let mut best = Best::new(limit);
        for (key, score) in &lexical {
            best.offer(*key, *score);
        }
        // Every candidate, with its similarity.
        let mut found: HashMap<i64, Option<f32>> = best.keys().map(|key| (key, None)).collect();
        let mut similarities = None;
        if let Some(dense) = dense {
            let sweep = dense::sweep(conn, &entity, &filter, dense, limit, found).await?;
            similarities = Some(sweep.tally.summary());
            found = sweep.others;
            found.extend(
                sweep
                    .best
                    .into_iter()
                    .map(|(key, score)| (key, Some(score))),
            );
        }
        let memories = memories(conn, self.entity, found.keys()).await?;
        let candidate = |(key, memory)| SearchHit {
            memory,
            similarity: found.get(&key).copied().flatten(),
            lexical: lexical.get(&key).copied(),
        };
        Ok(SearchOutcome {
            generation: entity.generation,
            candidates: memories.into_iter().map(candidate).collect(),
            dense: similarities,
            lexical: words,
        })
    }
}

/// Reads the memories of these keys.
async fn memories(
    conn: &mut SqliteConnection,
    entity: EntityId,
    keys: impl Iterator<Item = &i64>,
) -> Result<Vec<(i64, Memory)>, Failure> {
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
    let (memories, _) = fold(rows, state, |(memories, entity), row| {
        memories.push((row::key(row)?, row::read(row, entity)?));
        Ok(())
    })
    .await?;
    Ok(memories)
}
