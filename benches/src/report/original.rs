//! The performance summary of the original memory system, with the goals that
//! were set for this one, and what it reaches.

use super::format::{duration, table};
use super::results::ReportResults;
use crate::records::{Record, RunRecords};

/// A row of the original's summary.
struct Row {
    operation: &'static str,
    /// What the original states for its optimized version.
    original: &'static str,
    /// The goal, in nanoseconds.
    goal: f64,
    bench: Bench,
    /// Operation and size of the record.
    record: (&'static str, u64),
}

#[derive(PartialEq)]
enum Bench {
    /// `memory_benchmarks`, on each store.
    Stores,
    /// `memory_benchmarks`, the embedder.
    Embedder,
    /// `scale`.
    Scale,
}

const MICRO: f64 = 1e3;
const MILLI: f64 = 1e6;

const ROWS: [Row; 9] = [
    Row {
        operation: "retain a batch of 100 short texts, none cached",
        original: "1,500 ms",
        goal: 150.0 * MILLI,
        bench: Bench::Stores,
        record: ("retain_batch", 100),
    },
    Row {
        operation: "retain one, with embedding",
        original: "60–80 ms",
        goal: 5.0 * MILLI,
        bench: Bench::Stores,
        record: ("retain_single", 1),
    },
    Row {
        operation: "list 1,000 memories, repeated",
        original: "1–5 ms",
        goal: 10.0 * MICRO,
        bench: Bench::Stores,
        record: ("list_memories/cached", 1_000),
    },
    Row {
        operation: "list 1,000 memories, empty caches",
        original: "5–20 ms",
        goal: 5.0 * MILLI,
        bench: Bench::Stores,
        record: ("list_memories/uncached", 1_000),
    },
    Row {
        operation: "recall, cached",
        original: "1–5 ms",
        goal: 0.1 * MILLI,
        bench: Bench::Stores,
        record: ("recall_warm", 1_000),
    },
    Row {
        operation: "recall, only the question's vector cached",
        original: "20–100 ms",
        goal: 5.0 * MILLI,
        bench: Bench::Stores,
        record: ("recall_cold/embedded", 1_000),
    },
    Row {
        operation: "similarity to 10,000 vectors (a recall by vectors alone)",
        original: "50–200 ms",
        goal: MILLI,
        bench: Bench::Scale,
        record: ("new_question_dense_only", 10_000),
    },
    Row {
        operation: "embedding, cached",
        original: "under 1 ms",
        goal: MICRO,
        bench: Bench::Embedder,
        record: ("embedding_single/cached", 1),
    },
    Row {
        operation: "embedding, not cached",
        original: "50 ms",
        goal: 3.0 * MILLI,
        bench: Bench::Embedder,
        record: ("embedding_single/uncached", 1),
    },
];

/// The subjects of the columns.
const STORES: [&str; 3] = ["sqlite", "postgres", "postgres, bounded"];

/// The section; `None` without results.
pub(super) fn section(results: &ReportResults) -> Option<String> {
    if results.memory.is_none() && results.scale.is_none() {
        return None;
    }
    let rows: Vec<Vec<String>> = ROWS.iter().map(|row| cells(row, results)).collect();
    let head = [
        "operation",
        "original",
        "goal",
        "here, SQLite",
        "here, PostgreSQL",
        "PostgreSQL, reads may be a minute old",
    ];
    Some(table(&head, &rows))
}

fn cells(row: &Row, results: &ReportResults) -> Vec<String> {
    let subjects: &[&str] = match row.bench {
        Bench::Stores => &STORES,
        Bench::Embedder => &["onnx"],
        Bench::Scale => &["memory"],
    };
    let records = match row.bench {
        Bench::Scale => &results.scale,
        Bench::Stores | Bench::Embedder => &results.memory,
    };
    let mut cells = vec![
        row.operation.to_owned(),
        row.original.to_owned(),
        // Goals are round.
        duration(row.goal).replace(".00", "").replace(".0", ""),
    ];
    cells.extend(
        subjects
            .iter()
            .map(|subject| cell(row, records.as_ref(), subject)),
    );
    // An embedder is the same for every store.
    cells.resize(6, String::new());
    cells
}

fn cell(row: &Row, records: Option<&RunRecords>, subject: &str) -> String {
    let (operation, size) = row.record;
    let record = records.and_then(|records| records.find(subject, operation, size));
    let Some(median) = record.and_then(|record| record.get(Record::P50)) else {
        return String::new();
    };
    if median <= row.goal {
        format!("{}, reached", duration(median))
    } else {
        format!(
            "{}, **missed: {:.1} ×**",
            duration(median),
            median / row.goal
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Run;

    #[test]
    fn a_goal_is_reached_or_missed_by_a_factor() {
        let records = vec![
            Record::new("sqlite", "recall_warm", 1_000).with(Record::P50, 90_000.0),
            Record::new("postgres", "recall_warm", 1_000).with(Record::P50, 250_000.0),
        ];
        let results = ReportResults {
            memory: Some(RunRecords {
                run: Run::start("memory_benchmarks"),
                records,
                seconds: None,
            }),
            ..ReportResults::default()
        };
        let section = section(&results).unwrap();
        let row = section.lines().find(|line| line.contains("recall, cached"));
        let row = row.unwrap();
        assert!(row.contains("| 90.0 µs, reached |"), "{row}");
        assert!(row.contains("| 250 µs, **missed: 2.5 ×** |"), "{row}");
        assert_eq!(super::section(&ReportResults::default()), None);
    }
}
