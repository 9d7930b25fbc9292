//! Loads caused by many concurrent callers of an uncached key.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use memory_core::{CacheBackend, EntityId, MemoryBatchItem, MemoryKind};
use memory_engine::{Engine, RecallRequest};
use memory_testkit::HashEmbedder;
use serde::{Deserialize, Serialize};

use super::counting_store::CallCounter;

/// Concurrent callers of the same key.
pub const CALLERS: usize = 100;

/// The duration of each store read and each inference: long enough for every
/// caller to arrive during the first load.
const DELAY: Duration = Duration::from_millis(50);

/// Loads that a stampede of [`CALLERS`] causes, by tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loads {
    /// Store reads of one memory by id.
    pub memory: u64,
    /// Loads of one entity's snapshot.
    pub entity: u64,
    /// Inferences of one question.
    pub embedding: u64,
}

/// Runs the callers through an engine on this cache.
///
/// # Errors
/// Errors of the engine.
pub async fn run(backend: impl CacheBackend) -> Result<Loads, Box<dyn Error>> {
    let slow = HashEmbedder::new().with_hook(|_| async {
        tokio::time::sleep(DELAY).await;
        Ok(())
    });
    let (counter, store) = CallCounter::with_store(DELAY);
    let engine = Engine::builder(backend).build(store, Arc::new(slow.clone()))?;
    let items = (0..20).map(|number| {
        MemoryBatchItem::new("mira", MemoryKind::World, format!("fact number {number}"))
    });
    let ids = engine.retain_batch(items.collect()).await?;
    engine.clear_all_caches();

    let before = counter.calls().reads;
    call_concurrently(&engine, |engine, entity| {
        let id = ids[0];
        async move { engine.get_memory(&entity, &id).await.map(drop) }
    })
    .await?;
    let memory = counter.calls().reads - before;

    let (before, inferences) = (engine.cache_stats().entity.loads, slow.calls());
    call_concurrently(&engine, |engine, entity| async move {
        let request = RecallRequest::new("which fact was it?");
        engine.recall(&entity, &request).await.map(drop)
    })
    .await?;
    engine.close().await?;
    Ok(Loads {
        memory,
        entity: engine.cache_stats().entity.loads - before,
        embedding: slow.calls() - inferences,
    })
}

/// Runs each caller in its own task.
async fn call_concurrently<F, Call>(engine: &Engine, call: F) -> Result<(), Box<dyn Error>>
where
    F: Fn(Engine, EntityId) -> Call,
    Call: Future<Output = memory_core::MemoryResult<()>> + Send + 'static,
{
    let calls = (0..CALLERS).map(|_| tokio::spawn(call(engine.clone(), EntityId::from("mira"))));
    for outcome in join_all(calls).await {
        outcome??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use memory_testkit::MapBackend;

    use super::*;

    #[test]
    fn a_hundred_callers_cause_one_load_of_each_kind() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let loads = runtime.block_on(run(MapBackend)).unwrap();
        let one = Loads {
            memory: 1,
            entity: 1,
            embedding: 1,
        };
        assert_eq!(loads, one);
    }
}
