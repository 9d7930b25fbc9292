//! The page of the caches in docs/performance.md: tables and plots, made of
//! the bench's results.

mod charts;
mod markers;
mod plots;
mod tables;

use std::error::Error;
use std::path::Path;

use crate::swap::results::Results;

pub use tables::tables;

/// The share of all that is read at which tables compare the caches.
const SHARE: f64 = 0.1;

/// Writes tables and plots: the tables between their markers in
/// `performance.md`, the plots beside it in `plots/`.
///
/// # Errors
/// When the page cannot be read or written, or lacks the markers.
pub fn write(results: &Results, docs: &Path) -> Result<(), Box<dyn Error>> {
    let page = docs.join("performance.md");
    let text = std::fs::read_to_string(&page)?;
    let text = markers::replace(&text, "cache_swap", &tables(results))?;
    let plots = docs.join("plots");
    std::fs::create_dir_all(&plots)?;
    for (name, svg) in plots::all(results)? {
        std::fs::write(plots.join(name), svg)?;
    }
    Ok(std::fs::write(page, text)?)
}

/// The caches in the order of the register.
fn caches(results: &Results) -> Vec<&str> {
    let mut caches: Vec<&str> = Vec::new();
    for row in &results.paces {
        if !caches.contains(&row.cache.as_str()) {
            caches.push(&row.cache);
        }
    }
    caches
}

/// The traces in the order of the bench.
fn works(results: &Results) -> Vec<&str> {
    let mut works: Vec<&str> = Vec::new();
    for row in &results.ratios {
        if !works.contains(&row.work.as_str()) {
            works.push(&row.work);
        }
    }
    works
}
