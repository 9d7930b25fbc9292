//! The section of docs/performance.md.

use std::fs;

use super::results::{Load, Peer, Results};
use super::{BenchError, unusable};
use crate::error::TaskError;
use crate::shell;

#[expect(unreachable_pub, reason = "the benches export it")]
#[path = "../../../benches/src/report/markers.rs"]
mod markers;

const PAGE: &str = "docs/performance.md";

/// The name of the import that corresponds to that of other products.
pub(super) const WITH_VECTORS: &str = "one import, with vectors in its lines";

/// Writes the section into the page.
pub(super) fn write(results: &Results) -> Result<(), TaskError> {
    check(results)?;
    let path = shell::root().join(PAGE);
    let text = shell::read_text(&path)?;
    let replaced = markers::replace_generated(&text, "serve_bench", &section(results));
    let replaced = replaced.map_err(unusable)?;
    fs::write(&path, replaced).map_err(|source| TaskError::Write { path, source })
}

/// Fails if a promise is broken that does not depend on the machine.
pub(super) fn check(results: &Results) -> Result<(), TaskError> {
    let loads = results.get.iter().chain([&results.mixed.load]);
    let failed: u32 = loads.map(|load| load.failed).sum();
    let (lost, repeated) = (results.kill.lost, results.kill.repeated);
    if failed == 0 && lost == 0 && repeated == 0 {
        return Ok(());
    }
    let reason =
        format!("{failed} requests failed, {lost} memories were lost, {repeated} repeated");
    Err(BenchError::Results { reason }.into())
}

/// The run and its tables.
pub(super) fn section(results: &Results) -> String {
    let run = &results.run;
    let texts = match run.is_generated {
        true => format!("{} generated texts", count(run.texts)),
        false => format!(
            "{} turns of conversations, {} questions",
            count(run.texts),
            count(run.questions)
        ),
    };
    let revision = match &run.revision {
        Some(revision) => format!("revision {revision}"),
        None => "unknown revision".to_owned(),
    };
    let mut text = format!(
        "Run of `cargo xtask serve-bench` on {}, {revision}, load {} at its start: {texts}.\n\n",
        run.time, run.load
    );
    text.push_str(&table(&["", ""], &single_values(results)));
    text.push('\n');
    text.push_str(&table(
        &["load", "connections", "requests/s", "p50", "p99", "failed"],
        &loads(results),
    ));
    if !results.peers.is_empty() {
        text.push('\n');
        text.push_str(&table(
            &[
                "",
                "ingest",
                "ingest, vectors given",
                "query p50, vector given",
                "query p50",
                "start, first answer included",
                "resident memory",
            ],
            &peers(results),
        ));
    }
    text
}

fn single_values(results: &Results) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |name: String, value: String| rows.push(vec![name, value]);
    for ingest in &results.ingest {
        let rate = whole(texts_per_second(ingest.texts, ingest.seconds));
        row(format!("ingest, {}", ingest.way), format!("{rate} texts/s"));
    }
    let overhead = &results.overhead;
    row(
        "recall, repeated question: round trip, mean".to_owned(),
        time(overhead.recall.mean()),
    );
    row(
        "of this in the facade, mean".to_owned(),
        time(overhead.facade_mean),
    );
    row(
        "of this in the server, loopback and client".to_owned(),
        time(overhead.added()),
    );
    row(
        "an empty answer (`/health/live`): round trip, mean".to_owned(),
        time(overhead.empty.mean()),
    );
    let new = &results.new_question;
    row(
        "recall, new question, p50 / p95".to_owned(),
        format!("{} / {}", time(new.p50), time(new.p95)),
    );
    for start in &results.start {
        row(
            format!("`{}`: start, until it is ready", start.command),
            time(start.ready),
        );
        row(
            format!("`{}`: start, until a recall is answered", start.command),
            time(start.recalled),
        );
    }
    let memory = &results.memory;
    row(
        "resident memory, started".to_owned(),
        mebibytes(memory.started),
    );
    row(
        "resident memory, after the import / its peak".to_owned(),
        format!(
            "{} / {}",
            mebibytes(memory.ingested),
            mebibytes(memory.ingest_peak)
        ),
    );
    let mixed = &results.mixed;
    row(
        "mixed load: resident memory before / after a tenth / at the end / 5 s later".to_owned(),
        [
            mixed.memory_before,
            sample(&mixed.memory_during, 10),
            sample(&mixed.memory_during, 100),
            mixed.memory_after,
        ]
        .map(mebibytes)
        .join(" / "),
    );
    row(
        "mixed load: duration, memories retained meanwhile".to_owned(),
        format!("{:.0} s, {}", mixed.load.seconds, count(mixed.retained)),
    );
    let kill = &results.kill;
    row(
        format!(
            "killed (`SIGKILL`) while 8 clients write, {} times: lost / twice there",
            kill.rounds
        ),
        format!(
            "{} / {} of {} acknowledged",
            kill.lost,
            kill.repeated,
            count(kill.acknowledged)
        ),
    );
    let transfer = &results.transfer;
    row(
        format!(
            "import of {} lines, {} distinct texts",
            count(transfer.lines),
            count(transfer.distinct_texts)
        ),
        format!(
            "{} lines/s",
            whole(texts_per_second(transfer.lines, transfer.import_seconds))
        ),
    );
    row(
        format!(
            "export of {} lines, {}",
            count(transfer.lines),
            mebibytes(transfer.bytes / 1024)
        ),
        format!(
            "{} lines/s",
            whole(texts_per_second(transfer.lines, transfer.export_seconds))
        ),
    );
    row(
        "resident memory: before, peak of that import, peak of that export".to_owned(),
        [
            transfer.memory_before,
            transfer.import_peak,
            transfer.export_peak,
        ]
        .map(mebibytes)
        .join(" / "),
    );
    rows
}

fn loads(results: &Results) -> Vec<Vec<String>> {
    let row = |name: &str, load: &Load| {
        vec![
            name.to_owned(),
            load.connections.to_string(),
            whole(load.per_second()),
            time(load.p50),
            time(load.p99),
            load.failed.to_string(),
        ]
    };
    let mut rows = vec![
        row("empty answer", &results.overhead.empty),
        row("recall, repeated questions", &results.overhead.recall),
    ];
    rows.extend(results.get.iter().map(|load| row("get", load)));
    rows.push(row(
        "70 % get, 20 % recall, 10 % retain",
        &results.mixed.load,
    ));
    rows
}

fn peers(results: &Results) -> Vec<Vec<String>> {
    let rate = |way: &str| {
        let ingest = results.ingest.iter().find(|ingest| ingest.way == way)?;
        Some(texts_per_second(ingest.texts, ingest.seconds))
    };
    let serve = results.start.first();
    let this = Peer {
        name: "`memory serve`".to_owned(),
        ingest: rate("one import"),
        ingest_with_vectors: rate(WITH_VECTORS),
        query_with_vector: Some(results.overhead.recall.p50),
        query: Some(results.new_question.p50),
        start: serve.map(|start| start.recalled),
        memory: Some(results.memory.ingested),
    };
    let row = |peer: &Peer| {
        let rate =
            |rate: Option<f64>| rate.map_or_else(String::new, |rate| format!("{}/s", whole(rate)));
        let time_of = |seconds: Option<f64>| seconds.map_or_else(String::new, time);
        vec![
            peer.name.clone(),
            rate(peer.ingest),
            rate(peer.ingest_with_vectors),
            time_of(peer.query_with_vector),
            time_of(peer.query),
            time_of(peer.start),
            peer.memory.map_or_else(String::new, mebibytes),
        ]
    };
    [&this].into_iter().chain(&results.peers).map(row).collect()
}

/// A Markdown table with the numbers at the right.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let rule = (0..head.len()).map(|column| if column == 0 { "---" } else { "---:" });
    let mut table = line(head.to_vec()) + &line(rule.collect());
    for row in rows {
        table.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    table
}

#[expect(clippy::cast_precision_loss, reason = "numbers of texts are small")]
fn texts_per_second(texts: usize, seconds: f64) -> f64 {
    texts as f64 / seconds
}

/// The sample after this share of the time.
fn sample(samples: &[u64], percent: usize) -> u64 {
    let index = samples.len().saturating_sub(1) * percent / 100;
    samples.get(index).copied().unwrap_or_default()
}

fn time(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 1e-3 => format!("{:.0} µs", seconds * 1e6),
        seconds if seconds < 0.1 => format!("{:.2} ms", seconds * 1e3),
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}

/// A number rounded to a whole one.
fn whole(number: f64) -> String {
    separated(&format!("{number:.0}"))
}

/// Digits with separated thousands.
fn separated(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn count(number: impl ToString) -> String {
    separated(&number.to_string())
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand mebibytes")]
fn mebibytes(kibibytes: u64) -> String {
    format!("{:.0} MiB", kibibytes as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_readers() {
        assert_eq!(whole(1_234_567.4), "1,234,567");
        assert_eq!(whole(12.0), "12");
        assert_eq!(time(0.000_083_2), "83 µs");
        assert_eq!(time(0.012_34), "12.34 ms");
        assert_eq!(time(0.388_2), "388 ms");
        assert_eq!(mebibytes(1536), "2 MiB");
    }

    #[test]
    fn samples_are_found_by_their_share_of_the_time() {
        let samples: Vec<u64> = (0..=100).collect();
        assert_eq!((sample(&samples, 10), sample(&samples, 100)), (10, 100));
        assert_eq!(sample(&[], 10), 0);
    }
}
