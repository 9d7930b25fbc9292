//! The time that a request may take, and what its client does when it is over.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use memory::MemoryId;
use tokio::time::timeout;

use crate::problem::Problem;

/// What a request may have done when its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A change of one memory or its links.
    Write,
    /// A new memory.
    NewMemory(Repeat),
    /// A batch of new memories.
    Batch(Repeat),
    /// Maintenance of an entity, in steps.
    Maintenance,
    /// Computing all vectors of an entity, which begins from the start each time.
    AllVectors,
    /// A call of a tool, which may read or write.
    Call,
}

/// What the same new memories do when they are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing: each has an id, its own or that of the request's key.
    StoresNothing,
    /// Those without an id are stored a second time.
    StoresAgain,
}

impl Repeat {
    /// What new memories with these ids do.
    pub(crate) fn of<'a>(ids: impl IntoIterator<Item = &'a Option<MemoryId>>) -> Self {
        match ids.into_iter().all(Option::is_some) {
            true => Self::StoresNothing,
            false => Self::StoresAgain,
        }
    }
}

impl Effect {
    /// Whether the request may be sent again as it was.
    fn is_repeatable(self) -> bool {
        match self {
            Self::Write | Self::Maintenance => true,
            Self::NewMemory(repeat) | Self::Batch(repeat) => repeat == Repeat::StoresNothing,
            // It would come as far as before.
            Self::AllVectors => false,
            // Of a tool that stores, among others.
            Self::Call => false,
        }
    }
}

/// What a request has begun to do, if anything; an extension of the request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<OnceLock<Effect>>);

impl Progress {
    /// Something begins; the first of a request counts.
    pub(crate) fn begin(&self, effect: Effect) {
        self.0.get_or_init(|| effect);
    }
}

/// The time limit of requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimit {
    pub(crate) limit: Duration,
    /// What every request may do, for requests whose handlers do not say what they begin.
    pub(crate) effect: Option<Effect>,
}

/// Answers with a problem when a request takes longer than its limit. Its handler is
/// dropped; a write that has reached the store runs to its end.
pub(crate) async fn limit_time(
    State(TimeLimit { limit, effect }): State<TimeLimit>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let progress = Progress::default();
    if let Some(effect) = effect {
        progress.begin(effect);
    }
    request.extensions_mut().insert(progress.clone());
    let answer = timeout(limit, next.run(request)).await;
    answer.map_err(|_| too_long(limit, progress.0.get().copied()))
}

fn too_long(limit: Duration, begun: Option<Effect>) -> Problem {
    let seconds = limit.as_secs_f32();
    let what_to_do = match begun {
        None => "nothing was written; ask again, or ask for less in one request",
        Some(Effect::Write) => {
            "the write may have been made, as one that has reached the store runs to its end: \
             read and compare"
        }
        Some(Effect::NewMemory(Repeat::StoresNothing)) => {
            "the memory may have been stored, as one that has reached the store is stored to its \
             end: send it again with the same id or Idempotency-Key, and it is stored once"
        }
        Some(Effect::NewMemory(Repeat::StoresAgain)) => {
            "the memory may have been stored, as one that has reached the store is stored to its \
             end: read before it is sent again; with an id of its own or an Idempotency-Key, the \
             same request can be repeated"
        }
        Some(Effect::Batch(Repeat::StoresNothing)) => {
            "the batch may have been stored, as one that has reached the store is stored to its \
             end: send it again with the same ids or Idempotency-Key, and nothing is stored twice; \
             send fewer items in one request, or use /import, which has no such limit"
        }
        Some(Effect::Batch(Repeat::StoresAgain)) => {
            "the batch may have been stored, as one that has reached the store is stored to its \
             end: read before its memories without an id are sent again; with ids of their own or \
             an Idempotency-Key, the same request can be repeated; send fewer items in one \
             request, or use /import, which has no such limit"
        }
        Some(Effect::Maintenance) => {
            "what was done stays, and a step that has begun may go on: send the request again, \
             which does the rest"
        }
        Some(Effect::AllVectors) => {
            "the vectors until then stay; with `force`, the same request begins from the start, and \
             without, it computes only those of memories that have none of the current model: \
             use `memory reembed --force`, which has no such limit"
        }
        Some(Effect::Call) => {
            "a tool that reads can be called again, or asked for less; what a tool writes may have \
             been written, so list or recall before it is called again"
        }
    };
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "timeout",
        "The request took too long",
        format!("the request took longer than {seconds} s; {what_to_do}"),
    )
    .retryable(begun.is_none_or(Effect::is_repeatable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintenance_that_goes_on_where_it_ended_may_be_sent_again() {
        for (effect, retryable) in [(Effect::Maintenance, true), (Effect::AllVectors, false)] {
            assert_eq!(effect.is_repeatable(), retryable, "{effect:?}");
        }
    }
}
