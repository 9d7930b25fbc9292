//! [`Store::watch`](memory_core::Store::watch), where a store has a channel.

use memory_core::{ChangeStream, EntityId, Generation, MemoryPatch, StoreEvent};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{consolidation, plain};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;
use crate::timing::{drop_after, within};

/// A channel may break once in a while, and not all the time.
const MAX_LOSSES: usize = 3;
/// More news than the checks and their neighbors make.
const MAX_NEWS: usize = 10_000;

/// Every kind of write is reported: the entity and a generation that it reached.
pub async fn reports_every_write(context: &CheckContext) -> CheckResult {
    let (mira, mut rng) = (context.entity("mira"), context.rng());
    let mut watch = listen(context).await?;
    let watch = watch.as_mut();
    let batch = [0, 1, 2].map(|n| plain(&mira, format!("number {n}"), &mut rng));
    let [a, b, c] = [0, 1, 2].map(|index: usize| batch[index].memory.id);
    let store = context.store();
    context.insert(&batch).await?;
    wait_for_event(context, watch, &mira).await.at("insert")?;
    let patch = MemoryPatch::new().importance(0.25);
    store.update(&mira, &a, &patch, None).await.at("update")?;
    wait_for_event(context, watch, &mira).await.at("update")?;
    let group = consolidation(&mira, "in short", [a, b], &mut rng);
    context.consolidate(&mira, &[group]).await?;
    wait_for_event(context, watch, &mira)
        .await
        .at("consolidate")?;
    store.delete(&mira, &[c]).await.at("delete")?;
    wait_for_event(context, watch, &mira).await.at("delete")
}

/// A wait may be dropped and begun again: nothing is lost by it.
pub async fn loses_nothing_in_dropped_waits(context: &CheckContext) -> CheckResult {
    let mut rng = context.rng();
    let mut watch = listen(context).await?;
    for round in 0..12 {
        let entity = context.entity(&format!("e{round}"));
        let item = plain(&entity, "new", &mut rng);
        // Dropped before the write, and after it.
        let early = drop_after(round, watch.next()).await;
        context.insert(&[item]).await?;
        let late = drop_after(round, watch.next()).await;
        let news = early.into_iter().chain(late);
        let mut about = news.filter(|news| concerns(news, &entity));
        if about.next().is_none() {
            wait_for_event(context, watch.as_mut(), &entity)
                .await
                .at(format!("round {round}"))?;
        }
    }
    Ok(())
}

/// A closed store ends every change stream, for good.
pub async fn ends_with_the_store(context: &CheckContext) -> CheckResult {
    if !context.store().capabilities().closes {
        let why = "the store does not close".to_owned();
        return Err(CheckFailure::NotApplicable(why));
    }
    let mut watch = listen(context).await?;
    context.store().close().await.at("close")?;
    for _ in 0..MAX_NEWS {
        match next(context, watch.as_mut()).await? {
            StoreEvent::Closed => {
                let after = next(context, watch.as_mut()).await?;
                ensure_eq!(after, StoreEvent::Closed, "news after the end");
                return Ok(());
            }
            StoreEvent::Changed { .. } => {}
            other => ensure_eq!(other, StoreEvent::Closed, "news of a closed store"),
        }
    }
    Err(CheckFailure::failed("news of a closed store does not end"))
}

async fn listen(context: &CheckContext) -> Result<Box<dyn ChangeStream>, CheckFailure> {
    let watch = context.store().watch().await.at("watch")?;
    watch.ok_or_else(|| CheckFailure::NotApplicable("the store has no channel".to_owned()))
}

/// Waits for the event of the entity's current generation. Where the channel
/// broke meanwhile, the events of writes may be missing: the entity is written to
/// once more after it is reconnected.
async fn wait_for_event(
    context: &CheckContext,
    watch: &mut dyn ChangeStream,
    entity: &EntityId,
) -> CheckResult {
    let mut wanted = context.generation(entity).await?;
    let mut losses = 0;
    for _ in 0..MAX_NEWS {
        match next(context, watch).await? {
            StoreEvent::Changed {
                entity: whose,
                generation,
            } if whose == *entity => {
                let present = context.generation(entity).await?;
                ensure!(
                    Generation::ZERO < generation && generation <= present,
                    "notified of generation {generation} at {present}"
                );
                if generation >= wanted {
                    return Ok(());
                }
            }
            StoreEvent::Disconnected => {
                losses += 1;
                ensure!(losses <= MAX_LOSSES, "the channel breaks time and again");
            }
            StoreEvent::Reconnected => {
                let mut rng = SeededRng::new(wanted.0);
                context
                    .insert(&[plain(entity, "once more", &mut rng)])
                    .await?;
                wanted = context.generation(entity).await?;
            }
            StoreEvent::Closed => return Err(CheckFailure::failed("the store was not closed")),
            _ => {}
        }
    }
    Err(CheckFailure::failed(format!(
        "{MAX_NEWS} news, and none of it"
    )))
}

/// Whether an event is about an entity, or says that one may be missing.
fn concerns(news: &StoreEvent, entity: &EntityId) -> bool {
    match news {
        StoreEvent::Changed { entity: whose, .. } => whose == entity,
        StoreEvent::Disconnected => true,
        _ => false,
    }
}

async fn next(
    context: &CheckContext,
    watch: &mut dyn ChangeStream,
) -> Result<StoreEvent, CheckFailure> {
    let news = within(context.watch_timeout(), watch.next()).await;
    news.ok_or_else(|| CheckFailure::failed("no news came"))
}
