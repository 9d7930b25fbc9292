//! Reasons of rejected requests.

use memory_core::ByteSize;
use serde_json::Value;

/// The maximum that is read of the body of an error response.
pub(crate) const MAX_ERROR_BYTES: ByteSize = ByteSize(64 * 1024);

/// Why an endpoint rejected a request, from the error codes that OpenAI and
/// compatible endpoints share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectionReason {
    /// The input, and the tokens of the response, exceed the model's context.
    ContextLength,
    /// The account's quota is used up.
    Quota,
    /// The content filter rejected the input.
    ContentFilter,
}

/// Parts of the messages with which endpoints reject an input that is too long
/// and give no code: OpenAI's embeddings and vLLM, Ollama, llama.cpp (two), and
/// text-embeddings-inference.
const TOO_LONG: [&str; 5] = [
    "maximum context length",
    "exceeds the context length",
    "exceeds the available context size",
    "too large to process",
    "must have less than",
];

impl RejectionReason {
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::ContextLength => "the input is too long for the model's context",
            Self::Quota => "the account's quota is used up",
            Self::ContentFilter => "the content filter rejected the input",
        }
    }

    /// Parses the body of an error response. Only known reasons are returned,
    /// because everything else in the body may quote the input.
    pub(crate) fn parse(status: u16, body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        // Most endpoints put the details into `error`, some into the body itself.
        let error = body.get("error").unwrap_or(&body);
        let text = |field| error.get(field).and_then(Value::as_str);
        for code in [text("code"), text("type")].into_iter().flatten() {
            match code {
                "context_length_exceeded"
                | "max_tokens_per_request"
                | "exceed_context_size_error" => return Some(Self::ContextLength),
                "insufficient_quota" => return Some(Self::Quota),
                "content_filter" | "content_policy_violation" => return Some(Self::ContentFilter),
                _ => {}
            }
        }
        let message = text("message").or(error.as_str()).unwrap_or_default();
        let is_too_long = TOO_LONG.iter().any(|part| message.contains(part));
        (matches!(status, 400 | 413 | 422 | 500) && is_too_long).then_some(Self::ContextLength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_codes_are_reasons() {
        let reason_of = |code: &str| {
            RejectionReason::parse(
                400,
                format!(r#"{{"error": {{"code": {code}}}}}"#).as_bytes(),
            )
        };
        assert_eq!(
            reason_of(r#""context_length_exceeded""#),
            Some(RejectionReason::ContextLength)
        );
        assert_eq!(
            reason_of(r#""insufficient_quota""#),
            Some(RejectionReason::Quota)
        );
        assert_eq!(
            reason_of(r#""content_filter""#),
            Some(RejectionReason::ContentFilter)
        );
        for other in [r#""Tam sold me a horse""#, "400", "null"] {
            assert_eq!(reason_of(other), None, "{other}");
        }
        assert_eq!(RejectionReason::parse(400, b"<html>"), None);
    }

    #[test]
    fn an_input_that_is_too_long_is_recognized_without_a_code() {
        for body in [
            r#"{"error": {"message": "This model's maximum context length is 8192 tokens, however you requested 9000 tokens.", "code": null}}"#,
            r#"{"object": "error", "message": "This model's maximum context length is 512 tokens.", "code": 400}"#,
            r#"{"error": {"message": "the input length exceeds the context length", "type": "api_error"}}"#,
            r#"{"error": {"code": 400, "message": "request (600 tokens) exceeds the available context size (512 tokens)"}}"#,
            r#"{"error": {"code": 400, "type": "exceed_context_size_error", "message": ""}}"#,
            r#"{"error": "Input validation error: `inputs` must have less than 512 tokens. Given: 600"}"#,
        ] {
            let reason = RejectionReason::parse(400, body.as_bytes());
            assert_eq!(reason, Some(RejectionReason::ContextLength), "{body}");
        }
        // A busy endpoint does not complain about the length.
        let busy = br#"{"error": {"message": "maximum context length"}}"#;
        assert_eq!(RejectionReason::parse(429, busy), None);
    }
}
