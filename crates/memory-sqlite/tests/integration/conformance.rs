//! Conformance with the contract of `memory_core::Store`, in a file and in
//! memory.

use memory_sqlite::SqliteStore;
use memory_testkit::store;

#[tokio::test(flavor = "multi_thread")]
async fn file_store_passes_the_conformance_suite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("conformance.db");
    let open = || SqliteStore::open(path.to_str().unwrap());
    store::Suite::new().reopens().run(open).await.assert();
    store::model_check(open, 40, 40).await.assert();
}

#[tokio::test]
async fn in_memory_store_passes_the_conformance_suite() {
    let open = || SqliteStore::open("sqlite::memory:");
    store::conformance(open).await.assert();
    store::model_check(open, 40, 40).await.assert();
}
