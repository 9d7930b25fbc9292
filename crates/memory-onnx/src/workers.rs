//! Threads that take work from a queue until it closes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::queue::Queue;

/// The name of every thread that computes; they are no runtime's threads.
const THREAD_NAME: &str = "memory-onnx";

/// A queue and the threads that work it off. Dropping it closes the queue and
/// waits for the work in hand: a thread that outlived this could still be in
/// the runtime library while the process tears that down.
#[derive(Debug)]
pub(crate) struct Workers<T> {
    queue: Arc<Queue<T>>,
    threads: Vec<JoinHandle<()>>,
}

impl<T: Send + 'static> Workers<T> {
    /// Starts a thread for each of `workers`.
    ///
    /// # Errors
    /// When the system gives no more threads; those that were started stop.
    pub(crate) fn start<W>(queue: Arc<Queue<T>>, workers: Vec<W>) -> io::Result<Self>
    where
        W: FnMut(T) + Send + 'static,
    {
        let alive = Arc::new(AtomicUsize::new(workers.len()));
        let mut started = Self {
            queue,
            threads: Vec::new(),
        };
        for (number, mut worker) in workers.into_iter().enumerate() {
            let queue = Arc::clone(&started.queue);
            let last_one_closes = LastOneCloses {
                queue: Arc::clone(&queue),
                alive: Arc::clone(&alive),
            };
            let thread = thread::Builder::new().name(format!("{THREAD_NAME}-{number}"));
            let body = move || {
                let _last_one_closes = last_one_closes;
                while let Some(work) = queue.pop() {
                    worker(work);
                }
            };
            started.threads.push(thread.spawn(body)?);
        }
        Ok(started)
    }
}

impl<T> Workers<T> {
    pub(crate) fn queue(&self) -> &Queue<T> {
        &self.queue
    }
}

impl<T> Drop for Workers<T> {
    fn drop(&mut self) {
        self.queue.close();
        let here = thread::current().id();
        for thread in self.threads.drain(..) {
            // A caller's waker may drop the embedder on one of its own
            // threads, which cannot wait for itself.
            if thread.thread().id() != here && thread.join().is_err() {
                tracing::error!("a thread of the embedder has panicked");
            }
        }
    }
}

/// Closes the queue with the last thread that ends, however it ends: nobody
/// must wait for work that no thread will do.
struct LastOneCloses<T> {
    queue: Arc<Queue<T>>,
    alive: Arc<AtomicUsize>,
}

impl<T> Drop for LastOneCloses<T> {
    fn drop(&mut self) {
        if self.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.queue.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::queue::Lane;

    type Job = (bool, oneshot::Sender<()>);

    fn worker() -> impl FnMut(Job) + Send + 'static {
        |(dies, done)| {
            assert!(!dies, "a panic on purpose");
            let _ = done.send(());
        }
    }

    #[test]
    fn when_the_last_thread_dies_nobody_waits_in_vain() {
        let workers = Workers::start(Arc::new(Queue::new()), vec![worker(), worker()]).unwrap();
        let submit = |dies| {
            let (done, wait) = oneshot::channel();
            workers
                .queue()
                .push(Lane::Bulk, (dies, done))
                .map(|()| wait)
        };
        assert!(submit(true).unwrap().blocking_recv().is_err());
        // One is left and works on.
        assert!(submit(false).unwrap().blocking_recv().is_ok());
        assert!(submit(true).unwrap().blocking_recv().is_err());
        // It may take the last thread a moment to close the queue; work that
        // comes in between is dropped by that.
        while let Ok(wait) = submit(false) {
            assert!(wait.blocking_recv().is_err());
        }
    }

    #[test]
    fn dropping_waits_for_the_work_in_hand_and_drops_the_rest() {
        let (begin, begun) = std::sync::mpsc::channel();
        let slow = move |done: oneshot::Sender<()>| {
            begin.send(()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
            let _ = done.send(());
        };
        let workers = Workers::start(Arc::new(Queue::new()), vec![slow]).unwrap();
        let submit = || {
            let (done, wait) = oneshot::channel();
            workers.queue().push(Lane::Bulk, done).unwrap();
            wait
        };
        let (mut first, second) = (submit(), submit());
        begun.recv().unwrap();
        drop(workers);
        assert!(first.try_recv().is_ok());
        assert!(second.blocking_recv().is_err());
    }
}
