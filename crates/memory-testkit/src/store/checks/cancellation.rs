//! A dropped future leaves the write whole or undone, never half, and the
//! store usable.

use memory_core::{EntityId, Generation, MemoryFilter, MemoryId, MemoryPatch};

use crate::check::{At, CheckResult, ensure, ensure_eq};
use crate::fixtures::{consolidation, embedding, plain, varied_memories};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;
use crate::store::context::ids;
use crate::timing::drop_after;

/// Writes begun and dropped in each check, each a little later than the one
/// before: from before its first step to past its end.
const ROUNDS: usize = 40;

/// A dropped insert has written all of its batch or nothing; inserting the
/// same batch again completes it.
pub async fn insert_is_whole_or_absent(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut written = Vec::new();
    for round in 0..ROUNDS {
        let mut batch = varied_memories(&mira, 6, &mut rng);
        for item in &mut batch {
            item.memory.content.push_str(&format!(" round {round}"));
        }
        drop_after(round, context.store().insert(&batch)).await;
        let ids: Vec<MemoryId> = batch.iter().map(|item| item.memory.id).collect();
        let fetched = context.store().get(&mira, &ids).await.at("get")?;
        let there = fetched.memories.iter().flatten().count();
        ensure!(
            there == 0 || there == ids.len(),
            "round {round}: {there} of {} were written",
            ids.len()
        );
        let outcome = context.insert(&batch).await.at("the same batch again")?;
        let first = outcome.inserted[0];
        ensure_eq!(outcome.inserted, [first; 6], "round {round}: inserted");
        written.extend(ids);
    }
    ensure_eq!(context.count(&mira).await?, written.len() as u64, "count");
    let generation = context.generation(&mira).await?;
    ensure_eq!(generation, Generation(ROUNDS as u64), "generation");
    settled(context, &mira, written.len(), &mut rng).await
}

/// A dropped update has changed everything that its patch sets, embedding
/// included, or nothing.
pub async fn update_is_whole_or_absent(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let item = plain(&mira, "before", &mut rng);
    let id = item.memory.id;
    context.insert(std::slice::from_ref(&item)).await?;
    for round in 0..ROUNDS {
        // The number of vectors tells which embedding is there.
        let chunks = 1 + round % 5;
        let fresh = embedding(chunks, &mut rng);
        let patch = MemoryPatch::new()
            .content(format!("round {round} of {chunks}"))
            .context(Some(format!("round {round} of {chunks}")));
        let update = context.store().update(&mira, &id, &patch, Some(&fresh));
        drop_after(round, update).await;
        let whole = context.changes(&mira, Generation::ZERO).await?;
        ensure_eq!(whole.written.len(), 1, "memories");
        let (memory, vectors) = (
            &whole.written[0].memory,
            &whole.written[0].embedding.vectors,
        );
        let context = memory.context.as_deref().unwrap_or("before");
        ensure_eq!(
            memory.content,
            context,
            "round {round}: content and context"
        );
        let wanted = context.rsplit(' ').next().and_then(|n| n.parse().ok());
        ensure_eq!(vectors.len(), wanted.unwrap_or(1), "round {round}: vectors");
    }
    settled(context, &mira, 1, &mut rng).await
}

/// A dropped delete has removed everything that it names or nothing.
pub async fn delete_is_whole_or_absent(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    for round in 0..ROUNDS {
        let batch = varied_memories(&mira, 6, &mut rng);
        let ids: Vec<MemoryId> = batch.iter().map(|item| item.memory.id).collect();
        context.insert(&batch).await?;
        drop_after(round, context.store().delete(&mira, &ids)).await;
        let page = context.listed(&mira, &MemoryFilter::new(), 100).await?;
        ensure!(
            page.is_empty() || page.len() == ids.len(),
            "round {round}: {} of {} are left",
            page.len(),
            ids.len()
        );
        let done = context
            .store()
            .delete(&mira, &ids)
            .await
            .at("delete again")?;
        ensure!(
            done.removed.is_empty() || done.removed.len() == ids.len(),
            "round {round}: {} were left to remove",
            done.removed.len()
        );
    }
    settled(context, &mira, 0, &mut rng).await
}

/// A dropped consolidation has archived all of its sources under its summaries
/// or nothing; the same call again completes it, or finds it done.
pub async fn consolidate_is_whole_or_absent(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut generation = Generation::ZERO;
    for round in 0..ROUNDS {
        let people = ids(&context.populate(&mira, 6, &mut rng).await?);
        let read_at = generation.next();
        let groups = [&people[..2], &people[2..5]]
            .map(|sources| consolidation(&mira, "short", sources.iter().copied(), &mut rng));
        let store = context.store();
        drop_after(round, store.consolidate(&mira, &groups, read_at)).await;
        let summaries = ids(&groups.clone().map(|group| group.summary));
        let (new, old) = (
            store.get(&mira, &summaries).await.at("get")?,
            store.get(&mira, &people).await.at("get")?,
        );
        let there = new.memories.iter().flatten().count();
        let archived = old.memories.iter().flatten();
        let archived = archived.filter(|memory| memory.archived_by.is_some());
        let archived = archived.count();
        // Between the two reads the dropped call may have come to its end.
        ensure!(
            matches!((there, archived), (0 | 2, 5) | (0, 0)),
            "round {round}: {there} summaries, {archived} archived"
        );
        let done = store.consolidate(&mira, &groups, read_at).await;
        generation = done.at("the same call again")?.generation;
        ensure_eq!(generation, read_at.next(), "round {round}: generation");
    }
    let stats = context.store().entity_stats(&mira).await;
    let archived = stats.at("entity_stats")?.archived_count;
    ensure_eq!(archived, 5 * ROUNDS as u64, "archived");
    settled(context, &mira, 3 * ROUNDS, &mut rng).await
}

/// The store still answers, writes included, and all reads agree on `count`.
async fn settled(
    context: &CheckContext,
    entity: &EntityId,
    count: usize,
    rng: &mut SeededRng,
) -> CheckResult {
    let last = plain(entity, "after all that", rng);
    context.insert(&[last]).await.at("a write afterward")?;
    let count = count + 1;
    let listed = context.listed(entity, &MemoryFilter::new(), 1_000).await?;
    ensure_eq!(listed.len(), count, "memories listed");
    ensure_eq!(context.count(entity).await?, count as u64, "count");
    let whole = context.changes(entity, Generation::ZERO).await?;
    ensure_eq!(whole.written.len(), count, "memories in the whole state");
    Ok(())
}
