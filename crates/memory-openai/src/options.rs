//! Options of the language model.

use std::fmt;
use std::time::Duration;

use memory_core::{ByteSize, MemoryError, MemoryResult};

use crate::endpoint_options::{self, EndpointOptions, endpoint_setters, redacted};

/// Options of [`OpenAi::new`](crate::OpenAi::new).
///
/// The `Debug` output contains neither the key nor the system prompt.
///
/// ```
/// use std::time::Duration;
/// use memory_openai::OpenAiOptions;
/// let options = OpenAiOptions::new("qwen3:8b")
///     .base_url("http://localhost:11434/v1")
///     .timeout(Duration::from_secs(20))
///     .retries(0);
/// ```
#[derive(Clone)]
pub struct OpenAiOptions {
    pub(crate) model: String,
    pub(crate) endpoint: EndpointOptions,
    pub(crate) system_prompt: Option<String>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) max_completion_tokens: Option<u32>,
    pub(crate) temperature: Option<f32>,
}

impl OpenAiOptions {
    /// The default of [`base_url`](Self::base_url).
    pub const DEFAULT_BASE_URL: &str = endpoint_options::DEFAULT_BASE_URL;
    /// The maximum of [`retries`](Self::retries).
    pub const MAX_RETRIES: u32 = endpoint_options::MAX_RETRIES;
    /// The maximum of [`temperature`](Self::temperature), as OpenAI limits it.
    pub const MAX_TEMPERATURE: f32 = 2.0;
    /// The maximum of [`timeout`](Self::timeout) and
    /// [`max_backoff`](Self::max_backoff).
    pub const MAX_DURATION: Duration = endpoint_options::MAX_DURATION;

    /// Options for the model that the endpoint calls `model`, with these
    /// defaults: OpenAI's base URL, no key, a timeout of 60 s per request, 2
    /// retries, at most 4 MiB per request and 1 MiB per response, everything
    /// else as the endpoint decides.
    #[must_use]
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            endpoint: EndpointOptions::new(ByteSize::mebibytes(1)),
            system_prompt: None,
            max_tokens: None,
            max_completion_tokens: None,
            temperature: None,
        }
    }

    endpoint_setters!();

    /// The system message sent before each prompt.
    #[must_use]
    pub fn system_prompt(mut self, text: impl Into<String>) -> Self {
        self.system_prompt = Some(text.into());
        self
    }

    /// The maximum tokens of a response, at least 1, sent as `max_tokens`, which
    /// every compatible endpoint supports. A response that needs more is an
    /// [error](crate::OpenAiError::Truncated).
    #[must_use]
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// The same limit, sent as `max_completion_tokens`. OpenAI's reasoning
    /// models accept only this one, and it includes the reasoning tokens.
    #[must_use]
    pub fn max_completion_tokens(mut self, tokens: u32) -> Self {
        self.max_completion_tokens = Some(tokens);
        self
    }

    /// The sampling temperature, from 0 to 2. Some models reject the setting.
    #[must_use]
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Checks the options. No message quotes the key or the URL, which may
    /// contain a secret.
    pub(crate) fn validate(&self) -> MemoryResult<()> {
        let invalid = |message: String| Err(MemoryError::configuration(message));
        if self.model.trim().is_empty() {
            return invalid(
                "the model name is blank; give the name that the endpoint uses, such as \
                 \"gpt-4.1-mini\""
                    .to_owned(),
            );
        }
        let limits = [
            ("max_tokens", self.max_tokens),
            ("max_completion_tokens", self.max_completion_tokens),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, value)| *value == Some(0)) {
            return invalid(format!("{name} is 0; it must be at least 1"));
        }
        let range = 0.0..=Self::MAX_TEMPERATURE;
        if let Some(value) = self.temperature.filter(|value| !range.contains(value)) {
            let max = Self::MAX_TEMPERATURE;
            return invalid(format!(
                "temperature is {value}; it must be a number from 0 to {max}"
            ));
        }
        self.endpoint.validate()
    }
}

impl fmt::Debug for OpenAiOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = &self.endpoint;
        f.debug_struct("OpenAiOptions")
            .field("model", &self.model)
            .field("base_url", &endpoint.redacted_url())
            .field("api_key", &redacted(&endpoint.api_key))
            .field("system_prompt", &redacted(&self.system_prompt))
            .field("max_tokens", &self.max_tokens)
            .field("max_completion_tokens", &self.max_completion_tokens)
            .field("temperature", &self.temperature)
            .field("timeout", &endpoint.timeout)
            .field("retries", &endpoint.retries)
            .field("backoff", &endpoint.backoff)
            .field("max_request_bytes", &endpoint.max_request_bytes)
            .field("max_response_bytes", &endpoint.max_response_bytes)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_option_and_its_limits() {
        let hour = Duration::from_secs(3600);
        let ms = Duration::from_millis(1);
        let options = || OpenAiOptions::new("m");
        assert!(options().validate().is_ok());
        for (bad, named) in [
            (OpenAiOptions::new(" "), "name is blank"),
            (options().max_tokens(0), "max_tokens is 0"),
            (
                options().max_completion_tokens(0),
                "max_completion_tokens is 0",
            ),
            (options().temperature(2.1), "temperature is 2.1"),
            (options().temperature(f32::NAN), "temperature is NaN"),
            (options().temperature(-0.1), "from 0 to 2"),
            (options().timeout(Duration::ZERO), "timeout is 0ns"),
            (options().timeout(hour + ms), "from 1 ms to 3600s"),
            (
                options().retries(11),
                "retries is 11; it must be at most 10",
            ),
            (options().max_backoff(hour + ms), "max_backoff is"),
            (options().initial_backoff(hour), "initial_backoff is 3600s"),
            (
                options().max_response_bytes(ByteSize(0)),
                "max_response_bytes is 0",
            ),
            (
                options().max_request_bytes(ByteSize(0)),
                "max_request_bytes is 0",
            ),
        ] {
            let text = bad.validate().unwrap_err().to_string();
            assert!(text.contains(named), "{text}");
        }
    }

    #[test]
    fn debug_output_contains_no_secrets() {
        let options = OpenAiOptions::new("m")
            .base_url("https://user:sesame@h/v1?key=sesame#sesame")
            .api_key("sesame")
            .system_prompt("sesame");
        let shown = format!("{options:?}");
        assert!(!shown.contains("sesame"), "{shown}");
        assert!(shown.contains("https://h/v1") && shown.contains("(redacted)"));
    }
}
