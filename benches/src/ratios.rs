//! Limits of ratios within one run: a check for regressions that does not depend
//! on the machine.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;

use crate::records::Record;
use crate::report::ReportResults;

/// A median of a run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Median {
    /// The bench.
    pub bench: String,
    /// The subject of the record.
    pub subject: String,
    /// The operation of the record.
    pub operation: String,
    /// The size of the record.
    pub size: u64,
}

impl Median {
    fn of(&self, results: &ReportResults) -> Option<f64> {
        let records = results.records(&self.bench)?;
        let record = records.find(&self.subject, &self.operation, self.size)?;
        record.get(Record::P50)
    }
}

/// The limit of a ratio.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratio {
    /// What is compared.
    pub name: String,
    /// The measured operation.
    pub measured: Median,
    /// What it is compared with, in the same run.
    pub baseline: Median,
    /// The ratio when the file was last changed.
    pub reference: f64,
    /// The largest accepted multiple of the reference.
    pub tolerance: f64,
}

/// Compares the ratios of a run with those of a file; returns a line for each.
///
/// # Errors
/// If a ratio exceeds its limit or was not measured, or the file cannot be read.
pub fn check(file: &Path, results: &ReportResults) -> Result<String, Box<dyn Error>> {
    let ratios: Vec<Ratio> = serde_json::from_slice(&std::fs::read(file)?)?;
    let mut lines = String::new();
    let mut failures = 0;
    for ratio in &ratios {
        let limit = ratio.reference * ratio.tolerance;
        let measured = ratio.measured.of(results).zip(ratio.baseline.of(results));
        let measured = measured.map(|(measured, baseline)| measured / baseline);
        let (value, verdict) = match measured {
            Some(value) if value <= limit => (format!("{value:.2}"), "ok"),
            Some(value) => (format!("{value:.2}"), "REGRESSION"),
            None => ("–".to_owned(), "NOT MEASURED"),
        };
        failures += usize::from(verdict != "ok");
        let _ = writeln!(
            lines,
            "{}: {value}, reference {:.2}, limit {limit:.2}: {verdict}",
            ratio.name, ratio.reference
        );
    }
    if failures == 0 {
        return Ok(lines);
    }
    Err(format!(
        "{failures} of {} ratios are beyond their limits:\n{lines}",
        ratios.len()
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Run, RunRecords};

    fn check_with(measured: f64) -> Result<String, Box<dyn Error>> {
        let records = vec![
            Record::new("memory", "new_question", 10).with(Record::P50, measured),
            Record::new("exact scan", "new_question", 10).with(Record::P50, 100.0),
        ];
        let results = ReportResults {
            scale: Some(RunRecords {
                run: Run::start("scale"),
                records,
                seconds: Some(1.0),
            }),
            ..ReportResults::default()
        };
        let median = |subject: &str| {
            format!(
                r#"{{"bench":"scale","subject":"{subject}","operation":"new_question","size":10}}"#
            )
        };
        let text = format!(
            r#"[{{"name":"a","measured":{},"baseline":{},"reference":2.0,"tolerance":1.5}}]"#,
            median("memory"),
            median("exact scan")
        );
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("ratios.json");
        std::fs::write(&file, text)?;
        check(&file, &results)
    }

    #[test]
    fn a_ratio_beyond_its_limit_fails() {
        assert!(check_with(299.0).unwrap().contains("2.99"));
        let error = check_with(301.0).unwrap_err().to_string();
        assert!(error.contains("REGRESSION"), "{error}");
    }

    #[test]
    fn the_ratios_of_the_workspace_are_well_formed_and_a_missing_one_fails() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("ratios.json");
        let error = check(&file, &ReportResults::default()).unwrap_err();
        assert!(error.to_string().contains("NOT MEASURED"), "{error}");
    }
}
