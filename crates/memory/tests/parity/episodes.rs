//! The life of one entity in episodes, and questions about who did what.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use memory::store::Store;
use memory::{
    ByteSize, MemoryBatchItem, MemoryFilter, MemoryId, MemoryKind, MemorySystem, RecallPath,
    RecallRequest,
};
use memory_testkit::SeededRng;

use crate::system;

const MEMORIES: usize = 1_000;

const WHO: [&str; 6] = [
    "Tam",
    "Edda",
    "the miller",
    "a stranger",
    "my sister",
    "old Joss",
];
const DID: [&str; 8] = [
    "sold",
    "mended",
    "lost",
    "borrowed",
    "painted",
    "dreamt of",
    "asked about",
    "found",
];
const WHAT: [&str; 10] = [
    "the lame horse",
    "a red cart",
    "the bridge",
    "seven loaves",
    "the choir book",
    "a green cloak",
    "the mill wheel",
    "a letter",
    "the ferry",
    "an iron key",
];
const WHERE: [&str; 8] = [
    "at the market",
    "by the river",
    "in the chapel",
    "on the north road",
    "in winter",
    "at dusk",
    "after the fire",
    "before the wedding",
];

/// A life in scenes: each some minutes long, and days apart.
fn life(entity: &str) -> Vec<MemoryBatchItem> {
    let mut random = SeededRng::new(11);
    let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let mut items = Vec::with_capacity(MEMORIES);
    for n in 0..MEMORIES {
        let scene = n / 12;
        let minutes = scene * 5_000 + n % 12 * 3;
        let who = random.pick(&WHO);
        let content = format!(
            "{who} {} {} {}, {}",
            random.pick(&DID),
            random.pick(&WHAT),
            random.pick(&WHERE),
            random.pick(&WHERE),
        );
        let at = start + TimeDelta::minutes(i64::try_from(minutes).unwrap());
        items.push(
            MemoryBatchItem::new(entity, MemoryKind::Experience, content)
                .with_timestamp(at)
                .with_context(format!("scene {scene}"))
                .with_entity(*who, "speaker")
                .with_importance(random.unit()),
        );
    }
    items
}

async fn both_paths_rank_alike(store: Arc<dyn Store>) {
    let entity = format!("mira-{}", MemoryId::new());
    let (scanned, pushed) = (
        system(&store, ByteSize::mebibytes(256)).await,
        system(&store, ByteSize(0)).await,
    );
    scanned.retain_batch(life(&entity)).await.unwrap();
    crate::load_snapshot(&scanned, &entity).await;
    let mut requests: Vec<RecallRequest> = Vec::new();
    for (n, what) in WHAT.iter().enumerate() {
        let (who, place) = (WHO[n % WHO.len()], WHERE[n % WHERE.len()]);
        requests.push(format!("What did {who} do with {what} {place}?").into());
        requests.push(format!("Who {} {what}?", DID[n % DID.len()]).into());
    }
    let (mut alike, mut asked) = (0, 0);
    for request in requests {
        let recall = async |system: &MemorySystem, path| {
            let found = system.recall(&*entity, request.clone()).await.unwrap();
            assert!(
                found
                    .iter()
                    .all(|recalled| recalled.explanation.path == path)
            );
            found
                .iter()
                .map(|recalled| recalled.memory.id)
                .collect::<Vec<_>>()
        };
        let snapshot = recall(&scanned, RecallPath::Snapshot).await;
        let found = recall(&pushed, RecallPath::Store).await;
        assert_eq!((snapshot.len(), found.len()), (10, 10));
        alike += snapshot.iter().filter(|id| found.contains(id)).count();
        asked += snapshot.len();
    }
    assert!(alike * 10 >= asked * 9, "{alike} of {asked} alike");
    assert_eq!(
        scanned
            .count_memories(&*entity, &MemoryFilter::new())
            .await
            .unwrap(),
        MEMORIES as u64
    );
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn on_sqlite() {
    both_paths_rank_alike(crate::sqlite().await).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn on_postgres() {
    both_paths_rank_alike(crate::postgres().await).await;
}
