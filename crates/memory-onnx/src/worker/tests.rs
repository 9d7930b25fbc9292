//! One worker, stepped by hand.

use memory_core::{EmbedRole, ErrorKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::*;
use crate::graph::Shared;
use crate::job::Answer;
use crate::model::Model;
use crate::options::OnnxOptions;
use crate::runtime;

const BATCH_TOKENS: usize = 64;

/// A worker on the default model, with no thread.
fn worker() -> Worker {
    let options = OnnxOptions::new();
    let open = || {
        let model = Model::read(&options.folder.resolve_model_dir()?, &options)?;
        let (_, environment) = runtime::environment(&options)?;
        MemoryResult::Ok(Worker {
            graph: Graph::open(&environment, &model, &Shared::read(&model)?, 1)?,
            wide: None,
            tokenizer: Arc::new(model.tokenizer()?),
            queue: Arc::new(Queue::new(BATCH_TOKENS, 1)),
        })
    };
    open().unwrap_or_else(|error| panic!("{error}"))
}

fn permit() -> OwnedSemaphorePermit {
    Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap()
}

/// A job of three batches.
fn job() -> (Arc<EmbedJob>, Answer<Vec<Vec<f32>>>) {
    job_of([1, 25, 50].map(|words| "mill ".repeat(words)).into())
}

fn job_of(texts: Vec<String>) -> (Arc<EmbedJob>, Answer<Vec<Vec<f32>>>) {
    let (job, answer) = EmbedJob::new(texts, EmbedRole::Passage, Lane::Bulk, permit());
    (Arc::new(job), answer)
}

#[test]
fn a_job_is_done_in_steps_between_which_others_may_come() {
    let mut worker = worker();
    let (job, mut answer) = job();
    worker.work(Work::Tokenize(Arc::clone(&job)));
    for left in [2, 1, 0] {
        assert!(answer.try_recv().is_err());
        let next = worker.queue.next().unwrap();
        worker.work(next);
        assert_eq!(job.left(), left);
    }
    let vectors = answer.try_recv().unwrap().unwrap();
    assert!(vectors.iter().all(|vector| vector.len() == 384));
}

#[test]
fn what_nobody_waits_for_is_not_computed() {
    let mut worker = worker();
    let (early, answer) = job();
    drop(answer);
    worker.work(Work::Tokenize(Arc::clone(&early)));

    let (late, answer) = job();
    worker.work(Work::Tokenize(Arc::clone(&late)));
    drop(answer);
    let (kept, mut kept_answer) = job_of(vec!["river".to_owned()]);
    worker.work(Work::Tokenize(Arc::clone(&kept)));
    let next = worker.queue.next().unwrap();
    worker.work(next);
    assert!(kept_answer.try_recv().unwrap().is_ok());
    assert_eq!(early.left(), 3, "a text was computed for nobody");
    assert_eq!(late.left(), 3, "a text was computed for nobody");

    let (reply, answer) = oneshot::channel();
    drop(answer);
    let permit = permit();
    let texts = vec!["mill ".repeat(300)];
    worker.work(Work::Chunk(ChunkJob {
        texts,
        reply,
        permit,
    }));
}

#[test]
fn equal_texts_of_two_callers_are_computed_once_and_given_to_both() {
    let mut worker = worker();
    let (one, mut first) = job_of(vec!["mill".to_owned(), "river".to_owned()]);
    let (other, mut second) = job_of(vec!["mill".to_owned()]);
    worker.work(Work::Tokenize(one));
    worker.work(Work::Tokenize(other));
    let Some(Work::Infer(batch)) = worker.queue.next() else {
        panic!("no batch");
    };
    assert_eq!(batch.texts.len(), 2);
    worker.work(Work::Infer(batch));
    let first = first.try_recv().unwrap().unwrap();
    let second = second.try_recv().unwrap().unwrap();
    assert_eq!(first[0], second[0]);
}

#[test]
fn work_that_comes_after_the_end_is_answered() {
    let mut worker = worker();
    worker.queue.close();
    let (job, mut answer) = job();
    worker.work(Work::Tokenize(job));
    let error = answer.try_recv().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn a_panic_becomes_an_error_without_its_words() {
    let error = guarded::<()>(EMBED, || panic!("the secret text")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(error.operation(), Some(EMBED));
    assert!(!format!("{error:?}").contains("secret"));
}

#[test]
fn a_query_is_express_and_an_import_is_not() {
    let limits = 256;
    assert_eq!(lane(&["when did the mill burn?"], limits), Lane::Express);
    assert_eq!(lane(&["a short one"; 20], limits), Lane::Express);
    assert_eq!(
        lane(&["a turn of a conversation, of some length"; 50], limits),
        Lane::Bulk
    );
    assert_eq!(
        lane(&["long ".repeat(9_000).as_str()], limits),
        Lane::Express
    );
}
