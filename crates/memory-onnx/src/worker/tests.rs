//! A worker without a thread, called step by step.

use memory_core::{EmbedRole, ErrorKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::*;
use crate::job::ResultReceiver;
use crate::model::Model;
use crate::options::OnnxOptions;
use crate::runtime;
use crate::session::SharedEmbeddings;

const BATCH_TOKENS: usize = 64;

/// A worker for the default model.
fn worker() -> Worker {
    let options = OnnxOptions::new();
    let open = || {
        let model = Model::read(&options.folder.resolve_model_dir()?, &options)?;
        let (_, environment) = runtime::environment(&options)?;
        MemoryResult::Ok(Worker {
            session: ModelSession::open(&environment, &model, &SharedEmbeddings::read(&model)?, 1)?,
            solo_session: None,
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
fn job() -> (Arc<EmbedJob>, ResultReceiver<Vec<Vec<f32>>>) {
    job_of([1, 25, 50].map(|words| "mill ".repeat(words)).into())
}

fn job_of(texts: Vec<String>) -> (Arc<EmbedJob>, ResultReceiver<Vec<Vec<f32>>>) {
    let (job, answer) = EmbedJob::new(texts, EmbedRole::Passage, Priority::Bulk, permit());
    (Arc::new(job), answer)
}

#[test]
fn a_job_is_processed_batch_by_batch() {
    let mut worker = worker();
    let (job, mut answer) = job();
    worker.process(WorkItem::Tokenize(Arc::clone(&job)));
    for remaining in [2, 1, 0] {
        assert!(answer.try_recv().is_err());
        let next = worker.queue.next().unwrap();
        worker.process(next);
        assert_eq!(job.remaining(), remaining);
    }
    let vectors = answer.try_recv().unwrap().unwrap();
    assert!(vectors.iter().all(|vector| vector.len() == 384));
}

#[test]
fn abandoned_texts_are_not_computed() {
    let mut worker = worker();
    let (early, answer) = job();
    drop(answer);
    worker.process(WorkItem::Tokenize(Arc::clone(&early)));

    let (late, answer) = job();
    worker.process(WorkItem::Tokenize(Arc::clone(&late)));
    drop(answer);
    let (kept, mut kept_answer) = job_of(vec!["river".to_owned()]);
    worker.process(WorkItem::Tokenize(Arc::clone(&kept)));
    let next = worker.queue.next().unwrap();
    worker.process(next);
    assert!(kept_answer.try_recv().unwrap().is_ok());
    assert_eq!(early.remaining(), 3, "an abandoned text was computed");
    assert_eq!(late.remaining(), 3, "an abandoned text was computed");

    let (reply, answer) = oneshot::channel();
    drop(answer);
    let permit = permit();
    let texts = vec!["mill ".repeat(300)];
    worker.process(WorkItem::Chunk(ChunkJob {
        since: std::time::Instant::now(),
        texts,
        reply,
        permit,
    }));
}

#[test]
fn equal_texts_of_two_callers_are_computed_once_and_sent_to_both() {
    let mut worker = worker();
    let (one, mut first) = job_of(vec!["mill".to_owned(), "river".to_owned()]);
    let (other, mut second) = job_of(vec!["mill".to_owned()]);
    worker.process(WorkItem::Tokenize(one));
    worker.process(WorkItem::Tokenize(other));
    let Some(WorkItem::Infer(batch)) = worker.queue.next() else {
        panic!("no batch");
    };
    assert_eq!(batch.texts.len(), 2);
    worker.process(WorkItem::Infer(batch));
    let first = first.try_recv().unwrap().unwrap();
    let second = second.try_recv().unwrap().unwrap();
    assert_eq!(first[0], second[0]);
}

#[test]
fn work_after_closing_gets_an_error() {
    let mut worker = worker();
    worker.queue.close();
    let (job, mut answer) = job();
    worker.process(WorkItem::Tokenize(job));
    let error = answer.try_recv().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn a_panic_becomes_an_error_without_its_message() {
    let error = guarded::<()>(EMBED, || panic!("the secret text")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(error.operation(), Some(EMBED));
    assert!(!format!("{error:?}").contains("secret"));
}

#[test]
fn a_query_is_interactive_and_an_import_is_not() {
    let limits = 256;
    assert_eq!(
        priority_of(&["when did the mill burn?"], limits),
        Priority::Interactive
    );
    assert_eq!(
        priority_of(&["a short one"; 20], limits),
        Priority::Interactive
    );
    assert_eq!(
        priority_of(&["a turn of a conversation, of some length"; 50], limits),
        Priority::Bulk
    );
    assert_eq!(
        priority_of(&["long ".repeat(9_000).as_str()], limits),
        Priority::Interactive
    );
}
