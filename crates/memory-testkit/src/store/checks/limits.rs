//! The limit of [`Store::insert_opts`](memory_core::Store::insert_opts).

use futures_util::future::join_all;
use memory_core::{
    EmbeddedMemory, EntityId, ErrorKind, Generation, InsertOptions, InsertOutcome, MemoryError,
    MemoryId, MemoryResult,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{plain, varied_memories};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;
use crate::store::context::distinct;

/// Writers at once.
const WRITERS: usize = 16;

/// As many live memories as the limit says, and not one more; the error says
/// whose, how many it would be and how many may be.
pub async fn limit_is_exact(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    for (size, max) in [(3, 5), (2, 5)] {
        let batch = varied_memories(&mira, size, &mut rng);
        within(context, &batch, &InsertOptions::at_most(max)).await?;
    }
    ensure_eq!(context.count(&mira).await?, 5, "count at the limit");
    for (size, max) in [(1, 5), (4, 8), (7, 11), (1, 2), (1, 0)] {
        let batch = varied_memories(&mira, size, &mut rng);
        let room = InsertOptions::at_most(max);
        let result = context.store().insert_opts(&batch, &room).await;
        full(result, &mira, 5 + size as u64, max)?;
    }
    ensure_eq!(context.count(&mira).await?, 5, "count");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(2),
        "generation"
    );
    let one = varied_memories(&mira, 1, &mut rng);
    within(context, &one, &InsertOptions::at_most(6)).await?;
    within(
        context,
        &varied_memories(&mira, 3, &mut rng),
        &InsertOptions::default(),
    )
    .await?;
    ensure_eq!(context.count(&mira).await?, 9, "count without a limit");
    Ok(())
}

/// The limit counts each entity of a batch by itself; where one has no room,
/// nothing is written for the others either.
pub async fn limit_is_per_entity(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let mut batch = |hers: usize, his: usize| {
        let mut batch = varied_memories(&mira, hers, &mut rng);
        batch.extend(varied_memories(&tam, his, &mut rng));
        batch
    };
    let room = InsertOptions::at_most(3);
    within(context, &batch(2, 3), &room).await?;
    let refused = batch(1, 1);
    let result = context.store().insert_opts(&refused, &room).await;
    full(result, &tam, 4, 3)?;
    for (entity, count) in [(&mira, 2), (&tam, 3)] {
        ensure_eq!(context.count(entity).await?, count, "count of {entity}");
        let generation = context.generation(entity).await?;
        ensure_eq!(generation, Generation(1), "generation of {entity}");
    }
    within(context, &batch(1, 0), &room).await?;
    Ok(())
}

/// A refused insert writes nothing and evicts nothing, of any entity.
pub async fn refusal_changes_nothing(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let hers = context.populate(&mira, 5, &mut rng).await?;
    let his = context.populate(&tam, 2, &mut rng).await?;
    let before = [
        context.entity_dump(&mira).await?,
        context.entity_dump(&tam).await?,
    ];
    let mut batch = varied_memories(&tam, 1, &mut rng);
    batch.extend(varied_memories(&mira, 2, &mut rng));
    let room = InsertOptions::at_most(5)
        .evict(mira.clone(), [hers[0].memory.id])
        .evict(tam.clone(), [his[0].memory.id]);
    let result = context.store().insert_opts(&batch, &room).await;
    full(result, &mira, 6, 5)?;
    let after = [
        context.entity_dump(&mira).await?,
        context.entity_dump(&tam).await?,
    ];
    ensure_eq!(after, before, "both entities after the refusal");
    let changes = context.changes(&mira, Generation(1)).await?;
    ensure_eq!(changes.written, [], "written by the refusal");
    ensure_eq!(changes.removed, [], "removed by the refusal");
    Ok(())
}

/// A repetition needs no capacity and evicts nothing: only for entities
/// of which something is inserted.
pub async fn repeats_do_not_count(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let hers = context.populate(&mira, 3, &mut rng).await?;
    let his = context.populate(&tam, 3, &mut rng).await?;
    let before = context.entity_dump(&mira).await?;
    for max in [3, 1, 0] {
        let room = InsertOptions::at_most(max).evict(mira.clone(), [hers[2].memory.id]);
        let outcome = within(context, &hers[..2], &room).await?;
        let wanted = InsertOutcome::new(vec![false, false], [(mira.clone(), Generation(1))].into())
            .evicted([].into());
        ensure_eq!(outcome, wanted, "a repetition where {max} are allowed");
    }
    let mut batch = hers[..1].to_vec();
    batch.extend(varied_memories(&tam, 1, &mut rng));
    let room = InsertOptions::at_most(3)
        .evict(mira.clone(), [hers[2].memory.id])
        .evict(tam.clone(), [his[2].memory.id]);
    let outcome = within(context, &batch, &room).await?;
    ensure_eq!(outcome.inserted, [false, true], "inserted with it");
    let gave_way: Vec<&EntityId> = outcome.evicted.keys().collect();
    ensure_eq!(gave_way, [&tam], "of whom something gave way");
    ensure_eq!(context.entity_dump(&mira).await?, before, "hers");
    ensure_eq!(context.count(&tam).await?, 3, "count of his");
    Ok(())
}

/// An archived memory does not count.
pub async fn archived_memories_do_not_count(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    // Two are left, and the summary: three are live.
    context.archive(&mira, 5, 3, &mut rng).await?;
    let room = InsertOptions::at_most(4);
    within(context, &varied_memories(&mira, 1, &mut rng), &room).await?;
    let more = varied_memories(&mira, 1, &mut rng);
    let result = context.store().insert_opts(&more, &room).await;
    full(result, &mira, 5, 4)
}

/// Memories come in live, whatever their
/// [`archived_by`](memory_core::Memory::archived_by) says.
pub async fn batch_is_inserted_live(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let first = plain(&mira, "the first", &mut rng);
    let mut second = plain(&mira, "said to be archived", &mut rng);
    let (id, live) = (second.memory.id, second.memory.clone());
    second.memory.archived_by = Some(first.memory.id);
    let mut third = plain(&mira, "said to be archived by nobody", &mut rng);
    third.memory.archived_by = Some(rng.id());
    let batch = [first.clone(), second, third];
    let room = InsertOptions::at_most(3);
    let outcome = within(context, &batch, &room).await?;
    ensure_eq!(outcome.inserted, [true; 3], "inserted");
    ensure_eq!(context.get(&mira, id).await?, Some(live), "the second");
    ensure_eq!(context.count(&mira).await?, 3, "count");
    let more = [plain(&mira, "the fourth", &mut rng)];
    let result = context.store().insert_opts(&more, &room).await;
    full(result, &mira, 4, 3)?;
    let gone = context.store().delete(&mira, &[first.memory.id]).await;
    ensure_eq!(gone.at("delete")?.restored, [], "restored");
    ensure!(context.has(&mira, id).await?, "the second went as well");
    Ok(())
}

/// An archived memory is one that the entity has: its id with equal content is
/// a no-op that leaves it archived, with other content a conflict.
pub async fn archived_ids_are_taken(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let scene = context.archive(&mira, 4, 2, &mut rng).await?;
    let before = context.entity_dump(&mira).await?;
    let outcome = context.insert(scene.sources()).await?;
    ensure_eq!(outcome.inserted, [false, false], "inserted again");
    let generation = outcome.generations.get(&mira);
    ensure_eq!(generation, Some(&Generation(2)), "generation");
    let mut other = scene.sources()[0].clone();
    other.memory.content = "something else".to_owned();
    match context.store().insert(&[other.clone()]).await {
        Err(MemoryError::Conflict { entity, id }) => {
            ensure_eq!((entity, id), (mira.clone(), other.memory.id), "conflict");
        }
        Err(error) => return Err(CheckFailure::from(error)),
        Ok(_) => return Err(CheckFailure::failed("an archived memory was overwritten")),
    }
    ensure_eq!(context.entity_dump(&mira).await?, before, "the entity");
    Ok(())
}

/// The limit holds under concurrency: of many concurrent writers, as many
/// succeed as the limit allows; an eviction frees capacity once.
pub async fn is_exact_with_many_writers(context: &CheckContext) -> CheckResult {
    const MAX: u64 = 5;
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let inserted = crowd(context, &mira, &InsertOptions::at_most(MAX), &mut rng).await?;
    ensure_eq!(inserted.len() as u64, MAX, "writers that found room");
    ensure_eq!(context.count(&mira).await?, MAX, "count");
    ensure_eq!(context.generation(&mira).await?.0, MAX, "generation");
    let room = InsertOptions::at_most(MAX).evict(mira.clone(), [inserted[0]]);
    let more = crowd(context, &mira, &room, &mut rng).await?;
    ensure_eq!(more.len(), 1, "writers that one memory gave way to");
    ensure_eq!(context.count(&mira).await?, MAX, "count");
    for id in inserted[1..].iter().chain(&more) {
        ensure!(context.has(&mira, *id).await?, "memory {id} is gone");
    }
    Ok(())
}

/// Many writers at once, each of one memory; the ids that were inserted. The
/// others must find no room.
async fn crowd(
    context: &CheckContext,
    entity: &EntityId,
    room: &InsertOptions,
    rng: &mut SeededRng,
) -> Result<Vec<MemoryId>, CheckFailure> {
    let items: Vec<[EmbeddedMemory; 1]> = (0..WRITERS)
        .map(|writer| [plain(entity, format!("of writer {writer}"), rng)])
        .collect();
    let store = context.store();
    let writes = items.iter().map(|item| store.insert_opts(item, room));
    let mut inserted = Vec::new();
    for (outcome, item) in join_all(writes).await.into_iter().zip(&items) {
        match outcome {
            Ok(_) => inserted.push(item[0].memory.id),
            Err(error) if error.kind() == ErrorKind::LimitReached => {}
            Err(error) => return Err(CheckFailure::from(error)),
        }
    }
    distinct(inserted.iter().copied())?;
    Ok(inserted)
}

pub(super) async fn within(
    context: &CheckContext,
    batch: &[EmbeddedMemory],
    room: &InsertOptions,
) -> Result<InsertOutcome, CheckFailure> {
    let result = context.store().insert_opts(batch, room).await;
    result.at("insert_opts")
}

/// Requires a refusal by the limit, with the numbers in the error.
pub(super) fn full(
    result: MemoryResult<InsertOutcome>,
    whose: &EntityId,
    would_be: u64,
    may_be: u64,
) -> CheckResult {
    match result {
        Err(MemoryError::LimitReached { entity, count, max }) => {
            ensure_eq!(entity, *whose, "whose limit is reached");
            ensure_eq!(count, would_be, "how many it would be");
            ensure_eq!(max, may_be, "how many may be");
            Ok(())
        }
        Err(error) => Err(CheckFailure::from(error)),
        Ok(_) => Err(CheckFailure::failed(format!(
            "accepted {would_be} memories where {may_be} are allowed"
        ))),
    }
}
