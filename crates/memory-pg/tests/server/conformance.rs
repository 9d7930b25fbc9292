//! The conformance suite of `Store`.

use memory_pg::{AnnIndex, PgOptions, Precision};
use memory_testkit::store::{Suite, Tolerance};

use crate::support::with_database;

#[tokio::test(flavor = "multi_thread")]
async fn conforms_with_notifications() {
    with_database(|url| async move {
        let suite = Suite::new()
            .reopens()
            .tolerance(Tolerance::HALF_PRECISION)
            .defers_accesses();
        let notifying = || PgOptions::new().notify_changes(true).connect(&url);
        suite.run(notifying).await.assert();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_in_single_precision() {
    with_database(|url| async move {
        let single = || PgOptions::new().precision(Precision::Single).connect(&url);
        Suite::new()
            .reopens()
            .defers_accesses()
            .run(single)
            .await
            .assert();
    })
    .await;
}

/// With an index that is built for each entity that is large enough, and searched.
#[tokio::test(flavor = "multi_thread")]
async fn maintains_a_configured_index_as_promised() {
    with_database(|url| async move {
        let suite = Suite::new().tolerance(Tolerance::HALF_PRECISION).only([
            "index_maintenance::dry_run_writes_nothing",
            "index_maintenance::second_run_builds_nothing",
            "index_maintenance::searches_reach_the_target",
            "index_maintenance::request_is_respected",
        ]);
        let indexed = || {
            let options = PgOptions::new().ann_index(AnnIndex::hnsw());
            options.connect(&url)
        };
        suite.run(indexed).await.assert();
    })
    .await;
}
