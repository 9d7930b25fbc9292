//! Errors as problem details (RFC 9457).

use std::fmt::Display;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use memory::{ErrorKind, MemoryError, MemoryId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::import::ImportAnswer;
use crate::rate_limit::whole_seconds;

/// The media type of problem details.
const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong, for people and for programs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:memory:` and the kind.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    problem_type: Box<str>,
    /// The kind, for people.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened, which limit holds, and what to do. Never content.
    detail: String,
    /// The kind, as the command reports it: `invalid_input`, `not_found` and others.
    kind: &'static str,
    /// Whether the same request may be sent again as it was: it may succeed later, and does
    /// nothing twice.
    retryable: bool,
    /// The ids of the memories of a request whose outcome is unknown, in their order: sent
    /// again with these, nothing is stored twice.
    #[serde(skip_serializing_if = "<[MemoryId]>::is_empty")]
    #[schema(value_type = Vec<String>, required = false)]
    ids: Box<[MemoryId]>,
    /// Which memory of a batch is meant, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<u32>,
    /// What of an import was stored before it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    import: Option<Box<ImportAnswer>>,
    /// What is said in headers of the answer.
    #[serde(skip)]
    headers: Option<Box<ProblemHeaders>>,
}

/// What is said in headers of an answer, for few problems.
#[derive(Debug, Default)]
struct ProblemHeaders {
    /// When the same request may succeed, in seconds.
    retry_after: Option<u64>,
    /// The entity's current tag.
    etag: Option<String>,
}

impl Problem {
    /// A request that cannot be understood or exceeds a limit.
    pub(crate) fn invalid_input(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_input",
            "Invalid input",
            detail,
        )
    }

    pub(crate) fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            problem_type: format!("urn:memory:{kind}").into(),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            kind,
            retryable: false,
            ids: Box::default(),
            item: None,
            import: None,
            headers: None,
        }
    }

    /// Says whether the same request may be sent again as it was.
    pub(crate) fn retryable(self, retryable: bool) -> Self {
        Self { retryable, ..self }
    }

    /// The same request may succeed after this time.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.headers.get_or_insert_default().retry_after = Some(whole_seconds(wait));
        self
    }

    /// Adds the entity's current tag.
    pub(crate) fn with_etag(mut self, etag: String) -> Self {
        self.headers.get_or_insert_default().etag = Some(etag);
        self
    }

    /// A body that broke off, or cannot be read to its end for another reason.
    pub(crate) fn invalid_body(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, "invalid_input", "Invalid body", detail)
    }

    /// A body of more than `max` bytes, and what to do.
    pub(crate) fn body_too_large(max: impl Display, advice: &str) -> Self {
        Self::invalid_body(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {max} bytes; {advice}"),
        )
    }

    /// A body of a kind that is not read here.
    pub(crate) fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Unsupported media type",
            detail,
        )
    }

    /// The server failed at its own work.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "other",
            "The operation failed",
            "the server failed; its log has more",
        )
    }

    /// What callers without a token learn of an error: its kind, as its text may name hosts
    /// and files.
    pub(crate) fn without_text(error: &MemoryError, failed: &str) -> Self {
        let kind = error.kind();
        let (status, title) = describe(kind);
        let name = kind.name();
        let detail = format!("{failed} does not work ({name}); the server's log has the reason");
        let retryable = error.is_retryable();
        Self {
            retryable,
            ..Self::new(status, name, title, detail)
        }
    }

    /// As many of these requests as are allowed are in progress.
    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        let (status, title) = describe(ErrorKind::Unavailable);
        Self::new(status, ErrorKind::Unavailable.name(), title, detail).retryable(true)
    }

    /// Adds what to do.
    pub(crate) fn with_advice(self, advice: &str) -> Self {
        let detail = format!("{}; {advice}", self.detail);
        Self { detail, ..self }
    }

    /// Says what of an import was stored before it failed.
    pub(crate) fn with_import(self, import: ImportAnswer) -> Self {
        Self {
            // The same lines sent again get the same ids.
            ids: Box::default(),
            import: Some(Box::new(import)),
            ..self
        }
    }

    /// Says which memory of a batch is meant, in the words of [`MemoryError`].
    pub(crate) fn in_batch(self, index: usize) -> Self {
        let Self { detail, .. } = &self;
        Self {
            detail: format!("invalid input in item {index} of the batch, counted from 0: {detail}"),
            item: u32::try_from(index).ok(),
            ..self
        }
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<MemoryError> for Problem {
    fn from(error: MemoryError) -> Self {
        let kind = error.kind();
        let (status, title) = describe(kind);
        let item = match &error {
            MemoryError::InvalidInput {
                item: Some(index), ..
            } => u32::try_from(*index).ok(),
            _ => None,
        };
        Self {
            item,
            ids: error.ids().into(),
            retryable: error.is_retryable(),
            ..Self::new(status, kind.name(), title, error.to_string())
        }
    }
}

/// The status and the title of a kind of error.
fn describe(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::InvalidInput => (StatusCode::BAD_REQUEST, "Invalid input"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "No such memory"),
        ErrorKind::Conflict => (StatusCode::CONFLICT, "The id is taken by other content"),
        ErrorKind::Archived => (StatusCode::CONFLICT, "The memory is archived"),
        ErrorKind::Changed => (StatusCode::CONFLICT, "The memory changed meanwhile"),
        ErrorKind::LimitReached => (StatusCode::CONFLICT, "The entity's limit is reached"),
        ErrorKind::Unsupported => (StatusCode::NOT_IMPLEMENTED, "Not supported"),
        ErrorKind::Full => (StatusCode::INSUFFICIENT_STORAGE, "The disk is full"),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Busy or unreachable"),
        ErrorKind::OutcomeUnknown => (StatusCode::SERVICE_UNAVAILABLE, "Outcome unknown"),
        ErrorKind::Closed => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The server is shutting down",
        ),
        ErrorKind::Missing => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Something required is missing",
        ),
        ErrorKind::ReadOnly => (StatusCode::SERVICE_UNAVAILABLE, "The database is read-only"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "The operation failed"),
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let status = self.status();
        let ProblemHeaders { retry_after, etag } = *self.headers.take().unwrap_or_default();
        // Clients send the same request again where they find this header.
        let is_busy = status == StatusCode::SERVICE_UNAVAILABLE && self.retryable;
        let retry_after = retry_after.or(is_busy.then_some(1));
        let etag = etag.as_deref().map(HeaderValue::from_str);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(Ok(etag)) = etag {
            headers.insert(header::ETAG, etag);
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// What a handler answers.
pub(crate) type Answer<T> = Result<T, Problem>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_succeed_later_is_to_be_sent_again() {
        for (kind, retry_after) in [
            (ErrorKind::Unavailable, Some("1")),
            (ErrorKind::OutcomeUnknown, Some("1")),
            (ErrorKind::ReadOnly, None),
            (ErrorKind::Missing, None),
            (ErrorKind::Closed, None),
        ] {
            let error = MemoryError::store(kind, "retain", "it failed");
            let response = Problem::from(error).into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            let header = response.headers().get(header::RETRY_AFTER);
            let header = header.and_then(|value| value.to_str().ok());
            assert_eq!(header, retry_after, "{}", kind.name());
        }
    }

    #[test]
    fn a_problem_may_have_several_headers() {
        let wait = Duration::from_secs(7);
        let tag = || "\"3\"".to_owned();
        for problem in [
            Problem::internal().with_etag(tag()).retry_after(wait),
            Problem::internal().retry_after(wait).with_etag(tag()),
        ] {
            let headers = problem.into_response().headers().clone();
            assert_eq!(headers[header::RETRY_AFTER], "7");
            assert_eq!(headers[header::ETAG], "\"3\"");
        }
    }
}
