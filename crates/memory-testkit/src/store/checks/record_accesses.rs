//! [`Store::record_accesses`](memory_core::Store::record_accesses).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join;
use memory_core::{
    AccessUpdate, EntityId, ErrorKind, Generation, MemoryFilter, MemoryId, MemoryPatch,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq, refused};
use crate::fixtures::{at, at_micros};
use crate::store::CheckContext;
use crate::timing::yield_now;

type Access = (u64, Option<DateTime<Utc>>);

/// Accesses add up, over calls and within one, and every read shows them.
pub async fn adds_accesses(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let batch = context.populate(&mira, 3, &mut context.rng()).await?;
    let [one, two, untouched] = [0, 1, 2].map(|index: usize| batch[index].memory.id);
    context.record_accesses(&[]).await?;
    record(context, &mira, &[(one, 2, 10), (two, 1, 11)]).await?;
    record(context, &mira, &[(one, 3, 20), (two, 4, 21), (one, 5, 22)]).await?;
    ensure_eq!(
        access(context, &mira, one).await?,
        (10, Some(at(22))),
        "one"
    );
    ensure_eq!(access(context, &mira, two).await?, (5, Some(at(21))), "two");
    let got = access(context, &mira, untouched).await?;
    ensure_eq!(got, (0, None), "untouched");
    let listed = context.listed(&mira, &MemoryFilter::new(), 10).await?;
    let counted = listed.iter().map(|memory| memory.access_count);
    ensure_eq!(counted.sum::<u64>(), 15, "accesses in the list");
    let whole = context.changes(&mira, Generation::ZERO).await?;
    let counted = whole.written.iter().map(|item| item.memory.access_count);
    ensure_eq!(counted.sum::<u64>(), 15, "accesses in the whole state");
    Ok(())
}

/// `last_accessed` moves forward, never back; the count grows all the same.
pub async fn never_moves_back(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let batch = context.populate(&mira, 1, &mut context.rng()).await?;
    let id = batch[0].memory.id;
    record(context, &mira, &[(id, 1, 100)]).await?;
    record(context, &mira, &[(id, 1, 50)]).await?;
    ensure_eq!(
        access(context, &mira, id).await?,
        (2, Some(at(100))),
        "after an older access"
    );
    record(context, &mira, &[(id, 1, 101), (id, 1, 99)]).await?;
    ensure_eq!(
        access(context, &mira, id).await?,
        (4, Some(at(101))),
        "after both at once"
    );
    Ok(())
}

/// Ids that the entity does not have are passed over, and bring nothing into
/// being.
pub async fn passes_over_unknown_ids(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let batch = context.populate(&mira, 2, &mut rng).await?;
    let [id, gone] = [0, 1].map(|index: usize| batch[index].memory.id);
    context.store().delete(&mira, &[gone]).await.at("delete")?;
    let unknown = rng.id();
    record(context, &mira, &[(unknown, 1, 1), (gone, 1, 1), (id, 1, 1)]).await?;
    record(context, &tam, &[(id, 7, 7)]).await?;
    ensure_eq!(access(context, &mira, id).await?, (1, Some(at(1))), "hers");
    ensure_eq!(context.count(&mira).await?, 1, "count");
    ensure_eq!(context.has(&mira, gone).await?, false, "the deleted one");
    ensure_eq!(context.count(&tam).await?, 0, "count of the other entity");
    // An access of what is gone must not come back with a new memory.
    let mut reinserted = batch[1].clone();
    reinserted.memory.content = "inserted again".to_owned();
    context.insert(&[reinserted]).await?;
    let got = access(context, &mira, gone).await?;
    ensure_eq!(got, (0, None), "accesses of a memory inserted again");
    Ok(())
}

/// One call records accesses of several entities, in any order, each under the entity
/// that it names.
pub async fn are_of_several_entities(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let hers = context.populate(&mira, 2, &mut rng).await?[0].memory.id;
    let his = context.populate(&tam, 2, &mut rng).await?[0].memory.id;
    let nobody = context.entity("nobody");
    let updates = [
        AccessUpdate::new(tam.clone(), his, 1, at(1)),
        AccessUpdate::new(mira.clone(), hers, 2, at(2)),
        AccessUpdate::new(nobody.clone(), hers, 3, at(3)),
        AccessUpdate::new(tam.clone(), hers, 4, at(4)),
        AccessUpdate::new(tam.clone(), his, 5, at(5)),
    ];
    context.record_accesses(&updates).await?;
    ensure_eq!(
        access(context, &mira, hers).await?,
        (2, Some(at(2))),
        "hers"
    );
    ensure_eq!(access(context, &tam, his).await?, (6, Some(at(5))), "his");
    ensure_eq!(context.count(&nobody).await?, 0, "memories of the third");
    Ok(())
}

/// A call with an update outside the limits records none of the others.
pub async fn are_all_or_nothing(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let id = context.populate(&mira, 1, &mut context.rng()).await?[0]
        .memory
        .id;
    let good = AccessUpdate::new(mira.clone(), id, 1, at(1));
    let bad = [
        (
            "a time too late",
            AccessUpdate::new(mira.clone(), id, 1, at_micros(i64::MAX / 4)),
        ),
        (
            "an entity without a name",
            AccessUpdate::new("", id, 1, at(1)),
        ),
    ];
    for (what, bad) in bad {
        for updates in [[good.clone(), bad.clone()], [bad, good.clone()]] {
            let recorded = context
                .store()
                .record_accesses(&updates, Duration::ZERO)
                .await;
            refused(recorded, &[ErrorKind::InvalidInput], what)?;
        }
    }
    ensure_eq!(access(context, &mira, id).await?, (0, None), "accesses");
    Ok(())
}

/// Recording an access is no write: the generation stays and no change is reported.
pub async fn raises_no_generation(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let batch = context.populate(&mira, 2, &mut context.rng()).await?;
    record(context, &mira, &[(batch[0].memory.id, 5, 5)]).await?;
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(1),
        "generation"
    );
    let changes = context.changes(&mira, Generation(1)).await?;
    ensure_eq!(changes.written, [], "written by recording accesses");
    Ok(())
}

/// While others write, each update is written or deferred, never both: where what was
/// deferred is given again, every access is counted once. Of a store that has to defer
/// ([`Suite::defers_accesses`](crate::store::Suite::defers_accesses)), some are deferred.
pub async fn writes_or_defers_each_update(context: &CheckContext) -> CheckResult {
    const ROUNDS: u64 = 20;
    /// Until one coincides with a write.
    const MAX_ROUNDS: u64 = 1_000;
    let mut everyone = Vec::new();
    for name in ["mira", "tam"] {
        let entity = context.entity(name);
        let batch = context.populate(&entity, 3, &mut context.rng()).await?;
        everyone.extend(batch.iter().map(|item| (entity.clone(), item.memory.id)));
    }
    let (entity, id) = everyone[0].clone();
    let has_ended = AtomicBool::new(false);
    let writing = async {
        let mut importance = 0.25;
        while !has_ended.load(Ordering::Relaxed) {
            importance = 1.0 - importance;
            let patch = MemoryPatch::new().importance(importance);
            let updated = context.store().update(&entity, &id, &patch, None).await;
            updated.at("update")?;
            yield_now().await;
        }
        Ok::<(), CheckFailure>(())
    };
    let recording = async {
        let recorded = record_rounds(context, &everyone, |round, deferred| {
            let is_enough = deferred > 0 || !context.defers_accesses();
            (round < ROUNDS || !is_enough) && round < MAX_ROUNDS
        });
        let recorded = recorded.await;
        has_ended.store(true, Ordering::Relaxed);
        recorded
    };
    let (written, recorded) = join(writing, recording).await;
    written?;
    let (rounds, deferred) = recorded?;
    ensure!(
        !deferred.is_empty() || !context.defers_accesses(),
        "no update was deferred in {rounds} calls while the entity was written to"
    );
    for update in deferred {
        context.record_accesses(&[update]).await?;
    }
    for (entity, id) in &everyone {
        let got = access(context, entity, *id).await?;
        let wanted = (rounds, Some(at(rounds.cast_signed())));
        ensure_eq!(got, wanted, "accesses of a memory");
    }
    Ok(())
}

/// Records an access of each memory, as often as `goes_on` says of the number of rounds and
/// of deferred updates so far; without a wait for a lock. Returns that number and what was
/// deferred.
async fn record_rounds(
    context: &CheckContext,
    everyone: &[(EntityId, MemoryId)],
    goes_on: impl Fn(u64, usize) -> bool,
) -> Result<(u64, Vec<AccessUpdate>), CheckFailure> {
    let (mut round, mut deferred) = (0u64, Vec::new());
    while goes_on(round, deferred.len()) {
        round += 1;
        let time = at(round.cast_signed());
        let update =
            |(entity, id): &(EntityId, MemoryId)| AccessUpdate::new(entity.clone(), *id, 1, time);
        let updates: Vec<AccessUpdate> = everyone.iter().map(update).collect();
        let store = context.store();
        let recorded = store.record_accesses(&updates, Duration::ZERO).await;
        let recorded = recorded.at("record_accesses")?.deferred;
        let are_given = recorded.iter().all(|update| updates.contains(update));
        ensure!(are_given, "an update was deferred that was not given");
        deferred.extend(recorded);
        yield_now().await;
    }
    Ok((round, deferred))
}

async fn record(
    context: &CheckContext,
    entity: &EntityId,
    updates: &[(MemoryId, u64, i64)],
) -> CheckResult {
    let updates: Vec<AccessUpdate> = updates
        .iter()
        .map(|&(id, accesses, seconds)| {
            AccessUpdate::new(entity.clone(), id, accesses, at(seconds))
        })
        .collect();
    context.record_accesses(&updates).await
}

async fn access(
    context: &CheckContext,
    entity: &EntityId,
    id: MemoryId,
) -> Result<Access, CheckFailure> {
    let memory = context.get(entity, id).await?;
    let memory = memory.ok_or_else(|| CheckFailure::failed(format!("memory {id} is gone")))?;
    Ok((memory.access_count, memory.last_accessed))
}
