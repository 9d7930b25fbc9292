//! The generated parts of docs/performance.md: tables and plots of the results.

mod charts;
mod cluster_load;
mod format;
mod markers;
mod operations;
mod original;
mod plots;
mod results;
mod scale;
mod tables;

use std::error::Error;
use std::path::Path;

use crate::cache_comparison::results::Results;
use crate::machine::Machine;

pub use cluster_load::write_cluster_load;
pub use markers::replace_generated;
pub use results::ReportResults;
pub use tables::tables;

/// The cache size at which the tables compare, as a share of all bytes read.
const SHARE: f64 = 0.1;

/// Writes the tables between their markers in `performance.md`, and the plots
/// into `plots/` in the same folder. The section of a bench without results stays
/// as it is. Returns the names of the written sections.
///
/// # Errors
/// If the page cannot be read or written, or lacks a marker.
pub fn write(results: &ReportResults, docs: &Path) -> Result<Vec<&'static str>, Box<dyn Error>> {
    let page = docs.join("performance.md");
    let mut text = std::fs::read_to_string(&page)?;
    let by_subject = operations::by_subject;
    let sections = [
        ("machine", machine(results)),
        ("original", original::section(results)),
        ("memory_benchmarks", results.memory.as_ref().map(by_subject)),
        ("scale", results.scale.as_ref().map(scale::section)),
        (
            "conversation",
            results.conversation.as_ref().map(operations::conversation),
        ),
        (
            "embedding",
            results.embedding.as_ref().map(operations::embedding),
        ),
        ("stores", results.stores.as_ref().map(by_subject)),
        ("cache_comparison", results.caches.as_ref().map(tables)),
    ];
    let mut written = Vec::new();
    for (name, section) in sections {
        if let Some(section) = section {
            text = replace_generated(&text, name, &section)?;
            written.push(name);
        }
    }
    let plots = docs.join("plots");
    std::fs::create_dir_all(&plots)?;
    if let Some(caches) = &results.caches {
        for (name, svg) in plots::all(caches)? {
            std::fs::write(plots.join(name), svg)?;
        }
    }
    if let Some(scale) = &results.scale {
        std::fs::write(plots.join("scale.svg"), scale::plot(scale)?)?;
    }
    std::fs::write(page, text)?;
    Ok(written)
}

/// The machine of the last run.
fn machine(results: &ReportResults) -> Option<String> {
    let machines = results.runs().into_iter().map(|run| &run.machine);
    let machine: &Machine = machines.max_by_key(|machine| machine.time)?;
    let rows = [
        ("CPU", machine.cpu.clone()),
        ("cores", machine.cores.to_string()),
        ("cache of a core", machine.cache.clone()),
        ("main memory", format::bytes(machine.memory as f64)),
        ("system", machine.kernel.clone()),
        ("compiler", machine.rustc.clone()),
        (
            "last run",
            machine.time.format("%Y-%m-%d %H:%M UTC").to_string(),
        ),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
    Some(format::table(&["", ""], &rows))
}

/// The caches in the order of the registry.
fn caches(results: &Results) -> Vec<&str> {
    let mut caches: Vec<&str> = Vec::new();
    for row in &results.latencies {
        if !caches.contains(&row.cache.as_str()) {
            caches.push(&row.cache);
        }
    }
    caches
}

/// The traces in the order of the bench.
fn trace_names(results: &Results) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for row in &results.hit_ratios {
        if !names.contains(&row.trace.as_str()) {
            names.push(&row.trace);
        }
    }
    names
}
