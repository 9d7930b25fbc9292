//! Writes that are made only to the state of an entity that the client has seen.
//!
//! The store's generation of the entity is compared with the tags of `If-Match`, and then the
//! write is made, under a lock of the entity. Of such writes to one entity that this server
//! gets at the same time, the first one therefore makes the state another one for the rest.
//!
//! What is not noticed is a write that is committed between comparison and write by someone
//! who does not take the lock: a write without `If-Match`, another process, and a write whose
//! request ended before it, as its time was over or its client left. The last one gives up its
//! lock with its request, and runs to its end in a task of the engine.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::http::{HeaderMap, header};
use memory::{EntityId, MemoryError, MemoryId, MemorySystem};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::etag::{self, TagList};
use crate::problem::{Answer, Problem};

/// The entity tags that the header `If-Match` of a write has.
pub(crate) struct Precondition(TagList);

impl Precondition {
    /// Reads the precondition of a write; `None` for a write without one.
    ///
    /// # Errors
    /// Headers that are not lists of tags; `If-None-Match`, which no write reads; `If-Match`
    /// where answers have no tags.
    pub(crate) fn of(headers: &HeaderMap, memory: &MemorySystem) -> Answer<Option<Self>> {
        refuse_if_none_match(headers)?;
        match TagList::of(headers, &header::IF_MATCH)? {
            Some(_) if !etag::are_tags_exact(memory) => Err(etag::no_tags()),
            tags => Ok(tags.map(Self)),
        }
    }

    /// Compares with the entity's current state in the store.
    ///
    /// # Errors
    /// 412 for another state; 404 where the request is for a memory that does not exist, which
    /// is the answer without a precondition too.
    async fn check(&self, memory: &MemorySystem, entity: &EntityId, id: MemoryId) -> Answer<()> {
        // The store's answer: the generation of a cached snapshot may be an older one.
        let generation = memory.entity_stats(entity).await?.generation;
        let current = etag::format(generation);
        if self.0.contains(&current) {
            return Ok(());
        }
        memory.get_memory(entity, id).await?;
        Err(etag::changed(current))
    }
}

/// Refuses the preconditions of a request that has none.
///
/// # Errors
/// `If-Match` and `If-None-Match`: a write that ignored them would be made to a state that its
/// client does not expect.
pub(crate) fn refuse_preconditions(headers: &HeaderMap) -> Answer<()> {
    refuse_if_none_match(headers)?;
    match headers.contains_key(header::IF_MATCH) {
        true => Err(Problem::invalid_input(
            "the endpoint has no If-Match, which is for changes of one memory: PATCH and DELETE \
             of a memory, PUT and DELETE of its links, and undo; leave it out",
        )),
        false => Ok(()),
    }
}

fn refuse_if_none_match(headers: &HeaderMap) -> Answer<()> {
    match headers.contains_key(header::IF_NONE_MATCH) {
        true => Err(Problem::invalid_input(
            "If-None-Match is for requests that read; PATCH and DELETE of a memory, PUT and DELETE \
             of its links, and undo have If-Match, and a memory with an id of its own is stored \
             once",
        )),
        false => Ok(()),
    }
}

/// One lock for each entity to which conditional writes are in progress.
#[derive(Default)]
pub(crate) struct ConditionalWrites(Mutex<HashMap<EntityId, Weak<AsyncMutex<()>>>>);

impl ConditionalWrites {
    /// Checks and writes to a memory, while no other conditional write to its entity does.
    /// The lock is held by the request itself, so its time limit includes waiting for it, and
    /// ends holding it.
    pub(crate) async fn run<T>(
        &self,
        memory: &MemorySystem,
        entity: &EntityId,
        id: MemoryId,
        precondition: &Precondition,
        write: impl Future<Output = Result<T, MemoryError>>,
    ) -> Answer<T> {
        let _guard = self.lock(entity).await;
        precondition.check(memory, entity, id).await?;
        Ok(write.await?)
    }

    async fn lock(&self, entity: &EntityId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds or waits for: as many as there are requests remain.
            locks.retain(|_, lock| lock.strong_count() > 0);
            let held = locks.get(entity).and_then(Weak::upgrade);
            held.unwrap_or_else(|| {
                let lock = Arc::default();
                locks.insert(entity.clone(), Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn each_entity_has_a_lock_of_its_own_which_goes_with_its_holder() {
        let writes = ConditionalWrites::default();
        let held = writes.lock(&"mira".into()).await;
        // More than any number of shared locks.
        for number in 0..1_000 {
            let other = EntityId::from(format!("tam {number}"));
            drop(writes.lock(&other).await);
        }
        let mira = EntityId::from("mira");
        let wait = Duration::from_millis(20);
        timeout(wait, writes.lock(&mira)).await.expect_err("held");
        drop(held);
        drop(writes.lock(&mira).await);
        drop(writes.lock(&"tam".into()).await);
        assert_eq!(writes.0.lock().unwrap().len(), 1, "the last one");
    }
}
