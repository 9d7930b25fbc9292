//! The results as Markdown tables.

use std::fmt::Write;

use super::cases::{Arrivals, Case, MEMORIES_PER_ENTITY};
use super::results::{CaseResult, Results};

/// Two tables: latencies and memory, and the tiers.
#[must_use]
pub fn table(results: &Results) -> String {
    let mut text = String::from(
        "| preset | load | working set | answered | p50 | p95 | p99 | resident memory, opened | peak |\n\
         |---|---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for result in &results.cases {
        let case = &result.case;
        let all = result.latencies.first();
        let at = |value: fn(&super::Latency) -> u64| {
            all.map_or_else(String::new, |all| milliseconds(value(all)))
        };
        let answered = format!("{:.0}/min", per_minute(result));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {answered} | {} | {} | {} | {} MiB | {} MiB |",
            preset(case),
            load(case),
            working_set(case),
            at(|all| all.p50_us),
            at(|all| all.p95_us),
            at(|all| all.p99_us),
            result.opened_rss_mib,
            result.peak_rss_mib,
        );
    }
    text.push_str(
        "\n| preset | load | memory tier | entity tier | embedding tier | recall p50 | p99 | retain p50 | p99 |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for result in &results.cases {
        let tier = |name: &str| {
            let tier = result.tiers.iter().find(|tier| tier.tier == name);
            tier.map_or_else(String::new, |tier| {
                format!(
                    "{:.0} % hits, {}",
                    tier.hit_rate * 100.0,
                    mebibytes(tier.bytes)
                )
            })
        };
        let at = |name: &str, value: fn(&super::Latency) -> u64| {
            let latency = result.latencies.iter().find(|row| row.operation == name);
            latency.map_or_else(String::new, |row| milliseconds(value(row)))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            preset(&result.case),
            load(&result.case),
            tier("memory"),
            tier("entity"),
            tier("embedding"),
            at("recall", |row| row.p50_us),
            at("recall", |row| row.p99_us),
            at("retain", |row| row.p50_us),
            at("retain", |row| row.p99_us),
        );
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests")]
fn per_minute(result: &CaseResult) -> f64 {
    result.requests as f64 * 60.0 / result.seconds
}

fn preset(case: &Case) -> String {
    let mut text = format!("`{}`", case.preset);
    for (key, value) in &case.changes {
        let _ = write!(text, ", `{key} = {value}`");
    }
    text
}

fn load(case: &Case) -> String {
    let arrivals = match case.arrivals {
        Arrivals::PerMinute(rate) => format!("{rate}/min"),
        Arrivals::Callers(callers) => format!("{callers} callers, as fast as it goes"),
    };
    match case.memory_limit_mib {
        Some(limit) => format!("{arrivals}, limit of {limit} MiB"),
        None => arrivals,
    }
}

fn working_set(case: &Case) -> String {
    let memories = case.entities * MEMORIES_PER_ENTITY;
    format!("{} entities, {memories} memories", case.entities)
}

#[expect(clippy::cast_precision_loss, reason = "a duration to display")]
fn milliseconds(microseconds: u64) -> String {
    format!("{:.2} ms", microseconds as f64 / 1_000.0)
}

#[expect(clippy::cast_precision_loss, reason = "a size to display")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}
