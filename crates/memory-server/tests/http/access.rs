//! Tokens: none, wrong, of another entity, read-only, removed.

use std::fs;
use std::time::Duration;

use memory::{MemoryKind, MemorySystem};
use memory_server::{Access, Server, ServerError, ServerOptions, TokenScope, Tokens};
use memory_testkit::HashEmbedder;

use crate::harness::{Answer, TestServer};

/// What a request sends to learn something, although its method is `POST`.
const QUESTIONS: [&str; 4] = ["/recall", "/reflect", "/count", "/memories/get"];

/// What is served to everyone.
const WITHOUT_TOKEN: [&str; 2] = ["/health/live", "/health/ready"];

/// What tells something of all entities.
const WHOLE_PROCESS: [&str; 3] = ["/v1/caches", "/v1/embeddings", "/metrics"];

/// An operation of the OpenAPI document.
struct Endpoint {
    method: String,
    /// With `{entity}` where the entity is, and valid ids in place of those of memories.
    path: String,
}

impl Endpoint {
    /// Every operation, so that none can be left out.
    async fn all(server: &TestServer) -> Vec<Self> {
        let document = server.get("/openapi.json").await;
        let paths = document.ok(200)["paths"].as_object().expect("paths");
        let operations = paths.iter().flat_map(|(path, item)| {
            let path = path
                .replace("{id}", "0192d3a0-0000-7000-8000-000000000001")
                .replace("{to}", "0192d3a0-0000-7000-8000-000000000002");
            let unknown = path.replace("{entity}", "");
            assert!(!unknown.contains('{'), "no value for {unknown}");
            let methods = item.as_object().expect("operations").keys();
            methods.map(move |method| Self {
                method: method.to_uppercase(),
                path: path.clone(),
            })
        });
        operations.collect()
    }

    fn is_of_entity(&self) -> bool {
        self.path.contains("{entity}")
    }

    /// Whether a token that may only read must be refused: everything that is not known
    /// to change nothing.
    fn writes(&self) -> bool {
        let asks = QUESTIONS.iter().any(|it| self.path.ends_with(it));
        self.method != "GET" && !asks
    }

    /// Sends it for an entity, without a body: who asks is checked first.
    async fn send(&self, server: &TestServer, entity: &str) -> Answer {
        let path = self.path.replace("{entity}", entity);
        server.send(&self.method, &path, "").await
    }
}

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
        for scope in [
            scope("npc-", Access::Write),
            scope("npc-", Access::Read),
            scope("", Access::Read),
        ] {
            made.push(Tokens::create(&path, scope).expect("a token").token);
        }
        ServerOptions::new().tokens(Tokens::open(path).expect("the file"))
    })
    .await;
    // One of the entities exists, the other does not: the answers are the same.
    for entity in ["user-1", "npc-1"] {
        let retained = server.memory.retain(entity, MemoryKind::World, "A secret.");
        retained.await.expect("it is retained");
    }
    let endpoints = Endpoint::all(&server).await;
    let of_entities = endpoints.iter().filter(|it| it.is_of_entity());
    assert!(of_entities.count() >= 17, "the document has them all");
    for endpoint in &endpoints {
        let name = format!("{} {}", endpoint.method, endpoint.path);
        if WITHOUT_TOKEN.contains(&endpoint.path.as_str()) {
            continue;
        }
        for wrong in [None, Some("mem_x_y"), Some(&made[0][..20])] {
            server.set_token(wrong);
            for entity in ["npc-1", "user-1", "user-2"] {
                let refused = endpoint.send(&server, entity).await;
                refused.problem(401, "unauthorized");
                assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
            }
        }
        if !endpoint.is_of_entity() {
            // Which entities are held, and how often each is asked for, is not for a token
            // of some entities.
            server.set_token(made[0].as_str());
            let some = endpoint.send(&server, "").await;
            let is_of_process = WHOLE_PROCESS.contains(&endpoint.path.as_str());
            assert_eq!(some.status == 403, is_of_process, "{name}: {some:?}");
            continue;
        }
        server.set_token(made[0].as_str());
        let existing = endpoint.send(&server, "user-1").await;
        existing.problem(403, "forbidden");
        let missing = endpoint.send(&server, "user-2").await;
        assert_eq!(
            (existing.status, existing.headers_but_date(), existing.body),
            (missing.status, missing.headers_but_date(), missing.body),
            "{name}"
        );
        let allowed = endpoint.send(&server, "npc-1").await;
        assert!(![401, 403].contains(&allowed.status), "{name}: {allowed:?}");
        server.set_token(made[1].as_str());
        let read_only = endpoint.send(&server, "npc-1").await;
        assert_eq!(
            read_only.status == 403,
            endpoint.writes(),
            "{name}: {read_only:?}"
        );
        if endpoint.method == "GET" {
            let head = server
                .send("HEAD", &endpoint.path.replace("{entity}", "user-1"), "")
                .await;
            assert_eq!(head.status, 403, "HEAD {}", endpoint.path);
        }
    }
    server.set_token(made[2].as_str());
    server.get("/v1/caches").await.ok(200);
    server.get("/metrics").await.problem(404, "no_metrics");
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
    // Names of schemes have no case.
    server.set_token(None);
    for (scheme, status) in [("bearer", 200), ("BEARER ", 200), ("Basic", 401), ("", 401)] {
        let request = server.request("GET", "/v1/entities");
        let request = request.header("authorization", format!("{scheme} {token}"));
        let sent = request.send().await.expect("it answers");
        assert_eq!(sent.status().as_u16(), status, "{scheme}");
    }
    server.set_token(token.as_str());
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
