//! Writes that are made only to the state of an entity that the client has seen.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::resume_unwind;
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use memory::{EntityId, MemorySystem};
use tokio::sync::Mutex;

use crate::etag::{self, TagList};
use crate::problem::{Answer, Problem};

/// The entity tags that the header `If-Match` of a write has.
#[derive(Clone)]
pub(crate) struct Precondition(TagList);

impl Precondition {
    /// Reads the precondition of a write; `None` for a write without one.
    ///
    /// # Errors
    /// `If-None-Match`, which no write reads.
    pub(crate) fn of(headers: &HeaderMap) -> Answer<Option<Self>> {
        if headers.contains_key(header::IF_NONE_MATCH) {
            return Err(Problem::invalid_input(
                "If-None-Match is for requests that read; a write reads If-Match, and a memory \
                 with an id of its own is stored once",
            ));
        }
        Ok(TagList::of(headers, &header::IF_MATCH).map(Self))
    }

    /// Compares with the entity's current state in the store.
    ///
    /// # Errors
    /// 412 for another state.
    pub(crate) async fn check(&self, memory: &MemorySystem, entity: &EntityId) -> Answer<()> {
        // The store's answer: the generation of a cached snapshot may be an older one.
        let generation = memory.entity_stats(entity).await?.generation;
        let current = etag::format(generation);
        match self.0.contains(&current) {
            true => Ok(()),
            false => Err(etag::changed(current)),
        }
    }
}

/// One lock for several entities each: of conditional writes to one entity that this server
/// gets at the same time, the first one makes the state another one for the rest.
pub(crate) struct ConditionalWrites([Arc<Mutex<()>>; LOCKS]);

/// Entities whose names share a lock wait for each other, without need.
const LOCKS: usize = 64;

impl ConditionalWrites {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Arc::default()))
    }

    /// Checks and writes, in a task that ends also where the request is dropped: the next
    /// one must find what this one wrote.
    pub(crate) async fn run<T, E>(
        &self,
        memory: MemorySystem,
        entity: EntityId,
        precondition: Precondition,
        write: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Answer<T>
    where
        T: Send + 'static,
        E: Send + 'static,
        Problem: From<E>,
    {
        let lock = self.lock(&entity);
        let task = tokio::spawn(async move {
            let _guard = lock.lock_owned().await;
            precondition.check(&memory, &entity).await?;
            Ok(write.await?)
        });
        match task.await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "closed",
                    "The server is shutting down",
                    "the server ended before the write was made; repeat it",
                )),
            },
        }
    }

    fn lock(&self, entity: &EntityId) -> Arc<Mutex<()>> {
        let mut hasher = DefaultHasher::new();
        entity.hash(&mut hasher);
        let [first, ..] = &self.0;
        let lock = usize::try_from(hasher.finish() % LOCKS as u64)
            .ok()
            .and_then(|index| self.0.get(index));
        Arc::clone(lock.unwrap_or(first))
    }
}
