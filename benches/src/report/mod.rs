//! The cache section of docs/performance.md: tables and plots of the results.

mod charts;
mod plots;
mod tables;

use std::error::Error;
use std::path::Path;

use crate::cache_comparison::results::Results;

pub use tables::tables;

/// The cache size at which the tables compare, as a share of all bytes read.
const SHARE: f64 = 0.1;

/// Writes the tables between their markers in `performance.md`, and the plots
/// into `plots/` in the same folder.
///
/// # Errors
/// If the page cannot be read or written, or has no markers.
pub fn write(results: &Results, docs: &Path) -> Result<(), Box<dyn Error>> {
    let page = docs.join("performance.md");
    let text = std::fs::read_to_string(&page)?;
    let text = replace_generated(&text, "cache_comparison", &tables(results))?;
    let plots = docs.join("plots");
    std::fs::create_dir_all(&plots)?;
    for (name, svg) in plots::all(results)? {
        std::fs::write(plots.join(name), svg)?;
    }
    Ok(std::fs::write(page, text)?)
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

/// Replaces the text between the markers of this name by `generated`.
///
/// # Errors
/// If a marker is missing, or the end marker precedes the start marker.
fn replace_generated(text: &str, name: &str, generated: &str) -> Result<String, Box<dyn Error>> {
    let (begin, end) = (
        format!("<!-- {name}: begin, written by cargo xtask bench-report -->"),
        format!("<!-- {name}: end -->"),
    );
    let missing = || format!("the page has no markers {begin} and {end}");
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!(
        "{before}{begin}\n\n{}\n\n{end}{after}",
        generated.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_between_the_markers_is_replaced() {
        let begin = "<!-- a: begin, written by cargo xtask bench-report -->";
        let text = format!("1\n{begin}\nold\n<!-- a: end -->\n2\n");
        let new = replace_generated(&text, "a", "new\n").unwrap();
        assert_eq!(new, format!("1\n{begin}\n\nnew\n\n<!-- a: end -->\n2\n"));
        assert_eq!(
            replace_generated(&new, "a", "new").unwrap(),
            new,
            "replacing is idempotent"
        );
        assert!(replace_generated(&text, "b", "new").is_err());
    }
}
