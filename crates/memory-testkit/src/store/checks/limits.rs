//! The limit of [`Store::insert_opts`](memory_core::Store::insert_opts).

use futures_util::future::join_all;
use memory_core::{
    EmbeddedMemory, EntityId, ErrorKind, Generation, InsertOptions, InsertOutcome, MemoryError,
    MemoryId, MemoryResult,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::population::{plain, population};
use crate::seeded::SeededRng;
use crate::store::CheckContext;
use crate::store::ground::distinct;

/// Writers at once.
const WRITERS: usize = 16;

/// As many live memories as the limit says, and not one more; the error says
/// whose, how many it would be and how many may be.
pub async fn limit_is_exact(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    for (size, max) in [(3, 5), (2, 5)] {
        let batch = population(&mira, size, &mut chance);
        within(ground, &batch, &InsertOptions::at_most(max)).await?;
    }
    ensure_eq!(ground.count(&mira).await?, 5, "count at the limit");
    for (size, max) in [(1, 5), (4, 8), (7, 11), (1, 2), (1, 0)] {
        let batch = population(&mira, size, &mut chance);
        let room = InsertOptions::at_most(max);
        let result = ground.store().insert_opts(&batch, &room).await;
        full(result, &mira, 5 + size as u64, max)?;
    }
    ensure_eq!(ground.count(&mira).await?, 5, "count");
    ensure_eq!(ground.generation(&mira).await?, Generation(2), "generation");
    let one = population(&mira, 1, &mut chance);
    within(ground, &one, &InsertOptions::at_most(6)).await?;
    within(
        ground,
        &population(&mira, 3, &mut chance),
        &InsertOptions::default(),
    )
    .await?;
    ensure_eq!(ground.count(&mira).await?, 9, "count without a limit");
    Ok(())
}

/// The limit counts each entity of a batch by itself; where one has no room,
/// nothing is written for the others either.
pub async fn limit_is_each_entitys_own(ground: &CheckContext) -> CheckResult {
    let (mira, tam) = (ground.entity("mira"), ground.entity("tam"));
    let mut chance = ground.chance();
    let mut batch = |hers: usize, his: usize| {
        let mut batch = population(&mira, hers, &mut chance);
        batch.extend(population(&tam, his, &mut chance));
        batch
    };
    let room = InsertOptions::at_most(3);
    within(ground, &batch(2, 3), &room).await?;
    let refused = batch(1, 1);
    let result = ground.store().insert_opts(&refused, &room).await;
    full(result, &tam, 4, 3)?;
    for (entity, count) in [(&mira, 2), (&tam, 3)] {
        ensure_eq!(ground.count(entity).await?, count, "count of {entity}");
        let generation = ground.generation(entity).await?;
        ensure_eq!(generation, Generation(1), "generation of {entity}");
    }
    within(ground, &batch(1, 0), &room).await?;
    Ok(())
}

/// A refusal writes nothing and nothing gives way for it, of no entity.
pub async fn refusal_changes_nothing(ground: &CheckContext) -> CheckResult {
    let (mira, tam) = (ground.entity("mira"), ground.entity("tam"));
    let mut chance = ground.chance();
    let hers = ground.populate(&mira, 5, &mut chance).await?;
    let his = ground.populate(&tam, 2, &mut chance).await?;
    let before = [ground.portrait(&mira).await?, ground.portrait(&tam).await?];
    let mut batch = population(&tam, 1, &mut chance);
    batch.extend(population(&mira, 2, &mut chance));
    let room = InsertOptions::at_most(5)
        .evict(mira.clone(), [hers[0].memory.id])
        .evict(tam.clone(), [his[0].memory.id]);
    let result = ground.store().insert_opts(&batch, &room).await;
    full(result, &mira, 6, 5)?;
    let after = [ground.portrait(&mira).await?, ground.portrait(&tam).await?];
    ensure_eq!(after, before, "both entities after the refusal");
    let changes = ground.changes(&mira, Generation(1)).await?;
    ensure_eq!(changes.written, [], "written by the refusal");
    ensure_eq!(changes.removed, [], "removed by the refusal");
    Ok(())
}

/// A repetition needs no room, and nothing gives way for it: only for entities
/// of which something is inserted.
pub async fn repeats_need_no_room(ground: &CheckContext) -> CheckResult {
    let (mira, tam) = (ground.entity("mira"), ground.entity("tam"));
    let mut chance = ground.chance();
    let hers = ground.populate(&mira, 3, &mut chance).await?;
    let his = ground.populate(&tam, 3, &mut chance).await?;
    let before = ground.portrait(&mira).await?;
    for max in [3, 1, 0] {
        let room = InsertOptions::at_most(max).evict(mira.clone(), [hers[2].memory.id]);
        let outcome = within(ground, &hers[..2], &room).await?;
        let wanted = InsertOutcome {
            inserted: vec![false, false],
            generations: [(mira.clone(), Generation(1))].into(),
            evicted: [].into(),
        };
        ensure_eq!(outcome, wanted, "a repetition where {max} are allowed");
    }
    let mut batch = hers[..1].to_vec();
    batch.extend(population(&tam, 1, &mut chance));
    let room = InsertOptions::at_most(3)
        .evict(mira.clone(), [hers[2].memory.id])
        .evict(tam.clone(), [his[2].memory.id]);
    let outcome = within(ground, &batch, &room).await?;
    ensure_eq!(outcome.inserted, [false, true], "inserted beside it");
    let gave_way: Vec<&EntityId> = outcome.evicted.keys().collect();
    ensure_eq!(gave_way, [&tam], "of whom something gave way");
    ensure_eq!(ground.portrait(&mira).await?, before, "hers");
    ensure_eq!(ground.count(&tam).await?, 3, "count of his");
    Ok(())
}

/// An archived memory needs no room.
pub async fn archived_memories_need_no_room(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    // Two are left, and the summary: three are live.
    ground.archive(&mira, 5, 3, &mut chance).await?;
    let room = InsertOptions::at_most(4);
    within(ground, &population(&mira, 1, &mut chance), &room).await?;
    let more = population(&mira, 1, &mut chance);
    let result = ground.store().insert_opts(&more, &room).await;
    full(result, &mira, 5, 4)
}

/// Memories come in live, whatever their
/// [`archived_by`](memory_core::Memory::archived_by) says.
pub async fn batch_comes_in_live(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    let first = plain(&mira, "the first", &mut chance);
    let mut second = plain(&mira, "said to be archived", &mut chance);
    let (id, live) = (second.memory.id, second.memory.clone());
    second.memory.archived_by = Some(first.memory.id);
    let mut third = plain(&mira, "said to be archived by nobody", &mut chance);
    third.memory.archived_by = Some(chance.id());
    let batch = [first.clone(), second, third];
    let room = InsertOptions::at_most(3);
    let outcome = within(ground, &batch, &room).await?;
    ensure_eq!(outcome.inserted, [true; 3], "inserted");
    ensure_eq!(ground.get(&mira, id).await?, Some(live), "the second");
    ensure_eq!(ground.count(&mira).await?, 3, "count");
    let more = [plain(&mira, "the fourth", &mut chance)];
    let result = ground.store().insert_opts(&more, &room).await;
    full(result, &mira, 4, 3)?;
    let gone = ground.store().delete(&mira, &[first.memory.id]).await;
    ensure_eq!(gone.at("delete")?.restored, [], "restored");
    ensure!(ground.has(&mira, id).await?, "the second went as well");
    Ok(())
}

/// An archived memory is one that the entity has: its id with equal content is
/// a no-op that leaves it archived, with other content a conflict.
pub async fn archived_ids_are_taken(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    let scene = ground.archive(&mira, 4, 2, &mut chance).await?;
    let before = ground.portrait(&mira).await?;
    let outcome = ground.insert(scene.sources()).await?;
    ensure_eq!(outcome.inserted, [false, false], "inserted again");
    let generation = outcome.generations.get(&mira);
    ensure_eq!(generation, Some(&Generation(2)), "generation");
    let mut other = scene.sources()[0].clone();
    other.memory.content = "something else".to_owned();
    match ground.store().insert(&[other.clone()]).await {
        Err(MemoryError::Conflict { entity, id }) => {
            ensure_eq!((entity, id), (mira.clone(), other.memory.id), "conflict");
        }
        Err(error) => return Err(CheckFailure::from(error)),
        Ok(_) => return Err(CheckFailure::failed("an archived memory was overwritten")),
    }
    ensure_eq!(ground.portrait(&mira).await?, before, "the entity");
    Ok(())
}

/// The limit holds whoever writes beside: of many writers at once, as many
/// succeed as there is room for; what gives way makes room once.
pub async fn holds_with_many_writers(ground: &CheckContext) -> CheckResult {
    const MAX: u64 = 5;
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    let inserted = crowd(ground, &mira, &InsertOptions::at_most(MAX), &mut chance).await?;
    ensure_eq!(inserted.len() as u64, MAX, "writers that found room");
    ensure_eq!(ground.count(&mira).await?, MAX, "count");
    ensure_eq!(ground.generation(&mira).await?.0, MAX, "generation");
    let room = InsertOptions::at_most(MAX).evict(mira.clone(), [inserted[0]]);
    let more = crowd(ground, &mira, &room, &mut chance).await?;
    ensure_eq!(more.len(), 1, "writers that one memory gave way to");
    ensure_eq!(ground.count(&mira).await?, MAX, "count");
    for id in inserted[1..].iter().chain(&more) {
        ensure!(ground.has(&mira, *id).await?, "memory {id} is gone");
    }
    Ok(())
}

/// Many writers at once, each of one memory; the ids that were inserted. The
/// others must find no room.
async fn crowd(
    ground: &CheckContext,
    entity: &EntityId,
    room: &InsertOptions,
    chance: &mut SeededRng,
) -> Result<Vec<MemoryId>, CheckFailure> {
    let items: Vec<[EmbeddedMemory; 1]> = (0..WRITERS)
        .map(|writer| [plain(entity, format!("of writer {writer}"), chance)])
        .collect();
    let store = ground.store();
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
    ground: &CheckContext,
    batch: &[EmbeddedMemory],
    room: &InsertOptions,
) -> Result<InsertOutcome, CheckFailure> {
    let result = ground.store().insert_opts(batch, room).await;
    result.at("insert_opts")
}

/// Demands that there was no room, with the numbers in the error.
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
