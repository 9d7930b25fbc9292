//! The contract, point by point, as `memory-testkit` puts it to the test.

use memory_testkit::embedder::Suite;

#[tokio::test]
async fn the_embedder_keeps_the_contract() {
    for embedder in [
        super::shared().await,
        super::shared_int8().await,
        super::shared_graph().await,
    ] {
        let report = Suite::new().with_meaning().run(&*embedder).await;
        report.assert();
    }
}
