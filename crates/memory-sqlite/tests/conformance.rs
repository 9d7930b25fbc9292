//! The store keeps the contract of `memory_core::Store`, in a file and in
//! memory.

#![allow(clippy::unwrap_used)]

use memory_sqlite::SqliteStore;
use memory_testkit::store;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_a_file_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("conformance.db");
    let open = || SqliteStore::open(path.to_str().unwrap());
    store::conformance(open).await.assert();
    store::model_check(open, 40, 40).await.assert();
}

#[tokio::test]
async fn a_store_in_memory_conforms() {
    let open = || SqliteStore::open("sqlite::memory:");
    store::conformance(open).await.assert();
    store::model_check(open, 40, 40).await.assert();
}
