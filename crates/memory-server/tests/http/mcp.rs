//! Tools over HTTP: what tokens allow, and what other sites' pages may not do.

use memory::MemoryKind;
use memory_server::{Access, ServerOptions, TokenScope, Tokens};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::harness::{Answer, TestServer};

/// Every tool, with arguments apart from the entity, and whether it writes.
fn tools() -> [(&'static str, Value, bool); 10] {
    let id = "0192d3a0-0000-7000-8000-000000000001";
    [
        ("retain", json!({"content": "Rain."}), true),
        ("recall", json!({"text": "rain"}), false),
        ("reflect", json!({"text": "rain"}), false),
        ("get", json!({"id": id}), false),
        ("list", json!({}), false),
        ("update", json!({"id": id, "importance": 1}), true),
        ("forget", json!({"id": id}), true),
        (
            "relate",
            json!({"from": id, "to": id, "relation": "x"}),
            true,
        ),
        ("consolidate", json!({}), true),
        ("stats", json!({}), false),
    ]
}

async fn send(server: &TestServer, method: &str, params: Value) -> Answer {
    let sent = server.mcp(method, params).send().await;
    Answer::of(sent.expect("it answers")).await
}

#[tokio::test]
async fn every_tool_checks_the_token() {
    let mut made = Vec::new();
    let mut server = TestServer::start(|folder| {
        let path = folder.path().join("tokens");
        for access in [Access::Write, Access::Read] {
            let entities = "npc-".to_owned();
            let scope = TokenScope { entities, access };
            made.push(Tokens::create(&path, scope).expect("a token").token);
        }
        ServerOptions::new().tokens(Tokens::open(path).expect("the file"))
    })
    .await;
    let retained = server
        .memory
        .retain("user-1", MemoryKind::World, "A secret.")
        .await;
    retained.expect("it is retained");
    for (tool, arguments, writes) in tools() {
        for wrong in [None, Some("mem_x_y"), Some(&made[0][..20])] {
            server.set_token(wrong);
            let params = json!({"name": tool, "arguments": {"entity": "npc-1"}});
            let refused = send(&server, "tools/call", params).await;
            refused.problem(401, "unauthorized");
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        }
        server.set_token(made[0].as_str());
        // One exists, the other does not: the answers are the same.
        let existing = server.call_tool(tool, "user-1", &arguments).await;
        let missing = server.call_tool(tool, "user-2", &arguments).await;
        assert_eq!(existing, missing, "{tool}");
        assert!(
            existing.1 && existing.0.contains("does not allow"),
            "{existing:?}"
        );
        let (text, _) = server.call_tool(tool, "npc-1", &arguments).await;
        assert!(!text.contains("does not allow"), "{tool}: {text}");
        server.set_token(made[1].as_str());
        let (text, _) = server.call_tool(tool, "npc-1", &arguments).await;
        assert_eq!(text.contains("does not allow"), writes, "{tool}: {text}");
    }
    let listed = send(&server, "tools/list", json!({})).await;
    let listed = listed.ok(200)["result"]["tools"].as_array().map(Vec::len);
    assert_eq!(listed, Some(tools().len()), "none is left out above");

    let resources = send(&server, "resources/list", json!({})).await;
    let resources = &resources.ok(200)["result"]["resources"];
    assert_eq!(resources.as_array().map(Vec::len), Some(1), "{resources}");
    assert_eq!(resources[0]["uri"], "memory://entities/npc%2D1");
    let read = |name: &str| {
        let params = json!({"uri": format!("memory://entities/{name}")});
        send(&server, "resources/read", params)
    };
    let own = read("npc%2D1").await;
    let text = own.ok(200)["result"]["contents"][0]["text"].as_str();
    assert!(text.expect("text").contains("Rain."));
    let (existing, missing) = (read("user%2D1").await, read("user%2D2").await);
    assert_eq!(existing.body, missing.body);
    assert!(
        existing.ok(200)["error"]["message"].is_string(),
        "{existing:?}"
    );
}

#[tokio::test]
async fn bad_arguments_are_refused_with_what_to_do() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let id = "0192d3a0-0000-7000-8000-000000000001";
    let huge = json!(u64::MAX);
    for (tool, arguments) in [
        ("recall", json!({"text": "x", "limit": 0})),
        ("recall", json!({"text": "x", "limit": 1_001})),
        ("recall", json!({"text": "x", "limit": huge})),
        ("recall", json!({"text": "x", "limit": -1})),
        ("recall", json!({"text": "x", "limit": "10"})),
        ("recall", json!({"text": "a\u{0}b"})),
        ("recall", json!({"text": ""})),
        ("recall", json!({"text": "x", "max_chars": 0})),
        ("recall", json!({"text": "x", "max_chars": huge})),
        ("recall", json!({"text": "x", "since": "yesterday"})),
        ("recall", json!({"text": "x", "kinds": ["dream"]})),
        ("recall", json!({"text": "x", "involves": "\u{0}"})),
        ("recall", json!({"text": "x", "min_relevance": 2})),
        ("recall", json!({"text": "x", "top_k": 3})),
        ("reflect", json!({"text": "x", "max_chars": 1})),
        ("list", json!({"limit": 0})),
        ("list", json!({"limit": 1_001})),
        ("list", json!({"limit": huge})),
        ("list", json!({"after": "x"})),
        ("list", json!({"offset": 1})),
        ("get", json!({"id": "x"})),
        ("get", json!({"id": id, "max_chars": 1})),
        ("get", json!({"id": id})),
        ("forget", json!({"id": id})),
        ("update", json!({"id": id})),
        ("relate", json!({"from": id, "to": id, "relation": "\u{0}"})),
        ("consolidate", json!({"min_similarity": 7})),
        ("consolidate", json!({"max_chars": 0})),
        ("retain", json!({"content": "a\u{0}b"})),
        ("retain", json!({"content": "x", "importance": 2})),
        ("stats", json!({"of": "mira"})),
    ] {
        let (text, is_error) = server.call_tool(tool, "mira", &arguments).await;
        assert!(is_error, "{tool} {arguments}: {text}");
        assert!(text.len() < 600, "{tool} {arguments}: {text}");
    }
    for name in ["", " ", "a\u{0}b", &"x".repeat(257)] {
        let (text, is_error) = server.call_tool("stats", name, &json!({})).await;
        assert!(is_error, "{name:?}: {text}");
        let listed = send(&server, "resources/list", json!({ "cursor": name })).await;
        assert_eq!(listed.ok(200)["error"]["code"], -32602, "{listed:?}");
    }
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":{}"#,
        "[".repeat(100_000)
    );
    let refused = server.mcp("tools/list", json!({})).body(deep).send();
    assert!(refused.await.expect("an answer").status().is_client_error());
    let entities = server.get("/v1/entities").await;
    assert_eq!(entities.ok(200)["entities"], json!([]));
}

#[tokio::test]
async fn unknown_and_missing_arguments_are_named_together() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    for (tool, arguments, says) in [
        (
            "recall",
            json!({"query": "x"}),
            "It requires `text`: call again with that in its place.",
        ),
        (
            "recall",
            json!({"text": "x", "query": "x"}),
            "until. Call again without it.",
        ),
        ("recall", json!({}), "recall requires `text`: call again"),
        (
            "relate",
            json!({"source": "x"}),
            "It requires `from` and `to` and `relation`:",
        ),
        ("stats", json!({"of": "x"}), "Call again without it."),
    ] {
        let (text, is_error) = server.call_tool(tool, "mira", &arguments).await;
        assert!(is_error && text.contains(says), "{tool}: {text}");
    }
}

#[tokio::test]
async fn an_entity_without_memories_may_be_misspelled() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let questions = [
        ("recall", json!({"text": "rain"})),
        ("reflect", json!({"text": "rain"})),
        ("list", json!({})),
        ("stats", json!({})),
    ];
    let rain = json!({"content": "Rain."});
    let (text, is_error) = server.call_tool("retain", "mira", &rain).await;
    assert!(!is_error, "{text}");
    for (tool, arguments) in &questions {
        let (text, is_error) = server.call_tool(tool, "Mira", arguments).await;
        assert!(!is_error, "{tool}: {text}");
        assert!(text.contains("no memories at all"), "{tool}: {text}");
        assert!(text.contains("capitals"), "{tool}: {text}");
        let (text, _) = server.call_tool(tool, "mira", arguments).await;
        assert!(!text.contains("no memories at all"), "{tool}: {text}");
    }
    // One that has some, of which none matches.
    let none = json!({"text": "rain", "tags": ["harbor"]});
    let (text, _) = server.call_tool("recall", "mira", &none).await;
    assert!(text.contains("No memory matches."), "{text}");
    let none = json!({"tags": ["harbor"]});
    let (text, _) = server.call_tool("list", "mira", &none).await;
    assert!(text.contains("No memory matches."), "{text}");
}

#[tokio::test]
async fn answers_say_what_has_no_room_in_them() {
    const MEMORIES: usize = 30;
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let mut ids = Vec::new();
    for number in 0..MEMORIES {
        let horse = format!("Tam sold me horse {number}. {}", "It is lame. ".repeat(40));
        let id = server.memory.retain("mira", MemoryKind::World, horse).await;
        ids.push(id.expect("it is retained"));
    }
    for other in &ids[1..] {
        let linked = server.memory.relate("mira", ids[0], *other, "sold before");
        linked.await.expect("it is linked");
    }
    let note = "Not all fit: raise max_chars";
    for (tool, arguments) in [
        (
            "recall",
            json!({"text": "Who sold me a horse?", "limit": 30, "max_chars": 1_000}),
        ),
        (
            "reflect",
            json!({"text": "Who sold me a horse?", "limit": 30, "max_chars": 1_000}),
        ),
        ("get", json!({"id": ids[0], "max_chars": 1_500})),
    ] {
        let (text, is_error) = server.call_tool(tool, "mira", &arguments).await;
        assert!(!is_error && text.contains(note), "{tool}: {text}");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        let (key, all) = match tool {
            "get" => ("related", MEMORIES - 1),
            _ => ("memories", MEMORIES),
        };
        let included = answer[key].as_array().map_or(0, Vec::len);
        assert_eq!(answer["omitted"], all - included, "{tool}: {text}");
    }
    // A line of the context has the participants, which cannot be shortened.
    let crowd: serde_json::Map<_, _> = (0..20)
        .map(|number| (format!("participant number {number}"), "witness".into()))
        .collect();
    let feast = json!({"content": "A feast.", "entities": crowd});
    let (text, is_error) = server.call_tool("retain", "tam", &feast).await;
    assert!(!is_error, "{text}");
    let question = json!({"text": "Who was at the feast?", "max_chars": 500});
    let (text, is_error) = server.call_tool("reflect", "tam", &question).await;
    assert!(
        is_error && text.contains("fits in a context of 500"),
        "{text}"
    );

    let params = json!({"uri": "memory://entities/mira"});
    let read = send(&server, "resources/read", params).await;
    let text = read.ok(200)["result"]["contents"][0]["text"].as_str();
    let text = text.expect("text");
    assert!(
        text.contains("Not all fit: the tools list and get"),
        "{text}"
    );
}

#[tokio::test]
async fn the_handshake_and_answers_need_no_session() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let params = json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    });
    let introduced = send(&server, "initialize", params).await;
    assert_eq!(introduced.ok(200)["result"]["serverInfo"]["name"], "memory");
    assert_eq!(introduced.header("mcp-session-id"), None);
    assert_eq!(introduced.header("content-type"), Some("application/json"));
    let (text, is_error) = server
        .call_tool("retain", "mira", &json!({"content": "Rain."}))
        .await;
    assert!(!is_error, "{text}");
    let stream = server
        .request("GET", "/mcp")
        .send()
        .await
        .expect("an answer");
    assert_eq!(stream.status(), 405);
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let listing = || server.mcp("tools/list", json!({}));
    let retaining = || {
        let path = "/v1/entities/mira/memories";
        let request = server.request("POST", path).body(r#"{"content":"Rain."}"#);
        request.header("content-type", "application/json")
    };
    let requests: [&dyn Fn() -> RequestBuilder; 2] = [&listing, &retaining];
    for request in requests {
        let foreign = request()
            .header("origin", "https://example.org")
            .send()
            .await;
        Answer::of(foreign.expect("an answer"))
            .await
            .problem(403, "forbidden");
        let own = format!("http://{}", server.address());
        let own = request()
            .header("origin", own)
            .send()
            .await
            .expect("an answer");
        assert!(own.status().is_success(), "{own:?}");
        // A name of another site that resolves to this machine.
        let rebound = request()
            .header("host", "example.org")
            .header("origin", "http://example.org")
            .send()
            .await;
        Answer::of(rebound.expect("an answer"))
            .await
            .problem(403, "forbidden");
    }
}
