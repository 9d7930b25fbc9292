//! Rate limits for each token, and pages of allowed origins.

use std::num::NonZeroU32;

use memory::MemorySystem;
use memory_server::{Access, Server, ServerError, ServerOptions, TokenScope, Tokens};
use memory_testkit::HashEmbedder;

use crate::harness::{Answer, TestServer};

/// The headers that the endpoints and MCP read.
const HEADERS: [&str; 8] = [
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
];

const STATS: &str = "/v1/entities/mira/stats";

#[tokio::test]
async fn each_token_has_its_own_rate() {
    let mut made = Vec::new();
    let mut server = TestServer::start(|folder| {
        let path = folder.path().join("tokens");
        for _ in 0..2 {
            let scope = TokenScope {
                entities: String::new(),
                access: Access::Read,
            };
            made.push(Tokens::create(&path, scope).expect("a token").token);
        }
        let tokens = Tokens::open(path).expect("the file");
        let limit = NonZeroU32::new(2).expect("not zero");
        ServerOptions::new().tokens(tokens).rate_limit(limit)
    })
    .await;
    server.set_token(made[0].as_str());
    let mut refused = Vec::new();
    // 40 requests take far less than the 19 seconds that this rate allows them.
    for request in 0..40 {
        let path = if request % 2 == 0 {
            STATS
        } else {
            "/v1/entities"
        };
        let answer = server.get(path).await;
        match answer.status {
            200 => {}
            _ => refused.push(answer),
        }
    }
    let last = refused.last().expect("some were refused");
    let detail = last.problem(429, "rate_limited");
    assert!(detail.contains("2 requests per second"), "{detail}");
    assert_eq!(last.header("retry-after"), Some("1"));
    assert_eq!(last.body["retryable"], true);
    // The other token has requests left; what needs no token is not counted.
    server.set_token(made[1].as_str());
    server.get(STATS).await.ok(200);
    for _ in 0..10 {
        server.get("/health/live").await.ok(204);
    }
    server.set_token("mem_x_y");
    for _ in 0..10 {
        server.get(STATS).await.problem(401, "unauthorized");
    }
    // MCP counts as well.
    server.set_token(made[1].as_str());
    let mut limited = 0;
    for _ in 0..20 {
        let sent = server.request("POST", "/mcp").body("{}").send().await;
        limited += u32::from(sent.expect("it answers").status() == 429);
    }
    assert!(limited > 0);
}

async fn with_origin(server: &TestServer, method: &str, origin: &str) -> reqwest::Response {
    let mut request = server.request(method, "/v1/entities/mira/memories");
    request = request.header("origin", origin);
    request = match method {
        "OPTIONS" => request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", HEADERS.join(",")),
        _ => request
            .header("content-type", "application/json")
            .body(r#"{"content":"Rain."}"#),
    };
    request.send().await.expect("it answers")
}

fn allowed(response: &reqwest::Response) -> Option<&str> {
    let value = response.headers().get("access-control-allow-origin")?;
    value.to_str().ok()
}

#[tokio::test]
async fn pages_of_allowed_origins_alone_may_use_the_server() {
    let app = "https://app.example";
    let closed = TestServer::start(|_| ServerOptions::new()).await;
    let preflight = with_origin(&closed, "OPTIONS", app).await;
    assert_eq!(allowed(&preflight), None);
    let refused = Answer::of(with_origin(&closed, "POST", app).await).await;
    refused.problem(403, "forbidden");

    let server = TestServer::start(|_| ServerOptions::new().allowed_origins([app])).await;
    let preflight = with_origin(&server, "OPTIONS", app).await;
    assert!(preflight.status().is_success(), "{preflight:?}");
    assert_eq!(allowed(&preflight), Some(app));
    let headers = &preflight.headers()["access-control-allow-headers"];
    let headers: Vec<_> = headers.to_str().expect("ASCII").split(',').collect();
    for header in HEADERS {
        assert!(headers.contains(&header), "{header} is not in {headers:?}");
    }
    let posted = with_origin(&server, "POST", app).await;
    assert_eq!(
        (posted.status().as_u16(), allowed(&posted)),
        (201, Some(app))
    );

    for other in ["https://app.example.org", "http://app.example", "null"] {
        let preflight = with_origin(&server, "OPTIONS", other).await;
        assert_eq!(allowed(&preflight), None, "{other}");
        let refused = with_origin(&server, "POST", other).await;
        assert_eq!(allowed(&refused), None, "{other}");
        Answer::of(refused).await.problem(403, "forbidden");
    }
}

#[tokio::test]
async fn origins_that_no_browser_sends_are_refused_at_the_start() {
    let memory = MemorySystem::builder()
        .url("sqlite::memory:")
        .embedder(HashEmbedder::new());
    let memory = memory.build().await.expect("a database");
    for bad in [
        "*",
        "app.example",
        "https://app.example/page",
        "https://a b",
    ] {
        let options = ServerOptions::new().allowed_origins([bad]);
        let loopback = "127.0.0.1:0".parse().expect("an address");
        let refused = Server::bind(loopback, memory.clone(), options).await;
        let error = refused.expect_err("no origin");
        assert!(matches!(error, ServerError::Origin(_)), "{bad}: {error}");
        assert!(error.to_string().contains(bad), "{error}");
    }
}
