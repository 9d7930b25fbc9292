//! The connection is lost during a commit: the outcome is unknown, and a retry
//! resolves it.

use memory_core::{ErrorKind, Store};
use memory_pg::PgOptions;

use crate::fault_proxy::{CUT_AFTER, CUT_BEFORE, FaultProxy, PASS};
use crate::memories;
use crate::support::with_database;

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
