//! The connection is lost during a commit: the outcome is unknown, and a retry
//! resolves it.

use std::time::Duration;

use memory_core::{AccessUpdate, EntityId, ErrorKind, Store};
use memory_pg::{PgOptions, PgStore};

use crate::fault_proxy::{CUT_AFTER, CUT_BEFORE, FaultProxy, PASS};
use crate::memories;
use crate::support::{connect, run, with_database};

#[tokio::test(flavor = "multi_thread")]
async fn commit_without_answer_is_unknown_and_can_be_retried() {
    with_database(|url| async move {
        let proxy = FaultProxy::new(&url).await;
        let store = proxy.connect(PgOptions::new()).await;
        for (cut, happened) in [(CUT_BEFORE, false), (CUT_AFTER, true)] {
            let batch = memories(&format!("cut {cut}"), 5);
            proxy.set_mode(cut);
            let error = store.insert(&batch).await.unwrap_err();
            proxy.set_mode(PASS);
            assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
            assert!(error.is_retryable());
            let again = store.insert(&batch).await.unwrap();
            assert_eq!(again.inserted, vec![!happened; 5]);
        }
        store.close().await.unwrap();
        proxy.remove();
    })
    .await;
}

/// Access counts are added, so the error does not say that a retry is safe.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_counts_are_not_said_to_be_repeatable() {
    with_database(|url| async move {
        let proxy = FaultProxy::new(&url).await;
        let store = proxy.connect(PgOptions::new()).await;
        let batch = memories("mira", 1);
        store.insert(&batch).await.unwrap();
        let memory = &batch[0].memory;
        let update = AccessUpdate::new(EntityId::from("mira"), memory.id, 1, memory.timestamp);
        proxy.set_mode(CUT_AFTER);
        let error = store.record_accesses(&[update], Duration::ZERO).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
        assert!(
            error.to_string().contains("counts a second time"),
            "{error}"
        );
        proxy.remove();
    })
    .await;
}

/// An internal error (XX000), as a server reports it that lost one of its nodes.
/// Before the commit nothing was written; at the commit nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn internal_error_is_unknown_only_at_the_commit() {
    with_database(|url| async move {
        let store = PgStore::connect(&url).await.unwrap();
        let mut other = connect(&url).await;
        run(
            &mut other,
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               RAISE EXCEPTION 'a node was lost' USING ERRCODE = 'XX000'; \
             END $$",
        )
        .await;
        for (when, expected) in [
            ("IMMEDIATE", ErrorKind::Unavailable),
            ("DEFERRED", ErrorKind::OutcomeUnknown),
        ] {
            run(
                &mut other,
                &format!(
                    "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON memory \
                     DEFERRABLE INITIALLY {when} FOR EACH ROW EXECUTE FUNCTION fail()"
                ),
            )
            .await;
            let batch = memories(when, 2);
            let error = store.insert(&batch).await.unwrap_err();
            assert_eq!(error.kind(), expected, "{when}: {error}");
            assert!(error.is_retryable());
            run(&mut other, "DROP TRIGGER fail ON memory").await;
            let again = store.insert(&batch).await.unwrap();
            assert_eq!(again.inserted, [true, true]);
        }
        store.close().await.unwrap();
    })
    .await;
}
