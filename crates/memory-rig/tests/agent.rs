//! Two runs of the example agent: the second one knows what the first one stored.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tokio::process::Command;

#[path = "../examples/agent/stub.rs"]
mod stub;

use stub::{Stub, text_of};

/// Runs the example as a process of its own, with the language model of `stub`.
async fn run_agent(stub: &Stub, database: &str, prompt: &str) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(example())
        .args([database, prompt])
        .env("OPENAI_BASE_URL", stub.url())
        .output()
        .await
        .expect("`cargo test` builds the example");
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{errors}");
    String::from_utf8(stdout).unwrap()
}

/// The example's binary, next to the folder of this test's.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    profile.join("examples").join("agent")
}

/// The texts of a request's messages, each with its role.
fn messages(request: &Value) -> Vec<(String, String)> {
    let messages = request["messages"].as_array().unwrap().iter();
    let role = |message: &Value| message["role"].as_str().unwrap().to_owned();
    messages.map(|one| (role(one), text_of(one))).collect()
}

#[tokio::test]
async fn an_agent_remembers_across_runs() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("agent.db");
    let database = database.to_str().unwrap();
    let stub = Stub::start().await.unwrap();

    let prompt = "Remember that my sister Ada drinks tea.";
    let answer = run_agent(&stub, database, prompt).await;
    assert_eq!(answer, "I will remember that.\n");
    let requests = stub.take_requests();
    assert_eq!(requests.len(), 2, "the prompt, and the tool's answer");
    let tools = requests[0]["tools"].as_array().unwrap();
    let function = |name: &str| {
        let mut functions = tools.iter().map(|tool| &tool["function"]);
        functions.find(|function| function["name"] == name).unwrap()
    };
    for (name, argument) in [("retain", "content"), ("recall", "text"), ("forget", "id")] {
        let schema = &function(name)["parameters"]["properties"][argument];
        assert_eq!(schema["type"], "string", "{name}: {schema}");
        assert!(schema["description"].is_string(), "{name}: {schema}");
    }
    let (role, stored) = messages(&requests[1]).pop().unwrap();
    assert_eq!(role, "tool");
    let stored: Value = serde_json::from_str(&stored).unwrap();
    let id = stored["id"].as_str().unwrap().to_owned();

    // Another process, another conversation: nothing but the memory is left.
    let answer = run_agent(&stub, database, "What does Ada drink?").await;
    assert_eq!(answer, "You told me: my sister Ada drinks tea.\n");
    let requests = stub.take_requests();
    assert_eq!(requests.len(), 1);
    let messages = messages(&requests[0]);
    assert!(messages.iter().all(|(role, _)| role != "assistant"));
    let context = messages.iter().find(|(_, text)| text.contains(&id));
    let (_, context) = context.expect("the memory is in the prompt");
    assert!(context.contains("my sister Ada drinks tea."), "{context}");
    assert!(!messages.iter().any(|(_, text)| text.contains(prompt)));
}
