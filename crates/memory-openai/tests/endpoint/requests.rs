//! What is sent.

use memory_core::LanguageModel;
use memory_openai::{OpenAi, OpenAiOptions};
use serde_json::json;

use crate::server::{Reply, Server};
use crate::{KEY, PROMPT, model, options};

#[tokio::test]
async fn a_prompt_is_asked_and_its_answer_returned() {
    let server = Server::start([Reply::text("Tam did.\n")]).await;
    let answer = model(&server).complete(PROMPT).await.unwrap();
    assert_eq!(answer, "Tam did.\n");

    let [request] = server.seen().try_into().ok().unwrap();
    assert_eq!(request.line, "POST /v1/chat/completions");
    assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["host"], server.address().to_string());
    let expected = json!({
        "model": "mira-7b",
        "messages": [{"role": "user", "content": PROMPT}],
    });
    assert_eq!(request.body, expected);
}

#[tokio::test]
async fn what_is_set_is_sent() {
    let server = Server::start([Reply::text("Tam.")]).await;
    let options = options(&server)
        .base_url(format!("{}/?tenant=mira", server.base_url()))
        .system_prompt("You are a horse.")
        .max_tokens(64)
        .max_completion_tokens(128)
        .temperature(0.7);
    let answer = OpenAi::new(options).unwrap().complete(PROMPT).await;
    assert_eq!(answer.unwrap(), "Tam.");

    let [request] = server.seen().try_into().ok().unwrap();
    assert_eq!(request.line, "POST /v1/chat/completions?tenant=mira");
    let expected = json!({
        "model": "mira-7b",
        "messages": [
            {"role": "system", "content": "You are a horse."},
            {"role": "user", "content": PROMPT},
        ],
        "max_tokens": 64,
        "max_completion_tokens": 128,
        "temperature": 0.7,
    });
    assert_eq!(request.body, expected);
}

#[tokio::test]
async fn without_a_key_there_is_no_header() {
    let server = Server::start([Reply::text("Tam.")]).await;
    let options = OpenAiOptions::new("mira-7b").base_url(server.base_url());
    let answer = OpenAi::new(options).unwrap().complete(PROMPT).await;
    assert_eq!(answer.unwrap(), "Tam.");
    assert!(!server.seen()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn any_text_arrives_as_it_is() {
    let text = "\"\\\u{0}\u{1f40e} né à l'écurie\u{2028}\r\n";
    let server = Server::start([Reply::text(text)]).await;
    let answer = model(&server).complete(text).await.unwrap();
    assert_eq!(answer, text);
    assert_eq!(server.seen()[0].body["messages"][0]["content"], text);
}

#[tokio::test]
async fn many_calls_at_once_share_a_model() {
    let replies = (0..40).map(|_| Reply::text("Tam."));
    let server = Server::start(replies).await;
    let model = model(&server);
    let calls = (0..40).map(|n| {
        let model = model.clone();
        tokio::spawn(async move { model.complete(&format!("{n}")).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap(), "Tam.");
    }
    let prompt = |body: &serde_json::Value| body["messages"][0]["content"].to_string();
    let mut prompts: Vec<_> = server.seen().iter().map(|r| prompt(&r.body)).collect();
    prompts.sort_unstable();
    prompts.dedup();
    assert_eq!(prompts.len(), 40);
}
