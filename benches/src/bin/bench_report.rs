//! Writes the tables and plots of docs/performance.md from the results of the
//! benches: `bench_report --results FOLDER --docs FOLDER [--ratios FILE]`. With
//! `--ratios` it fails if a ratio of the results exceeds its limit.

#![allow(clippy::print_stdout, reason = "the program prints what it wrote")]

use std::error::Error;
use std::path::PathBuf;

use memory_benches::ratios;
use memory_benches::report::{self, ReportResults};

fn main() -> Result<(), Box<dyn Error>> {
    let required = |name: &str| value(name).ok_or_else(|| format!("{name} is required"));
    let results = ReportResults::read(&required("--results")?)?;
    let docs = required("--docs")?;
    let sections = report::write(&results, &docs)?;
    println!(
        "wrote {}: {}",
        docs.join("performance.md").display(),
        sections.join(", ")
    );
    if let Some(file) = value("--ratios") {
        // A `String` as error is printed with escaped line ends.
        match ratios::check(&file, &results) {
            Ok(lines) => print!("{lines}"),
            Err(error) => {
                println!("{error}");
                return Err("a ratio exceeds its limit".into());
            }
        }
    }
    Ok(())
}

fn value(name: &str) -> Option<PathBuf> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map(PathBuf::from)
}
