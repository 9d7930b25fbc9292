//! The plots of the cache comparison.

use std::error::Error;

use plotters::prelude::*;

use super::charts::{self, Area, Bar, Frame, Line};
use super::{caches, trace_names};
use crate::cache_comparison::results::Results;

/// The height of the legend above the panels, in pixels.
const LEGEND: u32 = 30;

/// The thread counts of the bench.
const THREADS: [usize; 3] = [1, 2, 4];

/// The assumed cost of a miss in the plot of times, in milliseconds.
const MISS_MILLIS: f64 = 2.0;

/// Every plot with its file name.
pub(super) fn all(results: &Results) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let mut plots = vec![
        ("hit_ratio.svg", hit_ratio(results)?),
        ("latency.svg", latency(results)?),
    ];
    if !results.agent_workloads.is_empty() {
        plots.push(("agent_workload.svg", agent_workload(results)?));
    }
    Ok(plots)
}

/// Draws into an SVG of this size.
pub(super) fn render(
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&area)?;
        area.present()?;
    }
    // Committed files end with a newline.
    Ok(svg.trim_end().to_owned() + "\n")
}

fn hit_ratio(results: &Results) -> Result<String, Box<dyn Error>> {
    let (caches, traces) = (caches(results), trace_names(results));
    let rows = traces.len().div_ceil(3);
    render((1_000, LEGEND + 290 * u32::try_from(rows)?), |area| {
        let (head, body) = area.split_vertically(LEGEND);
        charts::legend(&head, &caches)?;
        for (panel, trace) in body.split_evenly((rows, 3)).iter().zip(&traces) {
            let frame = Frame {
                title: trace,
                x: "cache size, % of all bytes read",
                y: "hit ratio, %",
                right: 42.0,
                top: 100.0,
            };
            let lines = caches.iter().enumerate().map(|(cache, name)| Line {
                cache,
                points: results
                    .hit_ratios
                    .iter()
                    .filter(|row| row.trace == *trace && row.cache == *name)
                    .map(|row| (100.0 * row.share, 100.0 * row.hits))
                    .collect(),
            });
            charts::lines(panel, &frame, lines.collect())?;
        }
        Ok(())
    })
}

fn agent_workload(results: &Results) -> Result<String, Box<dyn Error>> {
    let caches = caches(results);
    let seconds = results
        .agent_workloads
        .iter()
        .map(|row| row.seconds(MISS_MILLIS));
    let top = seconds.fold(0.0, f64::max) * 1.05;
    render((1_000, LEGEND + 320), |area| {
        let (head, body) = area.split_vertically(LEGEND);
        charts::legend(&head, &caches)?;
        let frame = Frame {
            title: "agent workload, 2 ms per miss",
            x: "cache size, % of all bytes read",
            y: "seconds",
            right: 42.0,
            top,
        };
        let lines = caches.iter().enumerate().map(|(cache, name)| Line {
            cache,
            points: results
                .agent_workloads
                .iter()
                .filter(|row| row.cache == *name)
                .map(|row| (100.0 * row.share, row.seconds(MISS_MILLIS)))
                .collect(),
        });
        charts::lines(&body, &frame, lines.collect())
    })
}

fn latency(results: &Results) -> Result<String, Box<dyn Error>> {
    let caches = caches(results);
    render((1_000, 40 + 58 * u32::try_from(caches.len())?), |area| {
        let panels = area.split_evenly((1, 2));
        let titles = [
            "get, by 1, 2 and 4 threads",
            "insert, by 1, 2 and 4 threads",
        ];
        for ((panel, operation), title) in panels.iter().zip(["get", "insert"]).zip(titles) {
            let bars = results
                .latencies
                .iter()
                .filter(|row| row.operation == operation);
            let bars = bars.filter_map(|row| {
                let position = THREADS.iter().position(|threads| *threads == row.threads)?;
                Some(Bar {
                    cache: caches.iter().position(|name| *name == row.cache)?,
                    position,
                    p50: row.p50,
                    p99: row.p99,
                    label: format!("{}: {:.0}", row.threads, row.p50),
                })
            });
            let bars: Vec<Bar> = bars.collect();
            charts::bars(panel, title, &caches, THREADS.len(), &bars)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache_comparison::results::{HitRatioRow, LatencyRow};

    fn results() -> Results {
        let latency = |operation: &str| LatencyRow {
            cache: "moka".to_owned(),
            operation: operation.to_owned(),
            threads: 2,
            p50: 150.0,
            p99: 400.0,
        };
        let ratio = |share| HitRatioRow {
            trace: "loop".to_owned(),
            cache: "moka".to_owned(),
            share,
            hits: share,
            byte_hits: share,
            tiers: Vec::new(),
        };
        Results {
            latencies: vec![latency("get"), latency("insert")],
            hit_ratios: vec![ratio(0.1), ratio(0.4)],
            ..Results::default()
        }
    }

    #[test]
    fn equal_results_render_equal_plots_that_name_the_caches() {
        let (first, second) = (all(&results()).unwrap(), all(&results()).unwrap());
        assert_eq!(first, second);
        assert_eq!(first.len(), 2);
        for (name, svg) in first {
            assert!(svg.starts_with("<svg") && svg.contains("moka"), "{name}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
        }
    }
}
