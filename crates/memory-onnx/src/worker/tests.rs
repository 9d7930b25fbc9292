//! One worker, stepped by hand.

use memory_core::{EmbedRole, ErrorKind};
use tokio::sync::{Semaphore, oneshot};

use super::*;
use crate::job::Answer;
use crate::model::Model;
use crate::options::OnnxOptions;
use crate::runtime;

const LIMITS: BatchLimits = BatchLimits {
    tokens: 64,
    mean_padding: 8,
};

/// A worker on the default model, with no thread.
fn worker() -> Worker {
    let options = OnnxOptions::new();
    let open = || {
        let model = Model::read(&options.resolve_model_dir()?, &options)?;
        let (_, environment) = runtime::environment(&options)?;
        MemoryResult::Ok(Worker {
            graph: Graph::open(&environment, &model, 1)?,
            tokenizer: Arc::new(Tokenizer::new(&model)?),
            limits: LIMITS,
            queue: Arc::new(Queue::new()),
        })
    };
    open().unwrap_or_else(|error| panic!("{error}"))
}

fn permit() -> OwnedSemaphorePermit {
    Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap()
}

/// A job of three batches.
fn job() -> (Arc<EmbedJob>, Answer<Vec<Vec<f32>>>) {
    let texts = [1, 25, 50].map(|words| "mill ".repeat(words)).into();
    let (job, answer) = EmbedJob::new(texts, EmbedRole::Passage, Lane::Bulk, permit());
    (Arc::new(job), answer)
}

#[test]
fn a_job_is_done_in_steps_between_which_others_may_come() {
    let mut worker = worker();
    let (job, mut answer) = job();
    worker.work(Work::Tokenize(Arc::clone(&job)));
    for left in [2, 1] {
        assert_eq!(job.left(), left);
        assert!(answer.try_recv().is_err());
        let next = worker.queue.pop().unwrap();
        worker.work(next);
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
    assert!(early.tokens.get().is_none());

    let (late, answer) = job();
    worker.work(Work::Tokenize(Arc::clone(&late)));
    drop(answer);
    let next = worker.queue.pop().unwrap();
    worker.work(next);
    assert_eq!(late.left(), 2, "a batch was computed for nobody");

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
    let limits = BatchLimits {
        tokens: 256,
        mean_padding: 8,
    };
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
