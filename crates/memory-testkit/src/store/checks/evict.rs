//! What gives way in [`Store::insert_opts`](memory_core::Store::insert_opts).

use std::collections::BTreeMap;

use memory_core::{EntityId, ErrorKind, Generation, InsertOptions, RemoveOutcome};

use super::limits::{full, within};
use crate::check::{CheckFailure, CheckResult, ensure, ensure_eq, refused};
use crate::population::{plain, population};
use crate::store::CheckContext;
use crate::store::ground::{distinct, ids};

/// What gives way makes room, in the same write as what it gives way to.
pub async fn makes_room_in_one_write(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    let people = ground.populate(&mira, 4, &mut chance).await?;
    let gone = [people[1].memory.id, people[3].memory.id];
    let batch = population(&mira, 2, &mut chance);
    let room = InsertOptions::at_most(4).evict(mira.clone(), gone);
    let outcome = within(ground, &batch, &room).await?;
    ensure_eq!(outcome.inserted, [true, true], "inserted");
    let generation = outcome.generations.get(&mira);
    ensure_eq!(generation, Some(&Generation(2)), "generation");
    let evicted = one(&outcome.evicted, &mira)?;
    ensure_eq!(evicted.generation, Generation(2), "of what gave way");
    let removed = distinct(evicted.removed.iter().copied())?;
    ensure_eq!(removed, gone.into(), "what gave way");
    ensure_eq!(ground.generation(&mira).await?, Generation(2), "statistics");
    ensure_eq!(ground.count(&mira).await?, 4, "count");
    let changes = ground.changes(&mira, Generation(1)).await?;
    let written = changes.written.iter().map(|item| item.memory.id);
    let wanted = ids(&batch).into_iter().collect();
    ensure_eq!(distinct(written)?, wanted, "written after 1");
    ensure_eq!(distinct(changes.removed)?, gone.into(), "removed after 1");
    for id in gone {
        ensure!(!ground.has(&mira, id).await?, "{id} is still there");
    }
    Ok(())
}

/// Ids of no memory are passed over, also twice the same, another entity's
/// and those of an entity that is not in the batch.
pub async fn passes_over_unknown_ids(ground: &CheckContext) -> CheckResult {
    let (mira, tam) = (ground.entity("mira"), ground.entity("tam"));
    let mut chance = ground.chance();
    let hers = ground.populate(&mira, 2, &mut chance).await?;
    let his = ground.populate(&tam, 2, &mut chance).await?;
    let before = ground.portrait(&tam).await?;
    let room = InsertOptions::unlimited()
        .evict(mira.clone(), [chance.id(), his[0].memory.id])
        .evict(tam.clone(), [his[1].memory.id]);
    let batch = population(&mira, 1, &mut chance);
    let outcome = within(ground, &batch, &room).await?;
    ensure_eq!(outcome.evicted, [].into(), "evicted of unknown ids");
    ensure_eq!(ground.generation(&mira).await?, Generation(2), "generation");
    let id = hers[0].memory.id;
    let room = InsertOptions::at_most(3).evict(mira.clone(), [id, chance.id(), id]);
    let batch = population(&mira, 1, &mut chance);
    let outcome = within(ground, &batch, &room).await?;
    let evicted = one(&outcome.evicted, &mira)?;
    ensure_eq!(evicted.removed, [id], "evicted of mixed ids");
    ensure_eq!(ground.portrait(&tam).await?, before, "the other entity");
    // Where not enough gives way, there is no room.
    let room = InsertOptions::at_most(3).evict(mira.clone(), [chance.id()]);
    let batch = population(&mira, 1, &mut chance);
    let result = ground.store().insert_opts(&batch, &room).await;
    full(result, &mira, 4, 3)
}

/// What gives way goes as by a delete: an archived memory takes its summary
/// along and brings the others back to life, and these count.
pub async fn follows_consolidations(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    // Three under a summary and one beside: two are live.
    let scene = ground.archive(&mira, 4, 3, &mut chance).await?;
    let sources = ids(scene.sources());
    let before = ground.portrait(&mira).await?;
    let batch = population(&mira, 1, &mut chance);
    let room = |max| InsertOptions::at_most(max).evict(mira.clone(), [sources[0]]);
    let result = ground.store().insert_opts(&batch, &room(3)).await;
    full(result, &mira, 4, 3)?;
    ensure_eq!(ground.portrait(&mira).await?, before, "after the refusal");
    let outcome = within(ground, &batch, &room(4)).await?;
    let evicted = one(&outcome.evicted, &mira)?;
    let removed = distinct(evicted.removed.iter().copied())?;
    ensure_eq!(removed, [sources[0], scene.summary()].into(), "removed");
    let restored = distinct(evicted.restored.iter().copied())?;
    ensure_eq!(restored, [sources[1], sources[2]].into(), "restored");
    ensure_eq!(evicted.generation, Generation(3), "generation");
    ensure_eq!(ground.generation(&mira).await?, Generation(3), "statistics");
    ensure_eq!(ground.count(&mira).await?, 4, "count");
    Ok(())
}

/// What an id of the batch is, new, a repetition or a conflict, is judged by
/// what stood there before anything gave way.
pub async fn comes_after_the_judgement(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    let known = plain(&mira, "known before", &mut chance);
    let id = known.memory.id;
    ground.insert(std::slice::from_ref(&known)).await?;
    let before = ground.portrait(&mira).await?;
    let new = plain(&mira, "new beside it", &mut chance);
    let room = InsertOptions::at_most(1).evict(mira.clone(), [id]);
    let mut other = known.clone();
    other.memory.content = "other content".to_owned();
    let store = ground.store();
    let result = store.insert_opts(&[new.clone(), other], &room).await;
    refused(result, &[ErrorKind::Conflict], "a conflict that gives way")?;
    ensure_eq!(ground.portrait(&mira).await?, before, "after the refusal");
    let outcome = within(ground, &[known, new], &room).await?;
    ensure_eq!(outcome.inserted, [false, true], "inserted");
    ensure_eq!(one(&outcome.evicted, &mira)?.removed, [id], "evicted");
    ensure!(!ground.has(&mira, id).await?, "the repetition came back");
    Ok(())
}

/// Links to what gave way are dropped as by a delete.
pub async fn drops_links(ground: &CheckContext) -> CheckResult {
    let mira = ground.entity("mira");
    let mut chance = ground.chance();
    let gone = plain(&mira, "gives way", &mut chance);
    let mut stays = plain(&mira, "stays", &mut chance);
    let other = (chance.id(), "beside".to_owned());
    let link = (gone.memory.id, "after".to_owned());
    stays.memory.related = [link.clone(), other.clone()].into();
    ground.insert(&[gone.clone(), stays.clone()]).await?;
    let mut new = plain(&mira, "comes in", &mut chance);
    new.memory.related = [other.clone()].into();
    let room = InsertOptions::at_most(2).evict(mira.clone(), [gone.memory.id]);
    let outcome = within(ground, &[new], &room).await?;
    let evicted = one(&outcome.evicted, &mira)?;
    ensure_eq!(evicted.unlinked, [stays.memory.id], "unlinked");
    let stored = ground.get(&mira, stays.memory.id).await?;
    let related = stored.map(|memory| memory.related);
    ensure_eq!(related, Some([other].into()), "links that are left");
    let changes = ground.changes(&mira, Generation(1)).await?;
    let written = changes.written.iter().map(|item| item.memory.id);
    let told = distinct(written)?.contains(&stays.memory.id);
    ensure!(told, "the lost link is not told");
    Ok(())
}

/// What gave way of the only entity of which something did.
fn one<'a>(
    evicted: &'a BTreeMap<EntityId, RemoveOutcome>,
    entity: &EntityId,
) -> Result<&'a RemoveOutcome, CheckFailure> {
    let whose: Vec<&EntityId> = evicted.keys().collect();
    ensure_eq!(whose, [entity], "of whom something gave way");
    let found = evicted.get(entity);
    found.ok_or_else(|| CheckFailure::failed("nothing gave way"))
}
