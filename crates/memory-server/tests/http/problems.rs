//! Bad requests: refused by name, without content, and nothing is written.

use std::error::Error;
use std::time::Duration;

use memory::embed::Embedder;
use memory_server::{Server, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Answer, TestServer};
use crate::health::FailingEmbedder;

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
async fn a_value_of_the_wrong_type_is_named() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let memory = format!("{MEMORIES}/0192d3a0-0000-7000-8000-000000000001");
    let (count, recall) = ("/v1/entities/mira/count", "/v1/entities/mira/recall");
    let ids = format!("{MEMORIES}/get");
    for (method, path, body, says) in [
        (
            "PATCH",
            &*memory,
            r#"{"metadata":{"n":["secret"]}}"#,
            "`metadata`: the value of \"n\" is an array",
        ),
        (
            "PATCH",
            &*memory,
            r#"{"metadata":{"n":"1","n":"secret"}}"#,
            "`metadata`: the key \"n\" is repeated",
        ),
        (
            "PATCH",
            &*memory,
            r#"{"entities":{"tam":"a","tam":"secret"}}"#,
            "`entities`: the key \"tam\" is repeated",
        ),
        (
            "PATCH",
            &*memory,
            r#"{"entities":{"tam":1}}"#,
            "`entities`: the value of \"tam\" is a number; it must be a string",
        ),
        ("PATCH", &*memory, r#"{"kind":"secret"}"#, "`kind` is"),
        (
            "PATCH",
            &*memory,
            r#"{"timestamp":"secret"}"#,
            "`timestamp` is",
        ),
        (
            "POST",
            count,
            r#"{"metadata":{"n":"1","n":"2"}}"#,
            "`metadata`: the key \"n\" is repeated",
        ),
        (
            "POST",
            count,
            r#"{"kinds":["world","secret"]}"#,
            "`kinds[1]` is",
        ),
        ("POST", count, r#"{"tag_mode":"secret"}"#, "`tag_mode` is"),
        (
            "POST",
            recall,
            r#"{"text":"x","filter":{"metadata":{"n":null}}}"#,
            "`filter.metadata`: the value of \"n\" is null",
        ),
        (
            "POST",
            recall,
            r#"{"text":"x","limit":null}"#,
            "`limit` is of the wrong type",
        ),
        ("POST", &*ids, r#"{"ids":["secret"]}"#, "`ids[0]` is"),
        ("POST", count, r#"{} {}"#, "trailing characters"),
    ] {
        let refused = server.send(method, path, body).await;
        let detail = refused.problem(400, "invalid_input");
        assert!(detail.contains(says), "{path} {body}: {detail}");
        assert!(!detail.contains("secret"), "{path}: {detail}");
    }
}

#[tokio::test]
async fn metadata_of_numbers_is_their_text_in_every_body() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let new = r#"{"content":"Rain.","metadata":{"n":1.50}}"#;
    let created = server.post(MEMORIES, new).await;
    let id = created.ok(201)["id"].as_str().expect("an id").to_owned();
    let path = format!("{MEMORIES}/{id}");
    let count = |body: &'static str| server.post("/v1/entities/mira/count", body);
    let counted = count(r#"{"metadata":{"n":1.50}}"#).await;
    assert_eq!(counted.ok(200)["count"], 1);
    let patch = r#"{"metadata":{"n":2.50,"yes":true},"tags":null}"#;
    let patched = server.send("PATCH", &path, patch).await;
    let expected = serde_json::json!({"n": "2.50", "yes": "true"});
    assert_eq!(patched.ok(200)["metadata"], expected);
    let counted = count(r#"{"metadata":{"n":1.50}}"#).await;
    assert_eq!(counted.ok(200)["count"], 0);
}

#[tokio::test]
async fn a_long_unknown_key_is_cut_off() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let key = format!("{}`, expected ", "k".repeat(100_000));
    for path in [
        "/v1/entities/mira/count",
        "/v1/entities/mira/recall",
        MEMORIES,
    ] {
        let refused = server.post(path, &format!(r#"{{"{key}":1}}"#)).await;
        let detail = refused.problem(400, "invalid_input");
        assert!(detail.contains(&"k".repeat(40)), "{detail:.1000}");
        assert!(detail.len() < 1_000, "{path}: {} bytes", detail.len());
    }
    let refused = server
        .post("/v1/entities/mira/count", r#"{"knids":1}"#)
        .await;
    let detail = refused.problem(400, "invalid_input");
    assert!(
        detail.contains("unknown field `knids`, expected"),
        "{detail}"
    );
    assert!(detail.contains("`kinds`"), "{detail}");
}

#[tokio::test]
async fn a_request_beyond_its_time_says_whether_it_may_have_written() {
    // A model that never answers.
    let model = FailingEmbedder::waiting();
    let dimensions = model.profile().dimensions;
    let time = Duration::from_millis(300);
    let server =
        TestServer::start_with(model, |_| ServerOptions::new().request_timeout(time)).await;
    let write = server.post(MEMORIES, r#"{"content":"Rain."}"#).await;
    let vector = vec![1.0; dimensions];
    let stored = serde_json::json!({"content": "Snow.", "embedding": vector}).to_string();
    server.post(MEMORIES, &stored).await.ok(201);
    let read = server
        .post("/v1/entities/mira/recall", r#"{"text":"Rain?"}"#)
        .await;
    let batch = r#"{"memories":[{"content":"Rain."}]}"#;
    let batch = server.post(&format!("{MEMORIES}/batch"), batch).await;
    let reembed = "/v1/entities/mira/reembed";
    let all_vectors = server.post(reembed, r#"{"force":true}"#).await;
    let keyed = server.request("POST", MEMORIES);
    let keyed = keyed.header("Idempotency-Key", "a");
    let keyed = keyed.body(r#"{"content":"Rain."}"#).send().await;
    let keyed = Answer::of(keyed.expect("it answers")).await;
    let id = "0192d3a0-0000-7000-8000-000000000001";
    let named = format!(r#"{{"memories":[{{"content":"Rain.","id":"{id}"}}]}}"#);
    let named = server.post(&format!("{MEMORIES}/batch"), &named).await;
    for (late, says) in [
        (&write, ["may have been stored", "Idempotency-Key"]),
        (&keyed, ["may have been stored", "the same id"]),
        (&read, ["nothing was written", "ask for less"]),
        (&batch, ["fewer items", "/import"]),
        (&named, ["the same ids", "/import"]),
        (
            &all_vectors,
            ["begins from the start", "memory reembed --force"],
        ),
    ] {
        let detail = late.problem(503, "timeout");
        for says in says {
            assert!(detail.contains(says), "{detail}");
        }
    }
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":
        {"name":"retain","arguments":{"entity":"mira","content":"Rain."}}}"#;
    let call = server
        .request("POST", "/mcp")
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .body(call);
    let late = Answer::of(call.send().await.expect("it answers")).await;
    let detail = late.problem(503, "timeout");
    assert!(detail.contains("list or recall before"), "{detail}");
    // A client that sends the same request again must not store a memory twice.
    for (late, is_repeatable) in [
        (&write, false),
        (&keyed, true),
        (&read, true),
        (&batch, false),
        (&named, true),
        (&all_vectors, false),
    ] {
        assert_eq!(late.body["retryable"], is_repeatable, "{late:?}");
        let retry_after = is_repeatable.then_some("1");
        assert_eq!(late.header("retry-after"), retry_after, "{late:?}");
    }
    // Nor was anything written by one whose body did not arrive.
    let mut connection = TcpStream::connect(server.address())
        .await
        .expect("it listens");
    let head =
        format!("POST {MEMORIES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{{");
    connection
        .write_all(head.as_bytes())
        .await
        .expect("it is sent");
    let mut answer = [0; 2_000];
    let read = connection.read(&mut answer).await.expect("it answers");
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.contains("nothing was written"), "{answer}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let taken = server.address();
    let refused = Server::bind(taken, server.memory.clone(), ServerOptions::new()).await;
    let error = refused.expect_err("it is taken");
    assert!(error.source().is_none(), "its text would be there twice");
    let error = error.to_string();
    let start = format!("the server cannot listen on {taken}: ");
    assert!(error.starts_with(&start), "{error}");
    assert!(error.contains("choose another port"), "{error}");
}

#[tokio::test]
async fn a_batch_has_at_most_a_thousand_items() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let memories = |count: usize| vec![serde_json::json!({"content": "Rain."}); count];
    let batch = |count| serde_json::json!({"memories": memories(count)}).to_string();
    let path = format!("{MEMORIES}/batch");
    let refused = server.post(&path, &batch(1_001)).await;
    let detail = refused.problem(400, "invalid_input");
    for says in ["1001", "1000", "/import"] {
        assert!(detail.contains(says), "{detail}");
    }
    assert_eq!(refused.body["retryable"], false);
    let stored = server.post(&path, &batch(1_000)).await;
    assert_eq!(stored.ok(201)["ids"].as_array().map(Vec::len), Some(1_000));

    let id = "0192d3a0-0000-7000-8000-000000000001";
    for (path, key, item) in [
        ("/v1/entities/mira/memories/get", "ids", id),
        ("/v1/embeddings", "texts", "Rain."),
    ] {
        let body = serde_json::json!({key: vec![item; 1_001]}).to_string();
        let refused = server.post(path, &body).await;
        let detail = refused.problem(400, "invalid_input");
        assert!(
            detail.contains("1001") && detail.contains("1000"),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn what_a_new_memory_cannot_have_is_refused() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let path = format!("{MEMORIES}/batch");
    for (key, value) in [
        ("decay_rate", "0.5"),
        ("access_count", "3"),
        ("last_accessed", "\"2026-03-01T09:30:00Z\""),
        ("archived_by", "\"0192d3a0-0000-7000-8000-000000000001\""),
    ] {
        let memory = format!(r#"{{"content":"Rain.","{key}":{value}}}"#);
        let batch = format!(r#"{{"memories":[{{"content":"Snow."}},{memory}]}}"#);
        for (path, body) in [(MEMORIES, &memory), (&path, &batch)] {
            let refused = server.post(path, body).await;
            let detail = refused.problem(400, "invalid_input");
            assert!(detail.contains(&format!("`{key}`")), "{detail}");
            assert!(detail.contains("/import"), "{detail}");
        }
    }
    // What an export writes of a memory that is new.
    let plain = r#"{"content":"Rain.","access_count":0,"last_accessed":null}"#;
    server.post(MEMORIES, plain).await.ok(201);
    let stats = server.get("/v1/entities/mira/stats").await;
    assert_eq!(stats.ok(200)["memories"], 1);
}
