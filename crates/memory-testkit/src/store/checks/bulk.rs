//! Batches larger than the limits that lurk below: bound parameters, rows of a
//! statement, size of a message.

use memory_core::{AccessUpdate, Generation, MemoryFilter, MemoryId};

use crate::check::{At, CheckResult, ensure, ensure_eq};
use crate::fixtures::{at, plain};
use crate::store::CheckContext;

/// More than 65,535 parameters would hold in one statement, at any number of
/// columns.
const MANY: usize = 3_000;

/// A batch of thousands is one write.
pub async fn inserts_many(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let batch: Vec<_> = (0..MANY)
        .map(|number| plain(&mira, format!("one of many, {number}"), &mut rng))
        .collect();
    let outcome = context.insert(&batch).await?;
    ensure_eq!(outcome.inserted, vec![true; MANY], "inserted");
    ensure_eq!(context.count(&mira).await?, MANY as u64, "count");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(1),
        "generation"
    );
    let again = context.insert(&batch).await?;
    ensure_eq!(again.inserted, vec![false; MANY], "inserted again");
    let listed = context.listed(&mira, &MemoryFilter::new(), 1_000).await?;
    ensure_eq!(listed.len(), MANY, "memories listed");
    let whole = context.changes(&mira, Generation::ZERO).await?;
    ensure_eq!(whole.written.len(), MANY, "memories in the whole state");
    Ok(())
}

/// Get, touch and delete take thousands of ids at once.
pub async fn reads_and_removes_many(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let kept = plain(&mira, "kept", &mut rng);
    let batch: Vec<_> = (0..40)
        .map(|number| plain(&mira, format!("one of many, {number}"), &mut rng))
        .chain([kept.clone()])
        .collect();
    context.insert(&batch).await?;
    // Mostly unknown, so that the number of ids is what is tried here.
    let mut ids: Vec<MemoryId> = batch[..40].iter().map(|item| item.memory.id).collect();
    ids.extend((0..40_000).map(|_| rng.id()));
    rng.shuffle(&mut ids);
    let store = context.store();
    let updates: Vec<AccessUpdate> = ids
        .iter()
        .map(|id| AccessUpdate::new(mira.clone(), *id, 1, at(1)))
        .collect();
    context.record_accesses(&updates).await?;
    let fetched = store.get(&mira, &ids).await.at("get")?;
    ensure_eq!(fetched.memories.len(), ids.len(), "results");
    let found = fetched.memories.iter().zip(&ids);
    let found: Vec<_> = found
        .filter_map(|(memory, id)| Some((memory.as_ref()?, id)))
        .collect();
    ensure_eq!(found.len(), 40, "memories found");
    for (memory, id) in found {
        ensure_eq!(memory.id, *id, "memory in the place of its id");
        ensure_eq!(memory.access_count, 1, "accesses");
    }
    let outcome = store.delete(&mira, &ids).await.at("delete")?;
    ensure_eq!(outcome.removed.len(), 40, "ids removed");
    ensure_eq!(context.count(&mira).await?, 1, "count");
    ensure!(
        context.has(&mira, kept.memory.id).await?,
        "the other memory went"
    );
    Ok(())
}
