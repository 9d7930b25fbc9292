//! Telling listeners what is written.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use memory_core::{ChangeStream, EntityId, Generation, StoreEvent};

/// The store's end of the channel: every listener that is still there, and
/// whether the channel is faulty.
///
/// Dropping it closes the channel.
#[derive(Default)]
pub(super) struct ChangeChannel {
    listeners: Vec<Weak<Mutex<Queue>>>,
    lost: bool,
}

/// What a listener has not heard yet: as much as it lets pile up.
#[derive(Debug, Default)]
struct Queue {
    untold: VecDeque<StoreEvent>,
    closed: bool,
    waiting: Option<Waker>,
}

/// A listener's end.
#[derive(Debug)]
pub(super) struct Subscription(Arc<Mutex<Queue>>);

impl ChangeChannel {
    /// A new listener. One that comes while the channel is faulty hears that
    /// first.
    pub(super) fn listen(&mut self) -> Subscription {
        let queue = Arc::new(Mutex::new(Queue::default()));
        self.listeners.push(Arc::downgrade(&queue));
        if self.lost {
            locked(&queue).untold.push_back(StoreEvent::Disconnected);
        }
        Subscription(queue)
    }

    /// Tells of a write, unless the channel is faulty.
    pub(super) fn written(&mut self, entity: &EntityId, generation: Generation) {
        if !self.lost {
            self.tell(&StoreEvent::Changed {
                entity: entity.clone(),
                generation,
            });
        }
    }

    /// Breaks the channel; a faulty one stays so.
    pub(super) fn lose(&mut self) {
        if !std::mem::replace(&mut self.lost, true) {
            self.tell(&StoreEvent::Disconnected);
        }
    }

    /// Mends the channel, if it is faulty.
    pub(super) fn restore(&mut self) {
        if std::mem::take(&mut self.lost) {
            self.tell(&StoreEvent::Reconnected);
        }
    }

    /// Tells every listener that nothing follows; they hear out what is untold.
    pub(super) fn close(&mut self) {
        self.each(|queue| queue.closed = true);
        self.listeners.clear();
    }

    fn tell(&mut self, news: &StoreEvent) {
        self.each(|queue| queue.untold.push_back(news.clone()));
    }

    /// Changes every listener's queue and wakes it; forgets those that left.
    fn each(&mut self, change: impl Fn(&mut Queue)) {
        self.listeners.retain(|listener| {
            let Some(queue) = listener.upgrade() else {
                return false;
            };
            let waiting = {
                let mut queue = locked(&queue);
                change(&mut queue);
                queue.waiting.take()
            };
            waiting.into_iter().for_each(Waker::wake);
            true
        });
    }
}

impl Drop for ChangeChannel {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl ChangeStream for Subscription {
    async fn next(&mut self) -> StoreEvent {
        poll_fn(|context| {
            let mut queue = locked(&self.0);
            if let Some(news) = queue.untold.pop_front() {
                return Poll::Ready(news);
            }
            if queue.closed {
                return Poll::Ready(StoreEvent::Closed);
            }
            queue.waiting = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

fn locked(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
