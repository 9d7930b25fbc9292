//! Damaged files: errors of kind `Corrupt`, never a panic or a wrong answer.

use std::fs;
use std::ops::Range;

use memory_core::{ErrorKind, Generation, ListRequest, MemoryError, Store};
use memory_sqlite::SqliteStore;
use memory_testkit::fixtures::fingerprint;
use sqlx::Connection;
use tempfile::tempdir;

use crate::common::{connect, create_filled, ids, lexical, mira, open, try_open};

const PAGE: usize = 8_192;

/// A database with some of its pages overwritten, counted from 0.
fn overwrite_pages(whole: &[u8], pages: Range<usize>) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    bytes[pages.start * PAGE..pages.end * PAGE].fill(0xab);
    bytes
}

/// Runs every read operation on an entity and collects the errors.
async fn read_everything(store: &SqliteStore) -> Vec<MemoryError> {
    let errors = [
        store.list(&mira(), &ListRequest::new(1_000)).await.err(),
        store
            .changes_since(&mira(), Generation::ZERO, &fingerprint())
            .await
            .err(),
        store
            .search(&mira(), &lexical("mill amber saddle"))
            .await
            .err(),
        store.entity_stats(&mira()).await.err(),
    ];
    errors.into_iter().flatten().collect()
}

#[tokio::test]
async fn overwritten_pages_are_corrupt() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create_filled(&path, 600).await;
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / PAGE;
    assert!(pages > 30, "{pages} pages");
    fs::write(&path, overwrite_pages(&whole, 8..pages - 1)).unwrap();
    let errors = match try_open(&path).await {
        Ok(store) => read_everything(&store).await,
        Err(error) => vec![error],
    };
    assert!(!errors.is_empty());
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn each_damaged_page_is_an_error_or_harmless() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create_filled(&path, 60).await;
    let whole = fs::read(&path).unwrap();
    let mut detected = 0;
    for page in 1..whole.len() / PAGE {
        fs::write(&path, overwrite_pages(&whole, page..page + 1)).unwrap();
        let store = match try_open(&path).await {
            Ok(store) => store,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "page {page}: {error}");
                detected += 1;
                continue;
            }
        };
        let errors = read_everything(&store).await;
        detected += usize::from(!errors.is_empty());
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "page {page}: {error}");
        }
        if let Ok(got) = store.get(&mira(), &ids(&batch)).await {
            for (got, wanted) in got.memories.iter().zip(&batch) {
                assert!(got.as_ref().is_none_or(|got| *got == wanted.memory));
            }
        }
        store.close().await.unwrap();
    }
    assert!(detected > 5, "only {detected} damaged pages were detected");
}

#[tokio::test]
async fn a_truncated_file_is_corrupt() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create_filled(&path, 100).await;
    let whole = fs::read(&path).unwrap();
    for kept in [whole.len() / 2, PAGE + 100, PAGE, 600] {
        fs::write(&path, &whole[..kept]).unwrap();
        let error = match try_open(&path).await {
            Ok(store) => read_everything(&store).await.remove(0),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{kept} bytes: {error}");
    }
}

#[tokio::test]
async fn rows_with_invalid_values_are_corrupt() {
    let folder = tempdir().unwrap();
    for (name, sql) in [
        ("kind", "UPDATE memory SET kind = 77"),
        ("tags", "UPDATE memory SET tags = 'zrbl'"),
        ("metadata", "UPDATE memory SET metadata = '[1]'"),
        (
            "timestamp",
            "UPDATE memory SET timestamp = 9223372036854775807",
        ),
        ("vectors", "UPDATE memory_embedding SET vectors = x'010203'"),
        ("text", "UPDATE memory SET content = CAST(x'ff80' AS TEXT)"),
    ] {
        let path = folder.path().join(name);
        create_filled(&path, 20).await;
        crate::common::run_sql(&path, sql).await;
        let store = open(&path).await;
        let errors = read_everything(&store).await;
        assert!(!errors.is_empty(), "{name}");
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
            assert!(!error.to_string().contains("zrbl"), "{error}");
        }
        // Operations on intact data still work.
        assert_eq!(store.entity_stats(&mira()).await.unwrap().memory_count, 20);
    }
}

#[tokio::test]
async fn database_passes_the_integrity_check_of_sqlite() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create_filled(&path, 200).await;
    let store = open(&path).await;
    store.delete(&mira(), &ids(&batch[..50])).await.unwrap();
    store.close().await.unwrap();
    let mut conn = connect(&path).await;
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(verdict, "ok");
    conn.close().await.unwrap();
}
