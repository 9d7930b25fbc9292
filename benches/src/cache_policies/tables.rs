//! The results as Markdown.

use std::fmt::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::budget::DivisionRow;
use super::replay::ReplayCounts;
use super::restart::RestartRow;

/// Everything that a run measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Results {
    /// Each workload with the tiers of the presets.
    pub presets: Vec<PresetRow>,
    /// Each workload with the clock as it is, and in steps of a minute.
    pub repetition: Vec<RepetitionRow>,
    /// Each workload with a reranker.
    pub pairs: Vec<PairsRow>,
    /// Each workload with each budget.
    pub divisions: Vec<DivisionRow>,
    /// Each workload, with the system started again in its middle.
    pub restarts: Vec<RestartRow>,
}

/// A workload with the tiers of a preset.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PresetRow {
    /// The workload.
    pub workload: String,
    /// The preset.
    pub preset: String,
    /// The counts.
    pub counts: ReplayCounts,
}

/// What is asked again, and what a cache of answers could save.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RepetitionRow {
    /// The workload.
    pub workload: String,
    /// The system's clock shows the beginning of a period of so many seconds, where it
    /// is not 0.
    pub clock_step: u32,
    /// The counts.
    pub counts: ReplayCounts,
}

/// Pairs of question and text that a reranker reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PairsRow {
    /// The workload.
    pub workload: String,
    /// Recalls.
    pub recalls: u64,
    /// Pairs, each time that it is read.
    pub read: u64,
    /// Distinct pairs.
    pub distinct: u64,
}

/// Milliseconds that the default model takes for a text (docs/performance.md), which the
/// hashing embedder does not.
const EMBEDDING_MILLIS: f64 = 2.71;

/// The tables of a run.
#[must_use]
pub fn markdown(results: &Results) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = presets(&mut text, &results.presets);
    let _ = repetition(&mut text, &results.repetition);
    let _ = pairs(&mut text, &results.pairs);
    let _ = divisions(&mut text, &results.divisions);
    let _ = restarts(&mut text, &results.restarts);
    text
}

fn presets(text: &mut String, rows: &[PresetRow]) -> std::fmt::Result {
    writeln!(text, "## With the tiers of the presets\n")?;
    writeln!(
        text,
        "| workload | preset | recalls | memory hits | entity hits | embedding hits | MiB | evictions | statements: reads | writes | texts embedded |"
    )?;
    writeln!(text, "|---|---|{}", "---:|".repeat(9))?;
    for row in rows {
        let (counts, tiers) = (&row.counts, &row.counts.tiers);
        let all = [tiers.memory, tiers.entity, tiers.embedding];
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {:.1} | {} | {} | {} | {} |",
            row.workload,
            row.preset,
            counts.repetition.recalls,
            percent(tiers.memory.hit_rate()),
            percent(tiers.entity.hit_rate()),
            percent(tiers.embedding.hit_rate()),
            mebibytes(all.iter().map(|tier| tier.bytes).sum()),
            all.iter().map(|tier| tier.evictions).sum::<u64>(),
            counts.calls.reads,
            counts.calls.writes,
            counts.embedded,
        )?;
    }
    writeln!(text)
}

fn repetition(text: &mut String, rows: &[RepetitionRow]) -> std::fmt::Result {
    writeln!(text, "## Answers that repeat\n")?;
    writeln!(
        text,
        "| workload | clock in steps of | recalls | repeated on an unchanged entity | of these: equal | same order | their share of the time | with a model |"
    )?;
    writeln!(text, "|---|---|{}", "---:|".repeat(6))?;
    for row in rows {
        let counts = &row.counts;
        let repetition = counts.repetition;
        let (own, all) = (
            counts.repeated_recalls.as_secs_f64(),
            counts.elapsed.as_secs_f64(),
        );
        let step = match row.clock_step {
            0 => "none".to_owned(),
            seconds => format!("{seconds} s"),
        };
        writeln!(
            text,
            "| {} | {step} | {} | {} | {} | {} | {} | {} |",
            row.workload,
            repetition.recalls,
            percent(ratio(repetition.repeated, repetition.recalls)),
            percent(ratio(repetition.identical, repetition.repeated)),
            percent(ratio(repetition.same_order, repetition.repeated)),
            percent(own / all),
            percent(own / (all + embedding_seconds(counts.embedded))),
        )?;
    }
    writeln!(text)
}

fn pairs(text: &mut String, rows: &[PairsRow]) -> std::fmt::Result {
    writeln!(text, "## Pairs that a reranker reads\n")?;
    writeln!(
        text,
        "| workload | recalls | pairs | distinct | read again |"
    )?;
    writeln!(text, "|---|{}", "---:|".repeat(4))?;
    for row in rows {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            row.workload,
            row.recalls,
            row.read,
            row.distinct,
            percent(1.0 - ratio(row.distinct, row.read)),
        )?;
    }
    writeln!(text)
}

fn divisions(text: &mut String, rows: &[DivisionRow]) -> std::fmt::Result {
    writeln!(text, "## One budget for all tiers\n")?;
    writeln!(
        text,
        "| workload | budget | MiB | fixed | best fixed | ghost lists | everything fits | gain of the best | of ghost lists | moves | best division | at the end |"
    )?;
    writeln!(text, "|---|---:|{}---|---|", "---:|".repeat(8))?;
    for row in rows {
        writeln!(
            text,
            "| {} | {} | {:.1} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.trace,
            percent(row.share),
            mebibytes(row.bytes),
            percent(row.fixed),
            percent(row.best),
            percent(row.ghosts),
            percent(row.unlimited),
            percent(row.gain_of_best()),
            percent(row.gain()),
            row.moves,
            division(&row.best_division),
            division(&row.last_division),
        )?;
    }
    writeln!(text)
}

fn restarts(text: &mut String, rows: &[RestartRow]) -> std::fmt::Result {
    writeln!(text, "## After a start\n")?;
    writeln!(
        text,
        "| workload | loaded before | in ms | asked of these | questions | recalls | loads: cold, warm | reads of the store | ms in all | slowest, ms |"
    )?;
    writeln!(text, "|---|{}---|{}", "---:|".repeat(3), "---:|".repeat(5))?;
    for row in rows {
        for (questions, [cold, warm]) in [
            ("to those used last", row.latest),
            ("of the next minute", row.following),
        ] {
            writeln!(
                text,
                "| {} | {} | {:.1} | {} | {questions} | {} | {}, {} | {}, {} | {:.1}, {:.1} | {:.1}, {:.1} |",
                row.workload,
                row.warmed,
                milliseconds(row.warming),
                row.asked,
                cold.recalls,
                cold.loads,
                warm.loads,
                cold.reads,
                warm.reads,
                milliseconds(cold.elapsed),
                milliseconds(warm.elapsed),
                milliseconds(cold.slowest),
                milliseconds(warm.slowest),
            )?;
        }
    }
    writeln!(text)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn division(shares: &[f64]) -> String {
    let shares: Vec<String> = shares
        .iter()
        .map(|share| format!("{:.0}", share * 100.0))
        .collect();
    shares.join("/")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for a table")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a size for a table")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

#[expect(clippy::cast_precision_loss, reason = "a count below 2^52")]
fn embedding_seconds(texts: u64) -> f64 {
    texts as f64 * EMBEDDING_MILLIS / 1_000.0
}
