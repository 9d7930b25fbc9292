//! The index and the tools, on the embedded store with the real model.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use memory::{EntityId, MemoryBatchItem, MemoryError, MemoryId, MemoryKind, MemorySystem};
use memory_rig::{EntityMemory, RecalledMemory};
use rig_core::tool::{ErasedTool, Tool, ToolContext, ToolErrorKind, ToolResult};
use rig_core::vector_store::request::{Filter, SearchFilter};
use rig_core::vector_store::{VectorSearchRequest, VectorStoreError, VectorStoreIndex};
use serde::Deserialize;
use serde_json::{Value, json};

type Request = VectorSearchRequest<Filter<Value>>;

fn request(query: &str, samples: u64) -> Request {
    Request::builder().query(query).samples(samples).build()
}

fn filtered(filter: Filter<Value>) -> Request {
    let builder = Request::builder().query("What happened at the market?");
    builder.samples(10).filter(filter).build()
}

async fn open() -> MemorySystem {
    MemorySystem::open("sqlite::memory:").await.unwrap()
}

/// A horse that was sold, an opinion, a mill; and a memory of another entity.
async fn mira(system: &MemorySystem) -> (EntityMemory, [MemoryId; 3]) {
    let horse = MemoryBatchItem {
        context: Some("spring market".to_owned()),
        tags: ["market".to_owned()].into(),
        metadata: [("price".to_owned(), "12".to_owned())].into(),
        entities: [("tam".into(), "seller".to_owned())].into(),
        timestamp: Some("2026-03-01T09:30:00Z".parse().unwrap()),
        ..MemoryBatchItem::new("mira", MemoryKind::Experience, "Tam sold me a lame horse.")
    };
    let opinion = MemoryBatchItem {
        tags: ["market".to_owned(), "people".to_owned()].into(),
        timestamp: Some("2026-03-02T09:30:00Z".parse().unwrap()),
        ..MemoryBatchItem::new(
            "mira",
            MemoryKind::Opinion,
            "Nobody at the market is honest.",
        )
    };
    let mill = MemoryBatchItem {
        timestamp: Some("2026-03-03T09:30:00Z".parse().unwrap()),
        ..MemoryBatchItem::new("mira", MemoryKind::World, "The mill stands by the bridge.")
    };
    let other = MemoryBatchItem::new("tam", MemoryKind::Experience, "I sold Mira a lame horse.");
    let ids = system
        .retain_batch([horse, opinion, mill, other])
        .await
        .unwrap();
    let memory = EntityMemory::new(system.clone(), "mira");
    (memory, ids[..3].try_into().unwrap())
}

async fn found(memory: &EntityMemory, request: Request) -> Vec<String> {
    let results = memory.index().top_n_ids(request).await.unwrap();
    results.into_iter().map(|result| result.id).collect()
}

#[tokio::test]
async fn a_search_finds_the_memories_of_its_entity() {
    let system = open().await;
    let (memory, [horse, ..]) = mira(&system).await;
    let query = "Who sold me the lame horse?";
    let index = memory.index();
    let results = index.top_n::<RecalledMemory>(request(query, 10)).await;
    let results = results.unwrap();
    assert_eq!(results.len(), 3, "none of another entity");
    let best = &results[0];
    assert_eq!(best.id, horse.to_string());
    assert!((0.0..=1.0).contains(&best.score), "{best:?}");
    let document = &best.document;
    assert_eq!(document.id, horse);
    assert_eq!(document.content, "Tam sold me a lame horse.");
    assert_eq!(document.kind, MemoryKind::Experience);
    assert_eq!(document.timestamp.to_rfc3339(), "2026-03-01T09:30:00+00:00");
    assert_eq!(document.context.as_deref(), Some("spring market"));
    assert_eq!(document.metadata["price"], "12");
    assert_eq!(document.entities[&EntityId::from("tam")], "seller");
    assert!((document.relevance - best.score).abs() <= 0.005 + 1e-6);

    // A type with some of the fields, and a type with none of them.
    #[derive(Deserialize)]
    struct Text {
        content: String,
    }
    let texts = index.top_n::<Text>(request(query, 1)).await.unwrap();
    assert_eq!(texts[0].document.content, "Tam sold me a lame horse.");
    let wrong = index.top_n::<u8>(request(query, 1)).await.unwrap_err();
    assert!(matches!(wrong, VectorStoreError::JsonError(_)), "{wrong}");

    let ids = index.top_n_ids(request(query, 10)).await.unwrap();
    let expected = results.iter().map(|result| (result.score, &result.id));
    assert!(ids.iter().map(|id| (id.score, &id.id)).eq(expected));
    let stranger = EntityMemory::new(system.clone(), "nobody");
    assert_eq!(found(&stranger, request(query, 10)).await, [""; 0]);
}

#[tokio::test]
async fn filters_are_exact() {
    let system = open().await;
    let (memory, [horse, opinion, mill]) = mira(&system).await;
    let eq = |key: &str, value: &str| Filter::eq(key, json!(value));
    let time = |text: &str| json!(text);
    for (filter, expected) in [
        (eq("kind", "world"), vec![mill]),
        (
            eq("kind", "world").or(eq("kind", "opinion")),
            vec![opinion, mill],
        ),
        (eq("tags", "market"), vec![horse, opinion]),
        (
            eq("tags", "market").and(eq("tags", "people")),
            vec![opinion],
        ),
        (eq("entities", "tam"), vec![horse]),
        (eq("metadata.price", "12"), vec![horse]),
        (
            Filter::gt("timestamp", time("2026-03-01T09:30:00Z")),
            vec![opinion, mill],
        ),
        (
            Filter::lt("timestamp", time("2026-03-03T09:30:00Z")),
            vec![horse, opinion],
        ),
        (eq("kind", "world").and(eq("tags", "market")), vec![]),
        (
            Filter::gt("timestamp", time("2026-03-03T09:30:00Z"))
                .and(Filter::lt("timestamp", time("2026-03-01T09:30:00Z"))),
            vec![],
        ),
        (
            Filter::gt("timestamp", time("2026-03-01T09:30:00Z"))
                .and(Filter::lt("timestamp", time("2026-03-01T09:30:00.000001Z"))),
            vec![],
        ),
    ] {
        let mut expected: Vec<_> = expected.iter().map(MemoryId::to_string).collect();
        let mut actual = found(&memory, filtered(filter.clone())).await;
        expected.sort();
        actual.sort();
        assert_eq!(actual, expected, "{filter:?}");
    }
    let index = memory.index();
    let unsupported = filtered(eq("price", "12"));
    let error = index.top_n::<Value>(unsupported).await.unwrap_err();
    assert!(matches!(error, VectorStoreError::FilterError(_)), "{error}");
    let error = index.top_n_ids(filtered(eq("x", "12"))).await.unwrap_err();
    assert!(matches!(error, VectorStoreError::FilterError(_)), "{error}");
}

#[tokio::test]
async fn a_threshold_is_the_least_relevance() {
    let system = open().await;
    let (memory, _) = mira(&system).await;
    let query = "Who sold me the lame horse?";
    let all = memory.index().top_n_ids(request(query, 10)).await.unwrap();
    let best = all.iter().map(|result| result.score).fold(0.0, f64::max);
    let with = |threshold: f64| {
        let builder = Request::builder().query(query).samples(10);
        builder.threshold(threshold).build()
    };
    let above = |least: f64| all.iter().filter(|one| one.score >= least).count();
    assert!(above(best) < all.len(), "the scores differ: {all:?}");
    assert_eq!(found(&memory, with(best)).await.len(), above(best));
    assert_eq!(found(&memory, with(0.0)).await.len(), all.len());

    // That of the index is for searches without one.
    #[expect(clippy::cast_possible_truncation, reason = "it was an f32")]
    let strict = memory.index().min_relevance(best as f32);
    let count = async |request| strict.top_n_ids(request).await.unwrap().len();
    assert_eq!(count(request(query, 10)).await, above(best));
    assert_eq!(count(with(0.0)).await, all.len());
    let error = memory.index().top_n_ids(with(2.0)).await.unwrap_err();
    let VectorStoreError::DatastoreError(source) = error else {
        panic!("{error}");
    };
    let source = source.downcast_ref::<MemoryError>().expect("its own error");
    assert!(
        matches!(source, MemoryError::InvalidInput { .. }),
        "{source}"
    );
}

#[tokio::test]
async fn every_query_is_answered() {
    let system = open().await;
    let (memory, [horse, ..]) = mira(&system).await;
    assert_eq!(found(&memory, request(" \n", 5)).await, [""; 0]);
    assert_eq!(found(&memory, request("horse", 0)).await, [""; 0]);
    let long = format!("{}Who sold me the lame horse?", "é ".repeat(20_000));
    assert_eq!(found(&memory, request(&long, 1)).await, [horse.to_string()]);
    let query = "Who sold me\0the lame horse?\0";
    assert_eq!(found(&memory, request(query, 1)).await, [horse.to_string()]);
    assert_eq!(found(&memory, request("\0", 5)).await, [""; 0]);
    let error = memory.index().top_n_ids(request("horse", 1_001)).await;
    let error = error.unwrap_err();
    assert!(
        matches!(
            error,
            VectorStoreError::SamplesOutOfRange {
                requested: 1_001,
                max: 1_000
            }
        ),
        "{error}"
    );
}

/// Calls a tool as an agent does, with arguments as text.
async fn call(tool: &impl ErasedTool, arguments: Value) -> ToolResult {
    let mut context = ToolContext::new();
    tool.execute(arguments.to_string(), &mut context).await
}

fn answer(result: &ToolResult) -> &Value {
    assert!(!result.is_error(), "{result:?}");
    result.output().as_json().expect("an object")
}

/// The kind of a failed call, and what the model reads.
fn refusal(result: ToolResult) -> (ToolErrorKind, String) {
    let error = result.into_result().expect_err("it is refused");
    let text = error.model_feedback().expect("a text").to_owned();
    (error.kind(), text)
}

#[tokio::test]
async fn a_model_retains_recalls_and_forgets() {
    let system = open().await;
    let memory = EntityMemory::new(system.clone(), "mira");
    let stored = json!({
        "content": "Ada drinks tea.",
        "kind": "world",
        "timestamp": "2026-03-01T09:30:00Z",
        "importance": 0.75,
        "tags": ["preferences"],
    });
    let stored = call(&memory.retain_tool(), stored).await;
    let id = answer(&stored)["id"].as_str().unwrap().to_owned();
    let kept = system.get_memory("mira", id.parse().unwrap()).await;
    let kept = kept.unwrap();
    assert_eq!((kept.kind, kept.importance), (MemoryKind::World, 0.75));
    call(&memory.retain_tool(), json!({"content": "It rained."})).await;

    let question = json!({"text": "What does Ada drink?", "limit": 1});
    let recalled = call(&memory.recall_tool(), question.clone()).await;
    let recalled = answer(&recalled);
    assert_eq!(recalled["memories"][0]["id"], id.as_str());
    assert_eq!(recalled["memories"][0]["content"], "Ada drinks tea.");
    assert_eq!(recalled["memories"].as_array().map(Vec::len), Some(1));
    let narrow = json!({"text": "Ada", "tags": ["work"], "until": "2026-03-02T00:00:00Z"});
    let nothing = call(&memory.recall_tool(), narrow).await;
    let note = answer(&nothing)["note"].as_str().unwrap();
    assert!(note.contains("Do not guess"), "{note}");

    let forgotten = call(&memory.forget_tool(), json!({"id": id})).await;
    assert_eq!(answer(&forgotten), &json!({"forgotten": [id]}));
    let (kind, text) = refusal(call(&memory.forget_tool(), json!({"id": id})).await);
    assert_eq!(kind, ToolErrorKind::NotFound);
    assert!(text.contains("do not guess"), "{text}");
    let after = call(&memory.recall_tool(), question).await;
    assert_eq!(answer(&after)["memories"][0]["content"], "It rained.");
}

#[tokio::test]
async fn a_model_reads_what_is_wrong_and_what_is_allowed() {
    let memory = EntityMemory::new(open().await, "mira");
    let (kind, text) = refusal(call(&memory.retain_tool(), json!({"content": " "})).await);
    assert_eq!(kind, ToolErrorKind::InvalidArgs);
    assert!(text.contains("1 to 10000 characters"), "{text}");
    for arguments in [
        json!({"content": "x", "kind": "dream"}),
        json!({"content": "x", "color": "red"}),
        json!({}),
    ] {
        let (kind, text) = refusal(call(&memory.retain_tool(), arguments).await);
        assert_eq!(kind, ToolErrorKind::InvalidArgs, "{text}");
    }
    let question = json!({"text": "x", "limit": 1_001});
    let (kind, text) = refusal(call(&memory.recall_tool(), question).await);
    assert_eq!(kind, ToolErrorKind::InvalidArgs);
    assert!(text.contains("1000"), "{text}");
}

#[tokio::test]
async fn answers_of_recall_fit() {
    let memory = EntityMemory::new(open().await, "mira");
    for index in 0..3 {
        let content = format!("{index} {}", "The market was full of people. ".repeat(250));
        let stored = call(&memory.retain_tool(), json!({"content": content})).await;
        assert!(!stored.is_error());
    }
    let recalled = call(&memory.recall_tool(), json!({"text": "the market"})).await;
    let recalled = answer(&recalled);
    assert_eq!(recalled["memories"].as_array().map(Vec::len), Some(1));
    assert_eq!(recalled["omitted"], 2);
    assert!(recalled["note"].as_str().unwrap().contains("narrower"));
}

#[tokio::test]
async fn schemas_describe_every_argument() {
    let memory = EntityMemory::new(open().await, "mira");
    let schemas = [
        Tool::parameters(&memory.retain_tool()),
        Tool::parameters(&memory.recall_tool()),
        Tool::parameters(&memory.forget_tool()),
    ];
    for schema in schemas {
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["additionalProperties"], false);
        for (name, property) in schema["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{name}: {property}");
        }
    }
    let retain = Tool::parameters(&memory.retain_tool());
    assert_eq!(retain["required"], json!(["content"]));
    let kinds = retain["properties"]["kind"]["enum"].as_array().unwrap();
    for kind in MemoryKind::ALL {
        assert!(kinds.contains(&json!(kind.as_str())), "{kind}");
    }
}
