//! The request and the response of a chat completion.

use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::error::OpenAiError;
use crate::options::OpenAiOptions;

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
pub(crate) fn request_body(
    endpoint: &Endpoint,
    options: &OpenAiOptions,
    prompt: &str,
) -> Result<Vec<u8>, OpenAiError> {
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
    let text_bytes = system.map_or(0, str::len).saturating_add(prompt.len());
    endpoint.request_body(&request, text_bytes)
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
    let response: ResponseBody = serde_json::from_slice(body).map_err(OpenAiError::from_json)?;
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
}
