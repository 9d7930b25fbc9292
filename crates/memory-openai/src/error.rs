//! Errors of a call to the endpoint.

use std::error::Error;
use std::time::Duration;

use memory_core::{ByteSize, ErrorKind, InvalidInput};
use serde_json::error::Category;

use crate::rejection::RejectionReason;

/// Why a call returned no text or no vectors; the source of a
/// [`MemoryError::LanguageModel`](memory_core::MemoryError) or
/// [`MemoryError::Embedder`](memory_core::MemoryError), available by downcasting
/// [`Error::source`]. Where texts are counted, the first of the call is 0.
///
/// It contains nothing that the endpoint wrote, which may quote the input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenAiError {
    /// No connection could be established, or its certificate was rejected.
    #[error("cannot connect to the endpoint: {}", root_cause(&**.0))]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// The connection was lost before the response was complete.
    #[error("the connection was lost before the response was complete: {}", root_cause(&**.0))]
    ConnectionLost(#[source] Box<dyn Error + Send + Sync>),
    /// The response was not complete within the timeout.
    #[error(
        "no complete response within {timeout:?}; raise the timeout if the model needs more time"
    )]
    TimedOut {
        /// The timeout of the request.
        timeout: Duration,
    },
    /// The endpoint answered with a status other than success.
    #[error(
        "the endpoint answered with status {status}{}",
        reason.map(|reason| format!(": {}", reason.description())).unwrap_or_default()
    )]
    Status {
        /// The HTTP status.
        status: u16,
        /// The reason, if the endpoint gives a known one.
        reason: Option<RejectionReason>,
        /// How long the endpoint asks to wait.
        retry_after: Option<Duration>,
    },
    /// The request cannot be written as JSON. Nothing was sent.
    #[error("cannot serialize the request as JSON")]
    Serialization(#[source] serde_json::Error),
    /// A request larger than
    /// [`max_request_bytes`](crate::OpenAiOptions::max_request_bytes). Nothing
    /// was sent.
    #[error(
        "the request has {size}, at most {max} are allowed; shorten the input or raise \
         max_request_bytes"
    )]
    RequestTooLarge {
        /// The size of the request's body.
        size: ByteSize,
        /// The limit.
        max: ByteSize,
    },
    /// A response larger than
    /// [`max_response_bytes`](crate::OpenAiOptions::max_response_bytes).
    #[error("the response exceeds the limit of {max}; raise max_response_bytes to allow it")]
    TooLarge {
        /// The limit.
        max: ByteSize,
    },
    /// The response is not JSON, or is truncated JSON.
    #[error(
        "the response is not JSON; check that the base URL is that of an OpenAI-compatible endpoint"
    )]
    NotJson,
    /// The response is JSON, but not what the API defines.
    #[error(
        "the response is JSON of an unexpected shape; check that the endpoint is \
         OpenAI-compatible"
    )]
    UnexpectedShape,
    /// The chat completion has no choices.
    #[error("the response contains no choices")]
    NoChoice,
    /// The message has no text.
    #[error("the model returned an empty text")]
    Empty,
    /// The model refused to answer.
    #[error("the model refused to answer this prompt")]
    Refused,
    /// The endpoint's content filter withheld the response.
    #[error("the endpoint's content filter withheld the response")]
    Filtered,
    /// The model reached its token limit before the response was complete.
    #[error(
        "the model reached its token limit before the response was complete; raise max_tokens or \
         max_completion_tokens"
    )]
    Truncated,
    /// The response has more or fewer vectors than texts were sent.
    #[error("the response contains {found} vectors for {expected} texts")]
    VectorCount {
        /// Vectors in the response.
        found: usize,
        /// Texts in the request.
        expected: usize,
    },
    /// The `index` fields of a response are not the numbers of the texts, each
    /// once.
    #[error("the vectors' indices are not 0 to {}, each once", .count.saturating_sub(1))]
    VectorIndex {
        /// Texts in the request.
        count: usize,
    },
    /// A vector of other dimensions than the embedder's.
    #[error(
        "the vector of text {text} has {found} components, {expected} are expected; set dimensions \
         as the model has them"
    )]
    VectorDimensions {
        /// The text.
        text: usize,
        /// Components of the vector.
        found: usize,
        /// Components of the embedder's profile.
        expected: usize,
    },
    /// A vector that has no direction: zero, or with a component that is no finite
    /// number.
    #[error("the vector of text {text} cannot be used: {problem}")]
    InvalidVector {
        /// The text.
        text: usize,
        /// What is wrong.
        problem: InvalidInput,
    },
    /// A vector that is not base64 of 32-bit floats.
    #[error("the vector of text {text} is not base64 of 32-bit floats")]
    InvalidBase64 {
        /// The text.
        text: usize,
    },
    /// The runtime was shut down while a response was read.
    #[error("the runtime was shut down while the response was read")]
    Interrupted,
    /// The model's vectors have no components, or more than a memory system stores.
    #[error("the model's vectors have {found} components; 1 to {max} are supported")]
    UnsupportedDimensions {
        /// Components of the model's vectors.
        found: usize,
        /// The limit.
        max: usize,
    },
}

impl OpenAiError {
    /// Converts an error of the HTTP client, without its URL, whose query may
    /// contain a secret.
    pub(crate) fn from_http(error: reqwest::Error, timeout: Duration) -> Self {
        let error = error.without_url();
        if error.is_connect() {
            Self::Unreachable(error.into())
        } else if error.is_timeout() {
            Self::TimedOut { timeout }
        } else {
            Self::ConnectionLost(error.into())
        }
    }

    /// Classifies a parser error. Its text is left out, because it may quote the
    /// response.
    pub(crate) fn from_json(error: serde_json::Error) -> Self {
        match error.classify() {
            Category::Data => Self::UnexpectedShape,
            Category::Syntax | Category::Eof | Category::Io => Self::NotJson,
        }
    }

    /// The kind of this error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable(_) | Self::ConnectionLost(_) | Self::TimedOut { .. } => {
                ErrorKind::Unavailable
            }
            Self::Status { status, reason, .. } => kind_of_status(*status, *reason),
            Self::RequestTooLarge { .. } => ErrorKind::InvalidInput,
            Self::NotJson
            | Self::UnexpectedShape
            | Self::NoChoice
            | Self::VectorCount { .. }
            | Self::VectorIndex { .. }
            | Self::InvalidVector { .. }
            | Self::InvalidBase64 { .. } => ErrorKind::Corrupt,
            Self::VectorDimensions { .. } | Self::UnsupportedDimensions { .. } => {
                ErrorKind::Configuration
            }
            Self::Serialization(_)
            | Self::Interrupted
            | Self::TooLarge { .. }
            | Self::Empty
            | Self::Refused
            | Self::Filtered
            | Self::Truncated => ErrorKind::Other,
        }
    }

    /// Whether an immediate retry of the same request can succeed. A timeout is
    /// not retried: the caller would wait for a multiple of it, and a slow model
    /// would work on both requests.
    pub(crate) const fn is_immediately_retryable(&self) -> bool {
        !matches!(self, Self::TimedOut { .. }) && matches!(self.kind(), ErrorKind::Unavailable)
    }

    /// Whether the same texts may be accepted in smaller requests.
    pub(crate) const fn is_input_too_large(&self) -> bool {
        matches!(
            self,
            Self::RequestTooLarge { .. }
                | Self::Status { status: 413, .. }
                | Self::Status {
                    reason: Some(RejectionReason::ContextLength),
                    ..
                }
        )
    }

    /// How long the endpoint asks to wait before the next request.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The innermost cause: the HTTP client's own errors only name the step that
/// failed ("error sending request").
fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

const fn kind_of_status(status: u16, reason: Option<RejectionReason>) -> ErrorKind {
    match (status, reason) {
        (_, Some(RejectionReason::ContextLength)) | (413, _) => ErrorKind::InvalidInput,
        // An account without quota also gets 429, and a retry would get it again.
        (_, Some(RejectionReason::Quota | RejectionReason::ContentFilter)) => ErrorKind::Other,
        (408 | 429 | 500..=599, None) => ErrorKind::Unavailable,
        // A redirect, or a wrong key, path or model name.
        (300..=399 | 401 | 403 | 404 | 405, None) => ErrorKind::Configuration,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_a_kind() {
        use ErrorKind as Kind;
        for (status, reason, kind) in [
            (408, None, Kind::Unavailable),
            (429, None, Kind::Unavailable),
            (500, None, Kind::Unavailable),
            (529, None, Kind::Unavailable),
            (429, Some(RejectionReason::Quota), Kind::Other),
            (400, None, Kind::Other),
            (
                400,
                Some(RejectionReason::ContextLength),
                Kind::InvalidInput,
            ),
            (413, None, Kind::InvalidInput),
            (401, None, Kind::Configuration),
            (404, None, Kind::Configuration),
            (302, None, Kind::Configuration),
            (422, None, Kind::Other),
        ] {
            let error = OpenAiError::Status {
                status,
                reason,
                retry_after: None,
            };
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.is_immediately_retryable(), kind == Kind::Unavailable);
        }
    }

    #[test]
    fn a_rejection_reason_is_described() {
        let error = OpenAiError::Status {
            status: 429,
            reason: Some(RejectionReason::Quota),
            retry_after: None,
        };
        let text = error.to_string();
        assert_eq!(
            text,
            "the endpoint answered with status 429: the account's quota is used up"
        );
    }

    #[test]
    fn a_timeout_is_retryable_by_the_caller_only() {
        let error = OpenAiError::TimedOut {
            timeout: Duration::from_secs(60),
        };
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!error.is_immediately_retryable());
    }
}
