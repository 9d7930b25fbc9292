//! [`Store::close`](memory_core::Store::close).

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::{join, join_all, join4};
use memory_core::{
    AccessUpdate, DenseQuery, EmbeddedMemory, ErrorKind, Generation, ListRequest, MemoryFilter,
    MemoryId, MemoryPatch, MemoryResult, NeighborRequest, SearchOutcome, SearchRequest,
    SnapshotPage,
};

use crate::check::{At, CheckResult, ensure_eq, refused};
use crate::fixtures::{DIMENSIONS, at, consolidation, fingerprint, plain};
use crate::store::CheckContext;
use crate::timing::yield_now;

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
    optional_methods_are_closed(context, &item).await
}

/// That the methods that a store may leave as provided answer that it is closed, or that it
/// has none of them.
async fn optional_methods_are_closed(context: &CheckContext, item: &EmbeddedMemory) -> CheckResult {
    let (store, entity, model) = (context.store(), &item.memory.entity_id, &fingerprint());
    let ids = &[item.memory.id];
    let kinds = [ErrorKind::Closed, ErrorKind::Unsupported];
    let neighbors = NeighborRequest::new(*ids, 1);
    let neighbors = store.neighbors(entity, &neighbors).await;
    refused(neighbors, &kinds, "neighbors")?;
    let counts = store.vector_counts(entity, ids, model).await;
    refused(counts, &kinds, "vector_counts")?;
    let counts = store.count_by_model(entity).await;
    refused(counts, &kinds, "count_by_model")?;
    let embeddings = [(ids[0], item.embedding.clone())];
    let replaced = store.replace_vectors(entity, &embeddings, Generation(1));
    refused(replaced.await, &kinds, "replace_vectors")?;
    let removed = store.remove_other_vectors(entity, ids, model).await;
    refused(removed, &kinds, "remove_other_vectors")?;
    let accessed = store.recently_accessed_entities(10).await;
    refused(accessed, &kinds, "recently_accessed_entities")?;
    if let Some(pages) = store.snapshot_pages() {
        let closed = [ErrorKind::Closed];
        refused(pages.read(entity, model, 1).await, &closed, "read of pages")?;
        let count = pages.count(entity, model, 1).await;
        refused(count, &closed, "count of pages")?;
        let page = SnapshotPage::new(0, ids.to_vec(), vec![0]);
        let written = pages.write(entity, model, 1, Generation(1), vec![page]);
        refused(written.await, &closed, "write of pages")?;
    }
    Ok(())
}

/// A call that runs when the store is closed answers in full, or [`ErrorKind::Closed`].
pub async fn finishes_running_calls(context: &CheckContext) -> CheckResult {
    /// Of each method: more than most stores have connections.
    const CALLS: usize = 12;
    let (mira, otto) = (context.entity("mira"), context.entity("otto"));
    let mut rng = context.rng();
    context.populate(&mira, 200, &mut rng).await?;
    let store = context.store();
    let list = ListRequest::new(150);
    let dense = DenseQuery::new(fingerprint(), rng.vector(DIMENSIONS));
    let search = SearchRequest {
        dense: Some(dense),
        ..SearchRequest::new(MemoryFilter::new(), 20)
    };
    let listed = store.list(&mira, &list).await.at("list")?;
    let found = store.search(&mira, &search).await.at("search")?;
    let new: Vec<EmbeddedMemory> = (0..CALLS).map(|_| plain(&otto, "new", &mut rng)).collect();
    let inserts = new
        .iter()
        .map(|item| store.insert(std::slice::from_ref(item)));
    let close = async {
        // Some calls have a connection by then.
        for _ in 0..4 {
            yield_now().await;
        }
        store.close().await
    };
    let (lists, searches, inserts, closed) = join4(
        join_all((0..CALLS).map(|_| store.list(&mira, &list))),
        join_all((0..CALLS).map(|_| store.search(&mira, &search))),
        join_all(inserts),
        close,
    )
    .await;
    closed.at("close")?;
    let closes = store.capabilities().closes;
    for list in lists {
        finished(list, &listed, closes).at("list during a close")?;
    }
    // Without the statistics: sums may be rounded otherwise in another order.
    let ids = |outcome: SearchOutcome| {
        let hits = outcome.candidates.into_iter();
        let ids: BTreeSet<MemoryId> = hits.map(|hit| hit.memory.id).collect();
        (outcome.generation, outcome.matching, ids)
    };
    let found = ids(found);
    for search in searches {
        finished(search.map(ids), &found, closes).at("search during a close")?;
    }
    for (item, insert) in new.iter().zip(inserts) {
        let inserted = insert.map(|outcome| outcome.inserted);
        let inserted = inserted.map(|all| all == [true]);
        let named = format!("insert of {} during a close", item.memory.id);
        finished(inserted, &true, closes).at(named)?;
    }
    Ok(())
}

/// That a call has answered as it should, or said that the store is closed.
fn finished<T: Debug + PartialEq>(
    answer: MemoryResult<T>,
    expected: &T,
    closes: bool,
) -> CheckResult {
    match answer {
        Err(error) if closes && error.kind() == ErrorKind::Closed => Ok(()),
        answer => {
            ensure_eq!(&answer.at("the call")?, expected, "answer");
            Ok(())
        }
    }
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
