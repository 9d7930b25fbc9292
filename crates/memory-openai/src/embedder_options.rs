//! Options of the embedder.

use std::fmt;
use std::time::Duration;

use memory_core::{ByteSize, EmbedRole, MemoryError, MemoryResult, limits};

use crate::endpoint_options::{self, EndpointOptions, endpoint_setters, redacted};

/// Options of [`OpenAiEmbedder::connect`](crate::OpenAiEmbedder::connect).
///
/// The `Debug` output does not contain the key.
///
/// ```
/// use memory_openai::OpenAiEmbedderOptions;
/// // A multilingual model behind a local server, which wants prefixes.
/// let options = OpenAiEmbedderOptions::new("intfloat/multilingual-e5-large")
///     .base_url("http://localhost:8000/v1")
///     .query_prefix("query: ")
///     .passage_prefix("passage: ")
///     .window_tokens(512);
/// ```
#[derive(Clone)]
pub struct OpenAiEmbedderOptions {
    pub(crate) model: String,
    pub(crate) endpoint: EndpointOptions,
    pub(crate) endpoint_name: Option<String>,
    pub(crate) dimensions: Option<usize>,
    pub(crate) requested_dimensions: Option<usize>,
    pub(crate) encoding: EncodingFormat,
    pub(crate) query_prefix: String,
    pub(crate) passage_prefix: String,
    pub(crate) window_tokens: usize,
    pub(crate) bytes_per_token: usize,
    pub(crate) max_batch_texts: usize,
    pub(crate) max_batch_tokens: usize,
    pub(crate) max_concurrent_requests: usize,
}

/// How the endpoint is asked to write vectors. A response in either form is read,
/// whichever was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodingFormat {
    /// As numbers, which every endpoint supports: `encoding_format` is not sent.
    #[default]
    Float,
    /// As base64 of 32-bit floats: less than half of the bytes.
    Base64,
}

/// The model adds at most this many special tokens, such as `[CLS]` and `[SEP]`,
/// to a text.
const SPECIAL_TOKENS: usize = 4;

impl OpenAiEmbedderOptions {
    /// The default of [`base_url`](Self::base_url).
    pub const DEFAULT_BASE_URL: &str = endpoint_options::DEFAULT_BASE_URL;
    /// The minimum of [`window_tokens`](Self::window_tokens).
    pub const MIN_WINDOW_TOKENS: usize = 64;
    /// The maximum of [`bytes_per_token`](Self::bytes_per_token).
    pub const MAX_BYTES_PER_TOKEN: usize = 8;
    /// The maximum of [`max_concurrent_requests`](Self::max_concurrent_requests).
    pub const MAX_CONCURRENT_REQUESTS: usize = 256;

    /// Options for the model that the endpoint calls `model`, with these
    /// defaults: OpenAI's base URL, no key, dimensions asked of the endpoint, no
    /// prefixes, a window of 512 tokens of 2 bytes, 96 texts and 300,000 tokens
    /// per request, 4 requests at a time, a timeout of 60 s per request, 2
    /// retries, at most 4 MiB per request and 32 MiB per response.
    #[must_use]
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            endpoint: EndpointOptions::new(ByteSize::mebibytes(32)),
            endpoint_name: None,
            dimensions: None,
            requested_dimensions: None,
            encoding: EncodingFormat::default(),
            query_prefix: String::new(),
            passage_prefix: String::new(),
            window_tokens: 512,
            bytes_per_token: 2,
            max_batch_texts: 96,
            max_batch_tokens: 300_000,
            max_concurrent_requests: 4,
        }
    }

    endpoint_setters!();

    /// Names the endpoint in the [fingerprint](memory_core::Fingerprint) in place
    /// of its URL, so that vectors stay comparable when the same model moves to
    /// another host or port.
    #[must_use]
    pub fn endpoint_name(mut self, name: impl Into<String>) -> Self {
        self.endpoint_name = Some(name.into());
        self
    }

    /// The components of the model's vectors, where they are known; spares the
    /// request that asks for them. Vectors of other dimensions are an
    /// [error](crate::OpenAiError::VectorDimensions).
    #[must_use]
    pub fn dimensions(mut self, dimensions: usize) -> Self {
        self.dimensions = Some(dimensions);
        self
    }

    /// Asks the endpoint for vectors of this many components, which are then those
    /// of the embedder: the API's parameter `dimensions`. Only models that are
    /// trained for it, such as `text-embedding-3-large`, accept it.
    #[must_use]
    pub fn requested_dimensions(mut self, dimensions: usize) -> Self {
        self.requested_dimensions = Some(dimensions);
        self
    }

    /// How the endpoint is asked to write vectors.
    #[must_use]
    pub fn encoding_format(mut self, format: EncodingFormat) -> Self {
        self.encoding = format;
        self
    }

    /// What is put before every query, such as `"query: "` for the E5 models.
    #[must_use]
    pub fn query_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.query_prefix = prefix.into();
        self
    }

    /// What is put before every passage, such as `"passage: "` for the E5 models.
    #[must_use]
    pub fn passage_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.passage_prefix = prefix.into();
        self
    }

    /// The model's window in tokens, special tokens included; at least 64. Longer
    /// memories are split into chunks, each with a vector of its own. The default,
    /// 512, is what most embedding models read; OpenAI's read 8,191.
    #[must_use]
    pub fn window_tokens(mut self, tokens: usize) -> Self {
        self.window_tokens = tokens;
        self
    }

    /// How many bytes of UTF-8 a token has at least, on average over a chunk; 1 to
    /// 8. The tokenizer is the endpoint's, so lengths are estimated by it.
    ///
    /// The default, 2, is low: a token of English prose has about 4 bytes, of
    /// other European languages and of Chinese 2 to 3. With 1, no chunk ever
    /// exceeds the window of a tokenizer that works on bytes. A text that the
    /// endpoint rejects as too long is shortened to that length and sent again.
    #[must_use]
    pub fn bytes_per_token(mut self, bytes: usize) -> Self {
        self.bytes_per_token = bytes;
        self
    }

    /// The maximum of texts in one request, at least 1. The default, 96, is the
    /// smallest limit of the large hosted services (Cohere); OpenAI allows 2,048.
    #[must_use]
    pub fn max_batch_texts(mut self, texts: usize) -> Self {
        self.max_batch_texts = texts;
        self
    }

    /// The maximum of estimated tokens in one request, at least 1; one text may
    /// exceed it. The default, 300,000, is OpenAI's limit.
    #[must_use]
    pub fn max_batch_tokens(mut self, tokens: usize) -> Self {
        self.max_batch_tokens = tokens;
        self
    }

    /// The maximum of requests at a time, over all calls and clones; 1 to 256.
    /// Queries are counted separately, so that no recall waits for an import.
    #[must_use]
    pub fn max_concurrent_requests(mut self, requests: usize) -> Self {
        self.max_concurrent_requests = requests;
        self
    }

    pub(crate) fn prefix(&self, role: EmbedRole) -> &str {
        match role {
            EmbedRole::Query => &self.query_prefix,
            EmbedRole::Passage => &self.passage_prefix,
        }
    }

    /// The longest text that is estimated to fit the window, in bytes.
    pub(crate) fn max_text_bytes(&self, role: EmbedRole) -> usize {
        let tokens = self.window_tokens.saturating_sub(SPECIAL_TOKENS);
        let bytes = tokens.saturating_mul(self.bytes_per_token);
        bytes.saturating_sub(self.prefix(role).len())
    }

    /// The longest text that fits the window even if each byte is a token.
    pub(crate) fn certain_text_bytes(&self, role: EmbedRole) -> usize {
        let tokens = self.window_tokens.saturating_sub(SPECIAL_TOKENS);
        tokens.saturating_sub(self.prefix(role).len())
    }

    /// Checks the options. No message quotes the key or the URL.
    pub(crate) fn validate(&self) -> MemoryResult<()> {
        let invalid = |message: String| Err(MemoryError::configuration(message));
        if self.model.trim().is_empty() {
            return invalid(
                "the model name is blank; give the name that the endpoint uses, such as \
                 \"text-embedding-3-small\""
                    .to_owned(),
            );
        }
        let unlimited = usize::MAX;
        let ranges = [
            ("dimensions", self.dimensions, 1, limits::MAX_DIMENSIONS),
            (
                "requested_dimensions",
                self.requested_dimensions,
                1,
                limits::MAX_DIMENSIONS,
            ),
            (
                "window_tokens",
                Some(self.window_tokens),
                Self::MIN_WINDOW_TOKENS,
                unlimited,
            ),
            (
                "bytes_per_token",
                Some(self.bytes_per_token),
                1,
                Self::MAX_BYTES_PER_TOKEN,
            ),
            ("max_batch_texts", Some(self.max_batch_texts), 1, unlimited),
            (
                "max_batch_tokens",
                Some(self.max_batch_tokens),
                1,
                unlimited,
            ),
            (
                "max_concurrent_requests",
                Some(self.max_concurrent_requests),
                1,
                Self::MAX_CONCURRENT_REQUESTS,
            ),
        ];
        for (name, value, min, max) in ranges {
            let Some(value) = value.filter(|value| !(min..=max).contains(value)) else {
                continue;
            };
            return invalid(if max == unlimited {
                format!("{name} is {value}; it must be at least {min}")
            } else {
                format!("{name} is {value}; it must be from {min} to {max}")
            });
        }
        if let (Some(own), Some(requested)) = (self.dimensions, self.requested_dimensions)
            && own != requested
        {
            return invalid(format!(
                "dimensions is {own} and requested_dimensions is {requested}; leave one out"
            ));
        }
        // Half of the smallest window is left to the text.
        let max = self.window_tokens / 2;
        let prefixes = [
            ("query_prefix", &self.query_prefix),
            ("passage_prefix", &self.passage_prefix),
        ];
        if let Some((name, prefix)) = prefixes.iter().find(|(_, prefix)| prefix.len() > max) {
            return invalid(format!(
                "{name} has {} bytes; at most {max}, half of window_tokens, are allowed",
                prefix.len()
            ));
        }
        self.endpoint.validate()
    }
}

impl fmt::Debug for OpenAiEmbedderOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = &self.endpoint;
        f.debug_struct("OpenAiEmbedderOptions")
            .field("model", &self.model)
            .field("base_url", &endpoint.redacted_url())
            .field("api_key", &redacted(&endpoint.api_key))
            .field("endpoint_name", &self.endpoint_name)
            .field("dimensions", &self.dimensions)
            .field("requested_dimensions", &self.requested_dimensions)
            .field("encoding_format", &self.encoding)
            .field("query_prefix", &self.query_prefix)
            .field("passage_prefix", &self.passage_prefix)
            .field("window_tokens", &self.window_tokens)
            .field("bytes_per_token", &self.bytes_per_token)
            .field("max_batch_texts", &self.max_batch_texts)
            .field("max_batch_tokens", &self.max_batch_tokens)
            .field("max_concurrent_requests", &self.max_concurrent_requests)
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
        let options = || OpenAiEmbedderOptions::new("m");
        assert!(options().validate().is_ok());
        for (bad, named) in [
            (OpenAiEmbedderOptions::new(" "), "name is blank"),
            (
                options().dimensions(0),
                "dimensions is 0; it must be from 1 to 8192",
            ),
            (options().requested_dimensions(8_193), "is 8193"),
            (
                options().dimensions(3).requested_dimensions(4),
                "leave one out",
            ),
            (options().window_tokens(63), "at least 64"),
            (options().bytes_per_token(0), "from 1 to 8"),
            (options().bytes_per_token(9), "from 1 to 8"),
            (options().max_batch_texts(0), "max_batch_texts is 0"),
            (options().max_batch_tokens(0), "max_batch_tokens is 0"),
            (options().max_concurrent_requests(257), "from 1 to 256"),
            (
                options().window_tokens(64).query_prefix("p".repeat(33)),
                "query_prefix has 33 bytes; at most 32",
            ),
            (options().retries(11), "retries is 11"),
        ] {
            let text = bad.validate().unwrap_err().to_string();
            assert!(text.contains(named), "{text}");
        }
    }

    #[test]
    fn debug_output_contains_no_secrets() {
        let options = OpenAiEmbedderOptions::new("m")
            .base_url("https://user:sesame@h/v1?key=sesame")
            .api_key("sesame");
        let shown = format!("{options:?}");
        assert!(!shown.contains("sesame"), "{shown}");
        assert!(shown.contains("https://h/v1") && shown.contains("(redacted)"));
    }

    #[test]
    fn the_prefix_counts_in_the_window() {
        let options = OpenAiEmbedderOptions::new("m").passage_prefix("passage: ");
        assert_eq!(options.max_text_bytes(EmbedRole::Query), 508 * 2);
        assert_eq!(options.max_text_bytes(EmbedRole::Passage), 508 * 2 - 9);
        assert_eq!(options.certain_text_bytes(EmbedRole::Passage), 508 - 9);
    }
}
