//! Tokens: none, wrong, of another entity, read-only, removed.

use std::fs;
use std::time::Duration;

use memory::{MemoryKind, MemorySystem};
use memory_server::{Access, Server, ServerError, ServerOptions, TokenScope, Tokens};
use memory_testkit::HashEmbedder;

use crate::harness::TestServer;

/// Every endpoint under an entity: method, path, body, and whether it writes.
const ENDPOINTS: [(&str, &str, &str, bool); 17] = [
    ("POST", "memories", r#"{"content":"Rain."}"#, true),
    ("POST", "memories/batch", r#"{"memories":[]}"#, true),
    ("GET", "memories", "", false),
    (
        "GET",
        "memories/0192d3a0-0000-7000-8000-000000000001",
        "",
        false,
    ),
    (
        "PATCH",
        "memories/0192d3a0-0000-7000-8000-000000000001",
        "{}",
        true,
    ),
    (
        "DELETE",
        "memories/0192d3a0-0000-7000-8000-000000000001",
        "",
        true,
    ),
    (
        "GET",
        "memories/0192d3a0-0000-7000-8000-000000000001/related",
        "",
        false,
    ),
    (
        "PUT",
        "memories/0192d3a0-0000-7000-8000-000000000001/related/0192d3a0-0000-7000-8000-000000000002",
        r#"{"relation":"x"}"#,
        true,
    ),
    (
        "DELETE",
        "memories/0192d3a0-0000-7000-8000-000000000001/related/0192d3a0-0000-7000-8000-000000000002",
        "",
        true,
    ),
    (
        "POST",
        "memories/0192d3a0-0000-7000-8000-000000000001/undo",
        "",
        true,
    ),
    ("POST", "recall", r#"{"text":"rain"}"#, false),
    ("POST", "reflect", r#"{"recall":{"text":"rain"}}"#, false),
    ("POST", "count", "", false),
    ("POST", "consolidate", "", true),
    ("POST", "prune", r#"{"keep":1}"#, true),
    ("POST", "reembed", "", true),
    ("GET", "stats", "", false),
];

fn scope(entities: &str, access: Access) -> TokenScope {
    TokenScope {
        entities: entities.to_owned(),
        access,
    }
}

#[tokio::test]
async fn every_endpoint_checks_the_token() {
    let mut made = Vec::new();
    let mut server = TestServer::start(|folder| {
        let path = folder.path().join("tokens");
        for scope in [scope("npc-", Access::Write), scope("npc-", Access::Read)] {
            made.push(Tokens::create(&path, scope).expect("a token").token);
        }
        ServerOptions::new().tokens(Tokens::open(path).expect("the file"))
    })
    .await;
    // One of the entities exists, the other does not: the answers are the same.
    let retained = server
        .memory
        .retain("user-1", MemoryKind::World, "A secret.")
        .await;
    retained.expect("it is retained");
    for (method, path, body, writes) in ENDPOINTS {
        let at = |entity: &str| format!("/v1/entities/{entity}/{path}");
        for wrong in [None, Some("mem_x_y"), Some(&made[0][..20])] {
            server.set_token(wrong);
            let refused = server.send(method, &at("npc-1"), body).await;
            refused.problem(401, "unauthorized");
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        }
        server.set_token(made[0].as_str());
        let existing = server.send(method, &at("user-1"), body).await;
        existing.problem(403, "forbidden");
        let missing = server.send(method, &at("user-2"), body).await;
        assert_eq!(
            (existing.status, existing.body),
            (missing.status, missing.body),
            "{path}"
        );
        let allowed = server.send(method, &at("npc-1"), body).await;
        assert!(![401, 403].contains(&allowed.status), "{path}: {allowed:?}");
        server.set_token(made[1].as_str());
        let read_only = server.send(method, &at("npc-1"), body).await;
        assert_eq!(
            read_only.status == 403,
            writes,
            "{method} {path}: {read_only:?}"
        );
    }
    // None is left out: the document has these, and five that concern no entity.
    let document = server.get("/openapi.json").await;
    let paths = document.ok(200)["paths"].as_object().expect("paths");
    let operations = paths
        .values()
        .map(|it| it.as_object().map_or(0, serde_json::Map::len));
    assert_eq!(operations.sum::<usize>(), ENDPOINTS.len() + 5);
    // A token lists the entities that it covers.
    server.set_token(made[1].as_str());
    let listed = server.get("/v1/entities").await;
    assert_eq!(listed.ok(200)["entities"], serde_json::json!(["npc-1"]));
}

#[tokio::test]
async fn a_removed_token_is_refused_without_a_restart() {
    let mut token = String::new();
    let mut server = TestServer::start(|folder| {
        let path = folder.path().join("tokens");
        token = Tokens::create(&path, scope("", Access::Write))
            .expect("a token")
            .token;
        ServerOptions::new().tokens(Tokens::open(path).expect("the file"))
    })
    .await;
    server.set_token(token.as_str());
    server.get("/v1/entities").await.ok(200);
    fs::write(server.folder.path().join("tokens"), "").expect("the file is replaced");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    server
        .get("/v1/entities")
        .await
        .problem(401, "unauthorized");
    server.get("/health/live").await.ok(204);
}

#[tokio::test]
async fn off_loopback_tokens_are_required() {
    let memory = MemorySystem::builder()
        .url("sqlite::memory:")
        .embedder(HashEmbedder::new());
    let memory = memory.build().await.expect("a database");
    let everywhere = "0.0.0.0:0".parse().expect("an address");
    let refused = Server::bind(everywhere, memory, ServerOptions::new()).await;
    let error = refused.expect_err("no tokens");
    assert!(matches!(error, ServerError::TokensRequired(_)), "{error}");
    assert!(error.to_string().contains("bind to 127.0.0.1"), "{error}");
}
