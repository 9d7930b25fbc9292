//! Waiting without a runtime: futures that yield and time out.

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::pin;
use std::task::Poll;
use std::thread::sleep;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

/// Lets the runtime turn to others once.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(move |context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// How long [`wait_until`] waits.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Waits, on any runtime, until something that must come soon is so. `what` completes
/// "waited in vain until …". Not for a runtime whose clock is paused: it would not move.
///
/// # Panics
/// Where it is not so within a minute.
#[track_caller]
pub fn wait_until<F, Fut>(what: &str, mut is_so: F) -> impl Future<Output = ()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let caller = Location::caller();
    async move {
        let begun = Instant::now();
        while !is_so().await {
            let waited = begun.elapsed();
            assert!(waited < MAX_WAIT, "{caller}: waited in vain until {what}");
            sleep(Duration::from_millis(1));
            yield_now().await;
        }
    }
}

/// Waits for a call, but not for ever.
pub(crate) async fn within<F: Future>(limit: Duration, call: F) -> Option<F::Output> {
    let timing = pin!(async {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            sleep(Duration::from_millis(1));
            yield_now().await;
        }
    });
    match select(pin!(call), timing).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Polls a call for a while, longer with each round, and drops it. Gives its
/// result where it was ready before.
pub(crate) async fn drop_after<F: Future>(round: usize, call: F) -> Option<F::Output> {
    let timing = pin!(async {
        for turn in 0..round {
            // Backends work on threads of their own: moments of very different
            // lengths let some round meet each of their steps.
            sleep(Duration::from_micros(1 << (turn % 8)));
            yield_now().await;
        }
    });
    match select(pin!(call), timing).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}
