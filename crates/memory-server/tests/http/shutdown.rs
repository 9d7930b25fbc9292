//! The end of a server.

use std::time::Duration;

use memory_server::ServerOptions;
use memory_testkit::wait_until;
use tokio::time::timeout;

use crate::harness::TestServer;

#[tokio::test]
async fn requests_in_progress_are_answered_and_later_ones_are_not_accepted() {
    let mut server = TestServer::start(|_| ServerOptions::new()).await;
    let batch: Vec<_> = (0..200)
        .map(|n| serde_json::json!({"content": format!("Day {n}.")}))
        .collect();
    let body = serde_json::json!({ "memories": batch }).to_string();
    let sending = server
        .request("POST", "/v1/entities/mira/memories/batch")
        .body(body)
        .send();
    let sending = tokio::spawn(sending);
    let has_begun = async || server.memory.cache_stats().embedding.misses > 0;
    wait_until("the texts are embedded", has_begun).await;
    server.stop();
    let answered = sending.await.expect("no panic").expect("it is answered");
    assert_eq!(answered.status().as_u16(), 201);
    let ended = timeout(Duration::from_secs(20), &mut server.serving).await;
    ended.expect("it ends").expect("in order");
    let refused = server.request("GET", "/health/live").send().await;
    assert!(refused.is_err(), "{refused:?}");
    let stats = server
        .memory
        .entity_stats("mira")
        .await
        .expect("the system is open");
    assert_eq!(stats.memory_count, 200);
}
