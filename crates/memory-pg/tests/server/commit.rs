//! The connection breaks while a commit is under way: the outcome is unknown,
//! and said to be; a repetition finds out.

use memory_core::{ErrorKind, Store};
use memory_pg::PgOptions;

use crate::line::{CUT_AFTER, CUT_BEFORE, Line, PASS};
use crate::memories;
use crate::support::with_database;

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_is_unknown_and_may_be_repeated() {
    with_database(|url| async move {
        let line = Line::new(&url).await;
        let store = line.connect(PgOptions::new()).await;
        for (cut, happened) in [(CUT_BEFORE, false), (CUT_AFTER, true)] {
            let batch = memories(&format!("cut {cut}"), 5);
            line.set(cut);
            let error = store.insert(&batch).await.unwrap_err();
            line.set(PASS);
            assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
            assert!(error.is_retryable());
            let again = store.insert(&batch).await.unwrap();
            assert_eq!(again.inserted, vec![!happened; 5]);
        }
        store.close().await.unwrap();
        line.remove();
    })
    .await;
}
