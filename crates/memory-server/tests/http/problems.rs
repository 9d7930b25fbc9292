//! Bad requests: refused by name, without content, and nothing is written.

use std::time::Duration;

use memory_server::ServerOptions;

use crate::harness::TestServer;

const MEMORIES: &str = "/v1/entities/mira/memories";

#[tokio::test]
async fn bad_requests_name_what_is_wrong() {
    let server = TestServer::start(|_| ServerOptions::new().max_body_bytes(1_000)).await;
    let secret = "Tam-the-thief";
    for (method, path, body, says) in [
        ("POST", MEMORIES, "", "JSON object"),
        ("POST", MEMORIES, "[]", "JSON object"),
        (
            "POST",
            MEMORIES,
            r#"{"content":"Tam-the-thief","kind":"dream"}"#,
            "dream",
        ),
        (
            "POST",
            MEMORIES,
            r#"{"content":"Tam-the-thief","improtance":1}"#,
            "improtance",
        ),
        (
            "POST",
            MEMORIES,
            r#"{"content":"Tam-the-thief","entity":"tam"}"#,
            "the path",
        ),
        (
            "POST",
            MEMORIES,
            r#"{"content":"Tam-the-thief","importance":2}"#,
            "2",
        ),
        (
            "POST",
            "/v1/entities/mira/recall",
            r#"{"text":7}"#,
            "/openapi.json",
        ),
        (
            "POST",
            "/v1/entities/mira/recall",
            r#"{"text":"Tam-the-thief","limit":0}"#,
            "limit",
        ),
        (
            "POST",
            "/v1/entities/mira/recall",
            r#"{"txt":"Tam-the-thief"}"#,
            "txt",
        ),
        ("GET", "/v1/entities/mira/memories?limit=0", "", "limit"),
        ("GET", "/v1/entities/mira/memories?limt=1", "", "parameter"),
        ("GET", "/v1/entities/mira/memories?after=x", "", "`after`"),
        ("GET", "/v1/entities/mira/memories?kind=dream", "", "`kind`"),
        ("GET", "/v1/entities/mira/memories/x", "", "not a UUID"),
        ("GET", "/v1/entities/%20/memories", "", "entity"),
        ("GET", "/v1/entities/%FF/memories", "", "UTF-8"),
    ] {
        let refused = server.send(method, path, body).await;
        let detail = refused.problem(400, "invalid_input");
        assert!(detail.contains(says), "{path} {body}: {detail}");
        assert!(!detail.contains(secret), "{path}: {detail}");
    }
    server.get("/v1/nothing").await.problem(404, "no_endpoint");
    server
        .send("PUT", MEMORIES, "")
        .await
        .problem(405, "no_method");
    let long = format!(r#"{{"content":"{}"}}"#, "x".repeat(1_000));
    server
        .post(MEMORIES, &long)
        .await
        .problem(413, "invalid_input");
    assert_eq!(
        server.get("/v1/entities").await.ok(200)["entities"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn a_request_beyond_its_time_is_a_problem_that_may_be_repeated() {
    let server = TestServer::start(|_| ServerOptions::new().request_timeout(Duration::ZERO)).await;
    let late = server.post(MEMORIES, r#"{"content":"Rain."}"#).await;
    let detail = late.problem(503, "timeout");
    assert!(detail.contains("Idempotency-Key"), "{detail}");
    assert_eq!(late.body["retryable"], true);
    assert_eq!(late.header("retry-after"), Some("1"));
}
