//! What a model is asked, where, and how patiently.

use std::fmt;
use std::time::Duration;

use memory_core::{ByteSize, MemoryError, MemoryResult};
use reqwest::Url;

use crate::retry::Waits;

/// Everything that [`OpenAi::new`](crate::OpenAi::new) can be told.
///
/// Printed with `{:?}`, it shows neither the key nor the system prompt.
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
    pub(crate) waits: Waits,
    pub(crate) max_answer: ByteSize,
}

impl OpenAiOptions {
    /// Where a model is asked unless [`base_url`](Self::base_url) says
    /// otherwise.
    pub const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
    /// Most [`retries`](Self::retries).
    pub const MAX_RETRIES: u32 = 10;
    /// Highest [`temperature`](Self::temperature), as OpenAI bounds it.
    pub const MAX_TEMPERATURE: f32 = 2.0;
    /// Longest [`timeout`](Self::timeout) and [`longest_wait`](Self::longest_wait).
    pub const MAX_DURATION: Duration = Duration::from_secs(60 * 60);

    /// A model by the name that the endpoint knows it by, at OpenAI: without a
    /// key, 60 s for a request, 2 retries, 1 MiB for an answer, everything else
    /// as the endpoint has it.
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
            waits: Waits {
                first: Duration::from_millis(500),
                longest: Duration::from_secs(30),
            },
            max_answer: ByteSize::mebibytes(1),
        }
    }

    /// The endpoint: `http` or `https`, to which `/chat/completions` is added;
    /// a query is kept. Prompt and key cross the network in the clear where it
    /// is `http`.
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

    /// What is said to the model, as the system, before each prompt.
    #[must_use]
    pub fn system_prompt(mut self, text: impl Into<String>) -> Self {
        self.system_prompt = Some(text.into());
        self
    }

    /// Most tokens of an answer, at least 1, sent as `max_tokens`, which every
    /// compatible endpoint knows. An answer that needs more is an
    /// [error](crate::OpenAiError::CutShort).
    #[must_use]
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// The same, sent as `max_completion_tokens`: OpenAI's reasoning models
    /// take no other, and count their reasoning.
    #[must_use]
    pub fn max_completion_tokens(mut self, tokens: u32) -> Self {
        self.max_completion_tokens = Some(tokens);
        self
    }

    /// How far the model strays from the likeliest words, from 0 to 2. Some
    /// models refuse any.
    #[must_use]
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// How long one request may take, from connecting to the last byte of the
    /// answer; 1 ms to 1 h. A call takes at most `retries + 1` times this, and
    /// `retries` times the [longest wait](Self::longest_wait).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many times a request that failed is sent again; at most 10.
    #[must_use]
    pub fn retries(mut self, count: u32) -> Self {
        self.retries = count;
        self
    }

    /// The wait before the first retry, of which jitter takes up to a half;
    /// each further one doubles it. At most the longest wait.
    #[must_use]
    pub fn first_wait(mut self, wait: Duration) -> Self {
        self.waits.first = wait;
        self
    }

    /// The longest wait before a retry, at most 1 h. When the endpoint asks for
    /// more (`Retry-After`), the call fails at once: what is sent earlier than
    /// it asks is in vain.
    #[must_use]
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.waits.longest = wait;
        self
    }

    /// Most bytes that are read of an answer, its JSON included; at least 1.
    #[must_use]
    pub fn max_answer(mut self, size: ByteSize) -> Self {
        self.max_answer = size;
        self
    }

    /// Refuses what could not work. No message quotes the key or the URL, which
    /// may hold a secret.
    pub(crate) fn validate(&self) -> MemoryResult<()> {
        let refused = |message: String| Err(MemoryError::configuration(message));
        if self.model.trim().is_empty() {
            return refused("the model has no name".to_owned());
        }
        let bounds = [
            ("max_tokens", self.max_tokens),
            ("max_completion_tokens", self.max_completion_tokens),
        ];
        if let Some((name, _)) = bounds.iter().find(|(_, value)| *value == Some(0)) {
            return refused(format!("{name} is 0; it must be at least 1"));
        }
        if self.max_answer.0 == 0 {
            return refused("max_answer is 0 bytes; it must be at least 1".to_owned());
        }
        let range = 0.0..=Self::MAX_TEMPERATURE;
        if let Some(value) = self.temperature.filter(|value| !range.contains(value)) {
            let max = Self::MAX_TEMPERATURE;
            return refused(format!(
                "temperature is {value}; it must be a number from 0 to {max}"
            ));
        }
        let max = Self::MAX_RETRIES;
        if self.retries > max {
            return refused(format!("retries is {}; at most {max}", self.retries));
        }
        let max = Self::MAX_DURATION;
        if !(Duration::from_millis(1)..=max).contains(&self.timeout) {
            return refused(format!(
                "timeout is {:?}; it must be from 1 ms to {max:?}",
                self.timeout
            ));
        }
        let Waits { first, longest } = self.waits;
        if longest > max {
            return refused(format!("longest_wait is {longest:?}; at most {max:?}"));
        }
        if first > longest {
            return refused(format!(
                "first_wait is {first:?}; at most longest_wait, which is {longest:?}"
            ));
        }
        Ok(())
    }

    /// Where requests go.
    pub(crate) fn endpoint(&self) -> MemoryResult<Url> {
        let unusable = || {
            MemoryError::configuration(
                "the base URL does not read; it looks like https://host:443/v1, without user, \
                 password or fragment",
            )
        };
        let mut url = Url::parse(&self.base_url).map_err(|_| unusable())?;
        let is_plain =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !is_plain {
            return Err(unusable());
        }
        url.path_segments_mut()
            .map_err(|()| unusable())?
            .pop_if_empty()
            .extend(["chat", "completions"]);
        Ok(url)
    }

    /// The base URL without what may be secret in it.
    fn shown_url(&self) -> String {
        let Ok(mut url) = Url::parse(&self.base_url) else {
            return "(does not read)".to_owned();
        };
        url.set_query(None);
        url.set_fragment(None);
        // These fail for URLs that cannot hold either.
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
            .field("base_url", &self.shown_url())
            .field("api_key", &redacted(&self.api_key))
            .field("system_prompt", &redacted(&self.system_prompt))
            .field("max_tokens", &self.max_tokens)
            .field("max_completion_tokens", &self.max_completion_tokens)
            .field("temperature", &self.temperature)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("waits", &self.waits)
            .field("max_answer", &self.max_answer)
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
    fn the_path_is_added_to_the_base_url() {
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
    fn a_url_that_cannot_work_is_refused_and_not_quoted() {
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
    fn bounds_are_named() {
        let hour = Duration::from_secs(3600);
        let ms = Duration::from_millis(1);
        let options = || OpenAiOptions::new("m");
        assert!(options().validate().is_ok());
        for (bad, named) in [
            (OpenAiOptions::new(" "), "no name"),
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
            (options().retries(11), "retries is 11; at most 10"),
            (options().longest_wait(hour + ms), "longest_wait is"),
            (options().first_wait(hour), "first_wait is 3600s"),
            (options().max_answer(ByteSize(0)), "max_answer is 0"),
        ] {
            let text = bad.validate().unwrap_err().to_string();
            assert!(text.contains(named), "{text}");
        }
    }

    #[test]
    fn debug_keeps_secrets() {
        let options = at("https://user:sesame@h/v1?key=sesame#sesame")
            .api_key("sesame")
            .system_prompt("sesame");
        let shown = format!("{options:?}");
        assert!(!shown.contains("sesame"), "{shown}");
        assert!(shown.contains("https://h/v1") && shown.contains("(redacted)"));
        assert!(!format!("{:?}", at("sesame")).contains("sesame"));
    }
}
