//! Why there is no answer.

use std::error::Error;
use std::time::Duration;

use memory_core::{ByteSize, ErrorKind};

/// The operation named by errors of [`OpenAi`](crate::OpenAi).
pub(crate) const COMPLETE: &str = "complete";

/// Why there is no answer, reached by downcasting [`Error::source`].
///
/// Nothing that the endpoint wrote is kept, as it may quote the prompt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenAiError {
    /// No connection came about, or none that TLS accepts.
    #[error("the endpoint cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// The connection broke before the whole answer was there.
    #[error("the connection broke before the whole answer was there")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// The whole answer was not there in time.
    #[error("the whole answer was not there in time")]
    TimedOut,
    /// A status that is no success.
    #[error(
        "the endpoint answered with status {status}{}",
        reason.map(|reason| format!(": {}", reason.words())).unwrap_or_default()
    )]
    Status {
        /// The HTTP status.
        status: u16,
        /// Why, where the endpoint says so in a way that is known.
        reason: Option<Reason>,
        /// How long the endpoint asks to wait.
        retry_after: Option<Duration>,
    },
    /// An answer over [`max_answer`](crate::OpenAiOptions::max_answer).
    #[error("the answer exceeds {max}")]
    TooLarge {
        /// The bound.
        max: ByteSize,
    },
    /// An answer that is no JSON, or the beginning of some.
    #[error("the answer is not JSON; is the base URL that of an OpenAI-compatible endpoint?")]
    NotJson,
    /// JSON that is no chat completion.
    #[error("the answer is not of the form of a chat completion")]
    OtherForm,
    /// A completion without a choice.
    #[error("the answer holds no choice")]
    NoChoice,
    /// A message without text.
    #[error("the model answered with an empty text")]
    Empty,
    /// The model declined to answer.
    #[error("the model refused to answer")]
    Refused,
    /// The endpoint withheld the answer.
    #[error("the endpoint's content filter withheld the answer")]
    Filtered,
    /// The model had no tokens left; half an answer is none.
    #[error("the model ran out of tokens before its answer was complete; allow it more")]
    CutShort,
}

/// Why an endpoint said no, of the codes that OpenAI and others share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The prompt and the tokens allowed for the answer do not fit the model.
    ContextLength,
    /// The account has used up what it may spend.
    Quota,
    /// The content filter took offence at the prompt.
    ContentFilter,
}

impl Reason {
    const fn words(self) -> &'static str {
        match self {
            Self::ContextLength => "the prompt is too long for the model",
            Self::Quota => "the account's quota is used up",
            Self::ContentFilter => "the content filter withheld the prompt",
        }
    }
}

impl OpenAiError {
    /// What the HTTP client says, without the URL: its query may hold a secret.
    pub(crate) fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() {
            Self::Unreachable(error.into())
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Broken(error.into())
        }
    }

    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable(_) | Self::Broken(_) | Self::TimedOut => ErrorKind::Unavailable,
            Self::Status { status, reason, .. } => of_status(*status, *reason),
            Self::NotJson | Self::OtherForm | Self::NoChoice => ErrorKind::Corrupt,
            Self::TooLarge { .. }
            | Self::Empty
            | Self::Refused
            | Self::Filtered
            | Self::CutShort => ErrorKind::Other,
        }
    }

    /// Whether the same request may soon be answered. Not after a time-out:
    /// whoever set it would wait for a multiple of it, and the model that was
    /// too slow would work on both requests.
    pub(crate) const fn is_worth_a_retry(&self) -> bool {
        !matches!(self, Self::TimedOut) && matches!(self.kind(), ErrorKind::Unavailable)
    }

    /// How long the endpoint asks to wait before the next request.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

const fn of_status(status: u16, reason: Option<Reason>) -> ErrorKind {
    match (status, reason) {
        (_, Some(Reason::ContextLength)) | (413, _) => ErrorKind::InvalidInput,
        // An endpoint out of credit says 429 as well, and would say it again.
        (_, Some(Reason::Quota | Reason::ContentFilter)) => ErrorKind::Other,
        (408 | 429 | 500..=599, None) => ErrorKind::Unavailable,
        // A redirect, a key, a path or a model's name that is not right.
        (300..=399 | 401 | 403 | 404 | 405, None) => ErrorKind::Configuration,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_a_kind() {
        use ErrorKind as Kind;
        for (status, reason, kind) in [
            (408, None, Kind::Unavailable),
            (429, None, Kind::Unavailable),
            (500, None, Kind::Unavailable),
            (529, None, Kind::Unavailable),
            (429, Some(Reason::Quota), Kind::Other),
            (400, None, Kind::Other),
            (400, Some(Reason::ContextLength), Kind::InvalidInput),
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
            assert_eq!(error.is_worth_a_retry(), kind == Kind::Unavailable);
        }
    }

    #[test]
    fn a_reason_is_told() {
        let error = OpenAiError::Status {
            status: 429,
            reason: Some(Reason::Quota),
            retry_after: None,
        };
        let text = error.to_string();
        assert_eq!(
            text,
            "the endpoint answered with status 429: the account's quota is used up"
        );
    }

    #[test]
    fn a_time_out_may_be_retried_by_the_caller_only() {
        assert_eq!(OpenAiError::TimedOut.kind(), ErrorKind::Unavailable);
        assert!(!OpenAiError::TimedOut.is_worth_a_retry());
    }
}
