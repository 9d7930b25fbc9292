//! Writes the tables and plots of docs/performance.md from the results of the
//! benches: `bench_report --results FOLDER --docs FOLDER [--ratios FILE]`. With
//! `--ratios` it fails if a ratio of the results exceeds its limit.

#![allow(clippy::print_stdout, reason = "the program prints what it wrote")]

use std::error::Error;
use std::path::{Path, PathBuf};

use memory_benches::arguments::{argument, required};
use memory_benches::ratios;
use memory_benches::report::{self, ReportResults};

fn main() -> Result<(), Box<dyn Error>> {
    let results = ReportResults::read(Path::new(&required("--results")?))?;
    let docs = PathBuf::from(required("--docs")?);
    let sections = report::write(&results, &docs)?;
    println!(
        "wrote {}: {}",
        docs.join("performance.md").display(),
        sections.join(", ")
    );
    if let Some(file) = argument("--ratios") {
        // A `String` as error is printed with escaped line ends.
        match ratios::check(Path::new(&file), &results) {
            Ok(lines) => print!("{lines}"),
            Err(error) => {
                println!("{error}");
                return Err("a ratio exceeds its limit".into());
            }
        }
    }
    Ok(())
}
