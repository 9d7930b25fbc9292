//! The embedder and responses that fail, or contain no usable vectors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use memory_core::{ByteSize, EmbedRole, Embedder, ErrorKind, MemoryError};
use memory_openai::{EncodingFormat, OpenAiEmbedder, OpenAiEmbedderOptions, OpenAiError};
use serde_json::{Value, json};

use crate::embedder::{
    DIMENSIONS, computing_server, connect, embedder_options, inputs, item, items, response,
};
use crate::server::{ReceivedRequest, Reply, SECRET, Server, in_time};
use crate::{KEY, source};

const TEXTS: [&str; 3] = ["Tam sold a lame horse.", "Wenna keeps bees.", "Rain fell."];

/// The error of embedding the texts, checked to contain no secret.
async fn failure(embedder: &OpenAiEmbedder) -> MemoryError {
    let error = embedder
        .embed(&TEXTS, EmbedRole::Passage)
        .await
        .unwrap_err();
    check_error(&error, "embed");
    error
}

fn check_error(error: &MemoryError, operation: &str) {
    assert!(matches!(error, MemoryError::Embedder { .. }), "{error}");
    assert_eq!(error.operation(), Some(operation));
    let shown = format!("{error} {error:?}");
    for secret in TEXTS.into_iter().chain([KEY, SECRET]) {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// A server that sends two good responses and then one that `change` makes of a
/// good one; the error of the third request of a call, each with one text.
async fn third_response(
    encoding: EncodingFormat,
    change: impl Fn(&mut Vec<Value>, &ReceivedRequest) + Send + Sync + 'static,
) -> MemoryError {
    let server = Server::start_with(move |request| {
        let mut items = items(request);
        if inputs(request) == [TEXTS[2]] {
            change(&mut items, request);
        }
        response(&items)
    })
    .await;
    let options = embedder_options(&server)
        .encoding_format(encoding)
        .max_batch_texts(1)
        .max_concurrent_requests(1);
    let error = failure(&connect(options).await).await;
    assert_eq!(server.received().len(), 3, "not retried: {error}");
    error
}

#[tokio::test]
async fn vectors_that_cannot_be_used_are_errors_that_name_the_text() {
    let mut nan = vec![0.5; DIMENSIONS];
    nan[7] = f32::NAN;
    let mut infinite = vec![0.5; DIMENSIONS];
    infinite[9] = f32::INFINITY;
    let zero = vec![0.0; DIMENSIONS];
    let short = vec![0.5; DIMENSIONS - 1];
    for encoding in [EncodingFormat::Float, EncodingFormat::Base64] {
        for (vector, named, kind) in [
            // serde_json writes NaN and infinity as null.
            (&nan, "component 7", ErrorKind::Corrupt),
            (&infinite, "component 9", ErrorKind::Corrupt),
            (&zero, "all zeros", ErrorKind::Corrupt),
            (
                &short,
                "63 components, 64 are expected",
                ErrorKind::Configuration,
            ),
        ] {
            let vector = vector.clone();
            let error = third_response(encoding, move |items, request| {
                items[0] = item(0, &vector, &request.body["encoding_format"]);
            })
            .await;
            let text = error.to_string();
            assert!(text.contains(named) && text.contains("text 2"), "{text}");
            assert_eq!(error.kind(), kind, "{text}");
        }
    }
}

#[tokio::test]
async fn other_responses_without_usable_vectors_are_errors() {
    let float = EncodingFormat::Float;
    let error = third_response(float, |items, _| items.clear()).await;
    let counted = matches!(
        source(&error),
        OpenAiError::VectorCount {
            found: 0,
            expected: 1
        }
    );
    assert!(counted && error.kind() == ErrorKind::Corrupt, "{error:?}");
    let error = third_response(float, |items, _| items.push(items[0].clone())).await;
    assert!(
        error.to_string().contains("2 vectors for 1 texts"),
        "{error}"
    );
    let error = third_response(float, |items, _| items[0]["index"] = json!(1)).await;
    assert!(matches!(
        source(&error),
        OpenAiError::VectorIndex { count: 1 }
    ));
    let error = third_response(float, |items, _| items[0]["embedding"] = json!(SECRET)).await;
    assert!(matches!(
        source(&error),
        OpenAiError::InvalidBase64 { text: 2 }
    ));
    let error = third_response(float, |items, _| {
        items[0]["embedding"] = json!({"a": SECRET})
    })
    .await;
    assert!(matches!(source(&error), OpenAiError::UnexpectedShape));
}

#[tokio::test]
async fn a_body_that_is_not_json_is_an_error() {
    for body in [
        format!("<html>{SECRET}</html>"),
        String::new(),
        r#"{"data": [{"index": 0, "embedding": [NaN]}]}"#.to_owned(),
    ] {
        let server = Server::start([Reply::new(200, body)]).await;
        let error = failure(&connect(embedder_options(&server)).await).await;
        assert!(matches!(source(&error), OpenAiError::NotJson), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

/// A server that fails its first request, and the embedder's vectors in spite of it.
async fn recovers(failed: impl Fn() -> Reply + Send + Sync + 'static) -> usize {
    let requests = AtomicUsize::new(0);
    let server = Server::start_with(
        move |request| match requests.fetch_add(1, Ordering::SeqCst) {
            0 => failed(),
            _ => response(&items(request)),
        },
    )
    .await;
    let embedder = connect(embedder_options(&server)).await;
    let vectors = embedder.embed(&TEXTS, EmbedRole::Passage).await.unwrap();
    assert_eq!(vectors.len(), 3);
    let received = server.received();
    assert!(received.iter().all(|request| inputs(request) == TEXTS));
    received.len()
}

#[tokio::test]
async fn temporary_failures_are_retried() {
    for status in [429, 500, 503] {
        assert_eq!(recovers(move || Reply::error(status, "")).await, 2);
    }
    assert_eq!(recovers(Reply::hang_up).await, 2);
    assert_eq!(recovers(|| Reply::new(200, "[[[[[[[[").half()).await, 2);
    let start = Instant::now();
    let busy = || Reply::error(429, "rate_limit_exceeded").header("retry-after", "1");
    assert_eq!(recovers(busy).await, 2);
    // This holds on any machine, however slow.
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn failures_that_last_are_errors_with_a_kind() {
    for (status, requests, kind) in [
        (401, 1, ErrorKind::Configuration),
        (404, 1, ErrorKind::Configuration),
        (400, 1, ErrorKind::Other),
        (500, 3, ErrorKind::Unavailable),
    ] {
        let server = Server::start_with(move |_| Reply::error(status, "")).await;
        let error = failure(&connect(embedder_options(&server)).await).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(server.received().len(), requests, "{error}");
    }
}

#[tokio::test]
async fn one_failed_batch_fails_the_call() {
    let server = Server::start_with(|request| {
        if inputs(request) == [TEXTS[1]] {
            return Reply::error(400, "");
        }
        response(&items(request))
    })
    .await;
    failure(&connect(embedder_options(&server).max_batch_texts(1)).await).await;
}

/// A server whose model reads at most this many bytes together or per text.
async fn limited_server(together: usize, each: usize, rejection: fn() -> Reply) -> Server {
    Server::start_with(move |request| {
        let lengths: Vec<usize> = inputs(request).iter().map(String::len).collect();
        if lengths.iter().sum::<usize>() > together || lengths.iter().any(|len| *len > each) {
            return rejection();
        }
        response(&items(request))
    })
    .await
}

#[tokio::test]
async fn a_batch_that_is_rejected_as_too_large_is_sent_in_halves() {
    let rejections: [fn() -> Reply; 2] = [
        || Reply::error(413, ""),
        || Reply::error(400, "max_tokens_per_request"),
    ];
    for rejection in rejections {
        let server = limited_server(25, 25, rejection).await;
        let embedder = connect(embedder_options(&server)).await;
        let vectors = embedder.embed(&TEXTS, EmbedRole::Passage).await.unwrap();
        let whole = connect(embedder_options(&computing_server().await)).await;
        let expected = whole.embed(&TEXTS, EmbedRole::Passage).await.unwrap();
        assert_eq!(vectors, expected);
    }
}

#[tokio::test]
async fn a_text_that_is_rejected_as_too_long_is_shortened_once() {
    let too_long = || {
        let message =
            "This model's maximum context length is 128 tokens, however you requested 200";
        Reply::new(
            400,
            json!({"error": {"message": message, "code": null}}).to_string(),
        )
    };
    let text = "1234567890 ".repeat(20);
    for (each, is_embedded) in [(128, true), (20, false)] {
        let server = limited_server(10_000, each, too_long).await;
        let embedder = connect(embedder_options(&server).window_tokens(128)).await;
        let embedded = embedder.embed(&[&text], EmbedRole::Passage).await;
        assert_eq!(embedded.is_ok(), is_embedded, "{embedded:?}");
        let lengths: Vec<usize> = server
            .received()
            .iter()
            .map(|request| inputs(request)[0].len())
            .collect();
        assert_eq!(lengths, [220, 124]);
        if let Err(error) = embedded {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("too long"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_slow_response_ends_with_the_timeout() {
    let slow = [
        Reply::silence(),
        Reply::new(200, "[[[[").half_then_silence(),
    ];
    for reply in slow {
        let mut server = Server::start([reply]).await;
        let options = embedder_options(&server).timeout(Duration::from_millis(300));
        let error = in_time(failure(&connect(options).await)).await;
        assert!(matches!(source(&error), OpenAiError::TimedOut { .. }));
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        server.end().await;
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn dropping_the_future_closes_the_connections() {
    let mut server = Server::start_with(|_| Reply::silence()).await;
    let options = embedder_options(&server).max_batch_texts(1);
    let embedder = connect(options).await;
    let call = tokio::spawn({
        let embedder = embedder.clone();
        async move { embedder.embed(&TEXTS, EmbedRole::Passage).await }
    });
    for _ in TEXTS {
        server.arrival().await;
    }
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    for _ in TEXTS {
        server.end().await;
    }
    assert_eq!(server.received().len(), 3);
    drop(embedder);
}

#[tokio::test]
async fn a_response_over_the_limit_is_not_read_further() {
    let max = ByteSize(2_000);
    let mut server = Server::start([Reply::new(200, "[".repeat(999)).endless()]).await;
    let options = embedder_options(&server).max_response_bytes(max);
    let error = in_time(failure(&connect(options).await)).await;
    assert!(matches!(source(&error), OpenAiError::TooLarge { max: of } if *of == max));
    server.end().await;
}

#[tokio::test]
async fn a_large_response_is_read() {
    let server = computing_server().await;
    let embedder = connect(embedder_options(&server).max_batch_texts(2_048)).await;
    let texts: Vec<String> = (0..1_000).map(|n| format!("number {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = embedder.embed(&texts, EmbedRole::Passage).await.unwrap();
    assert_eq!((vectors.len(), server.received().len()), (1_000, 1));
}

#[tokio::test]
async fn dimensions_that_cannot_be_learned_are_an_error_of_connect() {
    let too_many = json!({"data": [{"index": 0, "embedding": vec![1; 8_193]}]}).to_string();
    for (reply, kind, named) in [
        (Reply::error(401, ""), ErrorKind::Configuration, "401"),
        (
            Reply::new(200, too_many),
            ErrorKind::Configuration,
            "8193 components; 1 to 8192",
        ),
        (
            Reply::new(200, r#"{"data": []}"#),
            ErrorKind::Corrupt,
            "0 vectors for 1 texts",
        ),
    ] {
        let server = Server::start([reply]).await;
        let options = OpenAiEmbedderOptions::new("m").base_url(server.base_url());
        let error = OpenAiEmbedder::connect(options).await.unwrap_err();
        check_error(&error, "connect");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}
