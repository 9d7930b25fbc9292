//! Agents that retain and recall in turn.

use std::time::Duration;

use memory::{MemoryBatchItem, MemoryKind, MemoryResult, MemorySystem};

const AGENTS: usize = 8;

/// The mean pause of an agent between two turns.
const PAUSE: Duration = Duration::from_millis(200);

const WHO: &[&str] = &["Tam", "Oda", "the miller", "a stranger", "the ferryman"];
const DID: &[&str] = &["sold", "hid", "repaired", "lost", "asked about"];
const WHAT: &[&str] = &[
    "a lame horse",
    "the mill wheel",
    "a copper key",
    "the old map",
];
const WHERE: &[&str] = &[
    "by the bridge",
    "at the market",
    "in the cellar",
    "before dawn",
];

const KINDS: [MemoryKind; 4] = [
    MemoryKind::World,
    MemoryKind::Experience,
    MemoryKind::Opinion,
    MemoryKind::Observation,
];

/// Runs all agents until one of them fails.
pub async fn run(memory: &MemorySystem) -> MemoryResult<()> {
    let mut agents = tokio::task::JoinSet::new();
    for number in 0..AGENTS {
        let memory = memory.clone();
        agents.spawn(async move { live(&memory, &format!("agent-{number}")).await });
    }
    while let Some(ended) = agents.join_next().await {
        ended.unwrap_or(Ok(()))?;
    }
    Ok(())
}

/// One agent: it retains what happens, asks, reads and now and then tidies up.
async fn live(memory: &MemorySystem, agent: &str) -> MemoryResult<()> {
    loop {
        match fastrand::u8(..100) {
            0..30 => {
                let batch = 1 + fastrand::usize(..4);
                memory.retain_batch((0..batch).map(|_| item(agent))).await?;
            }
            30..85 => {
                for hit in memory.recall(agent, question()).await? {
                    memory.get_memory(agent, hit.memory.id).await?;
                }
            }
            85..95 => {
                memory.reflect(agent, question()).await?;
            }
            _ => {
                memory.consolidate(agent).await?;
            }
        }
        tokio::time::sleep(PAUSE.mul_f32(2.0 * fastrand::f32())).await;
    }
}

fn item(agent: &str) -> MemoryBatchItem {
    let content = format!(
        "{} {} {} {}.",
        pick(WHO),
        pick(DID),
        pick(WHAT),
        pick(WHERE)
    );
    let kind = KINDS[fastrand::usize(..KINDS.len())];
    MemoryBatchItem::new(agent, kind, content)
}

fn question() -> String {
    format!("Who {} {}?", pick(DID), pick(WHAT))
}

fn pick(words: &'static [&'static str]) -> &'static str {
    words[fastrand::usize(..words.len())]
}
