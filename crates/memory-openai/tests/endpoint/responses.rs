//! Responses of status 200 that contain no usable text.

use memory_core::{ByteSize, ErrorKind, LanguageModel};
use memory_openai::{OpenAi, OpenAiError};

use crate::server::{Reply, SECRET, Server, in_time};
use crate::{failure, model, options, source};

/// Checks that a response gives a typed error and that the request is not
/// retried.
async fn check(reply: Reply, kind: ErrorKind, is_expected: impl Fn(&OpenAiError) -> bool) {
    let server = Server::start([reply]).await;
    let error = failure(&model(&server)).await;
    assert!(is_expected(source(&error)), "{error:?}");
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(server.received().len(), 1, "{error}");
}

#[tokio::test]
async fn a_response_that_is_not_json_is_an_error() {
    let bodies: [Vec<u8>; 4] = [
        format!("<html>{SECRET}</html>").into(),
        Vec::new(),
        format!(r#"{{"choices": [{{"message": {{"content": "{SECRET}"#).into(),
        b"{\"choices\": [{\"message\": {\"content\": \"\xff\xfe\"}}]}".into(),
    ];
    for body in bodies {
        let is_expected = |error: &_| matches!(error, OpenAiError::NotJson);
        check(Reply::new(200, body), ErrorKind::Corrupt, is_expected).await;
    }
}

#[tokio::test]
async fn json_of_an_unexpected_shape_is_an_error() {
    for body in [
        format!(r#""{SECRET}""#),
        "[]".to_owned(),
        "[".repeat(100_000),
        format!(r#"{{"choices": "{SECRET}"}}"#),
        format!(r#"{{"choices": [{{"message": {{"content": ["{SECRET}"]}}}}]}}"#),
        format!(r#"{{"choices": [{{"message": "{SECRET}"}}]}}"#),
    ] {
        let is_expected =
            |error: &_| matches!(error, OpenAiError::UnexpectedShape | OpenAiError::NoChoice);
        check(Reply::new(200, body), ErrorKind::Corrupt, is_expected).await;
    }
}

#[tokio::test]
async fn a_response_without_choices_is_an_error() {
    for body in [
        "{}",
        r#"{"choices": []}"#,
        r#"{"choices": null}"#,
        r#"{"error": {"message": "no"}}"#,
    ] {
        let is_expected = |error: &_| matches!(error, OpenAiError::NoChoice);
        check(Reply::new(200, body), ErrorKind::Corrupt, is_expected).await;
    }
}

#[tokio::test]
async fn an_empty_text_is_an_error() {
    for choice in [
        "{}",
        r#"{"message": {}}"#,
        r#"{"message": {"content": null}, "finish_reason": "tool_calls"}"#,
        r#"{"message": {"content": ""}, "finish_reason": "stop"}"#,
        r#"{"message": {"content": " \n"}, "finish_reason": "stop"}"#,
    ] {
        let is_expected = |error: &_| matches!(error, OpenAiError::Empty);
        check(Reply::choice(choice), ErrorKind::Other, is_expected).await;
    }
}

#[tokio::test]
async fn a_refusal_is_an_error_that_does_not_quote_it() {
    let choice = format!(
        r#"{{"message": {{"content": null, "refusal": "{SECRET}"}}, "finish_reason": "stop"}}"#
    );
    let is_expected = |error: &_| matches!(error, OpenAiError::Refused);
    check(Reply::choice(&choice), ErrorKind::Other, is_expected).await;
}

#[tokio::test]
async fn a_filtered_or_truncated_response_is_an_error() {
    let with = |finish: &str| {
        Reply::choice(&format!(
            r#"{{"message": {{"content": "{SECRET}"}}, "finish_reason": "{finish}"}}"#
        ))
    };
    let is_expected = |error: &_| matches!(error, OpenAiError::Truncated);
    check(with("length"), ErrorKind::Other, is_expected).await;
    let is_expected = |error: &_| matches!(error, OpenAiError::Filtered);
    check(with("content_filter"), ErrorKind::Other, is_expected).await;
}

#[tokio::test]
async fn a_response_over_the_limit_is_not_read_further() {
    let max = ByteSize(2_000);
    let is_expected = |error: &_| matches!(error, OpenAiError::TooLarge { max: of } if *of == max);
    let long = "horse ".repeat(500);
    let whole = || Reply::new(200, long.clone());
    // One with a content length, and one that never ends.
    for reply in [whole().half_then_silence(), whole().endless()] {
        let mut server = Server::start([reply]).await;
        let model = OpenAi::new(options(&server).max_response_bytes(max)).unwrap();
        let error = in_time(failure(&model)).await;
        assert!(is_expected(source(&error)), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Other);
        // The connection is closed.
        server.end().await;
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn a_response_of_exactly_the_limit_is_read() {
    let body = r#"{"choices": [{"message": {"content": "Tam."}}]}"#;
    for (max, fits) in [(body.len(), true), (body.len() - 1, false)] {
        let whole = || Reply::new(200, body);
        let server = Server::start([whole(), whole().byte_by_byte()]).await;
        let max = ByteSize(max.try_into().unwrap());
        let model = OpenAi::new(options(&server).max_response_bytes(max)).unwrap();
        assert_eq!(model.complete("?").await.is_ok(), fits);
        assert_eq!(model.complete("?").await.is_ok(), fits);
        assert_eq!(server.received().len(), 2);
    }
}
