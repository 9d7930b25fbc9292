//! Search by brute force: every admitted row is scored in every retriever.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{MemoryId, ScoreStats, SearchHit, SearchOutcome, SearchRequest};

use super::bm25;
use super::entity_table::{EntityTable, Row};

/// Finds the best of each retriever asked for, with every retriever's value.
pub(super) fn search(entity_table: &EntityTable, request: &SearchRequest) -> SearchOutcome {
    let admitted: BTreeMap<MemoryId, &Row> = entity_table
        .admitted(&request.filter)
        .map(|row| (row.item.memory.id, row))
        .collect();
    let dense: BTreeMap<MemoryId, f32> = request.dense.as_ref().map_or_else(BTreeMap::new, |q| {
        admitted
            .iter()
            .filter_map(|(id, row)| Some((*id, row.item.embedding.similarity(q)?)))
            .collect()
    });
    let mut lexical = request
        .lexical
        .as_deref()
        .map_or_else(BTreeMap::new, |text| bm25::scores(entity_table, text));
    lexical.retain(|id, _| admitted.contains_key(id));

    let words = admitted
        .keys()
        .map(|id| lexical.get(id).copied().unwrap_or(0.0));
    let summaries = (
        ScoreStats::of(dense.values().copied()),
        ScoreStats::of(words),
    );
    let found: BTreeSet<MemoryId> = best(&dense, request.limit)
        .chain(best(&lexical, request.limit))
        .collect();
    let candidate = |id| {
        SearchHit::new(admitted[&id].item.memory.clone())
            .similarity(dense.get(&id).copied())
            .lexical(lexical.get(&id).copied())
    };
    SearchOutcome::new(
        entity_table.generation(),
        found.into_iter().map(candidate).collect(),
    )
    .dense(request.dense.as_ref().map(|_| summaries.0))
    .lexical(request.lexical.as_ref().map(|_| summaries.1))
    .compared(request.dense.as_ref().map(|_| dense.len() as u64))
}

/// The ids of the `limit` highest values; equal values by id.
fn best(values: &BTreeMap<MemoryId, f32>, limit: usize) -> impl Iterator<Item = MemoryId> {
    let mut ranked: Vec<(MemoryId, f32)> = values.iter().map(|(id, v)| (*id, *v)).collect();
    ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    ranked.into_iter().take(limit).map(|(id, _)| id)
}
