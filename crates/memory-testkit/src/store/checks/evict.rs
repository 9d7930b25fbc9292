//! Evictions of [`Store::insert_opts`](memory_core::Store::insert_opts).

use std::collections::BTreeMap;

use memory_core::{EntityId, ErrorKind, Generation, InsertOptions, RemoveOutcome};

use super::limits::{full, within};
use crate::check::{CheckFailure, CheckResult, ensure, ensure_eq, refused};
use crate::fixtures::{plain, varied_memories};
use crate::store::CheckContext;
use crate::store::context::{distinct, ids};

/// Evictions and the insert are one write.
pub async fn is_one_write_with_the_insert(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = context.populate(&mira, 4, &mut rng).await?;
    let gone = [people[1].memory.id, people[3].memory.id];
    let batch = varied_memories(&mira, 2, &mut rng);
    let room = InsertOptions::at_most(4).evict(mira.clone(), gone);
    let outcome = within(context, &batch, &room).await?;
    ensure_eq!(outcome.inserted, [true, true], "inserted");
    let generation = outcome.generations.get(&mira);
    ensure_eq!(generation, Some(&Generation(2)), "generation");
    let evicted = one(&outcome.evicted, &mira)?;
    ensure_eq!(evicted.generation, Generation(2), "of what gave way");
    let removed = distinct(evicted.removed.iter().copied())?;
    ensure_eq!(removed, gone.into(), "what gave way");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(2),
        "statistics"
    );
    ensure_eq!(context.count(&mira).await?, 4, "count");
    let changes = context.changes(&mira, Generation(1)).await?;
    let written = changes.written.iter().map(|item| item.memory.id);
    let wanted = ids(&batch).into_iter().collect();
    ensure_eq!(distinct(written)?, wanted, "written after 1");
    ensure_eq!(distinct(changes.removed)?, gone.into(), "removed after 1");
    for id in gone {
        ensure!(!context.has(&mira, id).await?, "{id} is still there");
    }
    Ok(())
}

/// Ids of no memory are passed over, also twice the same, another entity's
/// and those of an entity that is not in the batch.
pub async fn passes_over_unknown_ids(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let hers = context.populate(&mira, 2, &mut rng).await?;
    let his = context.populate(&tam, 2, &mut rng).await?;
    let before = context.entity_dump(&tam).await?;
    let room = InsertOptions::unlimited()
        .evict(mira.clone(), [rng.id(), his[0].memory.id])
        .evict(tam.clone(), [his[1].memory.id]);
    let batch = varied_memories(&mira, 1, &mut rng);
    let outcome = within(context, &batch, &room).await?;
    ensure_eq!(outcome.evicted, [].into(), "evicted of unknown ids");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(2),
        "generation"
    );
    let id = hers[0].memory.id;
    let room = InsertOptions::at_most(3).evict(mira.clone(), [id, rng.id(), id]);
    let batch = varied_memories(&mira, 1, &mut rng);
    let outcome = within(context, &batch, &room).await?;
    let evicted = one(&outcome.evicted, &mira)?;
    ensure_eq!(evicted.removed, [id], "evicted of mixed ids");
    ensure_eq!(context.entity_dump(&tam).await?, before, "the other entity");
    // Too few evictions leave the entity over its limit.
    let room = InsertOptions::at_most(3).evict(mira.clone(), [rng.id()]);
    let batch = varied_memories(&mira, 1, &mut rng);
    let result = context.store().insert_opts(&batch, &room).await;
    full(result, &mira, 4, 3)
}

/// An eviction acts like a delete: an archived memory takes its summary
/// along and brings the others back to life, and these count.
pub async fn follows_consolidations(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    // Three under a summary and one without: two are live.
    let scene = context.archive(&mira, 4, 3, &mut rng).await?;
    let sources = ids(scene.sources());
    let before = context.entity_dump(&mira).await?;
    let batch = varied_memories(&mira, 1, &mut rng);
    let room = |max| InsertOptions::at_most(max).evict(mira.clone(), [sources[0]]);
    let result = context.store().insert_opts(&batch, &room(3)).await;
    full(result, &mira, 4, 3)?;
    ensure_eq!(
        context.entity_dump(&mira).await?,
        before,
        "after the refusal"
    );
    let outcome = within(context, &batch, &room(4)).await?;
    let evicted = one(&outcome.evicted, &mira)?;
    let removed = distinct(evicted.removed.iter().copied())?;
    ensure_eq!(removed, [sources[0], scene.summary()].into(), "removed");
    let restored = distinct(evicted.restored.iter().copied())?;
    ensure_eq!(restored, [sources[1], sources[2]].into(), "restored");
    ensure_eq!(evicted.generation, Generation(3), "generation");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(3),
        "statistics"
    );
    ensure_eq!(context.count(&mira).await?, 4, "count");
    Ok(())
}

/// What an id of the batch is, new, a repetition or a conflict, is judged by
/// what was stored before anything was evicted.
pub async fn happens_after_the_conflict_check(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let known = plain(&mira, "known before", &mut rng);
    let id = known.memory.id;
    context.insert(std::slice::from_ref(&known)).await?;
    let before = context.entity_dump(&mira).await?;
    let new = plain(&mira, "new as well", &mut rng);
    let room = InsertOptions::at_most(1).evict(mira.clone(), [id]);
    let mut other = known.clone();
    other.memory.content = "other content".to_owned();
    let store = context.store();
    let result = store.insert_opts(&[new.clone(), other], &room).await;
    refused(
        result,
        &[ErrorKind::Conflict],
        "a conflict with an evicted memory",
    )?;
    ensure_eq!(
        context.entity_dump(&mira).await?,
        before,
        "after the refusal"
    );
    let outcome = within(context, &[known, new], &room).await?;
    ensure_eq!(outcome.inserted, [false, true], "inserted");
    ensure_eq!(one(&outcome.evicted, &mira)?.removed, [id], "evicted");
    ensure!(!context.has(&mira, id).await?, "the repetition came back");
    Ok(())
}

/// Links to what gave way are dropped as by a delete.
pub async fn drops_links(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let gone = plain(&mira, "evicted", &mut rng);
    let mut stays = plain(&mira, "stays", &mut rng);
    let other = (rng.id(), "near".to_owned());
    let link = (gone.memory.id, "after".to_owned());
    stays.memory.related = [link.clone(), other.clone()].into();
    context.insert(&[gone.clone(), stays.clone()]).await?;
    let mut new = plain(&mira, "comes in", &mut rng);
    new.memory.related = [other.clone()].into();
    let room = InsertOptions::at_most(2).evict(mira.clone(), [gone.memory.id]);
    let outcome = within(context, &[new], &room).await?;
    let evicted = one(&outcome.evicted, &mira)?;
    ensure_eq!(evicted.unlinked, [stays.memory.id], "unlinked");
    let stored = context.get(&mira, stays.memory.id).await?;
    let related = stored.map(|memory| memory.related);
    ensure_eq!(related, Some([other].into()), "links that are left");
    let changes = context.changes(&mira, Generation(1)).await?;
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
