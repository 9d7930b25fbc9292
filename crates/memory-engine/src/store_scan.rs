//! Reading memories past the tiers: one by id, many page by page, what changed, and up
//! and down the levels of summaries.

use std::collections::HashMap;

use memory_core::limits::MAX_LIMIT;
use memory_core::{
    ChangeSet, EntityId, Fingerprint, Generation, ListRequest, ListScope, Memory, MemoryError,
    MemoryId, MemoryResult, Store,
};

/// Passes every live memory of an entity to `each`, newest first, with a page
/// of [`MAX_LIMIT`] in memory at a time.
pub(crate) async fn for_each_live(
    store: &dyn Store,
    entity: &EntityId,
    each: impl FnMut(Memory),
) -> MemoryResult<()> {
    for_each(store, entity, ListRequest::new(MAX_LIMIT), each).await
}

/// Passes every memory that a request matches to `each`, from its page on.
pub(crate) async fn for_each(
    store: &dyn Store,
    entity: &EntityId,
    mut request: ListRequest,
    mut each: impl FnMut(Memory),
) -> MemoryResult<()> {
    loop {
        let page = store.list(entity, &request).await?;
        page.memories.into_iter().for_each(&mut each);
        match page.next {
            Some(next) => request = request.after(next),
            None => return Ok(()),
        }
    }
}

/// A memory as the store has it, live or archived.
pub(crate) async fn stored_memory(
    store: &dyn Store,
    entity: &EntityId,
    id: &MemoryId,
) -> MemoryResult<Memory> {
    entity.validate()?;
    let mut found = store.get(entity, &[*id]).await?.memories;
    found.pop().flatten().ok_or_else(|| not_found(entity, id))
}

/// All that is archived under these memories, level by level.
pub(crate) async fn archived_under(
    store: &dyn Store,
    entity: &EntityId,
    summaries: Vec<MemoryId>,
) -> MemoryResult<Vec<Memory>> {
    let (mut next, mut found) = (summaries, Vec::new());
    while let Some(summary) = next.pop() {
        let request = ListRequest::new(MAX_LIMIT).scope(ListScope::SourcesOf(summary));
        for_each(store, entity, request, |memory| {
            next.push(memory.id);
            found.push(memory);
        })
        .await?;
    }
    Ok(found)
}

/// As [`archived_under`], of many summaries: reads all archived memories once.
pub(crate) async fn archived_under_any(
    store: &dyn Store,
    entity: &EntityId,
    summaries: Vec<MemoryId>,
) -> MemoryResult<Vec<Memory>> {
    let mut sources: HashMap<MemoryId, Vec<Memory>> = HashMap::new();
    let request = ListRequest::new(MAX_LIMIT).scope(ListScope::Archived);
    for_each(store, entity, request, |memory| {
        if let Some(summary) = memory.archived_by {
            sources.entry(summary).or_default().push(memory);
        }
    })
    .await?;
    let (mut next, mut found) = (summaries, Vec::new());
    while let Some(summary) = next.pop() {
        let own = sources.remove(&summary).unwrap_or_default();
        next.extend(own.iter().map(|memory| memory.id));
        found.extend(own);
    }
    Ok(found)
}

/// The summary that a memory is archived under, the one that this summary is
/// archived under, and so on.
pub(crate) async fn summaries_above(
    store: &dyn Store,
    entity: &EntityId,
    memory: &Memory,
) -> MemoryResult<Vec<Memory>> {
    let (mut above, mut next) = (Vec::new(), memory.archived_by);
    while let Some(id) = next {
        let mut found = store.get(entity, &[id]).await?.memories;
        let Some(summary) = found.pop().flatten() else {
            break;
        };
        next = summary.archived_by;
        above.push(summary);
    }
    Ok(above)
}

/// What changed, without vectors.
pub(crate) async fn changes_without_vectors(
    store: &dyn Store,
    entity: &EntityId,
    since: Generation,
) -> MemoryResult<ChangeSet> {
    // No vector has an empty fingerprint.
    let none = Fingerprint::from("");
    store.changes_since(entity, since, &none).await
}

pub(crate) fn not_found(entity: &EntityId, id: &MemoryId) -> MemoryError {
    MemoryError::NotFound {
        entity: entity.clone(),
        id: *id,
    }
}
