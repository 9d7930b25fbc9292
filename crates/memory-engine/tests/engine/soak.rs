//! A short soak; the long one is the example of the same name of the facade.

#[path = "../../../memory/examples/soak/run.rs"]
mod run;

use std::sync::Arc;

use memory_moka::MokaBackend;
use memory_testkit::InMemoryStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_operations_show_nothing_stale_and_lose_nothing() {
    let store = Arc::new(InMemoryStore::new());
    let soak = run::Soak::new(&(store as _), || MokaBackend, run::SoakSize::SMALL).unwrap();
    let tally = soak.run(10_000).await.unwrap();
    assert_eq!((tally.stale, tally.lost), (0, 0), "{tally}");
    assert!(tally.reads > 5_000 && tally.writes > 1_000, "{tally}");
}
