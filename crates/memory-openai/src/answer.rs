//! What is answered, and when it is no answer.

use serde::Deserialize;
use serde_json::error::Category;

use crate::error::{OpenAiError, Reason};

/// The body of a chat completion, as far as it is needed.
#[derive(Deserialize)]
struct Answer {
    choices: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

/// The text of a completion.
pub(crate) fn text(body: &[u8]) -> Result<String, OpenAiError> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    let mut choices = answer.choices.unwrap_or_default().into_iter();
    let choice = choices.next().ok_or(OpenAiError::NoChoice)?;
    let message = choice.message.unwrap_or_default();
    match choice.finish_reason.as_deref() {
        Some("length") => return Err(OpenAiError::CutShort),
        Some("content_filter") => return Err(OpenAiError::Filtered),
        _ => {}
    }
    if message.refusal.is_some_and(|words| !words.is_empty()) {
        return Err(OpenAiError::Refused);
    }
    let text = message.content.unwrap_or_default();
    if text.trim().is_empty() {
        return Err(OpenAiError::Empty);
    }
    Ok(text)
}

/// The parser's own words are left out: they may quote the answer.
fn malformed(error: &serde_json::Error) -> OpenAiError {
    match error.classify() {
        Category::Data => OpenAiError::OtherForm,
        Category::Syntax | Category::Eof | Category::Io => OpenAiError::NotJson,
    }
}

/// The body of a status that is no success.
#[derive(Deserialize)]
struct Failure {
    error: Detail,
}

#[derive(Deserialize)]
struct Detail {
    code: Option<String>,
}

/// The reason that such a body names, where it is one of those known here: what
/// else stands there may quote the prompt.
pub(crate) fn reason(body: &[u8]) -> Option<Reason> {
    let failure: Failure = serde_json::from_slice(body).ok()?;
    match failure.error.code?.as_str() {
        "context_length_exceeded" => Some(Reason::ContextLength),
        "insufficient_quota" => Some(Reason::Quota),
        "content_filter" | "content_policy_violation" => Some(Reason::ContentFilter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_given_as_it_stands() {
        let body = br#"{"id": 7, "choices": [{"index": 0, "finish_reason": null,
            "message": {"role": "assistant", "content": " Tam.\n", "refusal": null}}]}"#;
        assert_eq!(text(body).unwrap(), " Tam.\n");
    }

    #[test]
    fn of_several_choices_the_first_is_taken() {
        let body = br#"{"choices": [{"message": {"content": "one"}, "finish_reason": "stop"},
            {"message": {"content": "two"}, "finish_reason": "length"}]}"#;
        assert_eq!(text(body).unwrap(), "one");
    }

    #[test]
    fn only_known_reasons_are_told() {
        let of = |code: &str| reason(format!(r#"{{"error": {{"code": {code}}}}}"#).as_bytes());
        assert_eq!(
            of(r#""context_length_exceeded""#),
            Some(Reason::ContextLength)
        );
        assert_eq!(of(r#""insufficient_quota""#), Some(Reason::Quota));
        assert_eq!(of(r#""content_filter""#), Some(Reason::ContentFilter));
        for other in [r#""Tam sold me a horse""#, "400", "null"] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(reason(b"<html>"), None);
    }
}
