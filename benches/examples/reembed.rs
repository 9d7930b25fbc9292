//! What readers see while the model of an entity of 20,000 memories is changed, which
//! one task reads and another writes to: see docs/models.md.
//!
//! `cargo run --release -p memory-benches --example reembed -- FILE keep|previous [URL]`
//!
//! FILE has conversations in the LoCoMo format, whose questions are asked; generated
//! memories make up the rest. Another process embeds. With `keep`, it keeps the vectors
//! of the first model, and the reader uses that; with `previous`, the reader uses the
//! second model and the first one as the previous.

#![allow(clippy::print_stdout, reason = "the program prints a report")]

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use memory::{
    AccessCounting, MemoryBatchItem, MemoryConfig, MemoryId, MemoryKind, MemorySystem,
    RecallRequest, ReembedRequest,
};
use memory_benches::corpus::Corpus;
use memory_benches::locomo;
use memory_benches::machine::Machine;

const MEMORIES: usize = 20_000;
const BATCH: usize = 200;
const QUESTIONS: usize = 200;
const RESULTS: usize = 10;
const FIRST: &str = "all-MiniLM-L6-v2";
const SECOND: &str = "multilingual-e5-small";

/// The pause between two writes.
const WRITE_INTERVAL: Duration = Duration::from_millis(200);

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), AnyError> {
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<(), AnyError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let folder = env::temp_dir().join(format!("memory-reembed-{}", MemoryId::new()));
    let file = format!("sqlite://{}", folder.join("agent.db").display());
    match arguments[..] {
        ["embed", how, url, entity] => embed(how, url, entity).await,
        [data, how @ ("keep" | "previous"), ref url @ ..] => {
            std::fs::create_dir(&folder)?;
            let url = url.first().copied().unwrap_or(&file);
            let measured = measure(Path::new(data), how, url).await;
            std::fs::remove_dir_all(&folder)?;
            measured
        }
        _ => Err("usage: reembed FILE keep|previous [URL]".into()),
    }
}

/// The other process.
async fn embed(how: &str, url: &str, entity: &str) -> Result<(), AnyError> {
    let memory = open(url, SECOND, None).await?;
    let began = Instant::now();
    let request = ReembedRequest::new().keep_others(how == "keep");
    let report = memory.reembed(entity, request).await?;
    println!("the run took {:.0?}: {report:?}", began.elapsed());
    memory.close().await?;
    Ok(())
}

async fn open(url: &str, model: &str, previous: Option<&str>) -> Result<MemorySystem, AnyError> {
    let config = MemoryConfig {
        access_counting: AccessCounting::Off,
        ..MemoryConfig::default()
    };
    let builder = MemorySystem::builder().model(model).config(config);
    let builder = match previous {
        Some(previous) => builder.previous_model(previous),
        None => builder,
    };
    let builder = match url.starts_with("sqlite:") {
        true => builder.url(url),
        false => builder.store(memory_pg::PgOptions::new().connect(url).await?),
    };
    Ok(builder.build().await?)
}

/// A question, and the metadata of the memories that answer it.
struct Question {
    text: String,
    evidence: BTreeSet<String>,
}

async fn measure(data: &Path, how: &str, url: &str) -> Result<(), AnyError> {
    println!("{:?}", Machine::describe());
    println!("debug assertions: {}", cfg!(debug_assertions));
    let entity = format!("reembed-{}", MemoryId::new());
    let (items, questions) = read_data(data, &entity)?;
    let questions = Arc::new(questions);
    let first = open(url, FIRST, None).await?;
    let began = Instant::now();
    for batch in items.chunks(BATCH) {
        first.retain_batch(batch.to_vec()).await?;
    }
    println!(
        "{} memories retained in {:.0?}",
        items.len(),
        began.elapsed()
    );

    let by_first = ask_all(&first, &entity, &questions).await?;
    Recall::print("before, by the first model", &by_first);
    let reader = match how {
        "keep" => first.clone(),
        _ => open(url, SECOND, Some(FIRST)).await?,
    };
    let is_done = Arc::new(AtomicBool::new(false));
    let reading = tokio::spawn(read(
        reader.clone(),
        entity.clone(),
        Arc::clone(&questions),
        Arc::clone(&is_done),
    ));
    let writing = tokio::spawn(write(reader.clone(), entity.clone(), Arc::clone(&is_done)));
    let mut other = Command::new(env::current_exe()?);
    other.args(["embed", how, url, &entity]);
    let status = tokio::task::spawn_blocking(move || other.status()).await??;
    is_done.store(true, Ordering::Relaxed);
    let (during, written) = (reading.await??, writing.await??);
    if !status.success() {
        return Err("the other process failed".into());
    }
    println!("{} memories were written meanwhile", written.len());
    print_durations("a write", written);

    let second = open(url, SECOND, None).await?;
    let lacking = second.recall_report(entity.as_str(), "hello").await?;
    println!(
        "{} lack vectors of the second model",
        lacking.without_vectors
    );
    let began = Instant::now();
    let report = second
        .reembed(entity.as_str(), ReembedRequest::new())
        .await?;
    println!("the last run took {:.1?}: {report:?}", began.elapsed());
    let by_second = ask_all(&second, &entity, &questions).await?;

    let is_by_first = |one: &Recall| one.by_previous_model || how == "keep";
    let (of_first, of_second): (Vec<_>, Vec<_>) = during.into_iter().partition(is_by_first);
    for (name, recalls, reference) in [
        ("during, by the first model", of_first, &by_first),
        ("during, by the second model", of_second, &by_second),
    ] {
        Recall::print(name, &recalls);
        let differs = |better: bool| {
            let of = |one: &&Recall| (one.score - reference[one.question].score).abs() > 1e-9;
            let differing = recalls.iter().filter(of);
            let counted =
                differing.filter(|one| (one.score > reference[one.question].score) == better);
            counted.count()
        };
        println!(
            "  against the same question without load: {} worse, {} better",
            differs(false),
            differs(true)
        );
    }
    Recall::print("after, by the second model", &by_second);
    for system in [first, reader, second] {
        system.close().await.ok();
    }
    Ok(())
}

fn read_data(data: &Path, entity: &str) -> Result<(Vec<MemoryBatchItem>, Vec<Question>), AnyError> {
    let conversations = locomo::read(data).map_err(|error| error.to_string())?;
    let (mut items, mut questions) = (Vec::new(), Vec::new());
    for conversation in conversations {
        let name = conversation.name;
        for mut turn in conversation.turns {
            let id = turn.metadata.remove("dia_id").unwrap_or_default();
            turn.entity_id = entity.into();
            turn.context = turn.context.map(|session| format!("{name} {session}"));
            items.push(turn.with_metadata("turn", format!("{name} {id}")));
        }
        questions.extend(conversation.questions.into_iter().map(|question| {
            Question {
                text: question.text,
                evidence: question
                    .evidence
                    .into_iter()
                    .map(|id| format!("{name} {id}"))
                    .collect(),
            }
        }));
    }
    let step = questions.len().div_ceil(QUESTIONS).max(1);
    let questions = questions.into_iter().step_by(step).collect();
    let mut corpus = Corpus::new();
    while items.len() < MEMORIES {
        let mut item = corpus.memory();
        item.entity_id = entity.into();
        items.push(item);
    }
    Ok((items, questions))
}

/// What a reader saw.
struct Recall {
    question: usize,
    /// The share of the evidence among the first results.
    score: f64,
    duration: Duration,
    without_vectors: u64,
    by_previous_model: bool,
}

async fn ask(
    system: &MemorySystem,
    entity: &str,
    questions: &[Question],
    number: usize,
) -> Result<Recall, AnyError> {
    let question = &questions[number];
    let request = RecallRequest::new(&question.text).limit(RESULTS);
    let began = Instant::now();
    let report = system.recall_report(entity, request).await?;
    let duration = began.elapsed();
    let turns = report
        .hits
        .iter()
        .filter_map(|hit| hit.memory.metadata.get("turn"));
    let found = turns
        .filter(|turn| question.evidence.contains(*turn))
        .count();
    Ok(Recall {
        question: number,
        score: share(found, question.evidence.len()),
        duration,
        without_vectors: report.without_vectors,
        by_previous_model: report.by_previous_model,
    })
}

async fn ask_all(
    system: &MemorySystem,
    entity: &str,
    questions: &[Question],
) -> Result<Vec<Recall>, AnyError> {
    // The first recalls of an entity load it.
    for number in 0..3 {
        ask(system, entity, questions, number).await?;
    }
    let mut recalls = Vec::with_capacity(questions.len());
    for number in 0..questions.len() {
        recalls.push(ask(system, entity, questions, number).await?);
    }
    Ok(recalls)
}

async fn read(
    system: MemorySystem,
    entity: String,
    questions: Arc<Vec<Question>>,
    is_done: Arc<AtomicBool>,
) -> Result<Vec<Recall>, AnyError> {
    let mut recalls = Vec::new();
    while !is_done.load(Ordering::Relaxed) {
        let number = recalls.len() % questions.len();
        recalls.push(ask(&system, &entity, &questions, number).await?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(recalls)
}

/// The duration of each write.
async fn write(
    system: MemorySystem,
    entity: String,
    is_done: Arc<AtomicBool>,
) -> Result<Vec<Duration>, AnyError> {
    let mut durations = Vec::new();
    while !is_done.load(Ordering::Relaxed) {
        let note = format!("note {} of the service", durations.len());
        let began = Instant::now();
        system
            .retain(entity.as_str(), MemoryKind::Observation, note)
            .await?;
        durations.push(began.elapsed());
        tokio::time::sleep(WRITE_INTERVAL).await;
    }
    Ok(durations)
}

impl Recall {
    fn print(name: &str, recalls: &[Self]) {
        if recalls.is_empty() {
            println!("{name}: no recalls");
            return;
        }
        let scores: f64 = recalls.iter().map(|one| one.score).sum();
        let without = recalls.iter().map(|one| one.without_vectors).max();
        println!(
            "{name}: {} recalls, recall@{RESULTS} {:.1} %, at most {} memories without vectors",
            recalls.len(),
            scores * share(100, recalls.len()),
            without.unwrap_or_default(),
        );
        print_durations("a recall", recalls.iter().map(|one| one.duration).collect());
    }
}

fn print_durations(name: &str, mut durations: Vec<Duration>) {
    durations.sort_unstable();
    let at = |part: usize| durations.get(durations.len().saturating_sub(1) * part / 100);
    if let (Some(median), Some(most), Some(last)) = (at(50), at(95), at(100)) {
        println!("  {name}: median {median:.1?}, 95 % within {most:.1?}, longest {last:.1?}");
    }
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}
