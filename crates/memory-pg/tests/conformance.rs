//! The promises of `Store`, put to the test on a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use memory_pg::{PgOptions, Precision};
use memory_testkit::store::{Suite, Tolerance};

#[tokio::test(flavor = "multi_thread")]
async fn keeps_every_promise() {
    support::with_database(|url| async move {
        let suite = Suite::new().tolerance(Tolerance::HALF_PRECISION);
        let announcing = || PgOptions::new().announcements(true).connect(&url);
        suite.run(announcing).await.assert();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_every_promise_in_single_precision() {
    support::with_database(|url| async move {
        let single = || PgOptions::new().precision(Precision::Single).connect(&url);
        Suite::new().run(single).await.assert();
    })
    .await;
}
