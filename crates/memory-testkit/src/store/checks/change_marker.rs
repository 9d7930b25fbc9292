//! [`Store::change_marker`], where a store has
//! one.

use memory_core::{AccessUpdate, ChangeMarker, MemoryPatch, Store};

use crate::check::{At, CheckResult, ensure};
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
    let access = AccessUpdate {
        id: a,
        accesses: 1,
        last_accessed: at(0),
    };
    let recorded = store.record_accesses(&mira, &[access]).await;
    recorded.at("record_accesses")?;
    is_new(store, &mut seen, "record_accesses")?;
    let group = consolidation(&mira, "in short", [a, b], &mut rng);
    context.consolidate(&mira, &[group]).await?;
    is_new(store, &mut seen, "consolidate")?;
    store.delete(&mira, &[c]).await.at("delete")?;
    is_new(store, &mut seen, "delete")
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
