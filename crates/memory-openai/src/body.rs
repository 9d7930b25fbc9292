//! Reading a body, no further than its bound.

use memory_core::ByteSize;
use reqwest::Response;

use crate::answer;
use crate::error::{OpenAiError, Reason};

/// Of a body that only explains a failure no more is read than this.
const MAX_FAILURE: ByteSize = ByteSize(64 * 1024);

/// The whole body, or an error as soon as it is known to exceed `max`: what
/// lies beyond is not read, and the connection is closed.
pub(crate) async fn whole(mut response: Response, max: ByteSize) -> Result<Vec<u8>, OpenAiError> {
    let too_large = OpenAiError::TooLarge { max };
    if response.content_length().is_some_and(|bytes| bytes > max.0) {
        return Err(too_large);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(OpenAiError::of)? {
        let bytes = body.len().saturating_add(chunk.len());
        if u64::try_from(bytes).map_or(true, |bytes| bytes > max.0) {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why a status is no success, where its body says so in a way that is known.
pub(crate) async fn reason(response: Response) -> Option<Reason> {
    let body = whole(response, MAX_FAILURE).await.ok()?;
    answer::reason(&body)
}
