//! Many at once: generations, batches and reads stay whole.

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use memory_core::{
    DenseQuery, EmbeddedMemory, EntityId, Generation, ListRequest, MemoryFilter, MemoryPatch,
    SearchRequest,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{DIMENSIONS, fingerprint, plain};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;
use crate::timing::yield_now;

/// Writers at once.
const WRITERS: usize = 16;
/// Memories in each writer's batch.
const PAIR: usize = 2;

/// Writers to one entity take turns: their generations are distinct and
/// without gaps, and no memory is lost.
pub async fn serializes_writers(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let batches = pairs(&mira, &mut context.rng());
    let writes = batches.iter().map(|batch| context.insert(batch));
    let mut seen = BTreeSet::new();
    for outcome in join_all(writes).await {
        seen.extend(outcome?.generations.get(&mira).copied());
    }
    let wanted: BTreeSet<Generation> = (1..=WRITERS as u64).map(Generation).collect();
    ensure_eq!(seen, wanted, "generations of the writers");
    let stats = context.store().entity_stats(&mira).await;
    let stats = stats.at("entity_stats")?;
    ensure_eq!(stats.memory_count, (WRITERS * PAIR) as u64, "count");
    ensure_eq!(stats.generation, Generation(WRITERS as u64), "generation");
    Ok(())
}

/// Whatever is read while others write is one state: whole batches, and the
/// generation that goes with them.
pub async fn readers_see_whole_batches(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let batches = pairs(&mira, &mut context.rng());
    let writing = async {
        for batch in &batches {
            context.insert(batch).await?;
            // A store that never waits would write them all before any read.
            yield_now().await;
        }
        Ok::<(), CheckFailure>(())
    };
    let everyone: Vec<_> = batches
        .iter()
        .flatten()
        .map(|item| item.memory.id)
        .collect();
    let reading = join_all((0..4).map(|_| async {
        let mut reads = 0;
        // Till the last batch is seen; a write that fails ends the check.
        loop {
            let seen = states_seen(context, &mira, &everyone).await?;
            reads += 1;
            if seen >= WRITERS as u64 || reads > 2_000 {
                return Ok::<(), CheckFailure>(());
            }
            yield_now().await;
        }
    }));
    let (written, read) = join(writing, reading).await;
    written?;
    read.into_iter().collect()
}

/// The same batch by many at once lands once: one writer inserts it, the
/// others meet it as a no-op.
pub async fn same_batch_is_inserted_once(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let batch = crate::fixtures::varied_memories(&mira, 5, &mut context.rng());
    let outcomes = join_all((0..8).map(|_| context.insert(&batch))).await;
    let mut first = 0;
    for outcome in outcomes {
        let inserted = outcome?.inserted;
        ensure!(
            inserted == [true; 5] || inserted == [false; 5],
            "half of a batch: {inserted:?}"
        );
        first += usize::from(inserted[0]);
    }
    ensure_eq!(first, 1, "writers that inserted the batch");
    ensure_eq!(context.count(&mira).await?, 5, "count");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(1),
        "generation"
    );
    Ok(())
}

/// Patches of different fields, all at once: each takes effect.
pub async fn patches_of_different_fields_combine(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let item = plain(&mira, "patched from all sides", &mut context.rng());
    let id = item.memory.id;
    context.insert(std::slice::from_ref(&item)).await?;
    let new = MemoryPatch::new;
    let patches = [
        new().importance(0.875),
        new().context(Some("patched".to_owned())),
        new().tags(["patched"]),
        new().metadata([("patched".to_owned(), "yes".to_owned())].into()),
        new().entities([("tam".into(), "patcher".to_owned())].into()),
    ];
    let store = context.store();
    let updates = patches
        .iter()
        .map(|patch| store.update(&mira, &id, patch, None));
    let mut seen = BTreeSet::new();
    for outcome in join_all(updates).await {
        seen.insert(outcome.at("update")?.generation);
    }
    ensure_eq!(seen.len(), patches.len(), "distinct generations");
    let mut wanted = item.memory;
    patches.iter().for_each(|patch| patch.apply(&mut wanted));
    ensure_eq!(context.get(&mira, id).await?, Some(wanted), "memory");
    Ok(())
}

fn pairs(entity: &EntityId, rng: &mut SeededRng) -> Vec<Vec<EmbeddedMemory>> {
    let mut pair = |writer| -> Vec<EmbeddedMemory> {
        (0..PAIR)
            .map(|half| plain(entity, format!("{writer}, half {half}"), rng))
            .collect()
    };
    (0..WRITERS).map(&mut pair).collect()
}

/// Reads in every way; in each, the memories seen must be those of whole
/// batches, as many as the generation says. Gives the last generation.
async fn states_seen(
    context: &CheckContext,
    entity: &EntityId,
    everyone: &[memory_core::MemoryId],
) -> Result<u64, CheckFailure> {
    let whole = |what: &str, generation: Generation, seen: usize| {
        let Generation(batches) = generation;
        ensure_eq!(seen as u64, batches * PAIR as u64, "{what} at {batches}");
        Ok::<u64, CheckFailure>(batches)
    };
    let store = context.store();
    let fetched = store.get(entity, everyone).await.at("get")?;
    let there = fetched.memories.iter().flatten().count();
    let mut last = whole("get", fetched.generation, there)?;
    let page = store.list(entity, &ListRequest::new(1_000)).await;
    let page = page.at("list")?;
    last = last.max(whole("list", page.generation, page.memories.len())?);
    let request = SearchRequest {
        sample: 0,
        filter: MemoryFilter::new(),
        limit: 1_000,
        dense: Some(DenseQuery {
            chunk_discount: 0.0,
            fingerprint: fingerprint(),
            vector: context.rng().vector(DIMENSIONS),
        }),
        lexical: None,
    };
    let found = store.search(entity, &request).await.at("search")?;
    last = last.max(whole("search", found.generation, found.candidates.len())?);
    let changes = context.changes(entity, Generation::ZERO).await?;
    last = last.max(whole("changes", changes.generation, changes.written.len())?);
    let stats = store.entity_stats(entity).await.at("entity_stats")?;
    let count = usize::try_from(stats.memory_count).unwrap_or(usize::MAX);
    Ok(last.max(whole("statistics", stats.generation, count)?))
}
