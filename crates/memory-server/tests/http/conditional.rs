//! Entity tags: unchanged answers, and writes to the state that a client has seen.

use std::sync::Arc;
use std::time::Duration;

use memory::embed::Embedder;
use memory::{Consistency, MemoryConfig};
use memory_server::ServerOptions;
use memory_testkit::HashEmbedder;
use serde_json::json;

use crate::harness::{Answer, TestServer};
use crate::health::FailingEmbedder;

const MIRA: &str = "/v1/entities/mira";
const MEMORIES: &str = "/v1/entities/mira/memories";
const MISSING: &str = "/v1/entities/mira/memories/0192d3a0-0000-7000-8000-000000000001";

async fn server() -> TestServer {
    TestServer::start(|_| ServerOptions::new()).await
}

/// Retains a memory and returns its path.
async fn retain(server: &TestServer, content: &str) -> String {
    let body = json!({ "content": content }).to_string();
    let retained = server.post(MEMORIES, &body).await;
    let id = retained.ok(201)["id"].as_str().expect("an id");
    format!("{MEMORIES}/{id}")
}

/// Sends a request with one more header.
async fn with(
    server: &TestServer,
    (name, value): (&str, &str),
    method: &str,
    path: &str,
    body: &str,
) -> Answer {
    let request = server.request(method, path).header(name, value);
    let sent = request.body(body.to_owned()).send().await;
    Answer::of(sent.expect("it answers")).await
}

async fn tag(server: &TestServer) -> String {
    let stats = server.get(&format!("{MIRA}/stats")).await;
    let tag = stats.header("etag");
    tag.expect("a tag").to_owned()
}

#[tokio::test]
async fn reads_are_unchanged_until_the_entity_is_written_to() {
    let server = server().await;
    let memory = retain(&server, "It rained.").await;
    let reads = [
        MEMORIES.to_owned(),
        memory.clone(),
        format!("{memory}/related"),
        format!("{MIRA}/stats"),
        format!("{MIRA}/export"),
    ];
    let first = tag(&server).await;
    for path in &reads {
        let read = server.get(path).await;
        assert_eq!((read.status, read.header("etag")), (200, Some(&*first)));
        for known in [&*first, "*", &*format!("\"0\", {first}")] {
            let again = with(&server, ("if-none-match", known), "GET", path, "").await;
            assert_eq!(again.status, 304, "{path} {known}");
            assert_eq!(again.header("etag"), Some(&*first));
        }
        let other = with(&server, ("if-match", "\"0\""), "GET", path, "").await;
        other.problem(412, "precondition_failed");
        for (name, malformed) in [("if-match", "\"0\", *"), ("if-none-match", "0")] {
            let refused = with(&server, (name, malformed), "GET", path, "").await;
            let detail = refused.problem(400, "invalid_input");
            assert!(detail.starts_with(name), "{detail}");
        }
    }
    retain(&server, "It snowed.").await;
    for path in &reads {
        let changed = with(&server, ("if-none-match", &first), "GET", path, "").await;
        assert_eq!(changed.status, 200, "{path}");
    }
    // The tag is that of the entity; what does not exist is not unchanged.
    let current = tag(&server).await;
    for path in [MISSING.to_owned(), format!("{MISSING}/related")] {
        for known in [&*current, "*", "\"0\""] {
            for name in ["if-none-match", "if-match"] {
                let missing = with(&server, (name, known), "GET", &path, "").await;
                missing.problem(404, "not_found");
            }
        }
    }
}

#[tokio::test]
async fn a_write_with_the_tag_of_an_older_state_is_refused() {
    let server = server().await;
    let memory = retain(&server, "It rained.").await;
    let other = retain(&server, "It snowed.").await;
    let stale = tag(&server).await;
    let id = other.rsplit('/').next().expect("an id");
    let link = format!("{memory}/related/{id}");
    let update = r#"{"importance":0.9}"#;
    server.send("PATCH", &memory, update).await.ok(200);

    let relation = r#"{"relation":"before"}"#;
    let writes = [
        ("PATCH", memory.clone(), update),
        ("DELETE", memory.clone(), ""),
        ("PUT", link.clone(), relation),
        ("DELETE", link.clone(), ""),
        ("POST", format!("{memory}/undo"), ""),
    ];
    let before = server.get(&format!("{MIRA}/export")).await;
    let current = tag(&server).await;
    for (method, path, body) in &writes {
        for tag in [&*stale, "\"x\"", ""] {
            let refused = with(&server, ("if-match", tag), method, path, body).await;
            let detail = refused.problem(412, "precondition_failed");
            assert!(detail.contains(&current), "{detail}");
            assert_eq!(refused.header("etag"), Some(&*current), "{method} {path}");
        }
        let malformed = with(&server, ("if-match", "x"), method, path, body).await;
        malformed.problem(400, "invalid_input");
        // It would be ignored, so it is refused.
        let refused = with(&server, ("if-none-match", "*"), method, path, body).await;
        let detail = refused.problem(400, "invalid_input");
        assert!(detail.contains("If-Match"), "{detail}");
        // What does not exist is 404 without a precondition, and so it is with one.
        let missing = path.replace(&memory, MISSING);
        for tag in [&*stale, &*current, "*"] {
            let answer = with(&server, ("if-match", tag), method, &missing, body).await;
            answer.problem(404, "not_found");
        }
    }
    assert_eq!(
        server.get(&format!("{MIRA}/export")).await.body,
        before.body
    );

    for (method, path, body, status, of_repeat) in [
        ("PUT", &link, relation, 204, (412, "precondition_failed")),
        ("DELETE", &link, "", 204, (412, "precondition_failed")),
        (
            "PATCH",
            &memory,
            r#"{"importance":0.1}"#,
            200,
            (412, "precondition_failed"),
        ),
        ("DELETE", &memory, "", 200, (404, "not_found")),
    ] {
        let current = tag(&server).await;
        let listed = format!("\"0\", {current}");
        let done = with(&server, ("if-match", &listed), method, path, body).await;
        done.ok(status);
        // A write changes the state.
        let again = with(&server, ("if-match", &current), method, path, body).await;
        again.problem(of_repeat.0, of_repeat.1);
    }
}

#[tokio::test]
async fn what_is_not_one_change_of_one_memory_has_no_precondition() {
    let server = server().await;
    let memory = retain(&server, "It rained.").await;
    let content = r#"{"content":"It hailed."}"#;
    let batch = format!(r#"{{"memories":[{content}]}}"#);
    let before = server.get(&format!("{MIRA}/export")).await;
    let current = tag(&server).await;
    for (method, path, body) in [
        ("POST", MEMORIES.to_owned(), content),
        ("POST", format!("{MEMORIES}/batch"), &batch),
        ("POST", format!("{MIRA}/import"), content),
        ("POST", format!("{MIRA}/consolidate"), ""),
        ("POST", format!("{MIRA}/prune"), r#"{"keep":0}"#),
        ("POST", format!("{MIRA}/reembed"), ""),
        ("DELETE", format!("{MIRA}/cache"), ""),
        ("DELETE", format!("{memory}/cache"), ""),
        (
            "POST",
            "/v1/embeddings".to_owned(),
            r#"{"texts":["It hailed."]}"#,
        ),
    ] {
        for (name, tag) in [
            ("if-match", &*current),
            ("if-match", "*"),
            ("if-none-match", "*"),
        ] {
            let refused = with(&server, (name, tag), method, &path, body).await;
            let detail = refused.problem(400, "invalid_input").to_lowercase();
            assert!(detail.contains(name), "{path}: {detail}");
        }
    }
    assert_eq!(
        server.get(&format!("{MIRA}/export")).await.body,
        before.body
    );
}

#[tokio::test]
async fn of_writes_with_the_same_tag_at_once_one_is_made() {
    let server = server().await;
    let memory = retain(&server, "It rained.").await;
    let tag = tag(&server).await;
    let writes = (0..20).map(|number| {
        let body = format!(r#"{{"context":"writer {number}"}}"#);
        let (server, memory, tag) = (&server, &memory, &tag);
        async move { with(server, ("if-match", tag), "PATCH", memory, &body).await }
    });
    let answers = futures_util::future::join_all(writes).await;
    let made: Vec<_> = answers.iter().filter(|it| it.status == 200).collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|it| [200, 412].contains(&it.status)));
    let read = server.get(&memory).await;
    assert_eq!(read.ok(200)["context"], made[0].body["context"]);
}

#[tokio::test]
async fn a_conditional_write_beyond_its_time_does_not_keep_others_waiting() {
    // A model that never answers: a new content waits for it, while the entity is locked.
    let model = FailingEmbedder::waiting();
    let model_dimensions = model.profile().dimensions;
    let time = Duration::from_millis(500);
    let server =
        TestServer::start_with(model, |_| ServerOptions::new().request_timeout(time)).await;
    let vector = vec![1.0; model_dimensions];
    let body = json!({"content": "It rained.", "embedding": vector}).to_string();
    let retained = server.post(MEMORIES, &body).await;
    let id = retained.ok(201)["id"].as_str().expect("an id").to_owned();
    let memory = format!("{MEMORIES}/{id}");
    let current = tag(&server).await;
    let change = |body| with(&server, ("if-match", &current), "PATCH", &memory, body);
    let late = change(r#"{"content":"It snowed."}"#).await;
    let detail = late.problem(503, "timeout");
    assert!(detail.contains("read and compare"), "{detail}");
    change(r#"{"importance":0.9}"#).await.ok(200);
}

#[tokio::test]
async fn answers_that_may_be_older_than_the_store_have_no_tag() {
    let second = Duration::from_secs(1);
    for consistency in [Consistency::Local, Consistency::Bounded(second)] {
        let config = MemoryConfig {
            consistency: Some(consistency),
            ..MemoryConfig::default()
        };
        let model = Arc::new(HashEmbedder::new());
        let server = TestServer::start_configured(model, config, |_| ServerOptions::new()).await;
        let memory = retain(&server, "It rained.").await;
        for path in [
            MEMORIES.to_owned(),
            memory.clone(),
            format!("{memory}/related"),
            format!("{MIRA}/stats"),
            format!("{MIRA}/export"),
        ] {
            let read = with(&server, ("if-none-match", "*"), "GET", &path, "").await;
            assert_eq!((read.status, read.header("etag")), (200, None), "{path}");
            let refused = with(&server, ("if-match", "*"), "GET", &path, "").await;
            let detail = refused.problem(400, "invalid_input");
            assert!(detail.contains("`consistency`"), "{detail}");
        }
        let update = r#"{"importance":0.9}"#;
        let refused = with(&server, ("if-match", "*"), "PATCH", &memory, update).await;
        let detail = refused.problem(400, "invalid_input");
        assert!(detail.contains("`consistency`"), "{detail}");
        server.send("PATCH", &memory, update).await.ok(200);
    }
}
