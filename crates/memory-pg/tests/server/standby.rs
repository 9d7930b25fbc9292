//! A store on a hot standby: it reads, and writes nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use memory_core::{AccessUpdate, EntityId, ErrorKind, ListRequest, Store};
use memory_pg::{PgOptions, PgStore};
use memory_testkit::fixtures;

use crate::memories;
use crate::server_process::with_standby;
use crate::support::{connect, run};

/// How long a standby may take to apply what was written.
const MAX_WAIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn opens_and_reads_without_writing_until_it_is_promoted() {
    with_standby(|primary, standby| async move {
        // What was not created on the primary is missing.
        let refused = PgStore::connect(&standby.url()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Missing, "{refused}");

        let (mira, batch) = (EntityId::from("mira"), memories("mira", 3));
        let id = batch[0].memory.id;
        let writing = PgStore::connect(&primary.url()).await.unwrap();
        writing.insert(&batch).await.unwrap();
        let start = Instant::now();
        let store = loop {
            assert!(start.elapsed() < MAX_WAIT, "it does not get the schema");
            match PgStore::connect(&standby.url()).await {
                Ok(store) => break store,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Missing, "{error}"),
            }
        };
        let page = ListRequest::new(10);
        while store.list(&mira, &page).await.unwrap().memories.len() < 3 {
            assert!(start.elapsed() < MAX_WAIT, "it does not get the memories");
        }
        let refused = store.insert(&memories("tam", 1)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
        assert!(refused.to_string().contains("standby"), "{refused}");
        let accesses = [AccessUpdate::new(mira.clone(), id, 1, fixtures::at(9_000))];
        let refused = store
            .record_accesses(&accesses, Duration::ZERO)
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
        // It was not even tried.
        let log = standby.log().await;
        assert!(log.contains("read-only connections"), "{log}");
        assert!(!log.contains("ERROR"), "{log}");

        standby.promote().await;
        store.insert(&memories("tam", 1)).await.unwrap();
        store
            .record_accesses(&accesses, Duration::ZERO)
            .await
            .unwrap();
        for store in [store, writing] {
            store.close().await.unwrap();
        }
    })
    .await;
}

/// A standby named as a replica of itself is a standby without replicas.
#[tokio::test(flavor = "multi_thread")]
async fn standby_with_replicas_reads_by_itself() {
    with_standby(|primary, standby| async move {
        let store = PgStore::connect(&primary.url()).await.unwrap();
        store.close().await.unwrap();
        let open = || {
            let options = PgOptions::new().replicas([standby.url()]);
            async { options.connect(&standby.url()).await }
        };
        let store = loop {
            match open().await {
                Ok(store) => break store,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Missing, "{error}"),
            }
        };
        let page = ListRequest::new(10);
        let found = store.list(&EntityId::from("mira"), &page).await.unwrap();
        assert!(found.memories.is_empty());
        assert!(!standby.log().await.contains("ERROR"));
    })
    .await;
}

/// Behind a pooler the next statement may run in another session, unless they are in one
/// transaction: also where a write asks whether the server is still a standby.
#[tokio::test(flavor = "multi_thread")]
async fn every_statement_for_a_pooler_is_in_a_transaction() {
    with_standby(|primary, standby| async move {
        let store = PgStore::connect(&primary.url()).await.unwrap();
        store.close().await.unwrap();
        let mut admin = connect(&standby.url()).await;
        for statement in [
            "ALTER SYSTEM SET log_statement = 'all'",
            "SELECT pg_reload_conf()",
        ] {
            run(&mut admin, statement).await;
        }
        let url = format!("{}&pooler=transaction", standby.url());
        let start = Instant::now();
        let store = loop {
            assert!(start.elapsed() < MAX_WAIT, "it does not get the schema");
            match PgStore::connect(&url).await {
                Ok(store) => break store,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Missing, "{error}"),
            }
        };
        let refused = store.insert(&memories("tam", 1)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
        let page = ListRequest::new(10);
        store.list(&EntityId::from("mira"), &page).await.unwrap();
        store.close().await.unwrap();
        let log = standby.log().await;
        assert!(log.contains("pg_is_in_recovery"), "nothing was logged");
        // The sessions that are in a transaction, by what precedes the message.
        let mut open = BTreeSet::new();
        for line in log.lines() {
            let Some((prefix, message)) = line.split_once("LOG:  ") else {
                continue;
            };
            let session = prefix.rsplit('[').next().unwrap_or_default();
            if message.starts_with("statement: BEGIN") {
                open.insert(session);
            } else if ["statement: ROLLBACK", "statement: COMMIT"].contains(&message) {
                open.remove(session);
            } else if message.starts_with("execute <unnamed>") {
                assert!(open.contains(session), "{message}");
            }
        }
    })
    .await;
}
