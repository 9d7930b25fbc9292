//! [`Store::search`](memory_core::Store::search).

pub(crate) mod dense;
pub(crate) mod filter;
pub(crate) mod filter_terms;
pub(crate) mod lexical;
pub(crate) mod matching;
pub(crate) mod number_set;
pub(crate) mod page;
pub(crate) mod page_batch;
pub(crate) mod page_builder;
pub(crate) mod pairs;
pub(crate) mod sample;
pub(crate) mod top_k;
pub(crate) mod vector_page;
pub(crate) mod word_page;

use std::collections::HashSet;

use memory_core::{
    EntityId, Language, ScoreStats, SearchHit, SearchOutcome, SearchRequest, TermStats,
};
use memory_text::QueryTerms;
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::connections::blocking::{fold_rows, run_blocking};
use crate::connections::cancel::CancelSignal;
use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::rows::entity;
use crate::rows::row_keys;
use crate::rows::{MemoryRow, memory_columns, to_json};
use crate::search::dense::DenseOutcome;
use crate::search::lexical::{LexicalOutcome, SearchedIndex};
use crate::search::page::MissingPage;

pub(crate) struct Search {
    pub(crate) entity: EntityId,
    pub(crate) request: SearchRequest,
    pub(crate) language: Option<Language>,
    /// Says whether its caller is gone.
    pub(crate) signal: CancelSignal,
}

impl Transaction for Search {
    /// With the pages that were missing.
    type Output = (SearchOutcome, Vec<MissingPage>);
    const OPERATION: &'static str = "search";

    async fn run(self, conn: &mut SqliteConnection) -> Result<Self::Output, Failure> {
        let found = entity::find_with_analysis(conn, &self.entity).await?;
        let Some((entity, analysis)) = found else {
            let outcome = SearchOutcome::default()
                .compared(self.request.dense.as_ref().map(|_| 0))
                .dense(self.request.dense.map(|_| ScoreStats::default()))
                .lexical(self.request.lexical.as_ref().map(|_| ScoreStats::default()))
                .terms(self.request.lexical.map(|_| TermStats::default()))
                .matching(0);
            return Ok((outcome, Vec::new()));
        };
        let SearchRequest {
            filter,
            limit,
            dense,
            lexical,
            sample,
        } = self.request;
        let matching = matching::find(conn, &entity, &filter).await?;
        let (has_dense, has_lexical) = (dense.is_some(), lexical.is_some());
        let text_len = lexical.as_ref().map_or(0, String::len);
        let mut words = LexicalOutcome::default();
        let mut terms = None;
        if let Some(text) = lexical {
            let language = self.language;
            let analyze = move || QueryTerms::new(&text, language, false);
            terms = Some(run_blocking(text_len, analyze).await?);
        }
        if let Some(terms) = &terms {
            let searched = SearchedIndex {
                entity,
                analysis: analysis.check(Self::OPERATION)?,
                language: self.language,
                signal: self.signal,
            };
            words = lexical::scan(conn, &searched, &matching, terms, limit).await?;
        }
        let sample = sample::find(conn, &entity, &matching, sample).await?;
        // Every memory that is read.
        let mut found: HashSet<i64> = sample.iter().chain(&words.top).copied().collect();
        let mut with_pairs = Vec::new();
        if let Some(terms) = terms {
            // One of the sample that contains a rare pair must not stand for others.
            let known = words.top.iter().copied().collect();
            let numbers = &words.with_pairs;
            with_pairs = pairs::find(conn, &entity, terms, numbers, &known, limit).await?;
            found.extend(&with_pairs);
        }
        let mut vectors = DenseOutcome::default();
        if let Some(dense) = dense {
            let others = found.clone();
            vectors = dense::scan(conn, &entity, &matching, dense, limit, others).await?;
            found.extend(&vectors.top);
        }
        let candidates = words.top.iter().chain(&with_pairs).chain(&vectors.top);
        let candidates: HashSet<i64> = candidates.copied().collect();
        let (mut hits, mut sampled) = (Vec::new(), Vec::new());
        for MemoryRow { key, memory } in find_memories(conn, self.entity, found.iter()).await? {
            let best = vectors.best.get(&key);
            let hit = SearchHit::new(memory)
                .similarity(best.map(|best| best.similarity))
                .chunks(best.map(|best| best.chunks))
                .lexical(words.score(key - row_keys::key(entity.key, 0)));
            match (candidates.contains(&key), sample.contains(&key)) {
                (true, true) => {
                    hits.push(hit.clone());
                    sampled.push(hit);
                }
                (true, false) => hits.push(hit),
                (false, _) => sampled.push(hit),
            }
        }
        let outcome = SearchOutcome::new(entity.generation, hits)
            .dense(has_dense.then_some(vectors.stats))
            .compared(has_dense.then_some(vectors.compared))
            .lexical(has_lexical.then_some(words.stats))
            .terms(has_lexical.then_some(words.terms))
            .matching(matching.len())
            .sample(sampled);
        let missing = words.missing.into_iter().chain(vectors.missing);
        Ok((outcome, missing.collect()))
    }
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
