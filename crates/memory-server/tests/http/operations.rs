//! Every operation, through HTTP, against the system behind it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use memory::{MemoryBatchItem, MemoryId, MemoryKind};
use memory_server::ServerOptions;
use serde_json::json;

use crate::harness::TestServer;

const MEMORIES: &str = "/v1/entities/mira/memories";

async fn server() -> TestServer {
    TestServer::start(|_| ServerOptions::new()).await
}

/// Retains a text and returns its id.
async fn retain(server: &TestServer, content: &str) -> String {
    let body = serde_json::json!({ "content": content }).to_string();
    let retained = server.post(MEMORIES, &body).await;
    retained.ok(201)["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_memory_is_retained_read_updated_and_forgotten() {
    let server = server().await;
    let body =
        r#"{"content":"Tam sold me a lame horse.","tags":["market"],"entities":{"tam":"seller"}}"#;
    let retained = server.post(MEMORIES, body).await;
    let id = retained.ok(201)["id"].as_str().expect("an id").to_owned();
    let path = format!("{MEMORIES}/{id}");

    let read = server.get(&path).await;
    assert_eq!(read.ok(200)["content"], "Tam sold me a lame horse.");
    assert_eq!(read.body["entities"]["tam"], "seller");

    let updated = server
        .send("PATCH", &path, r#"{"importance":0.9,"tags":[]}"#)
        .await;
    assert_eq!(updated.ok(200)["importance"], 0.9);
    assert!(updated.body.get("tags").is_none(), "{updated:?}");
    let cleared = server.send("PATCH", &path, r#"{"context":"fair"}"#).await;
    assert_eq!(cleared.ok(200)["context"], "fair");
    let cleared = server.send("PATCH", &path, r#"{"context":null}"#).await;
    assert!(cleared.ok(200).get("context").is_none(), "{cleared:?}");

    let gone = server.send("DELETE", &path, "").await;
    assert_eq!(gone.ok(200)["gone"][0], id);
    server.get(&path).await.problem(404, "not_found");
    server
        .send("DELETE", &path, "")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn questions_are_answered() {
    let server = server().await;
    retain(&server, "Tam sold me a lame horse.").await;
    retain(&server, "The mill burned down.").await;
    let recall = r#"{"text":"Who sold the horse?","limit":1,"explain":true}"#;
    let answer = server.post("/v1/entities/mira/recall", recall).await;
    let found = &answer.ok(200)["memories"][0];
    assert_eq!(found["memory"]["content"], "Tam sold me a lame horse.");
    assert!(
        found["explanation"]["lexical"].as_f64() > Some(0.0),
        "{answer:?}"
    );
    let parts = found["parts"]
        .as_object()
        .expect("what adds up to the score");
    let sum: f64 = parts.values().filter_map(serde_json::Value::as_f64).sum();
    let score = found["score"].as_f64().expect("a score");
    assert!((sum - score).abs() < 1e-3, "{found}");
    assert_eq!(answer.body["memories"].as_array().map(Vec::len), Some(1));

    let none = r#"{"text":"horse","filter":{"kinds":["opinion"]}}"#;
    let answer = server.post("/v1/entities/mira/recall", none).await;
    assert_eq!(answer.ok(200)["memories"].as_array().map(Vec::len), Some(0));

    let reflect = r#"{"recall":{"text":"What burned?"},"max_chars":500}"#;
    let answer = server.post("/v1/entities/mira/reflect", reflect).await;
    let context = answer.ok(200)["context"].as_str().expect("a text");
    assert!(
        context.contains("burned") && context.len() <= 500,
        "{context}"
    );

    assert_eq!(answer.body["omitted"], 0);
    let reflect = r#"{"recall":{"text":"What burned?"},"max_chars":130}"#;
    let answer = server.post("/v1/entities/mira/reflect", reflect).await;
    assert_eq!(answer.ok(200)["memories"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer.body["omitted"], 1, "it has no room");
    let reflect = r#"{"recall":{"text":"What burned?"},"max_chars":20}"#;
    let answer = server.post("/v1/entities/mira/reflect", reflect).await;
    let detail = answer.problem(400, "invalid_input");
    assert!(
        detail.contains("none of the 2 memories found fits"),
        "{detail}"
    );
    assert!(detail.contains("at least"), "{detail}");

    let counted = server.post("/v1/entities/mira/count", "").await;
    assert_eq!(counted.ok(200)["count"], 2);
    let stats = server.get("/v1/entities/mira/stats").await;
    assert_eq!(stats.ok(200)["memories"], 2);
    assert!(server.get("/v1/caches").await.ok(200)["memory"].is_object());
}

#[tokio::test]
async fn batches_are_all_or_nothing() {
    let server = server().await;
    let path = format!("{MEMORIES}/batch");
    let batch = r#"{"memories":[{"content":"One."},{"content":"Two.","kind":"world"}]}"#;
    let retained = server.post(&path, batch).await;
    assert_eq!(retained.ok(201)["ids"].as_array().map(Vec::len), Some(2));
    let bad = r#"{"memories":[{"content":"Three."},{"content":""}]}"#;
    let refused = server.post(&path, bad).await;
    let detail = refused.problem(400, "invalid_input");
    assert!(
        detail.contains("in item 1 of the batch, counted from 0"),
        "{detail}"
    );
    assert_eq!(refused.body["item"], 1);
    let stats = server.get("/v1/entities/mira/stats").await;
    assert_eq!(stats.ok(200)["memories"], 2, "nothing of the refused batch");
}

#[tokio::test]
async fn lists_have_pages_and_tags() {
    let server = server().await;
    for day in 0..5 {
        retain(&server, &format!("Day {day} was dry.")).await;
    }
    let (mut seen, mut next) = (0, Some(String::new()));
    while let Some(after) = next {
        let page = server.get(&format!("{MEMORIES}?limit=2{after}")).await;
        seen += page.ok(200)["memories"].as_array().map_or(0, Vec::len);
        next = page.body["next"]
            .as_str()
            .map(|next| format!("&after={next}"));
    }
    assert_eq!(seen, 5);
    let filtered = server
        .get(&format!("{MEMORIES}?kind=world&kind=opinion"))
        .await;
    assert_eq!(
        filtered.ok(200)["memories"].as_array().map(Vec::len),
        Some(0)
    );

    let page = server.get(MEMORIES).await;
    let tag = page.header("etag").expect("a tag").to_owned();
    let again = |tag: String| {
        server
            .request("GET", MEMORIES)
            .header("If-None-Match", tag)
            .send()
    };
    let unchanged = again(tag.clone()).await.expect("it answers");
    assert_eq!(unchanged.status().as_u16(), 304);
    retain(&server, "It rained.").await;
    assert_eq!(again(tag).await.expect("it answers").status().as_u16(), 200);
}

#[tokio::test]
async fn memories_are_linked() {
    let server = server().await;
    let (from, to) = (
        retain(&server, "The mill burned.").await,
        retain(&server, "A spark.").await,
    );
    let link = format!("{MEMORIES}/{from}/related/{to}");
    server
        .send("PUT", &link, r#"{"relation":"caused by"}"#)
        .await
        .ok(204);
    let related = server.get(&format!("{MEMORIES}/{to}/related")).await;
    let entry = &related.ok(200)["related"][0];
    assert_eq!(
        (&entry["direction"], &entry["relation"]),
        (&"incoming".into(), &"caused by".into())
    );
    assert_eq!(related.body["omitted"], 0);
    server.send("DELETE", &link, "").await.ok(204);
    let related = server.get(&format!("{MEMORIES}/{to}/related")).await;
    assert_eq!(related.ok(200)["related"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn links_beyond_the_newest_thousand_are_counted() {
    let server = server().await;
    let to = retain(&server, "A spark.").await;
    let link = |number| {
        let item = MemoryBatchItem::new("mira", MemoryKind::World, format!("Fire {number}."));
        item.with_related(to.parse::<MemoryId>().expect("an id"), "caused by")
    };
    let links = (0..1_002).map(link);
    let retained = server.memory.retain_batch(links).await;
    retained.expect("they are retained");
    let related = server.get(&format!("{MEMORIES}/{to}/related")).await;
    let count = related.ok(200)["related"].as_array().map(Vec::len);
    assert_eq!((count, &related.body["omitted"]), (Some(1_000), &json!(2)));
    let all = format!("{MEMORIES}?relates_to={to}&limit=1000");
    assert!(server.get(&all).await.ok(200)["next"].is_string());

    let arguments = json!({"id": to, "max_chars": 200_000});
    let (text, _) = server.call_tool("get", "mira", &arguments).await;
    let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let included = answer["related"].as_array().map_or(0, Vec::len);
    assert_eq!(answer["omitted"], 1_002 - included, "{included} links");
    let note = answer["note"].as_str().unwrap_or_default();
    assert!(note.contains("relates_to"), "{answer}");
}

#[tokio::test]
async fn entities_are_maintained() {
    let server = server().await;
    for _ in 0..2 {
        retain(&server, "Tam sold me a lame horse.").await;
    }
    let done = server.post("/v1/entities/mira/consolidate", "").await;
    let summary = done.ok(200)["summaries"][0]["id"]
        .as_str()
        .expect("a summary")
        .to_owned();
    for query in ["archived=true".to_owned(), format!("sources_of={summary}")] {
        let archived = server.get(&format!("{MEMORIES}?{query}")).await;
        let archived = archived.ok(200)["memories"].as_array().expect("a page");
        assert_eq!(archived.len(), 2, "{query}");
        for source in archived {
            assert_eq!(source["memory"]["archived_by"], summary, "{query}");
        }
    }
    for bad in ["sources_of=x", "archived=true&as_of=2026-03-01T09:30:00Z"] {
        let refused = server.get(&format!("{MEMORIES}?{bad}")).await;
        refused.problem(400, "invalid_input");
    }
    let undone = server.post(&format!("{MEMORIES}/{summary}/undo"), "").await;
    assert_eq!(undone.ok(200)["restored"].as_array().map(Vec::len), Some(2));
    let archived = server.get(&format!("{MEMORIES}?archived=true")).await;
    assert_eq!(archived.ok(200)["memories"], serde_json::json!([]));
    let embedded = server
        .post("/v1/entities/mira/reembed", r#"{"force":true}"#)
        .await;
    assert_eq!(embedded.ok(200)["reembedded"], 2);
    let began = Instant::now();
    let limited = server
        .post(
            "/v1/entities/mira/reembed",
            r#"{"force":true,"max_per_second":1}"#,
        )
        .await;
    assert_eq!(limited.ok(200)["reembedded"], 2);
    // The second one waits for its second.
    assert!(began.elapsed() >= Duration::from_secs(1));
    server
        .post("/v1/entities/mira/reembed", r#"{"max_per_second":0}"#)
        .await
        .problem(400, "invalid_input");
    let pruned = server
        .post("/v1/entities/mira/prune", r#"{"keep":1}"#)
        .await;
    assert_eq!(pruned.ok(200)["removed"].as_array().map(Vec::len), Some(0));
    server
        .post("/v1/entities/mira/prune", "")
        .await
        .problem(400, "invalid_input");
}

#[tokio::test]
async fn memories_are_read_by_their_ids() {
    let server = server().await;
    let id = retain(&server, "It rained.").await;
    let missing = "0192d3a0-0000-7000-8000-000000000001";
    let body = serde_json::json!({"ids": [missing, id]}).to_string();
    let found = server.post(&format!("{MEMORIES}/get"), &body).await;
    let memories = found.ok(200)["memories"].as_array().expect("a list");
    assert_eq!(memories.len(), 2);
    assert_eq!(memories[0], serde_json::Value::Null);
    assert_eq!(memories[1]["content"], "It rained.");
}

#[tokio::test]
async fn a_summary_is_forgotten_without_its_sources() {
    let server = server().await;
    for _ in 0..2 {
        retain(&server, "Tam sold me a lame horse.").await;
    }
    let done = server.post("/v1/entities/mira/consolidate", "").await;
    let report = done.ok(200);
    assert!(report.get("was_needed").is_none(), "{report}");
    let summary = report["summaries"][0]["id"].as_str().expect("a summary");
    let path = format!("{MEMORIES}/{summary}");
    let gone = server
        .send("DELETE", &format!("{path}?keep_sources=true"), "")
        .await;
    assert_eq!(gone.ok(200)["gone"], serde_json::json!([summary]));
    let stats = server.get("/v1/entities/mira/stats").await;
    assert_eq!(
        (&stats.ok(200)["memories"], &stats.body["archived"]),
        (&2.into(), &0.into())
    );
    // What a source is part of goes with it.
    let done = server.post("/v1/entities/mira/consolidate", "").await;
    let summary = &done.ok(200)["summaries"][0];
    let source = summary["sources"][0].as_str().expect("a source");
    let forgotten = format!("{MEMORIES}/{source}?keep_sources=true");
    let gone = server.send("DELETE", &forgotten, "").await;
    let gone = gone.ok(200)["gone"].as_array().expect("a list").clone();
    assert_eq!(gone.len(), 2);
    assert!(gone.contains(&summary["id"]) && gone.contains(&source.into()));
    let refused = server
        .send("DELETE", &format!("{path}?keep_sources=perhaps"), "")
        .await;
    refused.problem(400, "invalid_input");
}

#[tokio::test]
async fn a_consolidation_that_is_not_needed_says_so() {
    let server = server().await;
    retain(&server, "Tam sold me a lame horse.").await;
    let path = "/v1/entities/mira/consolidate";
    let done = server.post(path, r#"{"if_needed":true}"#).await;
    let expected = serde_json::json!({"was_needed": false, "summaries": []});
    assert_eq!(*done.ok(200), expected);
    for other in [r#""min_similarity":0.5"#, r#""filter":{"tags":["a"]}"#] {
        let body = format!(r#"{{"if_needed":true,{other}}}"#);
        let refused = server.post(path, &body).await;
        assert!(refused.problem(400, "invalid_input").contains("if_needed"));
    }
}

#[tokio::test]
async fn texts_are_embedded_and_models_and_caches_are_looked_after() {
    let server = server().await;
    let id = retain(&server, "It rained.").await;
    let body = r#"{"texts":["It rained.","It snowed."]}"#;
    let embedded = server.post("/v1/embeddings", body).await;
    let vectors = embedded.ok(200)["vectors"].as_array().expect("vectors");
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let squares = vector.as_array().expect("numbers").iter();
        let length: f64 = squares.filter_map(|it| it.as_f64()).map(|it| it * it).sum();
        assert!((length - 1.0).abs() < 1e-3, "{length}");
    }
    let refused = server.post("/v1/embeddings", r#"{"texts":[" "]}"#).await;
    refused.problem(400, "invalid_input");

    let models = server.get("/v1/entities/mira/models").await;
    let models = models.ok(200)["models"].as_array().expect("a list");
    assert_eq!(models.len(), 1);
    assert_eq!(models[0]["memories"], 1);
    assert!(!models[0]["model"].as_str().expect("a name").is_empty());

    server
        .post("/v1/entities/mira/recall", r#"{"text":"rain"}"#)
        .await
        .ok(200);
    let held = || server.memory.cache_stats().entity.entries;
    assert_eq!(held(), 1);
    let path = "/v1/entities/mira/cache";
    server.send("DELETE", path, "").await.ok(204);
    assert_eq!(held(), 0);
    server.get(&format!("{MEMORIES}/{id}")).await.ok(200);
    let held = || server.memory.cache_stats().memory.entries;
    assert_eq!(held(), 1);
    let of_another = format!("/v1/entities/tam/memories/{id}/cache");
    let refused = server.send("DELETE", &of_another, "").await;
    refused.problem(404, "not_found");
    assert_eq!(held(), 1, "what another entity has stays cached");
    let path = format!("{MEMORIES}/{id}/cache");
    server.send("DELETE", &path, "").await.ok(204);
    assert_eq!(held(), 0);
}

/// The names of an operation's header parameters.
fn headers(operation: &serde_json::Value) -> Vec<&str> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let headers = parameters.filter(|it| it["in"] == "header");
    headers.filter_map(|it| it["name"].as_str()).collect()
}

#[tokio::test]
async fn the_document_has_headers_and_tokens() {
    let server = server().await;
    let document = server.get("/openapi.json").await;
    let document = document.ok(200);
    assert_eq!(
        document["components"]["securitySchemes"]["bearer"]["scheme"],
        "bearer"
    );
    assert_eq!(
        document["security"],
        serde_json::json!([{}, {"bearer": []}])
    );
    let stores = ["/memories", "/memories/batch", "/import"];
    for (path, item) in document["paths"].as_object().expect("paths") {
        let Some(under) = path.strip_prefix("/v1/entities/{entity}") else {
            continue;
        };
        for (method, operation) in item.as_object().expect("operations") {
            let headers = headers(operation);
            let changes = under.starts_with("/memories/{id}") && !under.ends_with("/cache");
            let is_conditional = method != "get" && changes;
            assert_eq!(
                headers.contains(&"If-Match"),
                is_conditional,
                "{method} {path}"
            );
            let has_tag = operation["responses"].get("304").is_some();
            assert_eq!(
                headers.contains(&"If-None-Match"),
                has_tag,
                "{method} {path}"
            );
            let has_key = method == "post" && stores.contains(&under);
            assert_eq!(
                headers.contains(&"Idempotency-Key"),
                has_key,
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_page_renders_the_document_with_its_own_files_alone() {
    let server = server().await;
    for (path, media_type) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/main.js", "text/javascript; charset=utf-8"),
        ("/docs/style.css", "text/css; charset=utf-8"),
    ] {
        let file = server.get(path).await;
        let text = file.ok(200).as_str().expect("a text");
        assert_eq!(file.header("content-type"), Some(media_type));
        let policy = file.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"));
        for outside in ["http:", "https:", "innerHTML", "onclick", "eval("] {
            assert!(!text.contains(outside), "{path} has {outside}");
        }
    }
}

#[tokio::test]
async fn document_and_health_are_served() {
    let server = server().await;
    let document = server.get("/openapi.json").await;
    let document = document.ok(200);
    assert!(
        document["openapi"]
            .as_str()
            .expect("a version")
            .starts_with("3.1")
    );
    let retain = &document["paths"]["/v1/entities/{entity}/memories"]["post"];
    assert!(retain["requestBody"].is_object(), "{retain}");
    let paths = document["paths"].as_object().expect("paths").values();
    let operations: Vec<_> = paths
        .filter_map(|item| item.as_object())
        .flat_map(|item| item.values())
        .collect();
    let responses = operations
        .iter()
        .filter_map(|it| it["responses"].as_object());
    for response in responses.flat_map(|it| it.values()) {
        assert!(
            response["description"].is_string(),
            "OpenAPI requires it: {response}"
        );
    }
    let ids: BTreeSet<_> = operations
        .iter()
        .map(|it| &it["operationId"])
        .map(|it| it.as_str())
        .collect();
    assert_eq!(
        ids.len(),
        operations.len(),
        "generated clients need unique names: {ids:?}"
    );
    server.get("/health/live").await.ok(204);
    server.get("/health/ready").await.ok(204);
    server.memory.close().await.expect("it closes");
    server.get("/health/live").await.ok(204);
    let unready = server.get("/health/ready").await;
    unready.problem(503, "closed");
}
