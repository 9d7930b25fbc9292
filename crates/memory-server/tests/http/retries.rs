//! Writes that are sent again: those whose outcome is unknown, and those with a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use memory::{ErrorKind, MemoryError, MemoryResult};
use memory_server::ServerOptions;
use memory_testkit::{StoreCall, StoreHooks, StoreOperation};
use serde_json::{Value, json};

use crate::harness::{Answer, TestServer};

const MEMORIES: &str = "/v1/entities/mira/memories";

/// Loses the answer of the next insert, as a connection that breaks in the commit does.
#[derive(Debug, Default)]
struct LostAnswer(AtomicBool);

#[async_trait]
impl StoreHooks for LostAnswer {
    async fn after(&self, call: StoreCall<'_>, _: Result<(), &MemoryError>) -> MemoryResult<()> {
        let is_insert = matches!(
            call.operation,
            StoreOperation::Insert | StoreOperation::InsertOpts
        );
        match is_insert && self.0.swap(false, Ordering::SeqCst) {
            true => {
                let kind = ErrorKind::OutcomeUnknown;
                Err(MemoryError::store(
                    kind,
                    "retain",
                    "the connection was lost",
                ))
            }
            false => Ok(()),
        }
    }
}

async fn count(server: &TestServer) -> u64 {
    let stats = server.memory.entity_stats("mira").await;
    stats.expect("it is open").memory_count
}

fn ids(problem: &Answer) -> Vec<Value> {
    let ids = problem.body["ids"].as_array();
    ids.expect("ids").clone()
}

#[tokio::test]
async fn a_problem_has_the_ids_with_which_nothing_is_stored_twice() {
    let lost = Arc::new(LostAnswer::default());
    let server = TestServer::start_hooked(lost.clone()).await;
    lost.0.store(true, Ordering::SeqCst);
    let unknown = server.post(MEMORIES, r#"{"content":"Rain."}"#).await;
    let detail = unknown.problem(503, "outcome_unknown");
    assert!(detail.contains("`ids`"), "{detail}");
    // As it was sent, it would be stored twice.
    assert_eq!(unknown.body["retryable"], false);
    assert_eq!(unknown.header("retry-after"), None);
    let [id] = &ids(&unknown)[..] else {
        panic!("{unknown:?}");
    };
    let again = json!({"content": "Rain.", "id": id}).to_string();
    assert_eq!(server.post(MEMORIES, &again).await.ok(201)["id"], *id);
    assert_eq!(count(&server).await, 1);

    lost.0.store(true, Ordering::SeqCst);
    let batch = |memories: &[Value]| json!({"memories": memories}).to_string();
    let mut memories = [json!({"content": "Snow."}), json!({"content": "Sun."})];
    let path = format!("{MEMORIES}/batch");
    let unknown = server.post(&path, &batch(&memories)).await;
    unknown.problem(503, "outcome_unknown");
    let ids = ids(&unknown);
    assert_eq!(ids.len(), 2, "one for each, in their order");
    for (memory, id) in memories.iter_mut().zip(&ids) {
        memory["id"] = id.clone();
    }
    let stored = server.post(&path, &batch(&memories)).await;
    assert_eq!(stored.ok(201)["ids"], Value::from(ids));
    assert_eq!(count(&server).await, 3);
}

#[tokio::test]
async fn a_request_with_ids_or_a_key_may_be_sent_again_as_it_was() {
    let lost = Arc::new(LostAnswer::default());
    let server = TestServer::start_hooked(lost.clone()).await;
    let id = "0192d3a0-0000-7000-8000-000000000001";
    let keyed = async |body: Value, key: &str| {
        let request = server.request("POST", MEMORIES);
        let request = request.header("Idempotency-Key", key);
        let sent = request.body(body.to_string()).send().await;
        Answer::of(sent.expect("it answers")).await
    };
    for (body, stored) in [
        (json!({"content": "Rain.", "id": id}), 1),
        (json!({"content": "Rain."}), 2),
    ] {
        lost.0.store(true, Ordering::SeqCst);
        let unknown = keyed(body.clone(), "a").await;
        unknown.problem(503, "outcome_unknown");
        assert_eq!(unknown.body["retryable"], true);
        assert_eq!(unknown.header("retry-after"), Some("1"));
        assert_eq!(ids(&unknown).len(), 1);
        assert_eq!(keyed(body, "a").await.ok(201)["id"], ids(&unknown)[0]);
        assert_eq!(count(&server).await, stored);
    }
    // An import derives the ids of its lines.
    lost.0.store(true, Ordering::SeqCst);
    let path = "/v1/entities/mira/import";
    let line = "{\"content\":\"Snow.\"}\n";
    let unknown = server.post(path, line).await;
    unknown.problem(503, "outcome_unknown");
    assert_eq!(unknown.body["retryable"], true);
    assert_eq!(unknown.body["ids"], Value::Null);
    assert_eq!(server.post(path, line).await.ok(200)["already_there"], 1);
    assert_eq!(count(&server).await, 3);
}

#[tokio::test]
async fn a_tool_names_the_id_with_which_it_is_called_again() {
    let lost = Arc::new(LostAnswer::default());
    let server = TestServer::start_hooked(lost.clone()).await;
    lost.0.store(true, Ordering::SeqCst);
    let rain = json!({"content": "Rain."});
    let (refusal, _) = server.call_tool("retain", "mira", &rain).await;
    let (_, id) = refusal.split_once("`id` ").expect(&refusal);
    let id = &id[..36];
    let rain = json!({"content": "Rain.", "id": id});
    let (answer, _) = server.call_tool("retain", "mira", &rain).await;
    assert_eq!(answer, json!({"id": id}).to_string());
    assert_eq!(count(&server).await, 1);
}

#[tokio::test]
async fn a_repeated_request_with_a_key_writes_once() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let send = async |key: &str, body: &str| {
        let request = server
            .request("POST", MEMORIES)
            .header("Idempotency-Key", key);
        let sent = request.body(body.to_owned()).send().await;
        Answer::of(sent.expect("it answers")).await
    };
    let first = send("a", r#"{"content":"Rain."}"#).await;
    let again = send("a", r#"{"content":"Rain."}"#).await;
    assert_eq!(first.ok(201), again.ok(201));
    let other = send("b", r#"{"content":"Rain."}"#).await;
    assert_ne!(first.body, *other.ok(201));
    let refused = send("a", r#"{"content":"Snow."}"#).await;
    let detail = refused.problem(409, "conflict");
    assert!(detail.contains("the key was used before"), "{detail}");
    send("", r#"{"content":"Snow."}"#)
        .await
        .problem(400, "invalid_input");
    let stats = server.get("/v1/entities/mira/stats").await;
    assert_eq!(stats.ok(200)["memories"], 2);
    let twice = server
        .request("POST", MEMORIES)
        .header("Idempotency-Key", "a")
        .header("Idempotency-Key", "b");
    let twice = twice.body(r#"{"content":"Rain."}"#).send().await;
    let twice = Answer::of(twice.expect("it answers")).await;
    let detail = twice.problem(400, "invalid_input");
    assert!(detail.contains("one Idempotency-Key"), "{detail}");
}

/// As docs/server.md says.
#[tokio::test]
async fn a_repeat_with_a_key_is_compared_with_what_is_stored_then() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let send = async || {
        let request = server
            .request("POST", MEMORIES)
            .header("Idempotency-Key", "a");
        let sent = request.body(r#"{"content":"Rain."}"#).send().await;
        Answer::of(sent.expect("it answers")).await
    };
    let first = send().await;
    let id = first.ok(201)["id"].as_str().expect("an id");
    let path = format!("{MEMORIES}/{id}");
    let changed = server
        .request("PATCH", &path)
        .body(r#"{"content":"Snow."}"#);
    let changed = Answer::of(changed.send().await.expect("it answers")).await;
    changed.ok(200);
    let refused = send().await;
    let detail = refused.problem(409, "conflict");
    assert!(
        detail.contains("was changed since: read that memory"),
        "{detail}"
    );
    let forgotten = server.request("DELETE", &path).send().await;
    Answer::of(forgotten.expect("it answers")).await.ok(200);
    assert_eq!(send().await.ok(201)["id"], id);
}
