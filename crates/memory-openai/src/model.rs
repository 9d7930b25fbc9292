//! The language model: sends requests and retries them.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use memory_core::{LanguageModel, MemoryError, MemoryResult};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Url};
use tokio::time;

use crate::backoff::retry_after;
use crate::chat_completion::{read_limited, read_rejection_reason, request_body, response_text};
use crate::client;
use crate::error::{COMPLETE, OpenAiError};
use crate::options::OpenAiOptions;

/// A language model on an OpenAI-compatible endpoint. Clones share their
/// connections.
///
/// Calls need a Tokio runtime with I/O and timers, such as that of
/// `#[tokio::main]`. Dropping the future of a call closes its connection.
#[derive(Clone)]
pub struct OpenAi {
    options: OpenAiOptions,
    endpoint: Url,
    authorization: Option<HeaderValue>,
    client: Client,
}

impl OpenAi {
    /// Creates the model. Nothing is sent yet.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for an option outside its limits, an
    /// invalid base URL or key, and a platform without certificates if the URL
    /// is `https`.
    pub fn new(options: OpenAiOptions) -> MemoryResult<Self> {
        options.validate()?;
        let endpoint = options.endpoint()?;
        Ok(Self {
            authorization: options
                .api_key
                .as_deref()
                .map(client::authorization)
                .transpose()?,
            client: client::build(&options, &endpoint)?,
            endpoint,
            options,
        })
    }

    /// Sends one request.
    async fn send(&self, body: Vec<u8>) -> Result<String, OpenAiError> {
        let mut request = reqwest::Request::new(Method::POST, self.endpoint.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        *request.body_mut() = Some(body.into());

        let timeout = self.options.timeout;
        let response = self
            .client
            .execute(request)
            .await
            .map_err(|error| OpenAiError::from_http(error, timeout))?;
        let status = response.status();
        if !status.is_success() {
            return Err(OpenAiError::Status {
                status: status.as_u16(),
                retry_after: retry_after(response.headers(), SystemTime::now()),
                reason: read_rejection_reason(response, timeout).await,
            });
        }
        response_text(&read_limited(response, self.options.max_response_bytes, timeout).await?)
    }

    /// Converts an error for the caller. The message names the endpoint's host,
    /// which is not secret.
    fn to_memory_error(&self, error: OpenAiError, requests: u32) -> MemoryError {
        let host = self.endpoint.origin().ascii_serialization();
        let mut message = format!("{host}: {error}");
        if requests > 1 {
            message.push_str(&format!(", after {requests} requests"));
        }
        if let Some(asked) = error.retry_after() {
            message.push_str(&format!("; the endpoint asks to wait {asked:?}"));
        }
        MemoryError::language_model(error.kind(), COMPLETE, message).with_source(error)
    }
}

#[async_trait]
impl LanguageModel for OpenAi {
    async fn complete(&self, prompt: &str) -> MemoryResult<String> {
        let body = request_body(&self.options, prompt)?;
        let mut retries = 0;
        loop {
            let error = match self.send(body.clone()).await {
                Ok(text) => return Ok(text),
                Err(error) => error,
            };
            let backoff = self.options.backoff;
            let delay = backoff.delay(retries, error.retry_after(), fastrand::f64());
            let may_retry = retries < self.options.retries && error.is_immediately_retryable();
            let Some(delay) = delay.filter(|_| may_retry) else {
                return Err(self.to_memory_error(error, retries + 1));
            };
            retries += 1;
            tracing::debug!(retries, ?delay, %error, "retrying a request");
            time::sleep(delay).await;
        }
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
