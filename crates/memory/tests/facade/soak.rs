//! A short soak of two systems on one SQLite file.

#[path = "../../../memory-engine/examples/soak/run.rs"]
mod run;

use std::sync::Arc;

use memory::cache::MokaBackend;
use memory::sqlite::SqliteStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_stale_is_shown_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("soak.db").display());
    let store = SqliteStore::open(&url).await.unwrap();
    let soak = run::Soak::new(&(Arc::new(store) as _), || MokaBackend).unwrap();
    let tally = soak.run(2_000).await.unwrap();
    assert_eq!((tally.stale, tally.lost), (0, 0), "{tally}");
}
