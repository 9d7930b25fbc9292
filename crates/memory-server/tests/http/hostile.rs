//! Requests at the edges of HTTP, JSON and the limits: each is a typed problem, and
//! nothing is written.

use memory_server::ServerOptions;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Answer, TestServer};

const MIRA: &str = "/v1/entities/mira";

/// A request, and the status, the kind and a part of the detail of its problem.
struct Case {
    method: &'static str,
    path: String,
    media_type: Option<&'static str>,
    body: String,
    status: u16,
    kind: &'static str,
    says: &'static str,
}

/// A refused request to a path under the entity.
fn bad(method: &'static str, path: &str, body: impl Into<String>, says: &'static str) -> Case {
    Case {
        method,
        path: format!("{MIRA}{path}"),
        media_type: None,
        body: body.into(),
        status: 400,
        kind: "invalid_input",
        says,
    }
}

/// A `GET` that is refused.
fn bad_get(path: &str, says: &'static str) -> Case {
    Case {
        path: path.to_owned(),
        ..bad("GET", "", "", says)
    }
}

fn limits() -> Vec<Case> {
    let mut cases = Vec::new();
    for list in ["/v1/entities", "/v1/entities/mira/memories"] {
        for limit in ["0", "1001", "18446744073709551615"] {
            cases.push(bad_get(&format!("{list}?limit={limit}"), "1000"));
        }
        for query in [
            "limit=-1",
            "limit=18446744073709551616",
            "limit=ten",
            "limit=1&limit=2",
            "after=a&after=b",
            "offset=1",
            "limit=1;drop",
        ] {
            cases.push(bad_get(&format!("{list}?{query}"), "/openapi.json"));
        }
        cases.push(bad_get(&format!("{list}?limit="), "`limit` is empty"));
    }
    cases.push(bad_get("/v1/entities?after=a%00b", "entity"));
    for query in ["since=yesterday", "until=2026", "as_of=1"] {
        cases.push(bad_get(&format!("{MIRA}/memories?{query}"), "RFC 3339"));
    }
    cases.push(bad_get(&format!("{MIRA}/memories?tag=a%00b"), "tag"));
    cases.push(bad_get(&format!("{MIRA}/memories?involves=%00"), "entity"));
    for limit in ["0", "1001", "18446744073709551615"] {
        let body = format!(r#"{{"text":"x","limit":{limit}}}"#);
        cases.push(bad("POST", "/recall", body, "1000"));
    }
    let out_of_range = "wrong type or out of range";
    for value in ["-1", "1.5", "18446744073709551616", "\"10\"", "null", "[]"] {
        let body = format!(r#"{{"text":"x","limit":{value}}}"#);
        cases.push(bad("POST", "/recall", body, out_of_range));
        let body = format!(r#"{{"keep":{value}}}"#);
        cases.push(bad("POST", "/prune", body, out_of_range));
    }
    for (key, value) in [
        ("min_similarity", "2"),
        ("min_similarity", "-1.1"),
        ("min_relevance", "1.5"),
    ] {
        let body = format!(r#"{{"text":"x","{key}":{value}}}"#);
        cases.push(bad("POST", "/recall", body, "similarity").says_any());
    }
    for chars in ["0", "1000001"] {
        let body = format!(r#"{{"recall":{{"text":"x"}},"max_chars":{chars}}}"#);
        cases.push(bad("POST", "/reflect", body, "").says_any());
    }
    cases.push(bad(
        "POST",
        "/recall",
        r#"{"text":"x","min_similarity":1e999}"#,
        "number",
    ));
    cases.push(bad(
        "POST",
        "/recall",
        r#"{"text":"x","min_similarity":NaN}"#,
        "",
    ));
    cases.push(bad("POST", "/consolidate", r#"{"min_similarity":7}"#, "").says_any());
    cases
}

fn texts() -> Vec<Case> {
    let deep = "[".repeat(100_000);
    let closed = format!("{deep}{}", "]".repeat(100_000));
    vec![
        bad("POST", "/recall", "", "missing field `text`"),
        bad("POST", "/reflect", "", "missing field `recall`"),
        bad("POST", "/prune", "", "missing field `keep`"),
        bad("POST", "/memories", "", "JSON object"),
        bad("POST", "/memories/batch", "", ""),
        bad("POST", "/recall", "{", "EOF"),
        bad("POST", "/recall", "[]", "one JSON object"),
        bad("POST", "/recall", r#"["x"]"#, "one JSON object"),
        bad("POST", "/prune", " [5]", "one JSON object"),
        bad("POST", "/consolidate", "[]", "one JSON object"),
        bad(
            "POST",
            "/memories/batch",
            r#"[[{"content":"a"}]]"#,
            "one JSON object",
        ),
        bad("POST", "/recall", r#"{"text":"x"}{"text":"y"}"#, "trailing"),
        bad(
            "POST",
            "/recall",
            r#"{"text":"x","text":"y"}"#,
            "duplicate field `text`",
        ),
        bad(
            "POST",
            "/recall",
            r#"{"text":"x","top_k":3}"#,
            "unknown field `top_k`",
        ),
        bad(
            "POST",
            "/recall",
            r#"{"text":"x","filter":{"tag":"y"}}"#,
            "unknown field `tag`",
        ),
        bad("POST", "/reembed", r#"{"all":true}"#, "unknown field `all`"),
        bad("POST", "/count", r#"{"since":"yesterday"}"#, "wrong type"),
        bad("POST", "/count", r#"{"relates_to":"x"}"#, "wrong type"),
        bad("POST", "/recall", r#"{"text":"a\u0000b"}"#, "NUL"),
        bad("POST", "/memories", r#"{"content":"a\u0000b"}"#, "NUL"),
        bad(
            "POST",
            "/memories",
            r#"{"content":"a","metadata":{"k":"\u0000"}}"#,
            "NUL",
        ),
        bad("POST", "/recall", r#"{"text":"\ud800"}"#, "hex escape"),
        bad("POST", "/memories", r#"{"content":"\ud800"}"#, "hex escape"),
        bad(
            "POST",
            "/memories",
            "{\"content\":\"a\u{0}b\"}",
            "control character",
        ),
        bad("POST", "/recall", format!(r#"{{"text":{deep}"#), ""),
        bad("POST", "/recall", format!(r#"{{"filter":{closed}}}"#), ""),
        bad(
            "POST",
            "/memories",
            format!(r#"{{"metadata":{deep}"#),
            "EOF",
        ),
        bad(
            "POST",
            "/memories",
            format!(r#"{{"content":"a","metadata":{closed}}}"#),
            "array",
        ),
        bad(
            "POST",
            "/memories/batch",
            format!(r#"{{"memories":{deep}"#),
            "",
        ),
    ]
}

fn paths() -> Vec<Case> {
    let not_found = |method, path: &str| Case {
        status: 404,
        kind: "no_endpoint",
        ..bad(method, path, "", "/openapi.json")
    };
    let no_method = |method, path: &str| Case {
        status: 405,
        kind: "no_method",
        ..bad(method, path, "", "/openapi.json")
    };
    let id = "/memories/0192d3a0-0000-7000-8000-000000000001";
    let mut cases = vec![
        not_found("GET", "/memories/"),
        not_found("GET", "/memories/a/b"),
        not_found("GET", ""),
        no_method("OPTIONS", "/memories"),
        no_method("TRACE", "/memories"),
        no_method("BREW", "/recall"),
        no_method("GET", "/recall"),
        no_method("DELETE", "/stats"),
        bad("GET", "/memories/..%2Fstats", "", "UUID"),
        bad("GET", "/memories/%00", "", "UUID"),
        bad("GET", "/memories/%FF", "", "UTF-8"),
        bad(
            "PUT",
            &format!("{id}/related/x"),
            r#"{"relation":"r"}"#,
            "UUID",
        ),
        bad(
            "PUT",
            &format!("{id}/related/%FF"),
            r#"{"relation":"r"}"#,
            "UTF-8",
        ),
        bad(
            "PUT",
            &format!("{id}/related/{}", &id[10..]),
            r#"{"relation":"\u0000"}"#,
            "",
        ),
        bad("DELETE", &format!("{id}/related/x"), "", "UUID"),
        bad("PATCH", id, "{}", ""),
    ];
    for name in ["%20", "%00", "a%0Ab", "%C2%85"] {
        cases.push(bad_get(&format!("/v1/entities/{name}/memories"), "entity"));
        cases.push(bad_get(&format!("/v1/entities/{name}/stats"), "entity"));
    }
    let long = "x".repeat(257);
    cases.push(bad_get(&format!("/v1/entities/{long}/stats"), "256"));
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "",
        "application/jsonp",
    ] {
        cases.push(Case {
            media_type: Some(media_type),
            status: 415,
            kind: "unsupported_media_type",
            ..bad(
                "POST",
                "/memories",
                r#"{"content":"Rain."}"#,
                "application/json",
            )
        });
    }
    cases
}

impl Case {
    /// The wording is that of the library, which has tests for it.
    fn says_any(self) -> Self {
        Self { says: "", ..self }
    }

    /// What is wrong with the answer, if anything is.
    async fn check(&self, server: &TestServer) -> Option<String> {
        let mut request = server.request(self.method, &self.path);
        if let Some(media_type) = self.media_type {
            request = request.header("content-type", media_type);
        }
        let sent = request.body(self.body.clone()).send().await;
        let answer = Answer::of(sent.expect("it answers")).await;
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        let is_problem = answer.header("content-type") == Some("application/problem+json");
        let is_expected = (answer.status, &answer.body["kind"]) == (self.status, &json!(self.kind));
        let is_good = is_problem && is_expected && detail.len() < 500;
        let request = format!("{} {:.90} {:.60}", self.method, self.path, self.body);
        (!is_good || !detail.contains(self.says)).then(|| format!("{request}: {answer:?}"))
    }
}

#[tokio::test]
async fn requests_at_the_edges_are_typed_problems() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let mut wrong = Vec::new();
    for case in limits().iter().chain(&texts()).chain(&paths()) {
        wrong.extend(case.check(&server).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let entities = server.get("/v1/entities").await;
    assert_eq!(entities.ok(200)["entities"], json!([]));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_large_one() {
    let server = TestServer::start(|_| ServerOptions::new().max_body_bytes(100)).await;
    let recall = format!("{MIRA}/recall");
    let body = r#"{"text":""#.to_owned() + &"x".repeat(200);
    let large = server.post(&recall, &body).await;
    let detail = large.problem(413, "invalid_input");
    assert!(detail.contains("more than 100 bytes"), "{detail}");
    let mut connection = TcpStream::connect(server.address())
        .await
        .expect("it listens");
    let request = format!(
        "POST {recall} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{{\"text\":"
    );
    let sent = connection.write_all(request.as_bytes()).await;
    sent.expect("it is sent");
    connection.shutdown().await.expect("this end is closed");
    let mut answer = String::new();
    let read = connection.read_to_string(&mut answer).await;
    read.expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("the body broke off"), "{answer}");
}

#[tokio::test]
async fn compressed_bodies_are_refused() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    for path in ["/memories", "/memories/batch", "/recall", "/import"] {
        for encoding in ["gzip", "br, gzip", "x-unknown"] {
            let request = server.request("POST", &format!("{MIRA}{path}"));
            let request = request.header("content-encoding", encoding);
            let sent = request.body("\u{1f}\u{8b}").send().await;
            let refused = Answer::of(sent.expect("it answers")).await;
            let detail = refused.problem(415, "unsupported_media_type");
            assert!(detail.contains("Content-Encoding"), "{path}: {detail}");
        }
        let request = server.request("POST", &format!("{MIRA}{path}"));
        let request = request.header("content-encoding", "identity");
        let sent = request.body("{").send().await.expect("it answers");
        assert_ne!(sent.status(), 415, "{path}");
    }
}

#[tokio::test]
async fn unusual_names_and_methods_are_served() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    for (path, name) in [
        ("a%2Fb", "a/b"),
        ("%2e%2e%2F", "../"),
        ("a%3Fb%23c", "a?b#c"),
        ("%E6%B0%B4", "水"),
        ("%25", "%"),
    ] {
        let path = format!("/v1/entities/{path}/memories");
        let request = server.request("POST", &path);
        let request = request.header("content-type", "application/json; charset=utf-8");
        let sent = request.body(r#"{"content":"Rain."}"#).send().await;
        Answer::of(sent.expect("it answers")).await.ok(201);
        let listed = server.get(&path).await;
        assert_eq!(listed.ok(200)["memories"][0]["memory"]["entity"], name);
        // `HEAD` has the status and the headers of `GET`.
        let head = server.send("HEAD", &path, "").await;
        assert_eq!(
            (head.status, head.header("etag")),
            (200, listed.header("etag"))
        );
    }
    let entities = server.get("/v1/entities").await;
    assert_eq!(
        entities.ok(200)["entities"],
        json!(["%", "../", "a/b", "a?b#c", "水"])
    );
    let head = server.send("HEAD", "/v1/entities?limit=0", "").await;
    assert_eq!(head.status, 400);
}

#[tokio::test]
async fn ids_and_cursors_of_another_entity_find_nothing() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let other = "/v1/entities/tam/memories";
    let mut ids = Vec::new();
    for content in ["A secret.", "Another."] {
        let body = json!({ "content": content }).to_string();
        let retained = server.post(other, &body).await;
        ids.push(retained.ok(201)["id"].as_str().expect("an id").to_owned());
    }
    let page = server.get(&format!("{other}?limit=1")).await;
    let cursor = page.ok(200)["next"].as_str().expect("a cursor");
    let foreign = server.get(&format!("{MIRA}/memories?after={cursor}")).await;
    assert_eq!(foreign.ok(200)["memories"], json!([]));
    let missing = "0192d3a0-0000-7000-8000-000000000001";
    for (method, suffix, body) in [
        ("GET", "", ""),
        ("PATCH", "", r#"{"importance":1}"#),
        ("DELETE", "", ""),
        ("GET", "/related", ""),
        ("POST", "/undo", ""),
    ] {
        // The same for an id of another entity and for one that nobody has.
        let at = |id: &str| format!("{MIRA}/memories/{id}{suffix}");
        let id = ids[0].as_str();
        let of_another = server.send(method, &at(id), body).await;
        let of_nobody = server.send(method, &at(missing), body).await;
        of_another.problem(404, "not_found");
        let text = of_another.body.to_string().replace(id, missing);
        assert_eq!(text, of_nobody.body.to_string(), "{method} {suffix}");
    }
    let link = format!("{MIRA}/memories/{}/related/{}", ids[0], ids[1]);
    let linked = server.send("PUT", &link, r#"{"relation":"r"}"#).await;
    linked.problem(404, "not_found");
    let kept = server.get("/v1/entities/tam/stats").await;
    assert_eq!(kept.ok(200)["memories"], 2);
}
