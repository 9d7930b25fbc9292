//! Markdown tables, and values with units.

use std::fmt::Write;

use crate::records::{Record, Run, RunRecords};

/// A Markdown table; the first column is aligned to the left.
pub(super) fn table<S: AsRef<str>>(head: &[S], rows: &[Vec<String>]) -> String {
    let head: Vec<&str> = head.iter().map(AsRef::as_ref).collect();
    let mut text = format!("| {} |\n", head.join(" | "));
    let rule: Vec<&str> = (0..head.len())
        .map(|column| if column == 0 { "---" } else { "---:" })
        .collect();
    let _ = writeln!(text, "| {} |", rule.join(" | "));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// The sentence that names the run of a section.
pub(super) fn run_line(run: &Run) -> String {
    let machine = &run.machine;
    format!(
        "Run of the bench `{}` on {}, revision {}, load {:.1} at its start.\n\n",
        run.bench,
        machine.time.format("%Y-%m-%d %H:%M UTC"),
        machine.commit,
        machine.load
    )
}

/// As [`run_line`]; says if the run did not end.
pub(super) fn records_line(records: &RunRecords) -> String {
    let line = run_line(&records.run);
    match records.seconds {
        Some(_) => line,
        None => line + "**It did not end: values are missing.**\n\n",
    }
}

/// The median and the 95th percentile of a record.
pub(super) fn percentiles(record: &Record) -> Option<String> {
    let median = duration(record.get(Record::P50)?);
    Some(match record.get(Record::P95) {
        Some(p95) => format!("{median} / {}", duration(p95)),
        None => median,
    })
}

/// A duration with three digits.
pub(super) fn duration(nanos: f64) -> String {
    let (value, unit) = match nanos {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

fn three_digits(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// Bytes in a unit of at most four digits.
pub(super) fn bytes(bytes: f64) -> String {
    match bytes {
        b if b < 10_000.0 => format!("{b:.0} B"),
        b if b < 10_240_000.0 => format!("{:.1} KiB", b / 1024.0),
        b if b < 1e10 => format!("{:.1} MiB", b / (1024.0 * 1024.0)),
        b => format!("{:.1} GiB", b / (1024.0 * 1024.0 * 1024.0)),
    }
}

/// A number with separators of thousands.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_units_and_three_digits() {
        assert_eq!(duration(223.0), "223 ns");
        assert_eq!(duration(1_234_567.0), "1.23 ms");
        assert_eq!(duration(45_600_000_000.0), "45.6 s");
        assert_eq!(bytes(5_000.0), "5000 B");
        assert_eq!(bytes(52_428_800.0), "50.0 MiB");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(123), "123");
    }
}
