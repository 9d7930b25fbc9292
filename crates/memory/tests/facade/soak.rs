//! A short soak of two systems on one SQLite file.

#[path = "../../examples/soak/run.rs"]
mod run;

use std::sync::Arc;

use memory::cache::MokaBackend;
use memory::sqlite::SqliteStore;
use run::{Soak, SoakSize};

async fn soak(size: SoakSize, operations: u64) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("soak.db").display());
    let store = SqliteStore::open(&url).await.unwrap();
    let soak = Soak::new(&(Arc::new(store) as _), || MokaBackend, size).unwrap();
    let tally = soak.run(operations).await.unwrap();
    assert_eq!((tally.stale, tally.lost), (0, 0), "{tally}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_stale_is_shown_and_nothing_is_lost() {
    soak(SoakSize::SMALL, 2_000).await;
}

/// Snapshots are loaded in the background, and from pages that writes delete.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_stale_is_shown_of_large_entities_and_nothing_is_lost() {
    let size = SoakSize {
        entities: 2,
        others: 2_000,
    };
    soak(size, 800).await;
}
