//! Entity tags: unchanged answers, and writes to the state that a client has seen.

use memory_server::ServerOptions;
use serde_json::json;

use crate::harness::{Answer, TestServer};

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
        for known in [&*first, "*", "\"0\", *"] {
            let again = with(&server, ("if-none-match", known), "GET", path, "").await;
            assert_eq!(again.status, 304, "{path} {known}");
            assert_eq!(again.header("etag"), Some(&*first));
        }
        let other = with(&server, ("if-match", "\"0\""), "GET", path, "").await;
        other.problem(412, "precondition_failed");
    }
    retain(&server, "It snowed.").await;
    for path in &reads {
        let changed = with(&server, ("if-none-match", &first), "GET", path, "").await;
        assert_eq!(changed.status, 200, "{path}");
    }
    // The tag is that of the entity; what does not exist is not unchanged.
    let current = tag(&server).await;
    for path in [MISSING.to_owned(), format!("{MISSING}/related")] {
        for known in [&*current, "*"] {
            let missing = with(&server, ("if-none-match", known), "GET", &path, "").await;
            missing.problem(404, "not_found");
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
    let content = r#"{"content":"It hailed."}"#;
    let batch = format!(r#"{{"memories":[{content}]}}"#);
    let writes = [
        ("PATCH", memory.clone(), update),
        ("DELETE", memory.clone(), ""),
        ("PUT", link.clone(), relation),
        ("DELETE", link.clone(), ""),
        ("POST", MEMORIES.to_owned(), content),
        ("POST", format!("{MEMORIES}/batch"), &batch),
        ("POST", format!("{MIRA}/import"), content),
        ("POST", format!("{memory}/undo"), ""),
        ("POST", format!("{MIRA}/consolidate"), ""),
        ("POST", format!("{MIRA}/prune"), r#"{"keep":0}"#),
        ("POST", format!("{MIRA}/reembed"), ""),
        ("DELETE", format!("{MIRA}/cache"), ""),
        ("DELETE", format!("{memory}/cache"), ""),
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
        // It would be ignored, so it is refused.
        let refused = with(&server, ("if-none-match", "*"), method, path, body).await;
        let detail = refused.problem(400, "invalid_input");
        assert!(detail.contains("If-Match"), "{detail}");
    }
    assert_eq!(
        server.get(&format!("{MIRA}/export")).await.body,
        before.body
    );

    for (method, path, body, status) in [
        ("PUT", &link, relation, 204),
        ("DELETE", &link, "", 204),
        ("PATCH", &memory, r#"{"importance":0.1}"#, 200),
        ("DELETE", &memory, "", 200),
    ] {
        let current = tag(&server).await;
        let listed = format!("\"0\", {current}");
        let done = with(&server, ("if-match", &listed), method, path, body).await;
        done.ok(status);
        // A write changes the state.
        let again = with(&server, ("if-match", &current), method, path, body).await;
        again.problem(412, "precondition_failed");
    }
    let missing = with(&server, ("if-match", "*"), "DELETE", MISSING, "").await;
    missing.problem(404, "not_found");
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
