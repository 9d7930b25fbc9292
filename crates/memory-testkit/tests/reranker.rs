//! The reference reranker passes the suite.

use memory_testkit::{OverlapReranker, reranker};

#[tokio::test]
async fn the_overlap_reranker_conforms() {
    let report = reranker::Suite::new()
        .with_meaning()
        .run(&OverlapReranker)
        .await;
    report.assert();
    let checks = reranker::CHECKS.len() + reranker::MEANING.len();
    assert_eq!(report.outcomes().len(), checks);
}
