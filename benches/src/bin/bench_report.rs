//! Writes the tables and plots of docs/performance.md from the results of
//! `cache_comparison`: `bench_report --results FILE --docs FOLDER`.

use std::error::Error;
use std::path::PathBuf;

use memory_benches::cache_comparison::results::Results;
use memory_benches::report;

fn main() -> Result<(), Box<dyn Error>> {
    let value = |name: &str| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name);
        let value = arguments.nth(1).map(PathBuf::from);
        value.ok_or_else(|| format!("{name} is required"))
    };
    let results: Results = serde_json::from_slice(&std::fs::read(value("--results")?)?)?;
    report::write(&results, &value("--docs")?)
}
