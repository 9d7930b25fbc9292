//! Vectors that a client computed: of questions and of memories.

use memory_server::ServerOptions;
use memory_testkit::HashEmbedder;
use serde_json::{Value, json};

use crate::harness::TestServer;

const MEMORIES: &str = "/v1/entities/mira/memories";
const RECALL: &str = "/v1/entities/mira/recall";
const REFLECT: &str = "/v1/entities/mira/reflect";
const DIMENSIONS: usize = HashEmbedder::DIMENSIONS;

async fn server() -> TestServer {
    TestServer::start(|_| ServerOptions::new()).await
}

/// A vector along one axis, of the length 2.
fn axis(index: usize) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    vector[index] = 2.0;
    vector
}

#[tokio::test]
async fn given_vectors_are_compared_in_place_of_computed_ones() {
    let server = server().await;
    let memory = |content: &str, index| json!({"content": content, "embedding": axis(index)});
    let one = memory("The mill burned down.", 0).to_string();
    server.post(MEMORIES, &one).await.ok(201);
    let batch = json!({"memories": [memory("Tam sold me a horse.", 1), memory("Bread.", 2)]});
    let path = format!("{MEMORIES}/batch");
    server.post(&path, &batch.to_string()).await.ok(201);
    let line = memory("It rained.", 3).to_string();
    let imported = server.post("/v1/entities/mira/import", &line).await;
    assert_eq!(imported.ok(200)["imported"], 1);
    let embedded = || server.memory.cache_stats().embedding.misses;
    assert_eq!(embedded(), 0, "no text is embedded");

    for (index, content) in [
        "The mill burned down.",
        "Tam sold me a horse.",
        "Bread.",
        "It rained.",
    ]
    .iter()
    .enumerate()
    {
        let question = json!({"text": "Anything else?", "limit": 1, "vector": axis(index)});
        let found = server.post(RECALL, &question.to_string()).await;
        let hit = &found.ok(200)["memories"][0];
        assert_eq!(hit["memory"]["content"], *content, "{found:?}");
        assert!(hit["similarity"].as_f64() > Some(0.999), "{found:?}");

        let reflect = json!({"recall": question}).to_string();
        let reflected = server.post(REFLECT, &reflect).await;
        assert_eq!(reflected.ok(200)["memories"][0]["content"], *content);
    }
    assert_eq!(embedded(), 0, "no question is embedded");
}

#[tokio::test]
async fn vectors_outside_the_limits_are_problems_that_name_the_limit() {
    let server = server().await;
    let ones = |count: usize| Value::from(vec![1.0; count]).to_string();
    let with = |first: &str| {
        let others = ",1".repeat(DIMENSIONS - 1);
        format!("[{first}{others}]")
    };
    let needed = format!("{DIMENSIONS} are needed");
    for (vector, says) in [
        ("[]".to_owned(), needed.as_str()),
        (ones(DIMENSIONS - 1), &needed),
        (ones(DIMENSIONS + 1), &needed),
        (ones(1_000_000), &needed),
        (Value::from(vec![0.0; DIMENSIONS]).to_string(), "all zeros"),
        (with("1e39"), "component 0 of a vector is not a finite"),
        (with("1e999"), "number out of range at line 1 column"),
        (with("NaN"), "at line 1 column"),
        (with("null"), "wrong type or out of range"),
        ("\"1\"".to_owned(), "wrong type or out of range"),
    ] {
        let recall = format!(r#"{{"text":"Tam-the-thief","vector":{vector}}}"#);
        let reflect = format!(r#"{{"recall":{recall}}}"#);
        for (path, body) in [(RECALL, recall), (REFLECT, reflect)] {
            let refused = server.post(path, &body).await;
            let detail = refused.problem(400, "invalid_input");
            let start: String = vector.chars().take(20).collect();
            assert!(detail.contains(says), "{path} {start}: {detail}");
            assert!(!detail.contains("Tam"), "{detail}");
            assert!(detail.len() < 300, "{detail}");
        }
    }
    for (embedding, says) in [
        ("[]".to_owned(), "0 dimensions"),
        (ones(DIMENSIONS - 1), needed.as_str()),
        (ones(1_000_000), &needed),
        (with("1e39"), "component 0 of a vector is not a finite"),
        (with("null"), "it must be an array of numbers"),
    ] {
        let memory = format!(r#"{{"content":"Tam-the-thief","embedding":{embedding}}}"#);
        let batch = format!(r#"{{"memories":[{{"content":"Fine."}},{memory}]}}"#);
        let path = format!("{MEMORIES}/batch");
        for (path, body) in [(MEMORIES, memory), (&path, batch)] {
            let refused = server.post(path, &body).await;
            let detail = refused.problem(400, "invalid_input");
            assert!(detail.contains(says), "{path}: {detail}");
            let is_batch = path != MEMORIES;
            let start = match is_batch {
                true => "invalid input in item 1 of the batch, counted from 0: ",
                false => "",
            };
            assert!(detail.starts_with(start), "{path}: {detail}");
            assert_eq!(detail.contains("of the batch"), is_batch, "{detail}");
            let item = is_batch.then_some(1);
            assert_eq!(refused.body.get("item").and_then(Value::as_u64), item);
            assert!(!detail.contains("Tam"), "{detail}");
        }
    }
    let stats = server.get("/v1/entities/mira/stats").await;
    assert_eq!(stats.ok(200)["memories"], 0, "nothing was written");
}

#[tokio::test]
async fn the_document_has_both_vectors() {
    let server = server().await;
    let document = server.get("/openapi.json").await;
    let schemas = &document.ok(200)["components"]["schemas"];
    for (schema, key) in [("Recall", "vector"), ("MemoryInput", "embedding")] {
        let property = &schemas[schema]["properties"][key];
        assert_eq!(property["items"]["type"], "number", "{property}");
        let required = schemas[schema]["required"].as_array();
        let required = required.expect("a list");
        assert!(!required.contains(&key.into()), "{required:?}");
    }
}
