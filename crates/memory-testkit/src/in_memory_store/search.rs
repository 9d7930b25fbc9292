//! Search by brute force: every admitted row is scored in every retriever.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{
    DenseQuery, EmbeddedMemory, MemoryId, NeighborOutcome, NeighborRequest, ScoreStats, SearchHit,
    SearchOutcome, SearchRequest,
};

use super::bm25;
use super::entity_table::{EntityTable, Row};

/// Finds the best of each retriever asked for, with every retriever's value.
pub(super) fn search(entity_table: &EntityTable, request: &SearchRequest) -> SearchOutcome {
    let admitted: BTreeMap<MemoryId, &Row> = entity_table
        .admitted(&request.filter)
        .map(|row| (row.item.memory.id, row))
        .collect();
    let dense = request.dense.as_ref();
    let best_chunks: BTreeMap<MemoryId, (f32, u32)> = dense.map_or_else(BTreeMap::new, |query| {
        let best = |row: &Row| row.embedding_by(&query.fingerprint)?.best_chunk(query);
        let rows = admitted.iter();
        rows.filter_map(|(id, row)| Some((*id, best(row)?)))
            .collect()
    });
    let value = |query: &DenseQuery, (similarity, chunks)| query.value(similarity, chunks);
    let similarity: BTreeMap<MemoryId, f32> = dense.map_or_else(BTreeMap::new, |query| {
        let chunks = best_chunks.iter();
        chunks
            .map(|(id, best)| (*id, value(query, *best)))
            .collect()
    });
    let (mut lexical, mut terms) = (BTreeMap::new(), None);
    if let Some(text) = &request.lexical {
        lexical = bm25::scores(entity_table, text);
        terms = Some(bm25::term_stats(entity_table, text));
    }
    lexical.retain(|id, _| admitted.contains_key(id));

    let words = admitted
        .keys()
        .map(|id| lexical.get(id).copied().unwrap_or(0.0));
    let summaries = (
        ScoreStats::of(similarity.values().copied()),
        ScoreStats::of(words),
    );
    let found: BTreeSet<MemoryId> = best(&similarity, request.limit)
        .chain(best(&lexical, request.limit))
        .collect();
    let hit = |id: MemoryId| {
        let best = best_chunks.get(&id);
        SearchHit::new(admitted[&id].item.memory.clone())
            .similarity(best.map(|(similarity, _)| *similarity))
            .chunks(best.map(|(_, chunks)| *chunks))
            .lexical(lexical.get(&id).copied())
    };
    let sample = sample(&admitted, request.sample).map(hit).collect();
    let candidates = found.into_iter().map(hit).collect();
    SearchOutcome::new(entity_table.generation(), candidates)
        .dense(dense.map(|_| summaries.0))
        .lexical(request.lexical.as_ref().map(|_| summaries.1))
        .compared(dense.map(|_| similarity.len() as u64))
        .matching(admitted.len() as u64)
        .sample(sample)
        .terms(terms)
}

/// The neighbors of memories in their episodes.
pub(super) fn neighbors(entity_table: &EntityTable, request: &NeighborRequest) -> NeighborOutcome {
    let rows = entity_table.rows.values();
    let rows: Vec<EmbeddedMemory> = match &request.dense {
        Some(dense) => rows
            .map(|row| row.embedded_by(&dense.fingerprint))
            .collect(),
        None => rows.map(|row| row.item.clone()).collect(),
    };
    NeighborOutcome::select(entity_table.generation(), &rows, request)
}

/// The ids of `size` rows, as evenly spaced in the order of ids as they can be.
fn sample(rows: &BTreeMap<MemoryId, &Row>, size: usize) -> impl Iterator<Item = MemoryId> {
    let count = rows.len();
    let is_chosen = move |place: usize| (place + 1) * size / count > place * size / count;
    let ids = rows.keys().copied().enumerate();
    ids.filter(move |(place, _)| size >= count || is_chosen(*place))
        .map(|(_, id)| id)
}

/// The ids of the `limit` highest values; equal values by id.
fn best(values: &BTreeMap<MemoryId, f32>, limit: usize) -> impl Iterator<Item = MemoryId> {
    let mut ranked: Vec<(MemoryId, f32)> = values.iter().map(|(id, v)| (*id, *v)).collect();
    ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    ranked.into_iter().take(limit).map(|(id, _)| id)
}
