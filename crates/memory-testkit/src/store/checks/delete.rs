//! [`Store::delete`](memory_core::Store::delete).

use std::collections::BTreeSet;

use memory_core::{
    DenseQuery, Generation, ListRequest, MemoryFilter, MemoryId, RemoveOutcome, SearchRequest,
};

use crate::check::{At, CheckResult, ensure, ensure_eq};
use crate::fixtures::fingerprint;
use crate::store::CheckContext;

/// What is deleted is gone, the rest stays, and the outcome names what went.
pub async fn removes_for_good(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let batch = context.populate(&mira, 6, &mut context.rng()).await?;
    let ids: Vec<MemoryId> = batch.iter().map(|item| item.memory.id).collect();
    let gone = [ids[1], ids[4]];
    let outcome = context.store().delete(&mira, &gone).await.at("delete")?;
    let removed: BTreeSet<MemoryId> = outcome.removed.iter().copied().collect();
    ensure_eq!(removed, gone.into(), "ids removed");
    ensure_eq!(outcome.removed.len(), 2, "ids in the outcome");
    ensure_eq!(outcome.generation, Generation(2), "generation");
    for item in &batch {
        let id = item.memory.id;
        let found = context.has(&mira, id).await?;
        ensure_eq!(found, !gone.contains(&id), "whether {id} is there");
    }
    ensure_eq!(context.count(&mira).await?, 4, "count");
    Ok(())
}

/// Ids that the entity does not have are passed over; an id given twice is
/// removed once; where nothing is removed, the generation stays.
pub async fn passes_over_unknown_ids(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let batch = context.populate(&mira, 3, &mut rng).await?;
    let his = context.populate(&tam, 1, &mut rng).await?[0].memory.id;
    let store = context.store();
    for ids in [vec![], vec![rng.id()], vec![his, rng.id()]] {
        let outcome = store
            .delete(&mira, &ids)
            .await
            .at("delete of unknown ids")?;
        ensure_eq!(outcome.removed, [], "removed");
        ensure_eq!(outcome.generation, Generation(1), "generation");
    }
    let id = batch[0].memory.id;
    let mixed = [rng.id(), id, his, id];
    let outcome = store
        .delete(&mira, &mixed)
        .await
        .at("delete of mixed ids")?;
    ensure_eq!(outcome.removed, [id], "removed of mixed ids");
    ensure_eq!(outcome.generation, Generation(2), "generation");
    let outcome = store.delete(&mira, &[id]).await.at("delete again")?;
    ensure_eq!(outcome.removed, [], "removed again");
    ensure_eq!(outcome.generation, Generation(2), "generation");
    let nobody = context.entity("nobody");
    let outcome = store.delete(&nobody, &[id]).await.at("delete of nobody")?;
    ensure_eq!(outcome, RemoveOutcome::default(), "outcome for nobody");
    ensure!(
        context.has(&tam, his).await?,
        "another entity's memory went"
    );
    Ok(())
}

/// One call raises the generation by one, however many memories go.
pub async fn raises_the_generation_once(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let batch = context.populate(&mira, 8, &mut context.rng()).await?;
    let ids: Vec<MemoryId> = batch.iter().map(|item| item.memory.id).collect();
    for (round, ids) in ids.chunks(3).enumerate() {
        let outcome = context.store().delete(&mira, ids).await.at("delete")?;
        let generation = Generation(round as u64 + 2);
        ensure_eq!(outcome.generation, generation, "outcome");
        ensure_eq!(context.generation(&mira).await?, generation, "statistics");
    }
    ensure_eq!(context.count(&mira).await?, 0, "count");
    Ok(())
}

/// No read shows it any more: list, count, search, statistics.
pub async fn is_seen_everywhere(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let batch = context.populate(&mira, 5, &mut context.rng()).await?;
    let gone = batch[2].memory.id;
    let store = context.store();
    store.delete(&mira, &[gone]).await.at("delete")?;
    let request = ListRequest::new(10);
    let page = store.list(&mira, &request).await.at("list")?;
    ensure_eq!(page.generation, Generation(2), "generation of the list");
    let listed = page.memories.iter().any(|memory| memory.id == gone);
    ensure!(!listed && page.memories.len() == 4, "still listed");
    let request = SearchRequest {
        sample: 0,
        filter: MemoryFilter::new(),
        limit: 10,
        dense: Some(DenseQuery {
            chunk_discount: 0.0,
            fingerprint: fingerprint(),
            vector: batch[2].embedding.vectors[0].clone(),
        }),
        lexical: None,
    };
    let found = store.search(&mira, &request).await.at("search")?;
    ensure_eq!(found.generation, Generation(2), "generation of the search");
    let found_it = found.candidates.iter().any(|it| it.memory.id == gone);
    ensure!(!found_it && found.candidates.len() == 4, "still found");
    let stats = store.entity_stats(&mira).await.at("entity_stats")?;
    ensure_eq!(stats.memory_count, 4, "memories in the statistics");
    ensure_eq!(context.count(&mira).await?, 4, "count");
    Ok(())
}
