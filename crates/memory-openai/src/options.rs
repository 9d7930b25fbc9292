//! Options of the language model.

use std::fmt;
use std::time::Duration;

use memory_core::{ByteSize, MemoryError, MemoryResult};
use reqwest::Url;

use crate::backoff::Backoff;

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
    pub(crate) base_url: String,
    pub(crate) api_key: Option<String>,
    pub(crate) system_prompt: Option<String>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) max_completion_tokens: Option<u32>,
    pub(crate) temperature: Option<f32>,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) backoff: Backoff,
    pub(crate) max_request_bytes: ByteSize,
    pub(crate) max_response_bytes: ByteSize,
}

impl OpenAiOptions {
    /// The default of [`base_url`](Self::base_url).
    pub const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
    /// The maximum of [`retries`](Self::retries).
    pub const MAX_RETRIES: u32 = 10;
    /// The maximum of [`temperature`](Self::temperature), as OpenAI limits it.
    pub const MAX_TEMPERATURE: f32 = 2.0;
    /// The maximum of [`timeout`](Self::timeout) and
    /// [`max_backoff`](Self::max_backoff).
    pub const MAX_DURATION: Duration = Duration::from_secs(60 * 60);

    /// Options for the model that the endpoint calls `model`, with these
    /// defaults: OpenAI's base URL, no key, a timeout of 60 s per request, 2
    /// retries, at most 4 MiB per request and 1 MiB per response, everything
    /// else as the endpoint decides.
    #[must_use]
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            base_url: Self::DEFAULT_BASE_URL.to_owned(),
            api_key: None,
            system_prompt: None,
            max_tokens: None,
            max_completion_tokens: None,
            temperature: None,
            timeout: Duration::from_secs(60),
            retries: 2,
            backoff: Backoff {
                initial: Duration::from_millis(500),
                max: Duration::from_secs(30),
            },
            max_request_bytes: ByteSize::mebibytes(4),
            max_response_bytes: ByteSize::mebibytes(1),
        }
    }

    /// The `http` or `https` URL to which `/chat/completions` is appended; a
    /// query is kept. With `http`, prompt and key are sent unencrypted.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// The key, sent as a bearer token. No environment variable is read.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

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

    /// The timeout of one request, from connecting to the last byte of the
    /// response; 1 ms to 1 h. A call takes at most `retries + 1` times this plus
    /// `retries` times the [maximum backoff](Self::max_backoff).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many times a failed request is retried; at most 10.
    #[must_use]
    pub fn retries(mut self, count: u32) -> Self {
        self.retries = count;
        self
    }

    /// The delay before the first retry, which jitter reduces by up to a half;
    /// each further retry doubles it. At most the maximum backoff.
    #[must_use]
    pub fn initial_backoff(mut self, delay: Duration) -> Self {
        self.backoff.initial = delay;
        self
    }

    /// The maximum delay before a retry, at most 1 h. If the endpoint asks for
    /// more (`Retry-After`), the call fails immediately, because the endpoint
    /// would reject an earlier request.
    #[must_use]
    pub fn max_backoff(mut self, delay: Duration) -> Self {
        self.backoff.max = delay;
        self
    }

    /// The maximum bytes of a request's body: the prompt, the system prompt and
    /// their JSON; at least 1. A larger request is
    /// [rejected](crate::OpenAiError::RequestTooLarge) before anything is sent.
    #[must_use]
    pub fn max_request_bytes(mut self, size: ByteSize) -> Self {
        self.max_request_bytes = size;
        self
    }

    /// The maximum bytes that are read of a response, its JSON included; at
    /// least 1.
    #[must_use]
    pub fn max_response_bytes(mut self, size: ByteSize) -> Self {
        self.max_response_bytes = size;
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
        let sizes = [
            ("max_request_bytes", self.max_request_bytes),
            ("max_response_bytes", self.max_response_bytes),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| size.0 == 0) {
            return invalid(format!("{name} is 0; it must be at least 1"));
        }
        let range = 0.0..=Self::MAX_TEMPERATURE;
        if let Some(value) = self.temperature.filter(|value| !range.contains(value)) {
            let max = Self::MAX_TEMPERATURE;
            return invalid(format!(
                "temperature is {value}; it must be a number from 0 to {max}"
            ));
        }
        let max = Self::MAX_RETRIES;
        if self.retries > max {
            return invalid(format!(
                "retries is {}; it must be at most {max}",
                self.retries
            ));
        }
        let max = Self::MAX_DURATION;
        if !(Duration::from_millis(1)..=max).contains(&self.timeout) {
            return invalid(format!(
                "timeout is {:?}; it must be from 1 ms to {max:?}",
                self.timeout
            ));
        }
        let Backoff {
            initial,
            max: max_backoff,
        } = self.backoff;
        if max_backoff > max {
            return invalid(format!(
                "max_backoff is {max_backoff:?}; it must be at most {max:?}"
            ));
        }
        if initial > max_backoff {
            return invalid(format!(
                "initial_backoff is {initial:?}; it must be at most max_backoff, which is \
                 {max_backoff:?}"
            ));
        }
        Ok(())
    }

    /// The URL of the requests.
    pub(crate) fn endpoint(&self) -> MemoryResult<Url> {
        let invalid_url = || {
            MemoryError::configuration(
                "invalid base URL (not quoted, it may contain a secret); expected http or https, \
                 such as https://host:443/v1, without user, password or fragment",
            )
        };
        let mut url = Url::parse(&self.base_url).map_err(|_| invalid_url())?;
        let is_plain =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !is_plain {
            return Err(invalid_url());
        }
        url.path_segments_mut()
            .map_err(|()| invalid_url())?
            .pop_if_empty()
            .extend(["chat", "completions"]);
        Ok(url)
    }

    /// The base URL without the parts that may be secret.
    fn redacted_url(&self) -> String {
        let Ok(mut url) = Url::parse(&self.base_url) else {
            return "(invalid)".to_owned();
        };
        url.set_query(None);
        url.set_fragment(None);
        // These fail for URLs that cannot contain a user or a password.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.into()
    }
}

impl fmt::Debug for OpenAiOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redacted = |text: &Option<String>| text.as_ref().map(|_| "(redacted)");
        f.debug_struct("OpenAiOptions")
            .field("model", &self.model)
            .field("base_url", &self.redacted_url())
            .field("api_key", &redacted(&self.api_key))
            .field("system_prompt", &redacted(&self.system_prompt))
            .field("max_tokens", &self.max_tokens)
            .field("max_completion_tokens", &self.max_completion_tokens)
            .field("temperature", &self.temperature)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("backoff", &self.backoff)
            .field("max_request_bytes", &self.max_request_bytes)
            .field("max_response_bytes", &self.max_response_bytes)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> OpenAiOptions {
        OpenAiOptions::new("m").base_url(url)
    }

    #[test]
    fn the_path_is_appended_to_the_base_url() {
        for (base, endpoint) in [
            ("http://h/v1", "http://h/v1/chat/completions"),
            ("http://h/v1/", "http://h/v1/chat/completions"),
            ("http://h", "http://h/chat/completions"),
            (
                "https://h:8443/a?b=c",
                "https://h:8443/a/chat/completions?b=c",
            ),
        ] {
            assert_eq!(at(base).endpoint().unwrap().as_str(), endpoint);
        }
    }

    #[test]
    fn an_invalid_url_is_rejected_and_not_quoted() {
        for bad in [
            "",
            "h/v1",
            "ftp://sesame/v1",
            "http://sesame:sesame@h/v1",
            "http://h/v1#sesame",
            "data:sesame",
        ] {
            let text = at(bad).endpoint().unwrap_err().to_string();
            assert!(!text.contains("sesame"), "{text}");
        }
    }

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
        let options = at("https://user:sesame@h/v1?key=sesame#sesame")
            .api_key("sesame")
            .system_prompt("sesame");
        let shown = format!("{options:?}");
        assert!(!shown.contains("sesame"), "{shown}");
        assert!(shown.contains("https://h/v1") && shown.contains("(redacted)"));
        assert!(!format!("{:?}", at("sesame")).contains("sesame"));
    }
}
