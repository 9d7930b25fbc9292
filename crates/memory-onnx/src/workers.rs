//! Threads that take work from a queue until it closes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::queue::{Queue, Work};

/// The name of every thread that computes; they are no runtime's threads.
const THREAD_NAME: &str = "memory-onnx";

/// A queue and the threads that work it off. Dropping it closes the queue and
/// waits for the work in hand: a thread that outlived this could still be in
/// the runtime library while the process tears that down.
#[derive(Debug)]
pub(crate) struct Workers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts a thread for each of `workers`.
    ///
    /// # Errors
    /// When the system gives no more threads; those that were started stop.
    pub(crate) fn start<W>(queue: Arc<Queue>, workers: Vec<W>) -> io::Result<Self>
    where
        W: FnMut(Work) + Send + 'static,
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
                while let Some(work) = queue.next() {
                    worker(work);
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

impl Drop for Workers {
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
struct LastOneCloses {
    queue: Arc<Queue>,
    alive: Arc<AtomicUsize>,
}

impl Drop for LastOneCloses {
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
    use crate::job::{Answer, ChunkJob};
    use crate::queue::Lane;

    fn queue(threads: usize) -> Arc<Queue> {
        Arc::new(Queue::new(64, threads))
    }

    /// Work that tells the worker what to do by its texts.
    fn work(texts: &[&str]) -> (Work, Answer<Vec<Vec<std::ops::Range<usize>>>>) {
        let (reply, answer) = oneshot::channel();
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        let job = ChunkJob {
            texts,
            reply,
            permit,
        };
        (Work::Chunk(job), answer)
    }

    fn worker() -> impl FnMut(Work) + Send + 'static {
        |work| {
            let Work::Chunk(job) = work else {
                return;
            };
            assert!(job.texts.is_empty(), "a panic on purpose");
            let _ = job.reply.send(Ok(Vec::new()));
        }
    }

    #[test]
    fn when_the_last_thread_dies_nobody_waits_in_vain() {
        let workers = Workers::start(queue(2), vec![worker(), worker()]).unwrap();
        let submit = |texts: &[&str]| {
            let (work, wait) = work(texts);
            workers.queue().push(Lane::Bulk, work).map(|()| wait)
        };
        assert!(submit(&["dies"]).unwrap().blocking_recv().is_err());
        // One is left and works on.
        assert!(submit(&[]).unwrap().blocking_recv().is_ok());
        assert!(submit(&["dies"]).unwrap().blocking_recv().is_err());
        // It may take the last thread a moment to close the queue; work that
        // comes in between is dropped by that.
        while let Ok(wait) = submit(&[]) {
            assert!(wait.blocking_recv().is_err());
        }
    }

    #[test]
    fn dropping_waits_for_the_work_in_hand_and_drops_the_rest() {
        let (begin, begun) = std::sync::mpsc::channel();
        let slow = move |work| {
            begin.send(()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
            worker()(work);
        };
        let workers = Workers::start(queue(1), vec![slow]).unwrap();
        let submit = || {
            let (work, wait) = work(&[]);
            workers.queue().push(Lane::Bulk, work).unwrap();
            wait
        };
        let (mut first, second) = (submit(), submit());
        begun.recv().unwrap();
        drop(workers);
        assert!(first.try_recv().is_ok());
        assert!(second.blocking_recv().is_err());
    }
}
