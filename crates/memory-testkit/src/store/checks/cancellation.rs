//! A dropped future leaves the write whole or undone, never half, and the
//! store usable.

use std::collections::BTreeSet;

use futures_util::future::join;
use memory_core::{
    AccessUpdate, EmbeddedMemory, Embedding, EntityId, ErrorKind, Generation, InsertOptions,
    MemoryFilter, MemoryId, MemoryPatch,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{at, consolidation, embedding, fingerprint, plain, varied_memories};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;
use crate::store::context::{MAX_LOCK_WAIT, ids};
use crate::timing::{drop_after, yield_now};

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

/// A dropped insert with evictions has evicted and inserted everything, or nothing, and
/// every reader meanwhile sees one or the other; the same call again completes it.
pub async fn insert_with_evictions_is_whole_or_absent(context: &CheckContext) -> CheckResult {
    const SIZE: usize = 4;
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let store = context.store();
    let mut present = ids(&context.populate(&mira, SIZE, &mut rng).await?);
    for round in 0..ROUNDS {
        let batch = varied_memories(&mira, 2, &mut rng);
        let mut next = present[2..].to_vec();
        next.extend(ids(&batch));
        let evicted = present[..2].iter().copied();
        let room = InsertOptions::at_most(SIZE as u64).evict(mira.clone(), evicted);
        let is_whole = async || -> Result<bool, CheckFailure> {
            let page = context.listed(&mira, &MemoryFilter::new(), 100).await?;
            let found: BTreeSet<MemoryId> = page.iter().map(|memory| memory.id).collect();
            let is_old = found == present.iter().copied().collect();
            let is_new = found == next.iter().copied().collect();
            ensure!(
                is_old || is_new,
                "round {round}: {} memories, neither those before nor those after the call",
                found.len()
            );
            Ok(is_new)
        };
        let reading = async {
            for _ in 0..4 {
                is_whole().await?;
                yield_now().await;
            }
            Ok::<(), CheckFailure>(())
        };
        let writing = drop_after(round, store.insert_opts(&batch, &room));
        let (_, read) = join(writing, reading).await;
        read.at("while it ran")?;
        is_whole().await.at("after it was dropped")?;
        let done = store.insert_opts(&batch, &room).await;
        done.at("the same call again")?;
        ensure!(is_whole().await?, "round {round}: not complete");
        present = next;
    }
    let generation = context.generation(&mira).await?;
    ensure_eq!(generation, Generation(1 + ROUNDS as u64), "generation");
    settled(context, &mira, SIZE, &mut rng).await
}

/// A dropped call has recorded the accesses of all memories of an entity or of none.
pub async fn record_accesses_is_whole_or_absent(context: &CheckContext) -> CheckResult {
    const SIZE: usize = 5;
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = ids(&context.populate(&mira, SIZE, &mut rng).await?);
    let updates: Vec<AccessUpdate> = people
        .iter()
        .map(|id| AccessUpdate::new(mira.clone(), *id, 1, at(0)))
        .collect();
    for round in 0..ROUNDS {
        let recording = context.store().record_accesses(&updates, MAX_LOCK_WAIT);
        drop_after(round, recording).await;
        let found = context.store().get(&mira, &people).await.at("get")?;
        let counts = found.memories.iter().flatten();
        let counts: BTreeSet<u64> = counts.map(|memory| memory.access_count).collect();
        ensure!(counts.len() == 1, "round {round}: accesses of {counts:?}");
    }
    settled(context, &mira, SIZE, &mut rng).await
}

/// A dropped call has replaced the vectors of all memories or of none.
pub async fn replace_vectors_is_whole_or_absent(context: &CheckContext) -> CheckResult {
    const SIZE: usize = 4;
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let batch: Vec<EmbeddedMemory> = (0..SIZE)
        .map(|number| plain(&mira, format!("number {number}"), &mut rng))
        .collect();
    let people = ids(&batch);
    context.insert(&batch).await?;
    let store = context.store();
    for round in 0..ROUNDS {
        let generation = context.generation(&mira).await?;
        // The number of vectors tells which embedding is there.
        let fresh = embedding(1 + round % 5, &mut rng);
        let given: Vec<(MemoryId, Embedding)> =
            people.iter().map(|id| (*id, fresh.clone())).collect();
        let replacing = store.replace_vectors(&mira, &given, generation);
        match drop_after(round, replacing).await {
            Some(Err(error)) if error.kind() == ErrorKind::Unsupported => {
                let why = "the store does not replace vectors".to_owned();
                return Err(CheckFailure::NotApplicable(why));
            }
            Some(outcome) => drop(outcome.at("replace_vectors")?),
            None => {}
        }
        let counts = store.vector_counts(&mira, &people, &fingerprint()).await;
        let counts: BTreeSet<usize> = counts.at("vector_counts")?.into_iter().collect();
        ensure!(counts.len() == 1, "round {round}: {counts:?} vectors");
    }
    settled(context, &mira, SIZE, &mut rng).await
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
