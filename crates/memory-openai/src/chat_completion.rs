//! The request and the response of a chat completion.

use std::time::Duration;

use memory_core::{ByteSize, ErrorKind, MemoryError, MemoryResult};
use reqwest::Response;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use crate::error::{COMPLETE, OpenAiError, RejectionReason};
use crate::options::OpenAiOptions;

/// The maximum that is read of the body of an error response.
const MAX_ERROR_BYTES: ByteSize = ByteSize(64 * 1024);

/// The body of a request. Settings that are not set are omitted, because some
/// models reject settings that others need.
#[derive(Serialize)]
struct RequestBody<'a> {
    model: &'a str,
    messages: Vec<RequestMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
}

#[derive(Serialize)]
struct RequestMessage<'a> {
    role: &'static str,
    content: &'a str,
}

/// Serializes the request for a prompt.
///
/// # Errors
/// [`OpenAiError::RequestTooLarge`] if the body, system prompt included,
/// exceeds [`OpenAiOptions::max_request_bytes`].
pub(crate) fn request_body(options: &OpenAiOptions, prompt: &str) -> MemoryResult<Vec<u8>> {
    let system = options.system_prompt.as_deref();
    let message = |role, content| RequestMessage { role, content };
    let request = RequestBody {
        model: &options.model,
        messages: system
            .map(|content| message("system", content))
            .into_iter()
            .chain([message("user", prompt)])
            .collect(),
        max_tokens: options.max_tokens,
        max_completion_tokens: options.max_completion_tokens,
        temperature: options.temperature,
    };
    let max = options.max_request_bytes;
    // The text alone may exceed the limit; then it is not copied.
    let text_len = system.map_or(0, str::len).saturating_add(prompt.len());
    check_request_size(text_len, max)?;
    let body = serde_json::to_vec(&request).map_err(|error| {
        let message = "cannot serialize the request as JSON";
        MemoryError::language_model(ErrorKind::Other, COMPLETE, message).with_source(error)
    })?;
    check_request_size(body.len(), max)?;
    Ok(body)
}

fn check_request_size(bytes: usize, max: ByteSize) -> MemoryResult<()> {
    let size = ByteSize(u64::try_from(bytes).unwrap_or(u64::MAX));
    if size <= max {
        return Ok(());
    }
    let error = OpenAiError::RequestTooLarge { size, max };
    Err(MemoryError::language_model(error.kind(), COMPLETE, error.to_string()).with_source(error))
}

/// Reads a whole body of at most `max` bytes.
///
/// # Errors
/// [`OpenAiError::TooLarge`] as soon as the body is known to be larger. The
/// rest is not read, and the connection is closed.
pub(crate) async fn read_limited(
    mut response: Response,
    max: ByteSize,
    timeout: Duration,
) -> Result<Vec<u8>, OpenAiError> {
    let too_large = OpenAiError::TooLarge { max };
    if response.content_length().is_some_and(|bytes| bytes > max.0) {
        return Err(too_large);
    }
    let mut body = Vec::new();
    let from_http = |error| OpenAiError::from_http(error, timeout);
    while let Some(chunk) = response.chunk().await.map_err(from_http)? {
        let bytes = body.len().saturating_add(chunk.len());
        if u64::try_from(bytes).map_or(true, |bytes| bytes > max.0) {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The fields of a response that are used.
#[derive(Deserialize)]
struct ResponseBody {
    choices: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<ResponseMessage>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct ResponseMessage {
    content: Option<String>,
    refusal: Option<String>,
}

/// The text of a chat completion: the message of its first choice.
pub(crate) fn response_text(body: &[u8]) -> Result<String, OpenAiError> {
    let response: ResponseBody = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    let mut choices = response.choices.unwrap_or_default().into_iter();
    let choice = choices.next().ok_or(OpenAiError::NoChoice)?;
    let message = choice.message.unwrap_or_default();
    match choice.finish_reason.as_deref() {
        Some("length") => return Err(OpenAiError::Truncated),
        Some("content_filter") => return Err(OpenAiError::Filtered),
        _ => {}
    }
    if message.refusal.is_some_and(|refusal| !refusal.is_empty()) {
        return Err(OpenAiError::Refused);
    }
    let text = message.content.unwrap_or_default();
    if text.trim().is_empty() {
        return Err(OpenAiError::Empty);
    }
    Ok(text)
}

/// Classifies a parser error. Its text is left out, because it may quote the
/// response.
fn malformed(error: &serde_json::Error) -> OpenAiError {
    match error.classify() {
        Category::Data => OpenAiError::UnexpectedShape,
        Category::Syntax | Category::Eof | Category::Io => OpenAiError::NotJson,
    }
}

/// The body of an error response.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Deserialize)]
struct ErrorDetail {
    code: Option<String>,
}

/// Reads the reason of a rejection, if the response contains a known one.
pub(crate) async fn read_rejection_reason(
    response: Response,
    timeout: Duration,
) -> Option<RejectionReason> {
    let body = read_limited(response, MAX_ERROR_BYTES, timeout)
        .await
        .ok()?;
    rejection_reason(&body)
}

/// Parses the reason of a rejection. Only known codes are returned, because
/// everything else in the body may quote the prompt.
fn rejection_reason(body: &[u8]) -> Option<RejectionReason> {
    let body: ErrorBody = serde_json::from_slice(body).ok()?;
    match body.error.code?.as_str() {
        "context_length_exceeded" => Some(RejectionReason::ContextLength),
        "insufficient_quota" => Some(RejectionReason::Quota),
        "content_filter" | "content_policy_violation" => Some(RejectionReason::ContentFilter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_returned_unchanged() {
        let body = br#"{"id": 7, "choices": [{"index": 0, "finish_reason": null,
            "message": {"role": "assistant", "content": " Tam.\n", "refusal": null}}]}"#;
        assert_eq!(response_text(body).unwrap(), " Tam.\n");
    }

    #[test]
    fn the_first_of_several_choices_is_returned() {
        let body = br#"{"choices": [{"message": {"content": "one"}, "finish_reason": "stop"},
            {"message": {"content": "two"}, "finish_reason": "length"}]}"#;
        assert_eq!(response_text(body).unwrap(), "one");
    }

    #[test]
    fn only_known_rejection_reasons_are_returned() {
        let reason_of =
            |code: &str| rejection_reason(format!(r#"{{"error": {{"code": {code}}}}}"#).as_bytes());
        assert_eq!(
            reason_of(r#""context_length_exceeded""#),
            Some(RejectionReason::ContextLength)
        );
        assert_eq!(
            reason_of(r#""insufficient_quota""#),
            Some(RejectionReason::Quota)
        );
        assert_eq!(
            reason_of(r#""content_filter""#),
            Some(RejectionReason::ContentFilter)
        );
        for other in [r#""Tam sold me a horse""#, "400", "null"] {
            assert_eq!(reason_of(other), None, "{other}");
        }
        assert_eq!(rejection_reason(b"<html>"), None);
    }

    #[test]
    fn the_request_size_includes_the_system_prompt_and_the_escapes() {
        let options = |max| {
            OpenAiOptions::new("m")
                .system_prompt("s".repeat(100))
                .max_request_bytes(ByteSize(max))
        };
        let size = request_body(&options(10_000), "\n").unwrap().len();
        let exact = u64::try_from(size).unwrap();
        assert!(request_body(&options(exact), "\n").is_ok());
        for (max, prompt) in [(exact - 1, "\n"), (50, "?")] {
            let error = request_body(&options(max), prompt).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("max_request_bytes"), "{error}");
        }
    }
}
