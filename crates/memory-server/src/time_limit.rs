//! The time that a request may take, and whether it may have written when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::timeout;

use crate::problem::Problem;

/// Whether a request has begun to write; an extension of the request.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteProgress(Arc<AtomicBool>);

impl WriteProgress {
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Answers with a problem when a request takes longer than `limit`. Its handler is dropped;
/// a write that has reached the store runs to its end.
pub(crate) async fn limit_time(
    State(limit): State<Duration>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let progress = WriteProgress::default();
    request.extensions_mut().insert(progress.clone());
    let answer = timeout(limit, next.run(request)).await;
    answer.map_err(|_| too_long(limit, &progress))
}

/// As [`limit_time`], for requests of which only their handler knows whether they write.
pub(crate) async fn limit_time_of_calls(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let progress = WriteProgress::default();
    progress.begin();
    let answer = timeout(limit, next.run(request)).await;
    answer.map_err(|_| too_long(limit, &progress))
}

fn too_long(limit: Duration, progress: &WriteProgress) -> Problem {
    let seconds = limit.as_secs_f32();
    let what_to_do = match progress.has_begun() {
        true => {
            "it is not known whether it was written, as a write that has reached the store runs \
             to its end: repeat it with the same ids or Idempotency-Key, and nothing is written \
             twice. Where embedding its texts takes this long, send fewer in one request, or use \
             /import, which has no such limit"
        }
        false => "nothing was written; ask for less in one request, or repeat it later",
    };
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "timeout",
        "The request took too long",
        format!("the request took longer than {seconds} s; {what_to_do}"),
    )
    .retryable()
}
