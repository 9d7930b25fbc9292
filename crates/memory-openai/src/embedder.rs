//! The embedder.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use memory_core::{
    EmbedRole, Embedder, EmbedderProfile, ErrorKind, Fingerprint, MemoryError, MemoryResult, limits,
};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::task;

use crate::chunks::{chunks, prefix};
use crate::embedder_options::OpenAiEmbedderOptions;
use crate::embeddings::{Expected, request_body, response_vectors};
use crate::endpoint::{Endpoint, FailedRequest};
use crate::error::OpenAiError;

/// An embedder on an OpenAI-compatible endpoint. Clones share their connections
/// and the limit of concurrent requests.
///
/// The [fingerprint](memory_core::Fingerprint) is a digest of the base URL without
/// its query (or of [`endpoint_name`](OpenAiEmbedderOptions::endpoint_name)), the
/// model's name, the dimensions and the prefixes. An endpoint that changes the
/// weights behind a name cannot be noticed.
///
/// Calls need a Tokio runtime with I/O and timers. Dropping the future of a call
/// closes its connections.
#[derive(Clone)]
pub struct OpenAiEmbedder {
    inner: Arc<Inner>,
}

struct Inner {
    options: OpenAiEmbedderOptions,
    endpoint: Endpoint,
    profile: EmbedderProfile,
    queries: Semaphore,
    passages: Semaphore,
}

/// Responses up to this size are parsed where they arrive: a query's vector takes
/// well under a millisecond, while a batch's would hold up its async worker.
const INLINE_PARSE_BYTES: usize = 128 * 1024;

impl OpenAiEmbedder {
    /// Creates the embedder. Unless the options state the
    /// [dimensions](OpenAiEmbedderOptions::dimensions), one short text is embedded
    /// to learn them.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for an option outside its limits, an invalid
    /// base URL or key, and a platform without certificates if the URL is `https`;
    /// [`MemoryError::Embedder`] if the text cannot be embedded.
    pub async fn connect(options: OpenAiEmbedderOptions) -> MemoryResult<Self> {
        options.validate()?;
        let endpoint = Endpoint::new(options.endpoint.clone(), &["embeddings"])?;
        let stated = options.dimensions.or(options.requested_dimensions);
        let dimensions = match stated {
            Some(dimensions) => dimensions,
            None => probe_dimensions(&endpoint, &options)
                .await
                .map_err(|failed| embedder_error(&endpoint, "connect", failed))?,
        };
        let fingerprint = fingerprint(&options, dimensions);
        let permits = || Semaphore::new(options.max_concurrent_requests);
        Ok(Self {
            inner: Arc::new(Inner {
                profile: EmbedderProfile::new(&options.model, fingerprint, dimensions)
                    .max_tokens(options.window_tokens),
                queries: permits(),
                passages: permits(),
                endpoint,
                options,
            }),
        })
    }
}

impl Inner {
    /// The text that is sent: with the role's prefix, and not longer than the
    /// model's window.
    fn input<'a>(&self, text: &'a str, role: EmbedRole) -> Cow<'a, str> {
        let text = prefix(text, self.options.max_text_bytes(role));
        match self.options.prefix(role) {
            // Endpoints reject an empty text.
            "" if text.is_empty() => Cow::Borrowed(" "),
            "" => Cow::Borrowed(text),
            prefix => Cow::Owned(format!("{prefix}{text}")),
        }
    }

    /// Embeds the texts of one batch. A batch that the endpoint rejects as too
    /// large is sent in halves, and a text in less than its whole length.
    async fn embed_batch(
        &self,
        inputs: &[Cow<'_, str>],
        batch: Range<usize>,
        role: EmbedRole,
    ) -> Result<Vec<Vec<f32>>, FailedRequest> {
        let certain_bytes = self.options.prefix(role).len() + self.options.certain_text_bytes(role);
        let mut vectors = Vec::with_capacity(batch.len());
        // The next part is the last.
        let mut parts = vec![(batch, usize::MAX)];
        while let Some((part, max_bytes)) = parts.pop() {
            let texts = inputs.get(part.clone()).unwrap_or_default();
            let texts: Vec<&str> = texts.iter().map(|text| prefix(text, max_bytes)).collect();
            let failed = match self.request(&texts, part.start, role).await {
                Ok(embedded) => {
                    vectors.extend(embedded);
                    continue;
                }
                Err(failed) => failed,
            };
            if !failed.error.is_input_too_large() {
                return Err(failed);
            }
            if let [text] = texts.as_slice() {
                if text.len() <= certain_bytes {
                    return Err(failed);
                }
                tracing::debug!(bytes = text.len(), certain_bytes, "shortening a text");
                parts.push((part, certain_bytes));
            } else {
                let middle = part.start + part.len() / 2;
                tracing::debug!(texts = part.len(), error = %failed.error, "splitting a batch");
                parts.push((middle..part.end, max_bytes));
                parts.push((part.start..middle, max_bytes));
            }
        }
        Ok(vectors)
    }

    /// Embeds texts with one request, when fewer than the maximum are under way.
    async fn request(
        &self,
        texts: &[&str],
        first_text: usize,
        role: EmbedRole,
    ) -> Result<Vec<Vec<f32>>, FailedRequest> {
        let body = request_body(&self.endpoint, &self.options, texts)?;
        let permits = match role {
            EmbedRole::Query => &self.queries,
            EmbedRole::Passage => &self.passages,
        };
        // The semaphore is never closed.
        let _permit = permits.acquire().await.ok();
        let response = self.endpoint.post(&body).await?;
        let expected = Expected {
            count: texts.len(),
            dimensions: Some(self.profile.dimensions),
            first_text,
        };
        if response.len() <= INLINE_PARSE_BYTES {
            return Ok(response_vectors(&response, expected)?);
        }
        let parsed = task::spawn_blocking(move || response_vectors(&response, expected)).await;
        Ok(parsed.map_err(|_| OpenAiError::Interrupted)??)
    }
}

/// Consecutive texts that fit one request: at most `max_texts` of at most
/// `max_bytes` together, or one.
fn plan_batches(
    lengths: impl Iterator<Item = usize>,
    max_texts: usize,
    max_bytes: usize,
) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0_usize;
    for (index, length) in lengths.enumerate() {
        bytes = bytes.saturating_add(length);
        match batches.last_mut() {
            Some(batch) if batch.len() < max_texts && bytes <= max_bytes => batch.end = index + 1,
            _ => {
                bytes = length;
                batches.push(index..index + 1);
            }
        }
    }
    batches
}

#[async_trait]
impl Embedder for OpenAiEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        &self.inner.profile
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        let inner = &self.inner;
        let options = &inner.options;
        let inputs: Vec<Cow<'_, str>> = texts.iter().map(|text| inner.input(text, role)).collect();
        let max_bytes = options
            .max_batch_tokens
            .saturating_mul(options.bytes_per_token);
        let lengths = inputs.iter().map(|input| input.len());
        let batches = plan_batches(lengths, options.max_batch_texts, max_bytes);
        let requests: Vec<_> = batches
            .into_iter()
            .map(|batch| inner.embed_batch(&inputs, batch, role))
            .collect();
        let vectors: Vec<Vec<Vec<f32>>> = stream::iter(requests)
            .buffered(options.max_concurrent_requests)
            .try_collect()
            .await
            .map_err(|failed| embedder_error(&inner.endpoint, "embed", failed))?;
        Ok(vectors.into_iter().flatten().collect())
    }

    async fn chunk(&self, texts: &[&str]) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        let max_bytes = self.inner.options.max_text_bytes(EmbedRole::Passage);
        Ok(texts.iter().map(|text| chunks(text, max_bytes)).collect())
    }
}

/// The dimensions of the vector of a short text.
async fn probe_dimensions(
    endpoint: &Endpoint,
    options: &OpenAiEmbedderOptions,
) -> Result<usize, FailedRequest> {
    let text = format!("{}dimensions", options.passage_prefix);
    let response = endpoint
        .post(&request_body(endpoint, options, &[&text])?)
        .await?;
    let expected = Expected {
        count: 1,
        dimensions: None,
        first_text: 0,
    };
    let vectors = response_vectors(&response, expected)?;
    let (found, max) = (vectors.first().map_or(0, Vec::len), limits::MAX_DIMENSIONS);
    if !(1..=max).contains(&found) {
        return Err(OpenAiError::UnsupportedDimensions { found, max }.into());
    }
    Ok(found)
}

/// A digest of what decides a vector, with a readable start.
fn fingerprint(options: &OpenAiEmbedderOptions, dimensions: usize) -> Fingerprint {
    let url = options.endpoint.redacted_url();
    let (kind, endpoint) = match &options.endpoint_name {
        Some(name) => ("name", name.as_str()),
        None => ("url", url.trim_end_matches('/')),
    };
    let dimensions = dimensions.to_string();
    let parts = [
        kind,
        endpoint,
        &options.model,
        &dimensions,
        &options.query_prefix,
        &options.passage_prefix,
    ];
    let mut hasher = Sha256::new();
    for part in parts {
        // The length keeps the parts apart.
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    let digest: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Fingerprint::from(format!("openai-1/{digest}"))
}

fn embedder_error(
    endpoint: &Endpoint,
    operation: &'static str,
    failed: FailedRequest,
) -> MemoryError {
    let message = endpoint.message(&failed);
    let kind: ErrorKind = failed.error.kind();
    MemoryError::embedder(kind, operation, message).with_source(failed.error)
}

impl fmt::Debug for OpenAiEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiEmbedder")
            .field("options", &self.inner.options)
            .field("profile", &self.inner.profile)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_both_limits() {
        let plan = |lengths: &[usize]| plan_batches(lengths.iter().copied(), 3, 10);
        assert_eq!(plan(&[]), Vec::<Range<usize>>::new());
        assert_eq!(plan(&[1, 1, 1, 1]), [0..3, 3..4]);
        assert_eq!(plan(&[5, 5, 1]), [0..2, 2..3]);
        assert_eq!(plan(&[11, 11, 1, 9, 0]), [0..1, 1..2, 2..5]);
    }

    #[test]
    fn the_fingerprint_holds_what_decides_a_vector_and_nothing_else() {
        let options = || OpenAiEmbedderOptions::new("m").base_url("http://h/v1");
        let of = |options: &OpenAiEmbedderOptions| fingerprint(options, 3);
        let base = of(&options());
        for same in [
            options().base_url("http://h/v1/"),
            options().base_url("http://h/v1?key=k"),
            options().api_key("k"),
            options().window_tokens(100).retries(0),
        ] {
            assert_eq!(of(&same), base, "{same:?}");
        }
        let others = [
            of(&OpenAiEmbedderOptions::new("n").base_url("http://h/v1")),
            of(&options().base_url("http://h:81/v1")),
            of(&options().query_prefix("q")),
            of(&options().passage_prefix("q")),
            of(&options().endpoint_name("http://h/v1")),
            fingerprint(&options(), 4),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(*other, base);
            assert!(!others[..index].contains(other));
        }
        let named = |url: &str| of(&options().base_url(url).endpoint_name("own"));
        assert_eq!(named("http://a/v1"), named("http://b/v1"));
    }
}
