//! Importing a body of JSON lines while it arrives.
//!
//! The body is read in chunks, which a thread splits into lines and parses; the lines are
//! stored in batches. Every step waits for the next one, so a client cannot send faster
//! than the store writes, and an import of any length takes the memory of a few lines and
//! batches, of the ids that lines without one get (see [`LineIds`]), and of the archived
//! memories whose summary did not come yet.

use std::io::{self, BufReader, Read};
use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::StreamExt;
use memory::{EntityId, MemoryBatchItem, MemoryId, MemorySystem};
use memory_json::{
    DEFAULT_BATCH, ImportItem, Importer, ItemOutcome, LineIds, Lines, Location, Refusal,
};
use serde::Serialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

use crate::access::RequestToken;
use crate::idempotency::KeyedIds;
use crate::problem::Problem;
use crate::schema::RefusedLine;
use crate::tokens::Access;

/// Refused lines that an answer contains.
const MAX_REFUSALS: usize = 1_000;

/// Chunks of the body that were not parsed yet. A chunk has some hundred kilobytes at most.
const CHUNKS_AHEAD: usize = 2;

/// Lines that are parsed ahead. Each can have several megabytes.
const LINES_AHEAD: usize = 8;

/// What an import may take.
#[derive(Debug, Clone)]
pub(crate) struct ImportLimits {
    /// The most bytes of a body.
    pub(crate) max_bytes: u64,
    /// The longest time without a byte of the body.
    pub(crate) idle_timeout: Duration,
    /// The least bytes per second, beyond the first `idle_timeout`; 0 allows any rate.
    pub(crate) min_rate: u32,
}

impl ImportLimits {
    /// How long the server waits in all for a client that has sent so much. The time in which
    /// it stores is not counted.
    fn max_wait(&self, received: u64) -> Duration {
        match self.min_rate {
            0 => Duration::MAX,
            rate => {
                let bytes = Duration::from_secs(received);
                self.idle_timeout.saturating_add(bytes / rate)
            }
        }
    }
}

/// What became of the lines of an import.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ImportAnswer {
    /// Lines whose memory is stored.
    imported: u64,
    /// Lines whose memory was there already, with the same content.
    already_there: u64,
    /// Lines that were refused.
    refused: u64,
    /// The first 1,000 refused lines, with their numbers and reasons.
    #[schema(value_type = Vec<RefusedLine>)]
    refusals: Vec<Refusal>,
    /// Archived memories that are live, because their summary did not come after them or was
    /// refused.
    without_summary: usize,
    /// Links of memories to themselves, which were left out: exports of earlier versions can
    /// have them.
    own_links: usize,
}

impl ImportAnswer {
    fn record(&mut self, outcomes: Vec<ItemOutcome>) {
        for outcome in outcomes {
            match outcome {
                ItemOutcome::Imported => self.imported += 1,
                ItemOutcome::AlreadyThere => self.already_there += 1,
                ItemOutcome::Refused(refusal) => {
                    self.refused += 1;
                    if self.refusals.len() < MAX_REFUSALS {
                        self.refusals.push(refusal);
                    }
                }
            }
        }
    }
}

/// A line that was read, or why the body is no text of lines.
type ReadLine = Result<(Location, Result<ImportItem, String>), String>;

/// Imports the lines of a body into an entity. A problem says what was imported before it.
pub(crate) async fn import_lines(
    memory: &MemorySystem,
    entity: &EntityId,
    keyed: KeyedIds,
    token: &RequestToken,
    body: Body,
    limits: &ImportLimits,
) -> Result<ImportAnswer, Problem> {
    let owner = entity.clone();
    let read = move |chunks, sender: Sender<ReadLine>| read_lines(chunks, &owner, &keyed, &sender);
    let check_access = || token.check(entity, Access::Write);
    import_with(memory, body, limits, check_access, read).await
}

/// Imports the lines that `read` makes of the chunks of a body, on a thread that may block.
async fn import_with(
    memory: &MemorySystem,
    body: Body,
    limits: &ImportLimits,
    check_access: impl Fn() -> Result<(), Problem>,
    read: impl FnOnce(Receiver<io::Result<Bytes>>, Sender<ReadLine>) + Send + 'static,
) -> Result<ImportAnswer, Problem> {
    let (chunk_sender, chunks) = channel(CHUNKS_AHEAD);
    let (line_sender, mut lines) = channel(LINES_AHEAD);
    // Ends with the body, at an error, or when one of the channels is closed.
    let reader = tokio::task::spawn_blocking(move || read(chunks, line_sender));

    let mut answer = ImportAnswer::default();
    let mut received = Ok(());
    let stored = {
        let mut receiving = pin!(receive(body, chunk_sender, limits, check_access));
        let mut storing = pin!(store(memory, &mut lines, &mut answer));
        let mut is_receiving = true;
        loop {
            tokio::select! {
                outcome = &mut receiving, if is_receiving => {
                    is_receiving = false;
                    received = outcome;
                }
                outcome = &mut storing => break outcome,
            }
        }
    };
    // The reader may wait for room for a line that nobody wants.
    drop(lines);
    // A reader that panics sends no further line, as at the end of the body.
    let read = reader.await.map_err(|_| Problem::internal());
    match stored.and(received).and(read) {
        Ok(()) => Ok(answer),
        Err(problem) => Err(problem.with_import(answer)),
    }
}

/// Passes on the chunks of a body, as long as the client is allowed to write.
async fn receive(
    body: Body,
    chunks: Sender<io::Result<Bytes>>,
    limits: &ImportLimits,
    check_access: impl Fn() -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut stream = body.into_data_stream();
    let mut received = 0;
    let mut waited = Duration::ZERO;
    let problem = loop {
        let left = limits.max_wait(received).saturating_sub(waited);
        let began = Instant::now();
        let Ok(next) = timeout(limits.idle_timeout.min(left), stream.next()).await else {
            let seconds = limits.idle_timeout.as_secs_f32();
            let detail = match left < limits.idle_timeout {
                true => format!(
                    "the body arrives at less than {} bytes per second; send the same lines again, \
                     faster",
                    limits.min_rate
                ),
                false => format!(
                    "nothing of the body arrived for {seconds} s; send the same lines again"
                ),
            };
            break Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "The request took too long",
                detail,
            )
            .retryable(true);
        };
        waited += began.elapsed();
        let chunk = match next {
            None => return Ok(()),
            Some(Ok(chunk)) => chunk,
            Some(Err(_)) => {
                break Problem::invalid_input("the body broke off; send the same lines again");
            }
        };
        if let Err(problem) = check_access() {
            break problem;
        }
        received += chunk.len() as u64;
        if received > limits.max_bytes {
            // Ids of lines are derived from what comes before them in a body.
            break Problem::body_too_large(
                limits.max_bytes,
                "send the same lines in parts: without Idempotency-Key, equal lines that have no \
                 `id` belong in the same part; with one, the first part has the same key and at \
                 least the lines that were stored, and each other part has a key of its own",
            );
        }
        if chunks.send(Ok(chunk)).await.is_err() {
            // The reader ended first, and says why.
            return Ok(());
        }
    };
    // Its last line may be incomplete: the reader must not take this for its end.
    let _ = chunks.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
    Err(problem)
}

/// Stores lines in batches, and what became of them in `answer`.
async fn store(
    memory: &MemorySystem,
    lines: &mut Receiver<ReadLine>,
    answer: &mut ImportAnswer,
) -> Result<(), Problem> {
    let mut importer = Importer::new(DEFAULT_BATCH);
    let outcome = store_lines(memory, lines, &mut importer, answer).await;
    if outcome.is_err() {
        importer.drain().await;
    }
    answer.record(importer.take_outcomes());
    answer.without_summary = importer.orphans();
    answer.own_links = importer.own_links();
    outcome
}

async fn store_lines(
    memory: &MemorySystem,
    lines: &mut Receiver<ReadLine>,
    importer: &mut Importer,
    answer: &mut ImportAnswer,
) -> Result<(), Problem> {
    let mut outcome = Ok(());
    while let Some(line) = lines.recv().await {
        match line {
            Ok((location, Ok(item))) => importer.add(memory, location, item).await?,
            Ok((location, Err(reason))) => importer.refuse(location, reason),
            Err(format) => {
                let detail = format!("the body is not JSON lines: it is {format}");
                outcome = Err(Problem::invalid_input(detail));
            }
        }
        answer.record(importer.take_outcomes());
    }
    importer.finish(memory).await?;
    outcome
}

/// Reads and parses the lines of a body, on a thread that may block.
fn read_lines(
    chunks: Receiver<io::Result<Bytes>>,
    entity: &EntityId,
    keyed: &KeyedIds,
    sender: &Sender<ReadLine>,
) {
    let body = ChunkReader {
        chunks,
        current: Bytes::new(),
    };
    let mut ids = LineIds::default();
    let mut lines = match Lines::open(BufReader::new(body)) {
        Ok(lines) => lines,
        Err(error) => {
            // Only the reader of lines knows formats; a body that broke off is reported
            // by who received it.
            if let Some(format) = error.get_ref().map(ToString::to_string) {
                let _ = sender.blocking_send(Err(format));
            }
            return;
        }
    };
    while let Ok(Some(line)) = lines.next_line() {
        let number = line.number;
        let id_of = |item: &MemoryBatchItem| keyed.id(number).unwrap_or_else(|| ids.next(item));
        let parsed = line.text.and_then(|text| parse_line(text, entity, id_of));
        let is_wanted = sender.blocking_send(Ok((Location::Line(number), parsed)));
        if is_wanted.is_err() {
            return;
        }
    }
}

/// Parses a line; one of another entity than `entity` is refused. A line without an id gets
/// that of `id_of`.
fn parse_line(
    text: &str,
    entity: &EntityId,
    id_of: impl FnOnce(&MemoryBatchItem) -> MemoryId,
) -> Result<ImportItem, String> {
    let item = ImportItem::from_line(text, Some(entity), |item| {
        match item.entity_id == *entity {
            true => id_of(item),
            // An id that is derived takes memory until the import ends, and a body can have
            // millions of such lines.
            false => MemoryId::new(),
        }
    })?;
    match item.item.memory.entity_id == *entity {
        true => Ok(item),
        false => Err(OTHER_ENTITY.to_owned()),
    }
}

const OTHER_ENTITY: &str =
    "`entity` is not the entity in the path; leave it out, or use the other path";

/// The body as a reader that blocks. A sender that is dropped without an error ended it.
struct ChunkReader {
    chunks: Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for ChunkReader {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(chunk) => self.current = chunk?,
            }
        }
        let length = to.len().min(self.current.len());
        let chunk = self.current.split_to(length);
        to.get_mut(..length)
            .into_iter()
            .for_each(|to| to.copy_from_slice(&chunk));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use memory_testkit::HashEmbedder;

    use super::*;

    #[tokio::test]
    async fn a_reader_that_panics_is_a_failure_and_not_the_end_of_the_body() {
        let memory = MemorySystem::builder()
            .url("sqlite::memory:")
            .embedder(HashEmbedder::new());
        let memory = memory.build().await.unwrap();
        let limits = ImportLimits {
            max_bytes: 1_000,
            idle_timeout: Duration::from_secs(30),
            min_rate: 0,
        };
        let read = |_, sender: Sender<ReadLine>| {
            let refused = (Location::Line(1), Err("it is refused".to_owned()));
            sender.blocking_send(Ok(refused)).unwrap();
            panic!("a fault of the reader");
        };
        let body = Body::from("{}\n{}\n");
        let problem = import_with(&memory, body, &limits, || Ok(()), read);
        let problem = problem.await.unwrap_err();
        let problem = serde_json::to_value(&problem).unwrap();
        assert_eq!(
            (&problem["status"], &problem["kind"]),
            (&500.into(), &"other".into())
        );
        assert_eq!(
            problem["import"]["refused"], 1,
            "what came before is reported"
        );
    }

    #[test]
    fn a_line_of_another_entity_is_refused_before_it_gets_an_id() {
        let mira = EntityId::from("mira");
        for (line, is_stored) in [
            (r#"{"content":"Rain."}"#, true),
            (r#"{"content":"Rain.","entity":"mira"}"#, true),
            (r#"{"content":"Rain.","entity":"tam"}"#, false),
        ] {
            let mut ids = 0;
            let parsed = parse_line(line, &mira, |_| {
                ids += 1;
                MemoryId::new()
            });
            assert_eq!(parsed.is_ok(), is_stored, "{line}");
            assert_eq!(ids, usize::from(is_stored), "{line}");
        }
    }

    #[test]
    fn a_client_has_the_time_of_what_it_sent_at_the_least_rate() {
        let limits = |min_rate| ImportLimits {
            max_bytes: 1 << 30,
            idle_timeout: Duration::from_secs(30),
            min_rate,
        };
        assert_eq!(limits(4_096).max_wait(0).as_secs(), 30);
        assert_eq!(limits(4_096).max_wait(40_960).as_secs(), 40);
        assert_eq!(limits(0).max_wait(0), Duration::MAX);
    }
}
