//! The tables of the cache comparison, in Markdown.

use std::fmt::Write;

use super::format::run_line;
use super::{SHARE, caches, trace_names};
use crate::cache_comparison::footprint::ENTRIES_PER_TENANT;
use crate::cache_comparison::latency::{BATCH, ENTRIES};
use crate::cache_comparison::results::{HitRatioRow, Results};
use crate::cache_comparison::stampede::CALLERS;

/// Assumed costs of a miss, in milliseconds.
pub(super) const MISS_MILLIS: [f64; 3] = [0.1, 2.0, 20.0];

/// The generated part of the page.
#[must_use]
pub fn tables(results: &Results) -> String {
    let run = results.run.as_ref();
    let mut page = run.map_or_else(String::new, run_line);
    if results.quick {
        page.push_str(
            "**These figures are of a short run (`--quick`) and are not meaningful.**\n\n",
        );
    }
    let sections = [
        hit_ratios,
        agent_workload,
        latencies,
        footprints,
        stampedes,
        store_calls,
    ];
    let written: Vec<String> = sections.iter().map(|section| section(results)).collect();
    page.push_str(&written.concat());
    page
}

/// A section: heading, introduction and table.
fn section(heading: &str, about: &str, head: &[String], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("### {heading}\n\n{about}\n\n");
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    text.push_str(&line(head));
    let rule: Vec<String> = (0..head.len())
        .map(|column| if column == 0 { "---" } else { "---:" }.to_owned())
        .collect();
    text.push_str(&line(&rule));
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text.push('\n');
    text
}

fn head<'a>(columns: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    columns.into_iter().map(str::to_owned).collect()
}

fn hit_ratios(results: &Results) -> String {
    let traces = trace_names(results);
    let rows: Vec<Vec<String>> = caches(results)
        .into_iter()
        .map(|cache| {
            let cells = traces
                .iter()
                .map(|trace| match ratio(results, trace, cache, SHARE) {
                    Some(ratio) => format!(
                        "{:.1} / {:.1}",
                        percent(ratio.hits),
                        percent(ratio.byte_hits)
                    ),
                    None => String::new(),
                });
            [cache.to_owned()].into_iter().chain(cells).collect()
        })
        .collect();
    let about = "Hit ratio / byte hit ratio in percent at equal memory: a tenth of all bytes that the \
         trace reads.\n\n![Hit ratio by cache size, one panel per trace](plots/hit_ratio.svg)";
    section(
        "Hit ratios",
        about,
        &head(["cache"].into_iter().chain(traces.iter().copied())),
        &rows,
    )
}

pub(super) fn ratio<'a>(
    results: &'a Results,
    trace: &str,
    cache: &str,
    share: f64,
) -> Option<&'a HitRatioRow> {
    results
        .hit_ratios
        .iter()
        .find(|row| row.trace == trace && row.cache == cache && is_close(row.share, share))
}

pub(super) fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

fn percent(ratio: f64) -> f64 {
    100.0 * ratio
}

fn agent_workload(results: &Results) -> String {
    let at_share: Vec<_> = results
        .agent_workloads
        .iter()
        .filter(|row| is_close(row.share, SHARE))
        .collect();
    let tiers = results.hit_ratios.iter().find(|row| row.tiers.len() > 1);
    let (Some(first), Some(tiers)) = (at_share.first(), tiers) else {
        return String::new();
    };
    let tiers: Vec<&str> = tiers.tiers.iter().map(|(name, _)| name.as_str()).collect();
    let rows: Vec<Vec<String>> = at_share
        .iter()
        .map(|row| {
            let ratio = results.hit_ratios.iter().find(|ratio| {
                ratio.tiers.len() > 1
                    && ratio.cache == row.cache
                    && is_close(ratio.share, row.share)
            });
            let hits = ratio.into_iter().flat_map(|ratio| &ratio.tiers);
            let hits = hits.map(|(_, hits)| format!("{:.1}", percent(*hits)));
            let times = MISS_MILLIS.map(|millis| format!("{:.1} s", row.seconds(millis)));
            let own = format!("{:.0} ms", row.cache_seconds * 1e3);
            let cache = row.cache.clone();
            [cache]
                .into_iter()
                .chain(hits)
                .chain([own])
                .chain(times)
                .collect()
        })
        .collect();
    let about = format!(
        "{} reads of the three tiers and the writes between them, recorded from simulated agents on \
         real conversations, replayed with each tier limited to a tenth of its unbounded size (the \
         embedding tier consists of two caches, for queries and for passages; a passage is new when \
         it is retained). Hit ratio in percent for each tier; the time spent in the cache; and the \
         total time if a miss costs 0.1, 2 or 20 ms (computed from the number of misses, without \
         sleeping).\n\n![Time of the agent workload by cache size](plots/agent_workload.svg)",
        first.reads
    );
    let columns = ["cache"].into_iter().chain(tiers).chain([
        "cache only",
        "0.1 ms per miss",
        "2 ms",
        "20 ms",
    ]);
    section("Agent workload", &about, &head(columns), &rows)
}

fn latencies(results: &Results) -> String {
    let find = |cache: &str, operation: &str, threads: usize| {
        let mut rows = results.latencies.iter();
        rows.find(|row| row.cache == cache && row.operation == operation && row.threads == threads)
    };
    let mut columns = vec!["cache".to_owned()];
    for operation in ["get", "insert"] {
        for threads in [1, 2, 4] {
            columns.push(format!(
                "{operation}, {threads} thread{}",
                if threads == 1 { "" } else { "s" }
            ));
        }
    }
    let rows: Vec<Vec<String>> = caches(results)
        .into_iter()
        .map(|cache| {
            let mut row = vec![cache.to_owned()];
            for operation in ["get", "insert"] {
                for threads in [1, 2, 4] {
                    row.push(
                        find(cache, operation, threads).map_or_else(String::new, |latency| {
                            format!("{:.0} / {:.0}", latency.p50, latency.p99)
                        }),
                    );
                }
            }
            row
        })
        .collect();
    let about = format!(
        "Nanoseconds, p50 / p99, of batches of {BATCH} operations, each divided by {BATCH}; the \
         cost of a clock read ({:.0} ns) is spread over a batch and not subtracted. `get` hits, with \
         Zipf-distributed keys (0.9) over {ENTRIES} entries; `insert` adds a new key to a full \
         cache of as many entries and evicts another. More threads than cores show the cost of \
         contention.\n\n![Nanoseconds per operation](plots/latency.svg)",
        results.clock_nanos
    );
    section("Latency", &about, &columns, &rows)
}

fn footprints(results: &Results) -> String {
    let Some(first) = results.footprints.first() else {
        return String::new();
    };
    let rows: Vec<Vec<String>> = results
        .footprints
        .iter()
        .map(|row| {
            vec![
                row.cache.clone(),
                format!("{:.0}", row.bytes_per_entry),
                format!("{:.0} µs", row.tenant_micros),
                format!("{}", row.removed),
                format!("{:.1} ms", row.clear_millis),
                format!("{:.0} ms", row.clear_and_reclaim_millis),
            ]
        })
        .collect();
    let about = format!(
        "Bytes per entry of 16 bytes in a full cache (as requested from the allocator, without its own \
         overhead), and the time to remove entries from a cache with {} entries of tenants of \
         {ENTRIES_PER_TENANT}: those of one tenant, one call per entry, and then all, until no \
         entry can be read and until none occupies memory. (The engine removes an entity's \
         snapshot in one call, and memories by the ids that were written.)",
        first.entries
    );
    let columns = head([
        "cache",
        "bytes per entry",
        "one tenant",
        "entries removed",
        "clear",
        "clear and reclaim",
    ]);
    section("Memory and removal", &about, &columns, &rows)
}

fn stampedes(results: &Results) -> String {
    let rows: Vec<Vec<String>> = results
        .stampedes
        .iter()
        .map(|row| {
            let loads = [row.loads.memory, row.loads.entity, row.loads.embedding];
            let loads = loads.iter().map(u64::to_string);
            [row.cache.clone()].into_iter().chain(loads).collect()
        })
        .collect();
    let about = format!(
        "Loads caused by {CALLERS} concurrent callers of the same key, through an engine on each \
         cache: single flight is part of the engine, so every cache has it."
    );
    let columns = head(["cache", "memory by id", "snapshot", "query embedding"]);
    section("Cache stampede", &about, &columns, &rows)
}

#[expect(clippy::cast_precision_loss, reason = "ratios for a table")]
fn store_calls(results: &Results) -> String {
    let Some(without) = results.store_calls.iter().find(|row| row.cache == "none") else {
        return String::new();
    };
    let cut =
        |with: u64, of: u64| format!("{:.1} %", 100.0 * (1.0 - with as f64 / of.max(1) as f64));
    let all = without.calls.reads + without.calls.writes;
    let rows: Vec<Vec<String>> = results
        .store_calls
        .iter()
        .map(|row| {
            vec![
                row.cache.clone(),
                row.calls.reads.to_string(),
                row.calls.writes.to_string(),
                cut(row.calls.reads, without.calls.reads),
                cut(row.calls.reads + row.calls.writes, all),
            ]
        })
        .collect();
    let mut about = String::from(
        "Store calls of a part of the agent workload, through the engine with its default tiers on \
         each cache, and without a cache. A call is one statement or a few, in one round trip each.",
    );
    let _ = write!(
        about,
        " The workload consists of {} recalls and {} reads by id for {} writes.",
        without.recalls, without.gets, without.calls.writes
    );
    let columns = head(["cache", "reads", "writes", "fewer reads", "fewer calls"]);
    section("Store calls", &about, &columns, &rows)
}
