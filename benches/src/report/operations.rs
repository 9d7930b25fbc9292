//! The sections of the benches whose values are medians by operation and subject.

use super::format::{bytes, duration, percentiles, records_line, table, thousands};
use crate::records::{Record, RunRecords};

/// `memory_benchmarks` and `stores`: a row for each operation, a column for each
/// subject.
pub(super) fn by_subject(records: &RunRecords) -> String {
    let subjects = records.subjects();
    let mut keys: Vec<(&str, u64)> = Vec::new();
    for record in &records.records {
        let key = (record.operation.as_str(), record.size);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let rows: Vec<Vec<String>> = keys
        .iter()
        .map(|(operation, size)| {
            let name = match size {
                1 => format!("`{operation}`"),
                size => format!("`{operation}`, {}", thousands(*size)),
            };
            let cells = subjects.iter().map(|subject| {
                let record = records.find(subject, operation, *size);
                record.and_then(percentiles).unwrap_or_default()
            });
            [name].into_iter().chain(cells).collect()
        })
        .collect();
    let head: Vec<&str> = ["p50 / p95"]
        .into_iter()
        .chain(subjects.iter().copied())
        .collect();
    records_line(records) + &table(&head, &rows)
}

/// `conversation`.
pub(super) fn conversation(records: &RunRecords) -> String {
    let find = |operation: &str| records.records.iter().find(|r| r.operation == operation);
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: String, value: String| rows.push(vec![name, value]);
    if let Some(import) = find("import") {
        let value = |name| import.get(name).unwrap_or_default();
        row(
            format!("import of {} turns", thousands(import.size)),
            format!(
                "{:.0} texts/s, {:.1} s",
                value("texts_per_second"),
                value("seconds")
            ),
        );
    }
    for (operation, name) in [
        (
            "recall_cold",
            "recall, empty caches (question embedded, entity read)",
        ),
        (
            "recall_new_question",
            "recall, new question on a warm snapshot (question embedded)",
        ),
        ("recall_warm", "recall, repeated question"),
    ] {
        if let Some(value) = find(operation).and_then(percentiles) {
            row(format!("{name}, p50 / p95"), value);
        }
    }
    if let Some(quality) = find("quality") {
        let value = |name| quality.get(name).unwrap_or_default();
        row(
            format!("recall@10 and MRR of {:.0} questions", value("questions")),
            format!(
                "{:.1} %, {:.3}",
                100.0 * value("recall_at_10"),
                value("mrr")
            ),
        );
    }
    for (operation, name) in [
        ("peak_memory", "peak memory of the process"),
        ("database", "database, with its log"),
    ] {
        if let Some(value) = find(operation).and_then(|record| record.get(Record::BYTES)) {
            row(name.to_owned(), bytes(value));
        }
    }
    records_line(records) + &table(&["", ""], &rows)
}

/// `embedding`.
pub(super) fn embedding(records: &RunRecords) -> String {
    let rows: Vec<Vec<String>> = records
        .records
        .iter()
        .map(|record| {
            let number = |name| record.get(name).map(|value| format!("{value:.0}"));
            let percent = |name| {
                let value = record.get(name);
                value.map(|value| format!("{:.0} %", 100.0 * value))
            };
            let cells = [
                Some(record.operation.clone()),
                Some(record.subject.clone()),
                number("texts_per_second"),
                number("tokens_per_second"),
                percent("of_peak"),
                percent("padding"),
                record.get(Record::P50).map(duration),
                number("peak_mib"),
            ];
            cells.map(Option::unwrap_or_default).into()
        })
        .collect();
    let head = [
        "workload",
        "engine",
        "texts/s",
        "tokens/s",
        "of the fp32 peak",
        "padding",
        "p50 per call",
        "peak MiB",
    ];
    records_line(records) + &table(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Run;

    #[test]
    fn operations_are_rows_and_subjects_are_columns() {
        let record = |subject: &str, operation: &str, size| {
            Record::new(subject, operation, size).with(Record::P50, 2e6)
        };
        let records = RunRecords {
            run: Run::start("stores"),
            records: vec![
                record("sqlite", "get", 1),
                record("sqlite", "insert", 1_000),
                record("postgres", "get", 1),
            ],
            seconds: Some(3.0),
        };
        let text = by_subject(&records);
        assert!(text.starts_with("Run of the bench `stores` on "), "{text}");
        assert!(
            text.contains("| p50 / p95 | sqlite | postgres |\n"),
            "{text}"
        );
        assert!(text.contains("| `get` | 2.00 ms | 2.00 ms |\n"), "{text}");
        assert!(
            text.contains("| `insert`, 1,000 | 2.00 ms |  |\n"),
            "{text}"
        );
    }
}
