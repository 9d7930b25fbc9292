//! `/metrics`: with a token, where the server records them.

use memory::MemoryKind;
use memory_server::{Access, Metrics, ServerOptions, TokenScope, Tokens};

use crate::harness::TestServer;

#[tokio::test]
async fn metrics_are_served_to_those_with_a_token() {
    let metrics = Metrics::install().expect("the only recorder of this process");
    let mut token = String::new();
    let mut server = TestServer::start(|folder| {
        let path = folder.path().join("tokens");
        let scope = TokenScope {
            entities: String::new(),
            access: Access::Read,
        };
        token = Tokens::create(&path, scope).expect("a token").token;
        let tokens = Tokens::open(path).expect("the file");
        ServerOptions::new().metrics(metrics).tokens(tokens)
    })
    .await;
    let refused = server.get("/metrics").await;
    refused.problem(401, "unauthorized");
    server.set_token(token.as_str());
    let retained = server
        .memory
        .retain("npc-7", MemoryKind::World, "A secret.");
    retained.await.expect("it is retained");
    let scraped = server.request("GET", "/metrics").send().await;
    let scraped = scraped.expect("it answers");
    assert_eq!(
        scraped.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = scraped.text().await.expect("a whole body");
    for series in [
        "memory_operations_total{operation=\"retain\",outcome=\"ok\"} ",
        "memory_cache_misses{type=\"embedding\"} ",
        "memory_operation_duration_bucket{operation=\"retain\",le=",
    ] {
        assert!(text.contains(series), "{series} is missing: {text}");
    }
    assert!(!text.contains("npc-7"), "{text}");

    let bare = TestServer::start(|_| ServerOptions::new()).await;
    bare.get("/metrics").await.problem(404, "no_metrics");
}
