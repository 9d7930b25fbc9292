//! Requests: their content, the endpoint's TLS, and what is never logged.

use memory_core::{ByteSize, ErrorKind, LanguageModel};
use memory_openai::{OpenAi, OpenAiError, OpenAiOptions};
use memory_testkit::TraceLog;
use serde_json::json;

use crate::server::{Reply, SECRET, Server};
use crate::{KEY, PROMPT, failure, model, options, source};

#[tokio::test]
async fn a_prompt_is_sent_and_its_response_returned() {
    let server = Server::start([Reply::text("Tam did.\n")]).await;
    let answer = model(&server).complete(PROMPT).await.unwrap();
    assert_eq!(answer, "Tam did.\n");

    let [request] = server.received().try_into().ok().unwrap();
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
async fn options_that_are_set_are_sent() {
    let server = Server::start([Reply::text("Tam.")]).await;
    let options = options(&server)
        .base_url(format!("{}/?tenant=mira", server.base_url()))
        .system_prompt("You are a horse.")
        .max_tokens(64)
        .max_completion_tokens(128)
        .temperature(0.7);
    let answer = OpenAi::new(options).unwrap().complete(PROMPT).await;
    assert_eq!(answer.unwrap(), "Tam.");

    let [request] = server.received().try_into().ok().unwrap();
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
async fn without_a_key_no_authorization_is_sent() {
    let server = Server::start([Reply::text("Tam.")]).await;
    let options = OpenAiOptions::new("mira-7b").base_url(server.base_url());
    let answer = OpenAi::new(options).unwrap().complete(PROMPT).await;
    assert_eq!(answer.unwrap(), "Tam.");
    assert!(!server.received()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn any_text_is_sent_unchanged() {
    let text = "\"\\\u{0}\u{1f40e} né à l'écurie\u{2028}\r\n";
    let server = Server::start([Reply::text(text)]).await;
    let answer = model(&server).complete(text).await.unwrap();
    assert_eq!(answer, text);
    assert_eq!(server.received()[0].body["messages"][0]["content"], text);
}

#[tokio::test]
async fn concurrent_calls_share_a_model() {
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
    let mut prompts: Vec<_> = server.received().iter().map(|r| prompt(&r.body)).collect();
    prompts.sort_unstable();
    prompts.dedup();
    assert_eq!(prompts.len(), 40);
}

#[tokio::test]
async fn nothing_is_sent_to_an_https_endpoint_without_tls() {
    let server = Server::start([Reply::text("Tam.")]).await;
    let options = options(&server).base_url(format!("https://{}/v1", server.address()));
    // Without platform certificates the error comes before the first call.
    match OpenAi::new(options) {
        Ok(model) => {
            let error = failure(&model).await;
            let reason = source(&error);
            assert!(matches!(reason, OpenAiError::Unreachable(_)), "{error:?}");
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains("TLS"), "{error}");
        }
    }
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn logs_contain_no_content() {
    let log = TraceLog::default();
    let guard = tracing::subscriber::set_default(log.clone());
    let script = [
        Reply::error(503, SECRET),
        Reply::text(SECRET),
        Reply::error(400, SECRET),
        Reply::new(200, SECRET),
    ];
    let server = Server::start(script).await;
    let model = OpenAi::new(options(&server).system_prompt(SECRET)).unwrap();
    assert_eq!(model.complete(PROMPT).await.unwrap(), SECRET);
    failure(&model).await;
    failure(&model).await;
    drop(guard);

    let log = log.since(0);
    assert!(log.contains("retrying a request"), "{log}");
    assert!(log.contains("503"), "{log}");
    for secret in [PROMPT, KEY, SECRET] {
        assert!(!log.contains(secret), "{log}");
        assert!(!format!("{model:?}").contains(secret), "{model:?}");
    }
}

#[tokio::test]
async fn a_request_over_the_limit_is_rejected_and_not_sent() {
    let server = Server::start([Reply::text("Tam.")]).await;
    let options = options(&server)
        .system_prompt("x".repeat(600))
        .max_request_bytes(ByteSize(1_000));
    let model = OpenAi::new(options).unwrap();
    // The prompt itself is shorter than the limit.
    let prompt = format!("{PROMPT}{}", "?".repeat(500));
    let error = model.complete(&prompt).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let OpenAiError::RequestTooLarge { size, max } = source(&error) else {
        panic!("{error:?}");
    };
    assert!(*max == ByteSize(1_000) && *size > *max, "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("max_request_bytes") && !text.contains(PROMPT),
        "{text}"
    );
    assert!(server.received().is_empty());
    assert_eq!(model.complete(PROMPT).await.unwrap(), "Tam.");
}
