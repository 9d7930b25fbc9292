//! What is sent.

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use serde::Serialize;

use crate::error::COMPLETE;
use crate::options::OpenAiOptions;

/// The body of a request for a chat completion. What is not set is left to the
/// endpoint: some models refuse settings that others need.
#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

/// The body that asks a model to answer a prompt.
pub(crate) fn body(options: &OpenAiOptions, prompt: &str) -> MemoryResult<Vec<u8>> {
    let system = options.system_prompt.as_deref();
    let message = |role, content| Message { role, content };
    let request = Request {
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
    serde_json::to_vec(&request).map_err(|error| {
        let message = "the request could not be written as JSON";
        MemoryError::language_model(ErrorKind::Other, COMPLETE, message).with_source(error)
    })
}
