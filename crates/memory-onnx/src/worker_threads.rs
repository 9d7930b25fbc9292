//! The threads that process a queue until it is closed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::queue::{Queue, WorkItem};

/// The prefix of the threads' names.
const THREAD_NAME: &str = "memory-onnx";

/// A queue and its threads. Dropping it closes the queue and waits for the current
/// work items, because a thread could otherwise still be in the runtime library
/// while the process unloads it.
#[derive(Debug)]
pub(crate) struct WorkerThreads {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl WorkerThreads {
    /// Starts a thread for each of `workers`.
    ///
    /// # Errors
    /// If a thread cannot be started; the threads that were started stop.
    pub(crate) fn start<W>(queue: Arc<Queue>, workers: Vec<W>) -> io::Result<Self>
    where
        W: FnMut(WorkItem) + Send + 'static,
    {
        let alive = Arc::new(AtomicUsize::new(workers.len()));
        let mut started = Self {
            queue,
            threads: Vec::new(),
        };
        for (number, mut worker) in workers.into_iter().enumerate() {
            let queue = Arc::clone(&started.queue);
            let close_on_last_exit = CloseOnLastExit {
                queue: Arc::clone(&queue),
                alive: Arc::clone(&alive),
            };
            let thread = thread::Builder::new().name(format!("{THREAD_NAME}-{number}"));
            let body = move || {
                let _close_on_last_exit = close_on_last_exit;
                while let Some(item) = queue.next() {
                    worker(item);
                }
            };
            started.threads.push(thread.spawn(body)?);
        }
        Ok(started)
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }
}

impl Drop for WorkerThreads {
    fn drop(&mut self) {
        self.queue.close();
        let here = thread::current().id();
        for thread in self.threads.drain(..) {
            // A waker may drop the embedder on one of its own threads, which
            // cannot wait for itself.
            if thread.thread().id() != here && thread.join().is_err() {
                tracing::error!("an embedder thread panicked");
            }
        }
    }
}

/// Closes the queue when the last thread ends, normally or by a panic, so that no
/// caller waits for work that no thread will do.
struct CloseOnLastExit {
    queue: Arc<Queue>,
    alive: Arc<AtomicUsize>,
}

impl Drop for CloseOnLastExit {
    fn drop(&mut self) {
        if self.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.queue.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{Semaphore, oneshot};

    use super::*;
    use crate::job::{ChunkJob, ResultReceiver};
    use crate::queue::Priority;

    fn queue(threads: usize) -> Arc<Queue> {
        Arc::new(Queue::new(64, threads))
    }

    /// A work item whose texts tell the worker what to do.
    fn item(texts: &[&str]) -> (WorkItem, ResultReceiver<Vec<Vec<std::ops::Range<usize>>>>) {
        let (reply, answer) = oneshot::channel();
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        let job = ChunkJob {
            texts,
            since: std::time::Instant::now(),
            reply,
            permit,
        };
        (WorkItem::Chunk(job), answer)
    }

    fn worker() -> impl FnMut(WorkItem) + Send + 'static {
        |item| {
            let WorkItem::Chunk(job) = item else {
                return;
            };
            assert!(job.texts.is_empty(), "a panic on purpose");
            let _ = job.reply.send(Ok(Vec::new()));
        }
    }

    #[test]
    fn after_the_last_thread_ends_no_caller_waits_forever() {
        let workers = WorkerThreads::start(queue(2), vec![worker(), worker()]).unwrap();
        let submit = |texts: &[&str]| {
            let (item, wait) = item(texts);
            workers.queue().push(Priority::Bulk, item).map(|()| wait)
        };
        assert!(submit(&["panic"]).unwrap().blocking_recv().is_err());
        // One thread is left and continues.
        assert!(submit(&[]).unwrap().blocking_recv().is_ok());
        assert!(submit(&["panic"]).unwrap().blocking_recv().is_err());
        // The last thread may take a moment to close the queue, which drops items
        // that were added in between.
        while let Ok(wait) = submit(&[]) {
            assert!(wait.blocking_recv().is_err());
        }
    }

    #[test]
    fn dropping_waits_for_the_current_item_and_drops_the_rest() {
        let (begin, begun) = std::sync::mpsc::channel();
        let slow = move |item| {
            begin.send(()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
            worker()(item);
        };
        let workers = WorkerThreads::start(queue(1), vec![slow]).unwrap();
        let submit = || {
            let (item, wait) = item(&[]);
            workers.queue().push(Priority::Bulk, item).unwrap();
            wait
        };
        let (mut first, second) = (submit(), submit());
        begun.recv().unwrap();
        drop(workers);
        assert!(first.try_recv().is_ok());
        assert!(second.blocking_recv().is_err());
    }
}
