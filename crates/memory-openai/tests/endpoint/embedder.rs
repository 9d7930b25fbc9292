//! The embedder against a server that computes vectors: conformance, requests and
//! batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use memory_core::{ByteSize, EmbedRole, Embedder, cosine};
use memory_openai::{EncodingFormat, OpenAiEmbedder, OpenAiEmbedderOptions};
use memory_testkit::{HashEmbedder, embedder};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::KEY;
use crate::server::{ReceivedRequest, Reply, Server, in_time};

pub(crate) const DIMENSIONS: usize = 64;

/// Options with a minimal delay between requests, and dimensions that need no
/// request.
pub(crate) fn embedder_options(server: &Server) -> OpenAiEmbedderOptions {
    OpenAiEmbedderOptions::new("mira-embed")
        .base_url(server.base_url())
        .api_key(KEY)
        .dimensions(DIMENSIONS)
        .initial_backoff(Duration::from_millis(2))
}

pub(crate) async fn connect(options: OpenAiEmbedderOptions) -> OpenAiEmbedder {
    OpenAiEmbedder::connect(options).await.unwrap()
}

/// The texts of a request.
pub(crate) fn inputs(request: &ReceivedRequest) -> Vec<String> {
    serde_json::from_value(request.body["input"].clone()).unwrap()
}

/// The vector of a text, longer than 1, so that it must be normalized.
fn vector(text: &str) -> Vec<f32> {
    let embedder = HashEmbedder::new()
        .with_dimensions(DIMENSIONS)
        .with_window(100_000);
    let vector = embedder.vector(text);
    vector.iter().map(|component| component * 3.0).collect()
}

/// One item of a response.
pub(crate) fn item(index: usize, vector: &[f32], encoding: &Value) -> Value {
    let embedding = if encoding == "base64" {
        let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        json!(BASE64_STANDARD.encode(bytes))
    } else {
        json!(vector)
    };
    json!({"object": "embedding", "index": index, "embedding": embedding})
}

/// The items that answer a request.
pub(crate) fn items(request: &ReceivedRequest) -> Vec<Value> {
    let encoding = &request.body["encoding_format"];
    let numbered = inputs(request).into_iter().enumerate();
    numbered
        .map(|(index, text)| item(index, &vector(&text), encoding))
        .collect()
}

pub(crate) fn response(items: &[Value]) -> Reply {
    let body = json!({"object": "list", "data": items, "model": "mira-embed"});
    Reply::new(200, body.to_string())
}

/// A server that embeds every text.
pub(crate) async fn computing_server() -> Server {
    Server::start_with(|request| response(&items(request))).await
}

#[tokio::test]
async fn the_embedder_conforms_in_both_encodings() {
    for encoding in [EncodingFormat::Float, EncodingFormat::Base64] {
        // The items are in reverse order, as a server may send them.
        let server = Server::start_with(|request| {
            let mut items = items(request);
            items.reverse();
            response(&items)
        })
        .await;
        let options = embedder_options(&server)
            .encoding_format(encoding)
            .window_tokens(128)
            .max_batch_texts(7);
        embedder::conformance(&connect(options).await)
            .await
            .assert();
    }
}

#[tokio::test]
async fn a_request_is_what_the_api_defines() {
    let server = computing_server().await;
    let embedder = connect(embedder_options(&server)).await;
    embedder
        .embed(&["Tam", "Wenna"], EmbedRole::Passage)
        .await
        .unwrap();
    let options = embedder_options(&server)
        .requested_dimensions(DIMENSIONS)
        .encoding_format(EncodingFormat::Base64)
        .query_prefix("query: ")
        .passage_prefix("passage: ");
    let embedder = connect(options).await;
    for role in [EmbedRole::Query, EmbedRole::Passage] {
        let vectors = embedder.embed(&["Tam", ""], role).await.unwrap();
        assert_ne!(vectors[0], vectors[1]);
    }

    let [plain, query, passage] = server.received().try_into().ok().unwrap();
    assert_eq!(plain.line, "POST /v1/embeddings");
    assert_eq!(plain.headers["authorization"], format!("Bearer {KEY}"));
    let expected = json!({"model": "mira-embed", "input": ["Tam", "Wenna"]});
    assert_eq!(plain.body, expected);
    let expected = json!({
        "model": "mira-embed",
        "input": ["query: Tam", "query: "],
        "encoding_format": "base64",
        "dimensions": DIMENSIONS,
    });
    assert_eq!(query.body, expected);
    assert_eq!(inputs(&passage), ["passage: Tam", "passage: "]);
}

#[tokio::test]
async fn an_empty_text_is_sent_as_a_space() {
    let server = computing_server().await;
    let embedder = connect(embedder_options(&server)).await;
    embedder.embed(&[""], EmbedRole::Passage).await.unwrap();
    assert_eq!(inputs(&server.received()[0]), [" "]);
    assert_eq!(
        embedder.embed(&[], EmbedRole::Query).await.unwrap().len(),
        0
    );
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn dimensions_that_are_not_stated_are_asked_of_the_endpoint() {
    let server = computing_server().await;
    let options = OpenAiEmbedderOptions::new("mira-embed").base_url(server.base_url());
    let embedder = connect(options).await;
    assert_eq!(embedder.profile().dimensions, DIMENSIONS);
    assert_eq!(embedder.profile().model, "mira-embed");
    assert_eq!(server.received().len(), 1);
    let stated = connect(embedder_options(&server)).await;
    assert_eq!(stated.profile(), embedder.profile());
    assert_eq!(server.received().len(), 1);
    for secret in [KEY, "127.0.0.1"] {
        assert!(!stated.profile().fingerprint.as_str().contains(secret));
    }
}

#[tokio::test]
async fn batches_keep_the_limits_of_texts_and_tokens() {
    let server = computing_server().await;
    let options = embedder_options(&server)
        .max_batch_texts(3)
        .max_batch_tokens(50)
        .bytes_per_token(2);
    let embedder = connect(options).await;
    let texts: Vec<String> = (0..10)
        .map(|n| format!("{n} {}", "x".repeat(n * 10)))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = embedder.embed(&texts, EmbedRole::Passage).await.unwrap();
    for (text, found) in texts.iter().zip(&vectors) {
        assert!(cosine(found, &vector(text)) > 2.99, "{text}");
    }
    let mut sent = 0;
    for request in server.received() {
        let inputs = inputs(&request);
        let bytes: usize = inputs.iter().map(String::len).sum();
        assert!(inputs.len() <= 3 && (bytes <= 100 || inputs.len() == 1));
        sent += inputs.len();
    }
    assert_eq!(sent, texts.len());
}

#[tokio::test]
async fn a_batch_over_the_maximum_of_a_request_is_sent_in_parts() {
    let server = computing_server().await;
    let max = ByteSize(300);
    let embedder = connect(embedder_options(&server).max_request_bytes(max)).await;
    // Escapes make the request six times as long as its texts.
    let texts = ["\u{1}".repeat(30), "\u{2}".repeat(30), "three".to_owned()];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = embedder.embed(&texts, EmbedRole::Passage).await.unwrap();
    assert!(cosine(&vectors[2], &vector("three")) > 2.99);
    let sent: Vec<String> = server.received().iter().flat_map(inputs).collect();
    assert_eq!(sent, texts);
    assert!(server.received().len() > 1);
}

#[tokio::test]
async fn requests_at_a_time_are_limited_and_queries_do_not_wait_for_passages() {
    const QUERY: &str = "who?";
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let replies = Arc::new(Semaphore::new(0));
    let mut server = Server::start_with({
        let (running, most, replies) = (running, Arc::clone(&most), Arc::clone(&replies));
        move |request| {
            let reply = response(&items(request));
            if inputs(request) == [QUERY] {
                return reply;
            }
            let now_running = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now_running, Ordering::SeqCst);
            let (running, replies) = (Arc::clone(&running), Arc::clone(&replies));
            reply.after(async move {
                replies.acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        }
    })
    .await;
    let options = embedder_options(&server)
        .max_batch_texts(1)
        .max_concurrent_requests(2);
    let embedder = connect(options).await;
    let calls = ["a", "b"].map(|call| {
        let embedder = embedder.clone();
        tokio::spawn(async move {
            let texts = [call, "one", "two"];
            embedder.embed(&texts, EmbedRole::Passage).await
        })
    });
    // Both permits are taken by passages, and no reply is sent.
    server.arrival().await;
    server.arrival().await;
    in_time(embedder.embed(&[QUERY], EmbedRole::Query))
        .await
        .unwrap();
    replies.add_permits(6);
    for call in calls {
        assert_eq!(in_time(call).await.unwrap().unwrap().len(), 3);
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert_eq!(server.received().len(), 7);
}
