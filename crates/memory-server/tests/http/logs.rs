//! What the server logs, at every level: no content, no token, no name of an entity.

use std::fs;

use memory_server::{Access, ServerOptions, TokenScope, Tokens};
use memory_testkit::TraceLog;

use crate::harness::TestServer;

const ENTITY: &str = "/v1/entities/zebra";
const ID: &str = "0192d3a0-0000-7000-8000-000000000001";
const OTHER: &str = "0192d3a0-0000-7000-8000-000000000002";

/// What no log may have: contents, questions, keys, names of entities.
const SECRETS: [&str; 4] = ["walrus", "zebra", "giraffe", "narwhal"];

/// The crates of this test's client, and the library of MCP, which logs whole messages at
/// the level TRACE: docs/mcp.md says so.
const NOT_THE_SERVER: [&str; 3] = ["reqwest", "hyper_util::client", "rmcp"];

/// Every operation, some of them refused, with secrets in paths, queries and bodies.
fn requests() -> Vec<(&'static str, String, String)> {
    let mut requests = Vec::new();
    let mut add = |method, path: &str, body: &str| {
        requests.push((method, format!("{ENTITY}{path}"), body.to_owned()));
    };
    let walrus = r#"{"content":"The walrus sang."}"#;
    let memory = format!("/memories/{ID}");
    add(
        "POST",
        "/memories",
        &format!(r#"{{"id":"{ID}","content":"The walrus sang."}}"#),
    );
    add(
        "POST",
        "/memories",
        &format!(r#"{{"id":"{ID}","content":"Another walrus."}}"#),
    );
    add(
        "POST",
        "/memories",
        r#"{"content":"walrus","kind":"walrus"}"#,
    );
    add("POST", "/memories", r#"{"content":"walrus","walrus":1}"#);
    add("POST", "/memories", r#"{"content":"walrus"#);
    add(
        "POST",
        "/memories/batch",
        &format!(r#"{{"memories":[{walrus},{walrus}]}}"#),
    );
    add(
        "POST",
        "/memories/get",
        &format!(r#"{{"ids":["{ID}","walrus"]}}"#),
    );
    add("GET", "/memories?tag=walrus&involves=giraffe", "");
    add("GET", "/memories?walrus=1", "");
    add("GET", "/memories/walrus", "");
    add("GET", &memory, "");
    add("PATCH", &memory, r#"{"context":"a walrus choir"}"#);
    add("GET", &format!("{memory}/related"), "");
    add(
        "PUT",
        &format!("{memory}/related/{OTHER}"),
        r#"{"relation":"walrus"}"#,
    );
    add("DELETE", &format!("{memory}/related/{OTHER}"), "");
    add("POST", &format!("{memory}/undo"), "");
    add(
        "POST",
        "/recall",
        r#"{"text":"Which walrus?","explain":true}"#,
    );
    add("POST", "/reflect", r#"{"recall":{"text":"Which walrus?"}}"#);
    add("POST", "/count", r#"{"involves":"giraffe"}"#);
    add("POST", "/consolidate", "");
    add("POST", "/prune", r#"{"keep":100}"#);
    add("POST", "/reembed", r#"{"force":true}"#);
    add("GET", "/stats", "");
    add("GET", "/models", "");
    add("GET", "/export", "");
    add(
        "POST",
        "/import",
        &format!("{walrus}\n{{\"walrus\":1}}\nwalrus\n"),
    );
    add("DELETE", "/cache", "");
    add("DELETE", &format!("{memory}/cache"), "");
    add("DELETE", &memory, "");
    add("GET", "/walrus", "");
    for (method, path, body) in [
        ("GET", "/v1/entities?after=giraffe", ""),
        ("GET", "/v1/caches", ""),
        ("POST", "/v1/embeddings", r#"{"texts":["A walrus."]}"#),
        ("GET", "/health/live", ""),
        ("GET", "/health/ready", ""),
        ("GET", "/metrics", ""),
        ("GET", "/openapi.json", ""),
        ("GET", "/", ""),
    ] {
        requests.push((method, path.to_owned(), body.to_owned()));
    }
    for (tool, arguments) in [
        ("retain", r#""content":"A walrus.""#),
        ("recall", r#""text":"A walrus?""#),
        ("walrus", ""),
    ] {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":
               {{"name":"{tool}","arguments":{{"entity":"zebra"{}{arguments}}}}}}}"#,
            if arguments.is_empty() { "" } else { "," },
        );
        requests.push(("POST", "/mcp".to_owned(), message));
    }
    requests
}

#[tokio::test]
async fn nothing_that_a_client_sends_is_logged() {
    let log = TraceLog::install().expect("the only one");
    let mut token = String::new();
    let mut server = TestServer::start(|folder| {
        let path = folder.path().join("tokens");
        let scope = TokenScope {
            entities: String::new(),
            access: Access::Write,
        };
        token = Tokens::create(&path, scope).expect("a token").token;
        ServerOptions::new().tokens(Tokens::open(path).expect("the file"))
    })
    .await;
    let start = log.end();
    for wrong in [None, Some("mem_x_narwhal"), Some(&*token)] {
        server.set_token(wrong);
        for (method, path, body) in requests() {
            let is_mcp = path == "/mcp";
            let request = server
                .request(method, &path)
                .header("accept", "application/json, text/event-stream")
                .header("idempotency-key", "narwhal");
            let request = match is_mcp {
                true => request.header("content-type", "application/json"),
                false => request,
            };
            let sent = request.body(body).send().await.expect("it answers");
            assert!(sent.status().as_u16() < 500, "{method} {path}: {sent:?}");
            sent.bytes().await.expect("a whole body");
        }
    }
    // A file of tokens that cannot be read, and a system that is closed.
    fs::write(server.folder.path().join("tokens"), "narwhal\n").expect("it is written");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    server.get("/v1/entities").await;
    server.memory.close().await.expect("it closes");
    server.get("/health/ready").await.problem(503, "closed");

    let log = log.since(start);
    assert!(
        log.contains("no token is accepted"),
        "the server logs that the file of tokens cannot be read"
    );
    let (_, secret) = token.rsplit_once('_').expect("a secret");
    for line in log.lines() {
        let mut words = line.split(' ');
        let is_ours = !words.any(|word| NOT_THE_SERVER.iter().any(|it| word.starts_with(it)));
        for secret in SECRETS.into_iter().chain([secret]) {
            assert!(!is_ours || !line.contains(secret), "{line}");
        }
    }
}
