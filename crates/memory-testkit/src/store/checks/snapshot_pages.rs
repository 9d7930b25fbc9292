//! [`Store::snapshot_pages`](memory_core::Store::snapshot_pages), of stores that keep
//! them.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{
    AccessUpdate, EmbeddedMemory, EntityId, ErrorKind, Fingerprint, Generation, MemoryId,
    MemoryPatch, SnapshotPage, SnapshotPages, SnapshotPart, SnapshotState,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{
    at, consolidation, embedding, fingerprint, other_fingerprint, varied_memories,
};
use crate::store::CheckContext;

/// Several pages of any store, and some memories that are in none.
const MEMORIES: usize = 604;

/// The caller's version of its pages.
const FORMAT: u64 = 7;

/// With and without pages, each live memory is in one part of the state; pages come
/// back as they were written, and writing them raises no generation.
pub async fn have_every_memory_once(context: &CheckContext) -> CheckResult {
    let (mira, batch) = populate(context).await?;
    let state = read(context, &mira, FORMAT).await?;
    ensure_eq!(state.generation, Generation(1), "generation");
    let all: BTreeSet<MemoryId> = batch.iter().map(|item| item.memory.id).collect();
    let changes = context.changes(&mira, Generation::ZERO).await?;
    let changes: BTreeMap<MemoryId, EmbeddedMemory> = by_id(changes.written);
    let mut seen = BTreeSet::new();
    for part in &state.parts {
        let SnapshotPart::Memories { page, memories } = part else {
            return Err(CheckFailure::failed("a page that was not written"));
        };
        ensure!(
            page.is_none() || memories.len() <= SnapshotPage::MAX_MEMORIES,
            "a page of {} memories",
            memories.len()
        );
        for item in memories {
            let id = item.memory.id;
            ensure!(seen.insert(id), "memory {id} is there twice");
            ensure_eq!(Some(item), changes.get(&id), "a memory, as a change");
        }
    }
    ensure_eq!(seen, all, "ids without pages");

    let kept = keep(context, &mira).await?;
    ensure!(kept.len() > 2, "only {} pages are kept", kept.len());
    let state = read(context, &mira, FORMAT).await?;
    ensure_eq!(state.generation, Generation(1), "generation with pages");
    ensure_eq!(pages_of(&state), kept.keys().cloned().collect(), "pages");
    ensure_eq!(count(context, &mira, FORMAT).await?, kept.len(), "count");
    let mut ids = rest_of(&state);
    for id in kept.values().flatten() {
        ensure!(ids.insert(*id), "memory {id} is in a page and not in it");
    }
    ensure_eq!(ids, all, "ids with pages");
    Ok(())
}

/// What is written, removed, archived or restored ends the page that it was in, and the other
/// memories of that page are returned; the other pages stay.
pub async fn end_with_their_memories(context: &CheckContext) -> CheckResult {
    let (mira, _) = populate(context).await?;
    let (store, mut rng) = (context.store(), context.rng());
    // The summary, and the memory that it archived.
    let mut archived = None;
    for change in [
        "update",
        "delete",
        "consolidate",
        "restore",
        "replace_vectors",
    ] {
        let mut kept = keep(context, &mira).await?;
        let Some((content, ids)) = kept.pop_first() else {
            return Err(CheckFailure::failed("no page is kept"));
        };
        let (mut changed, read_at) = (ids[0], context.generation(&mira).await?);
        let mut rest: BTreeSet<MemoryId> = ids[1..].iter().copied().collect();
        let mut written = BTreeSet::from([changed]);
        match change {
            "update" => {
                let patch = MemoryPatch::new().importance(0.123);
                let update = store.update(&mira, &changed, &patch, None).await;
                update.at(change)?;
                rest.insert(changed);
            }
            "delete" => drop(store.delete(&mira, &[changed]).await.at(change)?),
            "consolidate" => {
                let group = consolidation(&mira, "a summary", [changed], &mut rng);
                archived = Some((group.summary.memory.id, changed));
                let written = store.consolidate(&mira, &[group], read_at).await;
                written.at(change)?;
            }
            // The page is the one that it was in, made again without it.
            "restore" => {
                let Some((summary, source)) = archived else {
                    return Err(CheckFailure::failed("nothing was archived"));
                };
                store.delete(&mira, &[summary]).await.at(change)?;
                rest.extend([changed, source]);
                rest.remove(&summary);
                // In stores that keep pages of ids in order it may be in any of them.
                written.insert(summary);
                changed = source;
            }
            _ => {
                let given = [(changed, embedding(2, &mut rng))];
                match store.replace_vectors(&mira, &given, read_at).await {
                    Err(error) if error.kind() == ErrorKind::Unsupported => continue,
                    replaced => drop(replaced.at(change)?),
                }
                rest.insert(changed);
            }
        }
        let state = read(context, &mira, FORMAT).await?;
        let pages = pages_of(&state);
        ensure!(
            !pages.contains(&content),
            "the page is returned after {change}"
        );
        let found = rest_of(&state);
        ensure!(
            rest.is_subset(&found),
            "memories are missing after {change}"
        );
        ensure_eq!(
            found.contains(&changed),
            rest.contains(&changed),
            "after {change}"
        );
        kept.retain(|_, ids| !ids.iter().any(|id| written.contains(id)));
        let others = kept.keys().filter(|other| pages.contains(*other)).count();
        ensure_eq!(others, kept.len(), "other pages after {change}");
        let counted = count(context, &mira, FORMAT).await?;
        ensure_eq!(counted, pages.len(), "count after {change}");
    }
    Ok(())
}

/// Vectors that are removed leave the page that they were in, although that changes no
/// generation, and no page of what was read before is kept afterward.
pub async fn end_with_the_vectors_of_their_memories(context: &CheckContext) -> CheckResult {
    let (mira, _) = populate(context).await?;
    let state = read(context, &mira, FORMAT).await?;
    let offered_first = offered(&state).into_iter().next();
    let Some((_, ids)) = offered_first else {
        return Err(CheckFailure::failed("no page is offered"));
    };
    let (store, changed) = (context.store(), [ids[0]]);
    let (mut added, other) = (embedding(1, &mut context.rng()), other_fingerprint());
    added.fingerprint = other.clone();
    let (given, read_at) = ([(changed[0], added)], context.generation(&mira).await?);
    match store.replace_vectors(&mira, &given, read_at).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
        replaced => drop(replaced.at("replace_vectors")?),
    }
    let before = read(context, &mira, FORMAT).await?;
    let pages: Vec<SnapshotPage> = offered(&before).into_iter().map(|(page, _)| page).collect();
    let kept = keep(context, &mira).await?;
    let Some((content, _)) = kept.iter().find(|(_, ids)| ids.contains(&changed[0])) else {
        return Err(CheckFailure::failed("the memory is in no page"));
    };
    let removing = store.remove_other_vectors(&mira, &changed, &other);
    ensure_eq!(removing.await.at("remove_other_vectors")?, 1, "memories");
    for moment in ["before they are written again", "afterwards"] {
        let state = read(context, &mira, FORMAT).await?;
        ensure_eq!(state.generation, before.generation, "generation");
        let found = pages_of(&state);
        ensure!(!found.contains(content), "the page is returned {moment}");
        ensure_eq!(found.len(), kept.len() - 1, "other pages {moment}");
        let memories = state.parts.iter().filter_map(|part| match part {
            SnapshotPart::Page(_) => None,
            SnapshotPart::Memories { memories, .. } => Some(memories),
        });
        let own = memories.flatten().find(|item| item.memory.id == changed[0]);
        let vectors = own.map(|item| item.embedding.vectors.len());
        ensure_eq!(vectors, Some(0), "vectors of the memory {moment}");
        write(context, &mira, before.generation, pages.clone()).await?;
    }
    Ok(())
}

/// A page is not kept where a memory changed after it was read.
pub async fn of_changed_memories_are_not_kept(context: &CheckContext) -> CheckResult {
    let (mira, _) = populate(context).await?;
    let state = read(context, &mira, FORMAT).await?;
    let offered = offered(&state);
    ensure!(
        offered.len() > 2,
        "only {} pages are offered",
        offered.len()
    );
    let changed = [&offered[0], &offered[1]];
    let (removed, updated) = (changed[0].1[0], changed[1].1[0]);
    let store = context.store();
    let patch = MemoryPatch::new().importance(0.123);
    store
        .update(&mira, &updated, &patch, None)
        .await
        .at("update")?;
    store.delete(&mira, &[removed]).await.at("delete")?;
    let pages = offered.iter().map(|(page, _)| page.clone()).collect();
    write(context, &mira, state.generation, pages).await?;
    let state = read(context, &mira, FORMAT).await?;
    let found = pages_of(&state);
    for (page, _) in changed {
        ensure!(
            !found.contains(&page.content),
            "a page of a changed memory is kept"
        );
    }
    let rest = rest_of(&state);
    ensure!(rest.contains(&updated), "the updated memory is missing");
    ensure!(!rest.contains(&removed), "the removed memory is returned");
    Ok(())
}

/// A page is returned for the fingerprint and the format only that it was written for.
pub async fn belong_to_one_fingerprint_and_format(context: &CheckContext) -> CheckResult {
    let (mira, batch) = populate(context).await?;
    let kept = keep(context, &mira).await?;
    let other_format = read(context, &mira, FORMAT + 1).await?;
    let counted = count(context, &mira, FORMAT + 1).await?;
    ensure_eq!(counted, 0, "count of another format");
    let counted = count(context, &context.entity("tam"), FORMAT).await?;
    ensure_eq!(counted, 0, "count of another entity");
    let pages = pages(context)?;
    let counted = pages.count(&mira, &other_fingerprint(), FORMAT).await;
    ensure_eq!(counted.at("count")?, 0, "count of another fingerprint");
    let other = pages.read(&mira, &other_fingerprint(), FORMAT).await;
    for (state, what) in [
        (other_format, "format"),
        (other.at("read of another fingerprint")?, "fingerprint"),
    ] {
        ensure_eq!(pages_of(&state), BTreeSet::new(), "pages of another {what}");
        ensure_eq!(
            rest_of(&state).len(),
            batch.len(),
            "memories of another {what}"
        );
    }
    let state = read(context, &mira, FORMAT).await?;
    ensure_eq!(pages_of(&state).len(), kept.len(), "pages");
    Ok(())
}

/// Recorded accesses end no page, and come with it.
pub async fn leave_accesses_out(context: &CheckContext) -> CheckResult {
    let (mira, _) = populate(context).await?;
    let kept = keep(context, &mira).await?;
    let update = |id: MemoryId| AccessUpdate::new(mira.clone(), id, 3, at(5_000_000));
    let accessed: BTreeSet<MemoryId> = kept.values().map(|ids| ids[0]).collect();
    let updates: Vec<_> = accessed.iter().copied().map(update).collect();
    context.record_accesses(&updates).await?;
    let store = context.store();
    let state = read(context, &mira, FORMAT).await?;
    ensure_eq!(pages_of(&state).len(), kept.len(), "pages");
    let paged: Vec<MemoryId> = kept.into_values().flatten().collect();
    let memories = store.get(&mira, &paged).await.at("get")?.memories;
    for memory in memories.into_iter().flatten() {
        let found = state.accesses.iter().find(|it| it.id == memory.id);
        let found = found.map_or((0, None), |it| (it.access_count, it.last_accessed));
        let expected = (memory.access_count, memory.last_accessed);
        ensure_eq!(found, expected, "accesses of a memory");
        let is_accessed = accessed.contains(&memory.id);
        ensure_eq!(expected.0 > 0, is_accessed, "whether it was accessed");
    }
    Ok(())
}

async fn populate(context: &CheckContext) -> Result<(EntityId, Vec<EmbeddedMemory>), CheckFailure> {
    let mira = context.entity("mira");
    let batch = varied_memories(&mira, MEMORIES, &mut context.rng());
    context.insert(&batch).await?;
    Ok((mira, batch))
}

fn pages(context: &CheckContext) -> Result<&dyn SnapshotPages, CheckFailure> {
    let pages = context.store().snapshot_pages();
    pages.ok_or_else(|| CheckFailure::failed("the store keeps pages no more"))
}

async fn read(
    context: &CheckContext,
    entity: &EntityId,
    format: u64,
) -> Result<SnapshotState, CheckFailure> {
    let fingerprint: Fingerprint = fingerprint();
    let read = pages(context)?.read(entity, &fingerprint, format).await;
    read.at("read")
}

async fn count(
    context: &CheckContext,
    entity: &EntityId,
    format: u64,
) -> Result<usize, CheckFailure> {
    let count = pages(context)?.count(entity, &fingerprint(), format).await;
    Ok(usize::try_from(count.at("count")?).unwrap_or(usize::MAX))
}

async fn write(
    context: &CheckContext,
    entity: &EntityId,
    read_at: Generation,
    new: Vec<SnapshotPage>,
) -> CheckResult {
    let (pages, fingerprint) = (pages(context)?, fingerprint());
    let written = pages.write(entity, &fingerprint, FORMAT, read_at, new);
    written.await.at("write")
}

/// The pages that the store would keep, with the ids of their memories.
fn offered(state: &SnapshotState) -> Vec<(SnapshotPage, Vec<MemoryId>)> {
    let parts = state.parts.iter().filter_map(|part| match part {
        SnapshotPart::Memories {
            page: Some(number),
            memories,
        } if !memories.is_empty() => Some((*number, memories)),
        _ => None,
    });
    parts
        .map(|(number, memories)| {
            let ids: Vec<MemoryId> = memories.iter().map(|item| item.memory.id).collect();
            let content = format!("{:?} {number} {}", state.generation, ids[0]).into_bytes();
            (SnapshotPage::new(number, ids.clone(), content), ids)
        })
        .collect()
}

/// Writes every page that the store would keep. Returns the contents of those with the
/// ids of their memories.
async fn keep(
    context: &CheckContext,
    entity: &EntityId,
) -> Result<BTreeMap<Vec<u8>, Vec<MemoryId>>, CheckFailure> {
    let state = read(context, entity, FORMAT).await?;
    let offered = offered(&state);
    let contents = offered.iter();
    let kept = contents.map(|(page, ids)| (page.content.clone(), ids.clone()));
    let kept = kept.collect();
    let new = offered.into_iter().map(|(page, _)| page).collect();
    write(context, entity, state.generation, new).await?;
    Ok(kept)
}

/// The contents of the pages of a state.
fn pages_of(state: &SnapshotState) -> BTreeSet<Vec<u8>> {
    let pages = state.parts.iter().filter_map(|part| match part {
        SnapshotPart::Page(content) => Some(content.clone()),
        SnapshotPart::Memories { .. } => None,
    });
    pages.collect()
}

/// The ids of the memories that are in no page.
fn rest_of(state: &SnapshotState) -> BTreeSet<MemoryId> {
    let memories = state.parts.iter().filter_map(|part| match part {
        SnapshotPart::Page(_) => None,
        SnapshotPart::Memories { memories, .. } => Some(memories),
    });
    memories.flatten().map(|item| item.memory.id).collect()
}

fn by_id(items: Vec<EmbeddedMemory>) -> BTreeMap<MemoryId, EmbeddedMemory> {
    let items = items.into_iter();
    items.map(|item| (item.memory.id, item)).collect()
}
