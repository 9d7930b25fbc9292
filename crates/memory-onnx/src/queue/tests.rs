//! Priorities, batches and closing.

use memory_core::EmbedRole;
use tokio::sync::{Semaphore, oneshot};

use super::*;
use crate::job::ResultReceiver;

const BATCH_TOKENS: usize = 64;

fn queue() -> Queue {
    Queue::new(BATCH_TOKENS, 1)
}

fn job(priority: Priority, texts: usize) -> (Arc<EmbedJob>, ResultReceiver<Vec<Vec<f32>>>) {
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let (job, answer) = EmbedJob::new(
        vec![String::new(); texts],
        EmbedRole::Query,
        priority,
        permit,
    );
    (Arc::new(job), answer)
}

fn chunk_job() -> WorkItem {
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let (reply, _) = oneshot::channel();
    WorkItem::Chunk(ChunkJob {
        since: std::time::Instant::now(),
        texts: Vec::new(),
        reply,
        permit,
    })
}

/// Texts of 16 tokens, all different.
fn texts(from: u32, count: u32) -> Vec<Arc<Tokens>> {
    let text = |number| {
        Arc::new(Tokens {
            ids: vec![number; 16].into(),
            type_ids: vec![0; 16].into(),
        })
    };
    (from..from + count).map(text).collect()
}

/// The first token of each text in the next batch.
fn batch(queue: &Queue) -> Vec<u32> {
    match queue.next() {
        Some(WorkItem::Infer(batch)) => batch.texts.iter().map(|text| text.tokens.ids[0]).collect(),
        other => panic!("{other:?} is no batch"),
    }
}

#[test]
fn a_query_during_an_import_waits_only_for_the_current_batch() {
    let queue = queue();
    let (import, _import) = job(Priority::Bulk, 10_000);
    assert!(queue.add(&import, texts(1_000, 10_000)));
    for n in 0..7 {
        let current = batch(&queue);
        assert_eq!(current.len(), 4, "more than one small batch");
        let (query, _query) = job(Priority::Interactive, 1);
        queue
            .push(Priority::Interactive, WorkItem::Tokenize(query))
            .unwrap();
        let Some(WorkItem::Tokenize(query)) = queue.next() else {
            panic!("the import went first");
        };
        assert!(queue.add(&query, texts(n, 1)));
        assert_eq!(batch(&queue), [n]);
    }
}

#[test]
fn interactive_work_goes_first_but_does_not_starve_bulk_work() {
    let queue = queue();
    let (import, _import) = job(Priority::Bulk, 8);
    assert!(queue.add(&import, texts(1_000, 8)));
    let (query, _query) = job(Priority::Interactive, 1);
    for n in 0..8 {
        assert!(queue.add(&query, texts(n, 1)));
        assert_eq!(batch(&queue), [n]);
    }
    assert!(queue.add(&query, texts(8, 1)));
    assert_eq!(batch(&queue), [1_000, 1_001, 1_002, 1_003]);
    assert_eq!(batch(&queue), [8]);
    assert_eq!(batch(&queue), [1_004, 1_005, 1_006, 1_007]);
}

#[test]
fn texts_that_arrive_during_a_batch_share_the_next_one() {
    let queue = queue();
    let waiting: Vec<_> = (0..3).map(|_| job(Priority::Interactive, 1)).collect();
    for (query, _) in &waiting {
        let query = Arc::clone(query);
        queue
            .push(Priority::Interactive, WorkItem::Tokenize(query))
            .unwrap();
    }
    // All are tokenized before a batch is formed.
    for n in 0..3 {
        let Some(WorkItem::Tokenize(query)) = queue.next() else {
            panic!("a batch of one was made");
        };
        assert!(queue.add(&query, texts(n, 1)));
    }
    assert_eq!(batch(&queue), [0, 1, 2]);
}

#[test]
fn free_threads_share_the_waiting_texts() {
    let queue = Queue::new(BATCH_TOKENS, 2);
    let (call, _call) = job(Priority::Interactive, 4);
    assert!(queue.add(&call, texts(0, 4)));
    // The first thread leaves half to the other.
    let first = queue.next();
    assert!(matches!(&first, Some(WorkItem::Infer(batch)) if batch.texts.len() == 2));
    assert_eq!(batch(&queue), [2, 3]);
    // While the other computes, a batch has the maximum size.
    assert!(queue.add(&call, texts(0, 4)));
    assert_eq!(batch(&queue).len(), 4);
    drop(first);
    assert!(queue.add(&call, texts(0, 4)));
    assert_eq!(batch(&queue).len(), 2);
}

#[test]
fn a_waiting_thread_is_woken_for_a_share() {
    let queue = Arc::new(Queue::new(BATCH_TOKENS, 2));
    let (call, _call) = job(Priority::Interactive, 4);
    let other = {
        let queue = Arc::clone(&queue);
        std::thread::spawn(move || batch(&queue).len())
    };
    // Time for the thread to wait; the outcome is the same if it does not yet.
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(queue.add(&call, texts(0, 4)));
    assert_eq!(batch(&queue).len() + other.join().unwrap(), 4);
}

#[test]
fn a_batch_knows_whether_it_is_alone() {
    let queue = queue();
    let (call, _call) = job(Priority::Interactive, 5);
    assert!(queue.add(&call, texts(0, 5)));
    let is_alone = |work| matches!(work, Some(WorkItem::Infer(Batch { is_alone: true, .. })));
    assert!(!is_alone(queue.next()));
    assert!(is_alone(queue.next()));
}

#[test]
fn abandoned_texts_are_skipped() {
    let queue = queue();
    let (abandoned, answer) = job(Priority::Interactive, 4);
    let (bulk, _bulk) = job(Priority::Bulk, 1);
    assert!(queue.add(&abandoned, texts(0, 4)));
    assert!(queue.add(&bulk, texts(9, 1)));
    drop(answer);
    assert_eq!(batch(&queue), [9]);
}

#[test]
fn closing_wakes_waiting_threads_and_drops_waiting_work() {
    let queue = Arc::new(queue());
    let waiting = {
        let queue = Arc::clone(&queue);
        std::thread::spawn(move || {
            let first = queue.next().is_some();
            (first, queue.next().is_some())
        })
    };
    queue.push(Priority::Bulk, chunk_job()).unwrap();
    while !queue.lock().bulk.is_empty() {
        std::thread::yield_now();
    }
    let (call, mut answer) = job(Priority::Interactive, 1);
    queue.close();
    assert_eq!(waiting.join().unwrap(), (true, false));
    assert!(queue.push(Priority::Interactive, chunk_job()).is_err());
    assert!(!queue.add(&call, texts(0, 1)));
    drop(call);
    assert!(answer.try_recv().is_err());
}
