//! [`Store::change_marker`], where a store has
//! one.

use memory_core::{AccessUpdate, ChangeMarker, MemoryPatch, Store};

use crate::check::{At, CheckFailure, CheckResult, ensure};
use crate::fixtures::{at, consolidation, plain};
use crate::store::CheckContext;

/// Every sort of write changes the marker to one that was not there before.
pub async fn differs_after_every_write(context: &CheckContext) -> CheckResult {
    let (mira, mut rng) = (context.entity("mira"), context.rng());
    let batch = [0, 1, 2].map(|n| plain(&mira, format!("number {n}"), &mut rng));
    let [a, b, c] = [0, 1, 2].map(|index: usize| batch[index].memory.id);
    let store = context.store();
    let mut seen = Vec::new();
    is_new(store, &mut seen, "the beginning")?;
    context.insert(&batch).await?;
    is_new(store, &mut seen, "insert")?;
    let patch = MemoryPatch::new().importance(0.25);
    store.update(&mira, &a, &patch, None).await.at("update")?;
    is_new(store, &mut seen, "update")?;
    let access = AccessUpdate::new(mira.clone(), a, 1, at(0));
    context.record_accesses(&[access]).await?;
    is_new(store, &mut seen, "record_accesses")?;
    let group = consolidation(&mira, "in short", [a, b], &mut rng);
    context.consolidate(&mira, &[group]).await?;
    is_new(store, &mut seen, "consolidate")?;
    store.delete(&mira, &[c]).await.at("delete")?;
    is_new(store, &mut seen, "delete")?;
    if seen.is_empty() {
        let why = "the store has no change marker".to_owned();
        return Err(CheckFailure::NotApplicable(why));
    }
    Ok(())
}

/// A write through the store, or through another handle, changes the marker of a
/// handle to one that was not there before; so does every sort of write.
pub async fn of_a_handle_differs_after_other_writes(context: &CheckContext) -> CheckResult {
    let (mira, mut rng) = (context.entity("mira"), context.rng());
    let mut memory = |content: &str| [plain(&mira, content, &mut rng)];
    let store = context.store();
    let handles = store.writer_handle().zip(store.writer_handle());
    let Some((handle, other)) = handles else {
        let why = "the store has no handles for one writer".to_owned();
        return Err(CheckFailure::NotApplicable(why));
    };
    let mut seen = Vec::new();
    is_new(&*handle, &mut seen, "the beginning")?;
    let batch = memory("one");
    context.insert(&batch).await?;
    is_new(&*handle, &mut seen, "insert into the store")?;
    // What the handle writes may or may not change its own marker.
    handle.insert(&memory("two")).await.at("insert")?;
    seen.extend(handle.change_marker());
    other.insert(&memory("three")).await.at("insert")?;
    is_new(&*handle, &mut seen, "insert through another handle")?;
    handle.insert(&memory("four")).await.at("insert")?;
    seen.extend(handle.change_marker());
    let id = batch[0].memory.id;
    let patch = MemoryPatch::new().importance(0.25);
    other.update(&mira, &id, &patch, None).await.at("update")?;
    is_new(&*handle, &mut seen, "update through another handle")?;
    store.delete(&mira, &[id]).await.at("delete")?;
    is_new(&*handle, &mut seen, "delete from the store")?;
    let stats = handle.entity_stats(&mira).await.at("entity_stats")?;
    ensure!(stats.memory_count == 3, "a handle is another store");
    Ok(())
}

/// A store may be without a marker at any time; one that it has must be new.
fn is_new(store: &dyn Store, seen: &mut Vec<ChangeMarker>, after: &str) -> CheckResult {
    if let Some(marker) = store.change_marker() {
        ensure!(
            !seen.contains(&marker),
            "the marker after {after} was there before"
        );
        seen.push(marker);
    }
    Ok(())
}
