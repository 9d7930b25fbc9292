//! Sending requests to an endpoint, and retrying them.

use std::time::{Duration, SystemTime};

use memory_core::{ByteSize, MemoryResult};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Response, Url};
use serde::Serialize;
use tokio::time;

use crate::backoff::retry_after;
use crate::client;
use crate::endpoint_options::EndpointOptions;
use crate::error::OpenAiError;
use crate::rejection::{MAX_ERROR_BYTES, RejectionReason};

/// An endpoint's URL for one kind of request, with the connections to it.
/// Clones share the connections.
#[derive(Clone)]
pub(crate) struct Endpoint {
    options: EndpointOptions,
    url: Url,
    authorization: Option<HeaderValue>,
    client: Client,
}

/// The outcome of a request that failed, with all its retries.
#[derive(Debug)]
pub(crate) struct FailedRequest {
    /// The last failure.
    pub(crate) error: OpenAiError,
    /// How many requests were sent.
    pub(crate) requests: u32,
}

impl From<OpenAiError> for FailedRequest {
    /// A failure that was not retried.
    fn from(error: OpenAiError) -> Self {
        Self { error, requests: 1 }
    }
}

impl Endpoint {
    /// Prepares the client for `path` below the base URL. Nothing is sent yet.
    pub(crate) fn new(options: EndpointOptions, path: &[&str]) -> MemoryResult<Self> {
        options.validate()?;
        let url = options.url(path)?;
        Ok(Self {
            authorization: options
                .api_key
                .as_deref()
                .map(client::authorization)
                .transpose()?,
            client: client::build(options.timeout, &url)?,
            url,
            options,
        })
    }

    /// Sends a request's body until it succeeds, as the options allow; the body
    /// of the response.
    pub(crate) async fn post(&self, body: &[u8]) -> Result<Vec<u8>, FailedRequest> {
        let mut retries = 0;
        loop {
            let error = match self.send(body).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let backoff = self.options.backoff;
            let delay = backoff.delay(retries, error.retry_after(), fastrand::f64());
            let may_retry = retries < self.options.retries && error.is_immediately_retryable();
            let Some(delay) = delay.filter(|_| may_retry) else {
                let requests = retries + 1;
                return Err(FailedRequest { error, requests });
            };
            retries += 1;
            tracing::debug!(retries, ?delay, %error, "retrying a request");
            time::sleep(delay).await;
        }
    }

    /// Sends one request.
    async fn send(&self, body: &[u8]) -> Result<Vec<u8>, OpenAiError> {
        let mut request = reqwest::Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        *request.body_mut() = Some(body.to_vec().into());

        let timeout = self.options.timeout;
        let response = self
            .client
            .execute(request)
            .await
            .map_err(|error| OpenAiError::from_http(error, timeout))?;
        let status = response.status();
        if !status.is_success() {
            let retry_after = retry_after(response.headers(), SystemTime::now());
            let body = read_limited(response, MAX_ERROR_BYTES, timeout).await;
            let reason = |body: Vec<u8>| RejectionReason::parse(status.as_u16(), &body);
            return Err(OpenAiError::Status {
                status: status.as_u16(),
                retry_after,
                reason: body.ok().and_then(reason),
            });
        }
        read_limited(response, self.options.max_response_bytes, timeout).await
    }

    /// Serializes a request whose texts have `text_bytes` together.
    ///
    /// # Errors
    /// [`OpenAiError::RequestTooLarge`] if the body exceeds `max_request_bytes`.
    pub(crate) fn request_body(
        &self,
        request: &impl Serialize,
        text_bytes: usize,
    ) -> Result<Vec<u8>, OpenAiError> {
        request_body(request, text_bytes, self.options.max_request_bytes)
    }

    /// The message of a failure. It names the endpoint's host, which is not secret.
    pub(crate) fn message(&self, failed: &FailedRequest) -> String {
        let FailedRequest { error, requests } = failed;
        let host = self.url.origin().ascii_serialization();
        let mut message = format!("{host}: {error}");
        if *requests > 1 {
            message.push_str(&format!(", after {requests} requests"));
        }
        if let Some(asked) = error.retry_after() {
            message.push_str(&format!("; the endpoint asks to wait {asked:?}"));
        }
        message
    }
}

fn request_body(
    request: &impl Serialize,
    text_bytes: usize,
    max: ByteSize,
) -> Result<Vec<u8>, OpenAiError> {
    // The texts alone may exceed the limit; then they are not copied.
    check_request_size(text_bytes, max)?;
    let body = serde_json::to_vec(request).map_err(OpenAiError::Serialization)?;
    check_request_size(body.len(), max)?;
    Ok(body)
}

fn check_request_size(bytes: usize, max: ByteSize) -> Result<(), OpenAiError> {
    let size = ByteSize(u64::try_from(bytes).unwrap_or(u64::MAX));
    if size <= max {
        return Ok(());
    }
    Err(OpenAiError::RequestTooLarge { size, max })
}

/// Reads a whole body of at most `max` bytes.
///
/// # Errors
/// [`OpenAiError::TooLarge`] as soon as the body is known to be larger. The
/// rest is not read, and the connection is closed.
async fn read_limited(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_request_includes_its_escapes() {
        let text = "\n\n\n";
        let size = serde_json::to_vec(text).unwrap().len();
        let max = |size: usize| ByteSize(size.try_into().unwrap());
        assert!(request_body(&text, text.len(), max(size)).is_ok());
        for (text_bytes, limit) in [(text.len(), size - 1), (size + 1, size)] {
            let error = request_body(&text, text_bytes, max(limit)).unwrap_err();
            assert!(error.to_string().contains("max_request_bytes"), "{error}");
        }
    }
}
