//! The language model: a request, sent as often as it is worth it.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use memory_core::{LanguageModel, MemoryError, MemoryResult};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Url};
use tokio::time;

use crate::error::{COMPLETE, OpenAiError};
use crate::options::OpenAiOptions;
use crate::{answer, body, client, request, retry};

/// A language model on an OpenAI-compatible endpoint. Clones share their
/// connections.
///
/// Calls need a tokio runtime with I/O and timers, as `#[tokio::main]` makes
/// it. Dropping the future of a call closes its connection.
#[derive(Clone)]
pub struct OpenAi {
    options: OpenAiOptions,
    endpoint: Url,
    authorization: Option<HeaderValue>,
    client: Client,
}

impl OpenAi {
    /// Takes the options; nothing is sent yet.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for an option out of its bounds, a URL
    /// that does not read, a key that no header can hold, and a platform
    /// without certificates when the URL is `https`.
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

    /// Sends a request once.
    async fn send(&self, body: Vec<u8>) -> Result<String, OpenAiError> {
        let mut request = reqwest::Request::new(Method::POST, self.endpoint.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        *request.body_mut() = Some(body.into());

        let response = self
            .client
            .execute(request)
            .await
            .map_err(OpenAiError::of)?;
        let status = response.status();
        if !status.is_success() {
            return Err(OpenAiError::Status {
                status: status.as_u16(),
                retry_after: retry::after(response.headers(), SystemTime::now()),
                reason: body::reason(response).await,
            });
        }
        answer::text(&body::whole(response, self.options.max_answer).await?)
    }

    /// The error for callers: it names the endpoint's host, which is no secret.
    fn told(&self, error: OpenAiError, requests: u32) -> MemoryError {
        let host = self.endpoint.origin().ascii_serialization();
        let mut message = format!("{host}: {error}");
        if requests > 1 {
            message.push_str(&format!(", after {requests} requests"));
        }
        if let Some(asked) = error.retry_after() {
            message.push_str(&format!("; it asks to wait {asked:?}"));
        }
        MemoryError::language_model(error.kind(), COMPLETE, message).with_source(error)
    }
}

#[async_trait]
impl LanguageModel for OpenAi {
    async fn complete(&self, prompt: &str) -> MemoryResult<String> {
        let body = request::body(&self.options, prompt)?;
        let mut retries = 0;
        loop {
            let error = match self.send(body.clone()).await {
                Ok(text) => return Ok(text),
                Err(error) => error,
            };
            let waits = self.options.waits;
            let wait = waits.before(retries, error.retry_after(), fastrand::f64());
            let may_retry = retries < self.options.retries && error.is_worth_a_retry();
            let Some(wait) = wait.filter(|_| may_retry) else {
                return Err(self.told(error, retries + 1));
            };
            retries += 1;
            tracing::debug!(retries, ?wait, %error, "a request is sent again");
            time::sleep(wait).await;
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
