//! The conformance suite of `Store`.

use memory_pg::{PgOptions, Precision};
use memory_testkit::store::{Suite, Tolerance};

use crate::support::with_database;

#[tokio::test(flavor = "multi_thread")]
async fn conforms_with_notifications() {
    with_database(|url| async move {
        let suite = Suite::new().tolerance(Tolerance::HALF_PRECISION);
        let notifying = || PgOptions::new().notify_changes(true).connect(&url);
        suite.run(notifying).await.assert();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_in_single_precision() {
    with_database(|url| async move {
        let single = || PgOptions::new().precision(Precision::Single).connect(&url);
        Suite::new().run(single).await.assert();
    })
    .await;
}
