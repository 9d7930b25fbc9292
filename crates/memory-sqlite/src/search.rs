//! [`Store::search`](memory_core::Store::search).

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use memory_core::{Candidate, Candidates, EntityId, Memory, SearchRequest};
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::database::Work;
use crate::entity;
use crate::error::Failure;
use crate::offload::fold;
use crate::row::{self, memory_columns, to_json};
use crate::{dense, lexical};

pub(crate) struct Search {
    pub(crate) entity: EntityId,
    pub(crate) request: SearchRequest,
}

impl Work for Search {
    type Output = Candidates;
    const OPERATION: &'static str = "search";

    async fn run(self, conn: &mut SqliteConnection) -> Result<Candidates, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(Candidates::default());
        };
        let SearchRequest {
            filter,
            limit,
            dense,
            lexical,
        } = self.request;
        let lexical = match lexical {
            Some(text) => lexical::scores(conn, &entity, &filter, &text).await?,
            None => HashMap::new(),
        };
        let mut best = Best::new(limit);
        for (key, score) in &lexical {
            best.offer(*key, *score);
        }
        // Every candidate, with its similarity.
        let mut found: HashMap<i64, Option<f32>> = best.keys().map(|key| (key, None)).collect();
        if let Some(dense) = dense {
            let sweep = dense::sweep(conn, &entity, &filter, dense, limit, found).await?;
            found = sweep.others;
            found.extend(
                sweep
                    .best
                    .into_iter()
                    .map(|(key, score)| (key, Some(score))),
            );
        }
        let memories = memories(conn, self.entity, found.keys()).await?;
        let candidate = |(key, memory)| Candidate {
            memory,
            similarity: found.get(&key).copied().flatten(),
            lexical: lexical.get(&key).copied(),
        };
        Ok(Candidates {
            generation: entity.generation,
            candidates: memories.into_iter().map(candidate).collect(),
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

/// The highest scores offered, at most `limit` of them.
pub(crate) struct Best {
    limit: usize,
    /// The worst on top.
    heap: BinaryHeap<Reverse<Scored>>,
}

/// A memory's key and score; of equal scores the older memory is the better.
struct Scored {
    score: f32,
    key: i64,
}

impl Best {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            heap: BinaryHeap::new(),
        }
    }

    /// Keeps a score if it is among the highest so far.
    pub(crate) fn offer(&mut self, key: i64, score: f32) {
        let scored = Reverse(Scored { score, key });
        if self.heap.len() < self.limit {
            self.heap.push(scored);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && scored < *worst
        {
            *worst = scored;
        }
    }

    fn keys(&self) -> impl Iterator<Item = i64> {
        self.heap.iter().map(|Reverse(scored)| scored.key)
    }

    /// Keys and scores, in no order.
    pub(crate) fn into_iter(self) -> impl Iterator<Item = (i64, f32)> {
        let scored = self.heap.into_iter().map(|Reverse(scored)| scored);
        scored.map(|scored| (scored.key, scored.score))
    }
}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then(other.key.cmp(&self.key))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scored {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_best_are_those_that_sorting_finds(
            scores in prop::collection::vec(-4i8..4, 0..60),
            limit in 1usize..20,
        ) {
            let mut all: Vec<(i64, f32)> = (0..).zip(scores.iter().map(|&s| f32::from(s))).collect();
            let mut best = Best::new(limit);
            for (key, score) in &all {
                best.offer(*key, *score);
            }
            let mut got: Vec<_> = best.into_iter().collect();
            let order = |a: &(i64, f32), b: &(i64, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
            got.sort_by(order);
            all.sort_by(order);
            all.truncate(limit);
            prop_assert_eq!(got, all);
        }
    }
}
