//! Requests of the facade from keyword arguments of Python.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use memory::{
    ConsolidateRequest, ListRequest, MemoryKind, MemoryPatch, Ranking, RecallRequest,
    ReembedRequest,
};

use super::Labels;
use super::filter::{MemoryFilter, or_everything};
use super::item::to_participants;
use super::patch::ContextChange;
use crate::identifiers::{Id, from_ids, from_links};
use crate::names::{Named, Scope};
use crate::times::Time;
use crate::values::memory::PageCursor;

#[expect(
    clippy::too_many_arguments,
    reason = "keyword arguments of Python, one for each field"
)]
pub(crate) fn recall_request(
    text: String,
    filter: Option<MemoryFilter>,
    limit: usize,
    min_similarity: Option<f32>,
    min_relevance: Option<f32>,
    ranking: Option<Named<Ranking>>,
    as_of: Option<Time>,
    rerank: bool,
    vector: Option<Vec<f32>>,
) -> RecallRequest {
    RecallRequest {
        filter: or_everything(filter),
        limit,
        min_similarity,
        min_relevance,
        ranking: ranking.map(|ranking| ranking.0).unwrap_or_default(),
        as_of: as_of.map(|moment| moment.0),
        rerank,
        vector,
        ..RecallRequest::new(text)
    }
}

pub(crate) fn list_request(
    limit: usize,
    filter: Option<MemoryFilter>,
    scope: Scope,
    after: Option<PageCursor>,
) -> ListRequest {
    ListRequest {
        filter: or_everything(filter),
        limit,
        after: after.map(|cursor| cursor.0),
        scope: scope.0,
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "keyword arguments of Python, one for each field"
)]
pub(crate) fn patch(
    content: Option<String>,
    kind: Option<Named<MemoryKind>>,
    timestamp: Option<Time>,
    importance: Option<f32>,
    context: ContextChange,
    metadata: Option<BTreeMap<String, String>>,
    related: Option<BTreeMap<Id, String>>,
    relate: Option<BTreeMap<Id, String>>,
    unrelate: Option<Vec<Id>>,
    entities: Option<BTreeMap<String, String>>,
    tags: Option<Labels>,
) -> MemoryPatch {
    MemoryPatch {
        content,
        kind: kind.map(|kind| kind.0),
        timestamp: timestamp.map(|timestamp| timestamp.0),
        importance,
        context: context.into_field(),
        metadata,
        related: related.map(from_links),
        relate: from_links(relate.unwrap_or_default()),
        unrelate: BTreeSet::from_iter(from_ids(unrelate.unwrap_or_default())),
        entities: entities.map(to_participants),
        tags: tags.map(|tags| BTreeSet::from_iter(tags.0)),
    }
}

pub(crate) fn consolidate_request(
    filter: Option<MemoryFilter>,
    min_similarity: Option<f32>,
    min_sources: usize,
) -> ConsolidateRequest {
    let request = ConsolidateRequest::new()
        .filter(or_everything(filter))
        .min_sources(min_sources);
    match min_similarity {
        Some(min_similarity) => request.min_similarity(min_similarity),
        None => request,
    }
}

pub(crate) fn reembed_request(
    all: bool,
    dry_run: bool,
    keep_others: bool,
    max_per_second: Option<NonZeroU32>,
) -> ReembedRequest {
    let request = ReembedRequest::new()
        .all(all)
        .dry_run(dry_run)
        .keep_others(keep_others);
    match max_per_second {
        Some(memories) => request.max_per_second(memories),
        None => request,
    }
}
