//! Who goes first, and what a thread finds when it becomes free.

use memory_core::EmbedRole;
use tokio::sync::{Semaphore, oneshot};

use super::*;
use crate::job::Answer;

const BATCH_TOKENS: usize = 64;

fn queue() -> Queue {
    Queue::new(BATCH_TOKENS, 1)
}

fn job(lane: Lane, texts: usize) -> (Arc<EmbedJob>, Answer<Vec<Vec<f32>>>) {
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let (job, answer) = EmbedJob::new(vec![String::new(); texts], EmbedRole::Query, lane, permit);
    (Arc::new(job), answer)
}

fn chunk_job() -> Work {
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let (reply, _) = oneshot::channel();
    Work::Chunk(ChunkJob {
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

/// The first numbers of the texts in the next batch.
fn batch(queue: &Queue) -> Vec<u32> {
    match queue.next() {
        Some(Work::Infer(batch)) => batch.texts.iter().map(|text| text.tokens.ids[0]).collect(),
        other => panic!("{other:?} is no batch"),
    }
}

#[test]
fn a_query_in_the_middle_of_an_import_waits_for_the_batch_in_hand_alone() {
    let queue = queue();
    let (import, _import) = job(Lane::Bulk, 10_000);
    assert!(queue.add(&import, texts(1_000, 10_000)));
    for n in 0..7 {
        let in_hand = batch(&queue);
        assert_eq!(in_hand.len(), 4, "more than one small batch");
        let (query, _query) = job(Lane::Express, 1);
        queue.push(Lane::Express, Work::Tokenize(query)).unwrap();
        let Some(Work::Tokenize(query)) = queue.next() else {
            panic!("the import went first");
        };
        assert!(queue.add(&query, texts(n, 1)));
        assert_eq!(batch(&queue), [n]);
    }
}

#[test]
fn the_express_lane_goes_first_but_not_for_ever() {
    let queue = queue();
    let (import, _import) = job(Lane::Bulk, 8);
    assert!(queue.add(&import, texts(1_000, 8)));
    let (query, _query) = job(Lane::Express, 1);
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
fn callers_who_come_while_a_batch_runs_share_the_next() {
    let queue = queue();
    let waiting: Vec<_> = (0..3).map(|_| job(Lane::Express, 1)).collect();
    for (query, _) in &waiting {
        let query = Arc::clone(query);
        queue.push(Lane::Express, Work::Tokenize(query)).unwrap();
    }
    // All are tokenized before a batch is made.
    for n in 0..3 {
        let Some(Work::Tokenize(query)) = queue.next() else {
            panic!("a batch of one was made");
        };
        assert!(queue.add(&query, texts(n, 1)));
    }
    assert_eq!(batch(&queue), [0, 1, 2]);
}

#[test]
fn threads_that_compute_nothing_share_what_came() {
    let queue = Queue::new(BATCH_TOKENS, 2);
    let (call, _call) = job(Lane::Express, 4);
    assert!(queue.add(&call, texts(0, 4)));
    // Whichever thread is first, half is for the other.
    let held = queue.next();
    assert!(matches!(&held, Some(Work::Infer(batch)) if batch.texts.len() == 2));
    assert_eq!(batch(&queue), [2, 3]);
    // While the other computes, a batch is as large as it may be.
    assert!(queue.add(&call, texts(0, 4)));
    assert_eq!(batch(&queue).len(), 4);
    drop(held);
    assert!(queue.add(&call, texts(0, 4)));
    assert_eq!(batch(&queue).len(), 2);
}

#[test]
fn who_waits_is_woken_for_a_share() {
    let queue = Arc::new(Queue::new(BATCH_TOKENS, 2));
    let (call, _call) = job(Lane::Express, 4);
    let other = {
        let queue = Arc::clone(&queue);
        std::thread::spawn(move || batch(&queue).len())
    };
    while queue.lock().idle == 0 {
        std::thread::yield_now();
    }
    assert!(queue.add(&call, texts(0, 4)));
    assert_eq!(batch(&queue).len() + other.join().unwrap(), 4);
}

#[test]
fn a_batch_knows_whether_it_is_alone() {
    let queue = queue();
    let (call, _call) = job(Lane::Express, 5);
    assert!(queue.add(&call, texts(0, 5)));
    let is_alone = |work| matches!(work, Some(Work::Infer(Batch { is_alone: true, .. })));
    assert!(!is_alone(queue.next()));
    assert!(is_alone(queue.next()));
}

#[test]
fn what_nobody_waits_for_is_passed_over() {
    let queue = queue();
    let (gone, answer) = job(Lane::Express, 4);
    let (there, _there) = job(Lane::Bulk, 1);
    assert!(queue.add(&gone, texts(0, 4)));
    assert!(queue.add(&there, texts(9, 1)));
    drop(answer);
    assert_eq!(batch(&queue), [9]);
}

#[test]
fn closing_wakes_who_waits_and_drops_what_waits() {
    let queue = Arc::new(queue());
    let waiting = {
        let queue = Arc::clone(&queue);
        std::thread::spawn(move || {
            let first = queue.next().is_some();
            (first, queue.next().is_some())
        })
    };
    queue.push(Lane::Bulk, chunk_job()).unwrap();
    while queue.lock().idle == 0 || !queue.lock().bulk.is_empty() {
        std::thread::yield_now();
    }
    let (call, mut answer) = job(Lane::Express, 1);
    queue.close();
    assert_eq!(waiting.join().unwrap(), (true, false));
    assert!(queue.push(Lane::Express, chunk_job()).is_err());
    assert!(!queue.add(&call, texts(0, 1)));
    drop(call);
    assert!(answer.try_recv().is_err());
}
