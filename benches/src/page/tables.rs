//! The tables, in Markdown.

use std::fmt::Write;

use super::{SHARE, caches, works};
use crate::swap::pace::{BATCH, ENTRIES};
use crate::swap::results::{Ratio, Results};
use crate::swap::room::PER_TENANT;
use crate::swap::stampede::CALLERS;

/// What a miss may cost, in milliseconds.
pub(super) const MISS_MILLIS: [f64; 3] = [0.1, 2.0, 20.0];

/// The part of the page that is written anew by each run.
#[must_use]
pub fn tables(results: &Results) -> String {
    let mut page = String::new();
    if results.quick {
        page.push_str("**These figures are of a short run (`--quick`) and mean nothing.**\n\n");
    }
    let sections = [ratios, life, paces, rooms, stampedes, statements];
    let written: Vec<String> = sections.iter().map(|section| section(results)).collect();
    page.push_str(&written.concat());
    page
}

/// A section's heading, what is to know, and its rows.
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

fn ratios(results: &Results) -> String {
    let works = works(results);
    let rows: Vec<Vec<String>> = caches(results)
        .into_iter()
        .map(|cache| {
            let cells = works
                .iter()
                .map(|work| match ratio(results, work, cache, SHARE) {
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
    let about = "Reads that hit / bytes of the reads that hit, in per cent, at equal memory: a tenth of \
\
         all that the work reads.\n\n![Hit ratio by size of the cache, a panel for each work]\
         (plots/hit_ratio.svg)";
    section(
        "How often they are right",
        about,
        &head(["cache"].into_iter().chain(works.iter().copied())),
        &rows,
    )
}

pub(super) fn ratio<'a>(
    results: &'a Results,
    work: &str,
    cache: &str,
    share: f64,
) -> Option<&'a Ratio> {
    results
        .ratios
        .iter()
        .find(|row| row.work == work && row.cache == cache && same(row.share, share))
}

pub(super) fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

fn percent(ratio: f64) -> f64 {
    100.0 * ratio
}

fn life(results: &Results) -> String {
    let at_share: Vec<_> = results
        .lives
        .iter()
        .filter(|row| same(row.share, SHARE))
        .collect();
    let tiers = results.ratios.iter().find(|row| row.tiers.len() > 1);
    let (Some(first), Some(tiers)) = (at_share.first(), tiers) else {
        return String::new();
    };
    let tiers: Vec<&str> = tiers.tiers.iter().map(|(name, _)| name.as_str()).collect();
    let rows: Vec<Vec<String>> = at_share
        .iter()
        .map(|row| {
            let ratio = results.ratios.iter().find(|ratio| {
                ratio.tiers.len() > 1 && ratio.cache == row.cache && same(ratio.share, row.share)
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
        "{} reads of the three tiers and the writes between them, recorded from agents that live \
         through real conversations, replayed with each tier bounded to a tenth of what it would \
         grow to (the embedding tier is two caches, of questions and of passages; a passage is new \
         when it is first heard). Reads that hit, in per cent for each tier; what the cache itself took; and the \
         time for all of it where a miss costs 0.1, 2 or 20 ms (the misses counted, times that \
         cost: nothing was slept).\n\n![Time of the life by size of the cache](plots/life.svg)",
        first.reads
    );
    let columns =
        ["cache"]
            .into_iter()
            .chain(tiers)
            .chain(["cache alone", "a miss 0.1 ms", "2 ms", "20 ms"]);
    section("An agent's life", &about, &head(columns), &rows)
}

fn paces(results: &Results) -> String {
    let find = |cache: &str, operation: &str, threads: usize| {
        let mut rows = results.paces.iter();
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
                        find(cache, operation, threads).map_or_else(String::new, |pace| {
                            format!("{:.0} / {:.0}", pace.p50, pace.p99)
                        }),
                    );
                }
            }
            row
        })
        .collect();
    let about = format!(
        "Nanoseconds, p50 / p99, of batches of {BATCH} operations, each divided by {BATCH}; the \
         clock's own {:.0} ns a look are spread over a batch and left in. `get` hits, keys by Zipf \
         0.9 over {ENTRIES} entries; `insert` brings a new key into a full cache of as many and \
         drives another out. More threads than cores show what waiting for one another costs.\
         \n\n![Nanoseconds per operation](plots/pace.svg)",
        results.clock_nanos
    );
    section("What an operation takes", &about, &columns, &rows)
}

fn rooms(results: &Results) -> String {
    let Some(first) = results.rooms.first() else {
        return String::new();
    };
    let rows: Vec<Vec<String>> = results
        .rooms
        .iter()
        .map(|row| {
            vec![
                row.cache.clone(),
                format!("{:.0}", row.bytes_per_entry),
                format!("{:.0} µs", row.tenant_micros),
                format!("{}", row.removed),
                format!("{:.1} ms", row.clear_millis),
                format!("{:.0} ms", row.settle_millis),
            ]
        })
        .collect();
    let about = format!(
        "Bytes that a full cache takes for each entry of 16 bytes (asked of the allocator, its own \
         overhead not included), and what letting go takes with {} entries of tenants of \
         {PER_TENANT}: of one tenant, a removal for each entry, and then of everything, until \
         nothing is found and until nothing is held. (The engine lets go of an entity's \
         snapshot by one removal, and of memories by those that were written.)",
        first.entries
    );
    let columns = head([
        "cache",
        "bytes an entry",
        "one tenant",
        "entries of it gone",
        "clear",
        "clear and settle",
    ]);
    section(
        "What entries cost, and letting go of them",
        &about,
        &columns,
        &rows,
    )
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
        "Loads caused by {CALLERS} callers who want the same at once, through an engine on each \
         cache: single flight is the engine's, so every cache has it."
    );
    let columns = head(["cache", "memory by id", "snapshot", "question's vector"]);
    section("A stampede", &about, &columns, &rows)
}

#[expect(clippy::cast_precision_loss, reason = "ratios for people to read")]
fn statements(results: &Results) -> String {
    let Some(without) = results.statements.iter().find(|row| row.cache == "none") else {
        return String::new();
    };
    let cut =
        |with: u64, of: u64| format!("{:.1} %", 100.0 * (1.0 - with as f64 / of.max(1) as f64));
    let all = without.calls.reads + without.calls.writes;
    let rows: Vec<Vec<String>> = results
        .statements
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
        "What a part of that life asks of the store, through the engine with its default tiers \
         on each cache, and on none. A call is a statement or a few, in one round trip each.",
    );
    let _ = write!(
        about,
        " The life is {} recalls and {} reads by id for {} writes.",
        without.recalls, without.gets, without.calls.writes
    );
    let columns = head(["cache", "reads", "writes", "fewer reads", "fewer of all"]);
    section("What the store is asked", &about, &columns, &rows)
}
