//! The options that every endpoint has: address, key, timeout, retries, sizes.

use std::time::Duration;

use memory_core::{ByteSize, MemoryError, MemoryResult};
use reqwest::Url;

use crate::backoff::Backoff;

pub(crate) const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
pub(crate) const MAX_RETRIES: u32 = 10;
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(60 * 60);

/// Where requests are sent, and how.
#[derive(Clone)]
pub(crate) struct EndpointOptions {
    pub(crate) base_url: String,
    pub(crate) api_key: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) backoff: Backoff,
    pub(crate) max_request_bytes: ByteSize,
    pub(crate) max_response_bytes: ByteSize,
}

impl EndpointOptions {
    /// The defaults, with this maximum of a response.
    pub(crate) fn new(max_response_bytes: ByteSize) -> Self {
        Self {
            base_url: DEFAULT_BASE_URL.to_owned(),
            api_key: None,
            timeout: Duration::from_secs(60),
            retries: 2,
            backoff: Backoff {
                initial: Duration::from_millis(500),
                max: Duration::from_secs(30),
            },
            max_request_bytes: ByteSize::mebibytes(4),
            max_response_bytes,
        }
    }

    /// Checks the options. No message quotes the key or the URL, which may
    /// contain a secret.
    pub(crate) fn validate(&self) -> MemoryResult<()> {
        let invalid = |message: String| Err(MemoryError::configuration(message));
        let sizes = [
            ("max_request_bytes", self.max_request_bytes),
            ("max_response_bytes", self.max_response_bytes),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| size.0 == 0) {
            return invalid(format!("{name} is 0; it must be at least 1"));
        }
        let (retries, max) = (self.retries, MAX_RETRIES);
        if retries > max {
            return invalid(format!("retries is {retries}; it must be at most {max}"));
        }
        let max = MAX_DURATION;
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

    /// The URL of the requests: the base URL and these segments.
    pub(crate) fn url(&self, path: &[&str]) -> MemoryResult<Url> {
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
            .extend(path);
        Ok(url)
    }

    /// The base URL without the parts that may be secret.
    pub(crate) fn redacted_url(&self) -> String {
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

/// The methods that set these options, the same for every kind of endpoint.
macro_rules! endpoint_setters {
    () => {
        /// The `http` or `https` URL to which the path of the requests is appended;
        /// a query is kept. With `http`, texts and key are sent unencrypted.
        #[must_use]
        pub fn base_url(mut self, url: impl Into<String>) -> Self {
            self.endpoint.base_url = url.into();
            self
        }

        /// The key, sent as a bearer token. No environment variable is read.
        #[must_use]
        pub fn api_key(mut self, key: impl Into<String>) -> Self {
            self.endpoint.api_key = Some(key.into());
            self
        }

        /// The timeout of one request, from connecting to the last byte of the
        /// response; 1 ms to 1 h. A request with its retries takes at most
        /// `retries + 1` times this plus `retries` times the
        /// [maximum backoff](Self::max_backoff).
        #[must_use]
        pub fn timeout(mut self, timeout: Duration) -> Self {
            self.endpoint.timeout = timeout;
            self
        }

        /// How many times a failed request is retried; at most 10.
        #[must_use]
        pub fn retries(mut self, count: u32) -> Self {
            self.endpoint.retries = count;
            self
        }

        /// The delay before the first retry, which jitter reduces by up to a half;
        /// each further retry doubles it. At most the maximum backoff.
        #[must_use]
        pub fn initial_backoff(mut self, delay: Duration) -> Self {
            self.endpoint.backoff.initial = delay;
            self
        }

        /// The maximum delay before a retry, at most 1 h. If the endpoint asks for
        /// more (`Retry-After`), the call fails immediately, because the endpoint
        /// would reject an earlier request.
        #[must_use]
        pub fn max_backoff(mut self, delay: Duration) -> Self {
            self.endpoint.backoff.max = delay;
            self
        }

        /// The maximum bytes of a request's body: texts and their JSON; at least 1.
        /// A larger request is [rejected](crate::OpenAiError::RequestTooLarge)
        /// before anything is sent.
        #[must_use]
        pub fn max_request_bytes(mut self, size: ByteSize) -> Self {
            self.endpoint.max_request_bytes = size;
            self
        }

        /// The maximum bytes that are read of a response, its JSON included; at
        /// least 1.
        #[must_use]
        pub fn max_response_bytes(mut self, size: ByteSize) -> Self {
            self.endpoint.max_response_bytes = size;
            self
        }
    };
}

pub(crate) use endpoint_setters;

/// Shows that a secret is set, and not what it is.
pub(crate) fn redacted(secret: &Option<String>) -> Option<&'static str> {
    secret.as_ref().map(|_| "(redacted)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> EndpointOptions {
        EndpointOptions {
            base_url: url.to_owned(),
            ..EndpointOptions::new(ByteSize::mebibytes(1))
        }
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
            let url = at(base).url(&["chat", "completions"]).unwrap();
            assert_eq!(url.as_str(), endpoint);
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
            let text = at(bad).url(&["embeddings"]).unwrap_err().to_string();
            assert!(!text.contains("sesame"), "{text}");
        }
    }

    #[test]
    fn a_redacted_url_has_neither_user_nor_query() {
        let url = at("https://user:sesame@h/v1?key=sesame#sesame").redacted_url();
        assert_eq!(url, "https://h/v1");
        assert_eq!(at("sesame").redacted_url(), "(invalid)");
    }
}
