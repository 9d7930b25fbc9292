//! Waiting until recalls are answered from memory.

use std::time::{Duration, Instant};

use memory::{MemoryResult, MemorySystem, RecallPath};

/// The pause after an answer of the store: so many times as long as that took, so that the
/// load has most of the machine.
const PAUSE_FACTOR: u32 = 3;

/// A million memories take a minute.
const LONGEST: Duration = Duration::from_secs(600);

/// Asks a question until a snapshot answers it, as that of a large entity is loaded in the
/// background. Nothing is waited for where nothing is found.
///
/// # Errors
/// Those of the recalls.
///
/// # Panics
/// Where no snapshot answers within ten minutes.
pub async fn load_snapshot(
    memory: &MemorySystem,
    entity: &str,
    question: &str,
) -> MemoryResult<()> {
    let began = Instant::now();
    loop {
        assert!(
            began.elapsed() < LONGEST,
            "no snapshot of {entity} answers: does it have room in the entity tier?"
        );
        let start = Instant::now();
        let hits = memory.recall(entity, question).await?;
        let path = hits.first().map(|hit| hit.explanation.path);
        if path != Some(RecallPath::Store) {
            return Ok(());
        }
        let pause = start.elapsed() * PAUSE_FACTOR;
        tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
    }
}
