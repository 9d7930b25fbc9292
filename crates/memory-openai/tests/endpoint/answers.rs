//! Answers that are none.

use memory_core::{ByteSize, ErrorKind, LanguageModel};
use memory_openai::{OpenAi, OpenAiError};

use crate::server::{Reply, SECRET, Server, in_time};
use crate::{failure, model, options, source};

/// An answer of status 200 that is no good: its error is typed, and asking
/// again is left to the caller.
async fn check(reply: Reply, kind: ErrorKind, is_right: impl Fn(&OpenAiError) -> bool) {
    let server = Server::start([reply]).await;
    let error = failure(&model(&server)).await;
    assert!(is_right(source(&error)), "{error:?}");
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(server.seen().len(), 1, "{error}");
}

#[tokio::test]
async fn what_is_not_json_is_named() {
    let bodies: [Vec<u8>; 4] = [
        format!("<html>{SECRET}</html>").into(),
        Vec::new(),
        format!(r#"{{"choices": [{{"message": {{"content": "{SECRET}"#).into(),
        b"{\"choices\": [{\"message\": {\"content\": \"\xff\xfe\"}}]}".into(),
    ];
    for body in bodies {
        let is_right = |error: &_| matches!(error, OpenAiError::NotJson);
        check(Reply::new(200, body), ErrorKind::Corrupt, is_right).await;
    }
}

#[tokio::test]
async fn json_of_another_form_is_named() {
    for body in [
        format!(r#""{SECRET}""#),
        "[]".to_owned(),
        "[".repeat(100_000),
        format!(r#"{{"choices": "{SECRET}"}}"#),
        format!(r#"{{"choices": [{{"message": {{"content": ["{SECRET}"]}}}}]}}"#),
        format!(r#"{{"choices": [{{"message": "{SECRET}"}}]}}"#),
    ] {
        let is_right = |error: &_| matches!(error, OpenAiError::OtherForm | OpenAiError::NoChoice);
        check(Reply::new(200, body), ErrorKind::Corrupt, is_right).await;
    }
}

#[tokio::test]
async fn an_answer_without_a_choice_is_named() {
    for body in [
        "{}",
        r#"{"choices": []}"#,
        r#"{"choices": null}"#,
        r#"{"error": {"message": "no"}}"#,
    ] {
        let is_right = |error: &_| matches!(error, OpenAiError::NoChoice);
        check(Reply::new(200, body), ErrorKind::Corrupt, is_right).await;
    }
}

#[tokio::test]
async fn an_empty_text_is_named() {
    for choice in [
        "{}",
        r#"{"message": {}}"#,
        r#"{"message": {"content": null}, "finish_reason": "tool_calls"}"#,
        r#"{"message": {"content": ""}, "finish_reason": "stop"}"#,
        r#"{"message": {"content": " \n"}, "finish_reason": "stop"}"#,
    ] {
        let is_right = |error: &_| matches!(error, OpenAiError::Empty);
        check(Reply::choice(choice), ErrorKind::Other, is_right).await;
    }
}

#[tokio::test]
async fn a_refusal_is_named_and_not_quoted() {
    let choice = format!(
        r#"{{"message": {{"content": null, "refusal": "{SECRET}"}}, "finish_reason": "stop"}}"#
    );
    let is_right = |error: &_| matches!(error, OpenAiError::Refused);
    check(Reply::choice(&choice), ErrorKind::Other, is_right).await;
}

#[tokio::test]
async fn an_answer_that_was_withheld_or_cut_short_is_none() {
    let with = |finish: &str| {
        Reply::choice(&format!(
            r#"{{"message": {{"content": "{SECRET}"}}, "finish_reason": "{finish}"}}"#
        ))
    };
    let is_right = |error: &_| matches!(error, OpenAiError::CutShort);
    check(with("length"), ErrorKind::Other, is_right).await;
    let is_right = |error: &_| matches!(error, OpenAiError::Filtered);
    check(with("content_filter"), ErrorKind::Other, is_right).await;
}

#[tokio::test]
async fn an_answer_over_the_bound_is_not_read_on() {
    let max = ByteSize(2_000);
    let is_right = |error: &_| matches!(error, OpenAiError::TooLarge { max: of } if *of == max);
    let long = "horse ".repeat(500);
    let whole = || Reply::new(200, long.clone());
    // One that says how long it is and one that does not end.
    for reply in [whole().half_then_silence(), whole().endless()] {
        let mut server = Server::start([reply]).await;
        let model = OpenAi::new(options(&server).max_answer(max)).unwrap();
        let error = in_time(failure(&model)).await;
        assert!(is_right(source(&error)), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Other);
        // Nobody is left to send the rest to.
        server.end().await;
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_of_just_the_bound_is_read() {
    let body = r#"{"choices": [{"message": {"content": "Tam."}}]}"#;
    for (max, fits) in [(body.len(), true), (body.len() - 1, false)] {
        let whole = || Reply::new(200, body);
        let server = Server::start([whole(), whole().byte_by_byte()]).await;
        let max = ByteSize(max.try_into().unwrap());
        let model = OpenAi::new(options(&server).max_answer(max)).unwrap();
        assert_eq!(model.complete("?").await.is_ok(), fits);
        assert_eq!(model.complete("?").await.is_ok(), fits);
        assert_eq!(server.seen().len(), 2);
    }
}
