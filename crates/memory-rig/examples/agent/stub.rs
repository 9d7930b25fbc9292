//! A server on loopback that plays a language model with two rules: it stores what it is
//! asked to remember, and answers anything else with the first document of the prompt.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The requests that came, oldest first.
type Requests = Arc<Mutex<Vec<Value>>>;

/// The server; it ends with the process.
#[derive(Debug)]
pub(crate) struct Stub {
    url: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "the test reads them"))]
    requests: Requests,
}

impl Stub {
    /// Starts the server on a free port.
    pub(crate) async fn start() -> io::Result<Self> {
        let requests = Requests::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let router = Router::new()
            .route("/v1/chat/completions", post(complete))
            .with_state(Arc::clone(&requests));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, requests })
    }

    /// The base URL of the endpoint.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Takes the requests that came since the last call.
    #[cfg(test)]
    pub(crate) fn take_requests(&self) -> Vec<Value> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *requests)
    }
}

/// Answers a request for a chat completion.
async fn complete(State(requests): State<Requests>, Json(request): Json<Value>) -> Json<Value> {
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let answer = answer_to(&messages);
    let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
    requests.push(request);
    let reason = if answer["tool_calls"].is_null() {
        "stop"
    } else {
        "tool_calls"
    };
    Json(json!({
        "id": format!("completion-{}", requests.len()),
        "object": "chat.completion",
        "created": 0,
        "model": "stub",
        "choices": [{"index": 0, "message": answer, "finish_reason": reason}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }))
}

fn answer_to(messages: &[Value]) -> Value {
    let say = |text: String| json!({"role": "assistant", "content": text});
    let last = messages.last().unwrap_or(&Value::Null);
    if last["role"] == "tool" {
        return say("I will remember that.".to_owned());
    }
    let prompt = text_of(last);
    if let Some(fact) = prompt.strip_prefix("Remember that ") {
        let arguments = json!({"content": fact, "kind": "world"}).to_string();
        let function = json!({"name": "retain", "arguments": arguments});
        let call = json!({"id": "call-1", "type": "function", "function": function});
        return json!({"role": "assistant", "content": null, "tool_calls": [call]});
    }
    let texts: Vec<String> = messages.iter().map(text_of).collect();
    let mut contents = texts.iter().flat_map(|text| contents(text));
    match contents.next() {
        Some(content) => say(format!("You told me: {content}")),
        None => say("I do not know.".to_owned()),
    }
}

/// The text of a message, which is a string or a list of parts.
pub(crate) fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// The values of `content` in the documents of a text, each on a line of its own.
fn contents(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter_map(|line| {
        let value = line.trim().strip_prefix("\"content\": ")?;
        serde_json::from_str(value.trim_end_matches(',')).ok()
    })
}
