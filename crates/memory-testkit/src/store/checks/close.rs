//! [`Store::close`](memory_core::Store::close).

use std::time::Duration;

use futures_util::future::join;
use memory_core::{
    AccessUpdate, DenseQuery, ErrorKind, Generation, ListRequest, MemoryFilter, MemoryPatch,
    SearchRequest,
};

use crate::check::{At, CheckResult, ensure_eq, refused};
use crate::fixtures::{DIMENSIONS, at, consolidation, fingerprint, plain};
use crate::store::CheckContext;

/// After a close, a store whose capabilities say that it closes answers
/// [`ErrorKind::Closed`] to every method that reads or writes; another one
/// answers as before.
pub async fn answers_as_capabilities_say(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let item = plain(&mira, "written before the close", &mut rng);
    let id = item.memory.id;
    context.insert(std::slice::from_ref(&item)).await?;
    let store = context.store();
    let before = store.capabilities();
    store.close().await.at("close")?;
    ensure_eq!(store.capabilities(), before, "capabilities");
    if !before.closes {
        let new = plain(&mira, "written after the close", &mut rng);
        context.insert(&[new]).await?;
        ensure_eq!(context.has(&mira, id).await?, true, "get after a close");
        ensure_eq!(context.count(&mira).await?, 2, "count after a close");
        return Ok(());
    }
    let closed = [ErrorKind::Closed];
    let new = plain(&mira, "written after the close", &mut rng);
    refused(store.insert(&[new]).await, &closed, "insert")?;
    let group = consolidation(&mira, "archived after the close", [id], &mut rng);
    let consolidate = store.consolidate(&mira, &[group], Generation(1)).await;
    refused(consolidate, &closed, "consolidate")?;
    // A store without a channel has nothing to close of it.
    match store.watch().await {
        Ok(None) => {}
        watch => refused(watch, &closed, "watch")?,
    }
    refused(store.get(&mira, &[id]).await, &closed, "get")?;
    let list = ListRequest::new(10);
    refused(store.list(&mira, &list).await, &closed, "list")?;
    let all = MemoryFilter::new();
    refused(store.count(&mira, &all).await, &closed, "count")?;
    let search = SearchRequest {
        sample: 0,
        filter: all,
        limit: 10,
        dense: Some(DenseQuery {
            chunk_discount: 0.0,
            fingerprint: fingerprint(),
            vector: rng.vector(DIMENSIONS),
        }),
        lexical: None,
    };
    refused(store.search(&mira, &search).await, &closed, "search")?;
    let model = fingerprint();
    let changes = store.changes_since(&mira, Generation::ZERO, &model);
    refused(changes.await, &closed, "changes_since")?;
    let patch = MemoryPatch::new().importance(0.25);
    let update = store.update(&mira, &id, &patch, None);
    refused(update.await, &closed, "update")?;
    refused(store.delete(&mira, &[id]).await, &closed, "delete")?;
    let update = AccessUpdate::new(mira.clone(), id, 1, at(1));
    refused(
        store.record_accesses(&[update], Duration::ZERO).await,
        &closed,
        "record_accesses",
    )?;
    refused(store.entity_stats(&mira).await, &closed, "entity_stats")?;
    refused(
        store.list_entities(None, 10).await,
        &closed,
        "list_entities",
    )?;
    Ok(())
}

/// Closing twice is fine, also at once.
pub async fn may_be_repeated(context: &CheckContext) -> CheckResult {
    let store = context.store();
    let (one, other) = join(store.close(), store.close()).await;
    one.at("close")?;
    other.at("close at the same time")?;
    store.close().await.at("close again")?;
    let stats = store.entity_stats(&context.entity("mira")).await;
    if !store.capabilities().closes {
        return stats.map(drop).at("entity_stats");
    }
    refused(stats, &[ErrorKind::Closed], "entity_stats")
}
