//! Waiting until recalls are answered from memory.

use std::time::{Duration, Instant};

use memory::{MemoryResult, MemorySystem, RecallPath};

/// The pause after an answer of the store: so many times as long as that took, so that the
/// load has most of the machine.
const PAUSE_FACTOR: u32 = 3;

/// Asks a question until a snapshot answers it, as that of a large entity is loaded in the
/// background. Nothing is waited for where nothing is found.
///
/// # Errors
/// Those of the recalls.
pub async fn load_snapshot(
    memory: &MemorySystem,
    entity: &str,
    question: &str,
) -> MemoryResult<()> {
    loop {
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
