//! Two stores on one database: what others are promised of a write. Where opening again
//! gives another database, as with one in memory, none of it applies.

use memory_core::{
    AccessUpdate, ChangeMarker, EntityId, Generation, MemoryPatch, Store, StoreEvent, Writers,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{at, consolidation, plain};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;
use crate::timing::within;

/// More events than the checks and their neighbors make.
const MAX_EVENTS: usize = 10_000;

/// Every acknowledged write is in the database: another store reads it at once. So no
/// write waits in the process, where a crash would lose it.
pub async fn reads_every_write(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let other = other(context, &mira).await?;
    for write in Write::ALL {
        write.run(context, &mira).await?;
        let generation = other.generation(&mira).await?;
        ensure_eq!(
            generation,
            write.generation(),
            "generation read after {write:?}"
        );
        let (own, read) = (
            context.entity_dump(&mira).await?,
            other.entity_dump(&mira).await?,
        );
        ensure!(own == read, "another store does not read {write:?} at once");
    }
    Ok(())
}

/// A store with another one on its database does not say that it is the only writer.
pub async fn is_declared(context: &CheckContext) -> CheckResult {
    if !context.reopens() {
        let why = "clones of one store are one writer, and the suite does not say that the store \
                   reopens its database";
        return Err(CheckFailure::NotApplicable(why.to_owned()));
    }
    let mira = context.entity("mira");
    other(context, &mira).await?;
    ensure!(
        context.store().capabilities().writers == Writers::Shared,
        "there are two stores on the database, and each says that it is the only writer"
    );
    Ok(())
}

/// Writes through another store change the marker of this one and of its handles.
pub async fn changes_the_marker(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let other = other(context, &mira).await?;
    let handle = context.store().writer_handle();
    let mut stores = vec![(context.store(), Vec::new())];
    stores.extend(handle.as_deref().map(|handle| (handle, Vec::new())));
    for (store, seen) in &mut stores {
        seen.extend(store.change_marker());
    }
    if stores.iter().all(|(_, seen)| seen.is_empty()) {
        let why = "the store has no change marker".to_owned();
        return Err(CheckFailure::NotApplicable(why));
    }
    for write in Write::ALL {
        write.run(&other, &mira).await?;
        for (store, seen) in &mut stores {
            is_new(*store, seen, write)?;
        }
    }
    Ok(())
}

/// Writes through another store are reported to those who watch this one.
pub async fn is_watched(context: &CheckContext) -> CheckResult {
    let (mira, mut rng) = (context.entity("mira"), SeededRng::new(1));
    let other = other(context, &mira).await?;
    let Some(mut watch) = context.store().watch().await.at("watch")? else {
        let why = "the store has no channel".to_owned();
        return Err(CheckFailure::NotApplicable(why));
    };
    other
        .insert(&[plain(&mira, "by another", &mut rng)])
        .await?;
    for _ in 0..MAX_EVENTS {
        let event = within(context.watch_timeout(), watch.next()).await;
        match event {
            Some(StoreEvent::Changed { entity, .. }) if entity == mira => return Ok(()),
            // The channel broke, and the event may be missing.
            Some(StoreEvent::Reconnected) => {
                other.insert(&[plain(&mira, "once more", &mut rng)]).await?;
            }
            Some(StoreEvent::Closed) => break,
            Some(_) => {}
            None => break,
        }
    }
    Err(CheckFailure::failed(
        "no event of a write through another store came",
    ))
}

/// Another store, by which a memory is read that this one wrote.
async fn other(context: &CheckContext, entity: &EntityId) -> Result<CheckContext, CheckFailure> {
    let other = context.second().ok_or_else(|| {
        CheckFailure::NotApplicable("the suite has opened the store only once".to_owned())
    })?;
    let item = plain(entity, "written first", &mut context.rng());
    let id = item.memory.id;
    context.insert(&[item]).await?;
    if other.has(entity, id).await.at("get by another store")? {
        return Ok(other);
    }
    let why = "opened again, the store does not read what was written";
    Err(match context.reopens() {
        true => CheckFailure::failed(why),
        false => CheckFailure::NotApplicable(format!("{why}: it is another database")),
    })
}

fn is_new(store: &dyn Store, seen: &mut Vec<ChangeMarker>, after: Write) -> CheckResult {
    if let Some(marker) = store.change_marker() {
        ensure!(
            !seen.contains(&marker),
            "the marker after {after:?} by another store was there before"
        );
        seen.push(marker);
    }
    Ok(())
}

/// The sorts of writes, each of which needs those before it.
#[derive(Debug, Clone, Copy)]
enum Write {
    Insert,
    Update,
    Access,
    Consolidate,
    Delete,
}

impl Write {
    const ALL: [Self; 5] = [
        Self::Insert,
        Self::Update,
        Self::Access,
        Self::Consolidate,
        Self::Delete,
    ];

    /// The entity's generation after it; it is 1 before the first.
    const fn generation(self) -> Generation {
        Generation(match self {
            Self::Insert => 2,
            Self::Update | Self::Access => 3,
            Self::Consolidate => 4,
            Self::Delete => 5,
        })
    }

    /// Writes to an entity; the memories of `context` and of another one are the same.
    async fn run(self, context: &CheckContext, entity: &EntityId) -> CheckResult {
        let store = context.store();
        let mut rng = context.rng();
        // The first was written to find out whether there is another store.
        let items = [0, 1, 2].map(|number| plain(entity, format!("number {number}"), &mut rng));
        let [_, a, b] = [0, 1, 2].map(|index: usize| items[index].memory.id);
        match self {
            Self::Insert => drop(context.insert(&items[1..]).await?),
            Self::Update => {
                let patch = MemoryPatch::new().importance(0.25);
                store.update(entity, &a, &patch, None).await.at("update")?;
            }
            Self::Access => {
                let access = AccessUpdate::new(entity.clone(), a, 1, at(0));
                context.record_accesses(&[access]).await?;
            }
            Self::Consolidate => {
                let group = consolidation(entity, "in short", [a], &mut rng);
                context.consolidate(entity, &[group]).await?;
            }
            Self::Delete => drop(store.delete(entity, &[b]).await.at("delete")?),
        }
        Ok(())
    }
}
