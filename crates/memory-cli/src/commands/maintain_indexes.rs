//! `memory maintain-indexes`: chooses the approximate indexes of very large entities.

use memory::{
    IndexAction, IndexDescription, IndexMeasurement, IndexMethod, IndexReason, IndexReport,
    MaintenanceReport, MaintenanceRequest,
};
use serde::Serialize;

use crate::database::Database;
use crate::exit::{Code, Failure};
use crate::output::{Output, count_noun, format_bytes, single_line};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Measure and say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Share of the nearest vectors to find, above 0 and at most 1 [env: MEMORY_ANN_TARGET_RECALL] [default: 0.95]
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    target_recall: Option<f64>,

    /// Number of vectors from which an entity may get an index [default: 50000]
    #[arg(long, value_name = "N")]
    min_vectors: Option<u64>,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().unwrap_or(f64::NAN);
    let checked = MaintenanceRequest::new().target_recall(share).validate();
    checked.map_err(|_| "it must be a number above 0 and at most 1, such as 0.95".to_owned())?;
    Ok(share)
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    if !database.is_shared() {
        return Err(Failure::new(
            Code::Failed,
            "unsupported",
            "memory maintain-indexes is for PostgreSQL only; a SQLite database has no approximate indexes and needs none",
        ));
    }
    let mut request = MaintenanceRequest::new().dry_run(args.dry_run);
    request.target_recall = args.target_recall;
    request.min_vectors = args.min_vectors;
    let system = match args.dry_run {
        true => database.open_for_read().await?,
        false => database.open_without_embedder().await?,
    };
    let report = system.maintain_indexes(&request).await?;
    if !report.dry_run {
        output.set_done("the maintenance is complete");
    }
    if output.is_json() {
        return output.write_json(&Document::of(&report));
    }
    for index in &report.indexes {
        output.write_line(format_args!("{}", line(index, &report)))?;
    }
    let count = |action, what| match report.count(action) as u64 {
        0 => None,
        count => Some(format!("{count} {what}")),
    };
    let counts = [
        count(IndexAction::Build, "built"),
        count(IndexAction::Replace, "replaced"),
        count(IndexAction::Keep, "kept"),
        count(IndexAction::Drop, "dropped"),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let indexes = count_noun(report.indexes.len() as u64, "entity", "entities");
    let summary = match counts.is_empty() {
        true => "no index".to_owned(),
        false => counts.join(", "),
    };
    let dry_run = match report.dry_run {
        true => "dry run, nothing was written: ",
        false => "",
    };
    output.write_line(format_args!(
        "{dry_run}{indexes}: {summary}; target recall {}",
        report.target_recall
    ))
}

/// One index in a line: what was done and why, and what was measured.
fn line(index: &IndexReport, report: &MaintenanceReport) -> String {
    let mut parts = vec![describe_action(index.action, report.dry_run).to_owned()];
    match (&index.before, &index.after) {
        (Some(before), Some(after)) if before != after => {
            parts.push(format!(
                "{} instead of {}",
                describe(after),
                describe(before)
            ));
        }
        (_, Some(index)) | (Some(index), None) => parts.push(describe(index)),
        (None, None) => {}
    }
    let known = match index.is_known {
        true => " (found by an earlier run)",
        false => "",
    };
    parts.push(format!("{}{known}", reason(index.reason)));
    parts.extend(index.measured.as_ref().map(describe_measurement));
    if let Some(build_ms) = index.build_ms {
        parts.push(format!("built in {:.1} s", build_ms / 1_000.0));
    }
    format!(
        "{} ({}): {}",
        single_line(index.entity.as_str()),
        count_noun(index.vectors, "vector", "vectors"),
        parts.join("; ")
    )
}

fn describe_action(action: IndexAction, dry_run: bool) -> &'static str {
    match (action, dry_run) {
        (IndexAction::Build, false) => "built",
        (IndexAction::Build, true) => "would try to build an index",
        (IndexAction::Replace, false) => "replaced",
        (IndexAction::Replace, true) => "would try to build another index",
        (IndexAction::Keep, _) => "kept",
        (IndexAction::Drop, false) => "dropped",
        (IndexAction::Drop, true) => "would drop",
        _ => "no index",
    }
}

fn reason(reason: IndexReason) -> &'static str {
    match reason {
        IndexReason::TargetReached => "reaches the target",
        IndexReason::Configured => "the store's options choose it",
        IndexReason::BelowTarget => "no index reaches the target",
        IndexReason::NotFaster => "exact search takes about as long",
        IndexReason::Unused => "no search used it for a week",
        IndexReason::NotRequired => "the entity is not among those that may have one",
        IndexReason::Incomplete => "it was incomplete",
        IndexReason::Outgrown => "the entity has doubled since it was built",
        IndexReason::NotBuilt => "its recall is not known before it is built",
        other => other.as_str(),
    }
}

fn describe(index: &IndexDescription) -> String {
    let width = match (index.method, index.search_width) {
        (_, None) => String::new(),
        (IndexMethod::IvfFlat, Some(width)) => format!(", probes {width}"),
        (_, Some(width)) => format!(", ef_search {width}"),
    };
    format!(
        "{} ({}){width}, {}",
        index.method.as_str(),
        index.parameters,
        format_bytes(index.bytes)
    )
}

fn describe_measurement(measured: &IndexMeasurement) -> String {
    let questions = count_noun(measured.questions.into(), "question", "questions");
    let exact = measured.exact_ms;
    match (
        measured.recall,
        measured.recall_at_least,
        measured.approximate_ms,
    ) {
        (Some(recall), Some(at_least), Some(approximate)) => format!(
            "recall {recall:.3}, at least {at_least:.3}, of {questions}; {approximate:.2} ms \
             instead of {exact:.2} ms"
        ),
        _ => format!("{exact:.2} ms exactly, of {questions}"),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    target_recall: f64,
    indexes: Vec<IndexDocument<'a>>,
}

#[derive(Serialize)]
struct IndexDocument<'a> {
    entity: &'a str,
    model: &'a str,
    vectors: u64,
    action: &'static str,
    reason: &'static str,
    /// Whether an earlier run found the reason.
    known: bool,
    before: Option<DescriptionDocument<'a>>,
    after: Option<DescriptionDocument<'a>>,
    measured: Option<MeasurementDocument>,
    build_ms: Option<f64>,
}

#[derive(Serialize)]
struct DescriptionDocument<'a> {
    method: &'static str,
    parameters: &'a str,
    search_width: Option<u32>,
    bytes: u64,
}

#[derive(Serialize)]
struct MeasurementDocument {
    questions: u32,
    recall: Option<f64>,
    recall_at_least: Option<f64>,
    exact_ms: f64,
    approximate_ms: Option<f64>,
}

impl<'a> Document<'a> {
    fn of(report: &'a MaintenanceReport) -> Self {
        Self {
            dry_run: report.dry_run,
            target_recall: report.target_recall,
            indexes: report.indexes.iter().map(IndexDocument::of).collect(),
        }
    }
}

impl<'a> IndexDocument<'a> {
    fn of(index: &'a IndexReport) -> Self {
        Self {
            entity: index.entity.as_str(),
            model: index.model.as_str(),
            vectors: index.vectors,
            action: index.action.as_str(),
            reason: index.reason.as_str(),
            known: index.is_known,
            before: index.before.as_ref().map(DescriptionDocument::of),
            after: index.after.as_ref().map(DescriptionDocument::of),
            measured: index.measured.map(|measured| MeasurementDocument {
                questions: measured.questions,
                recall: measured.recall,
                recall_at_least: measured.recall_at_least,
                exact_ms: measured.exact_ms,
                approximate_ms: measured.approximate_ms,
            }),
            build_ms: index.build_ms,
        }
    }
}

impl<'a> DescriptionDocument<'a> {
    fn of(index: &'a IndexDescription) -> Self {
        Self {
            method: index.method.as_str(),
            parameters: &index.parameters,
            search_width: index.search_width,
            bytes: index.bytes,
        }
    }
}
