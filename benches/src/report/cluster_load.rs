//! The generated part of docs/load.md: tables and a plot of a load of many processes.

use std::error::Error;
use std::path::Path;

use super::charts::{self, Frame, Line};
use super::format::{bytes, duration, table, thousands};
use super::plots::render;
use super::replace_generated;
use crate::cluster_load::{Counts, Latencies, Phase, Results};

/// Heights in the plot.
const LEGEND: u32 = 30;
const PANEL: u32 = 260;

/// Writes the tables into `load.md`, and the plot into `plots/` in the same folder.
///
/// # Errors
/// If the page cannot be read or written, or lacks its markers.
pub fn write_cluster_load(results: &Results, docs: &Path) -> Result<(), Box<dyn Error>> {
    let page = docs.join("load.md");
    let text = std::fs::read_to_string(&page)?;
    let text = replace_generated(&text, "load", &section(results))?;
    let plots = docs.join("plots");
    std::fs::create_dir_all(&plots)?;
    std::fs::write(plots.join("load.svg"), plot(results)?)?;
    std::fs::write(page, text)?;
    Ok(())
}

fn section(results: &Results) -> String {
    let machine = &results.machine;
    let plan = &results.plan;
    let summary = format!(
        "Run on {}, revision {}: {} with {} cores and {} of memory, which also run the servers; \
         load {:.1} at the start. {} entities with {} memories, filled in {:.0} s; {:.0} s of \
         load; {} memories at the end.\n\n",
        machine.time.format("%Y-%m-%d %H:%M UTC"),
        machine.commit,
        machine.cpu,
        machine.cores,
        bytes(machine.memory as f64),
        machine.load,
        thousands(u64::from(plan.entities)),
        thousands(plan.memories()),
        results.fill_seconds,
        plan.seconds,
        thousands(results.memories_at_end),
    );
    let parts = [
        ("What was checked", checks(results)),
        ("Latencies", operations(results)),
        ("Faults", phases(results)),
        ("Caches and replica", counts(results)),
        ("Statements for each operation", statements(results)),
    ];
    let parts = parts.map(|(title, text)| format!("### {title}\n\n{text}\n"));
    summary
        + "![Operations in each second, and the 99th percentiles](plots/load.svg)\n\n"
        + parts.concat().trim_end()
}

fn checks(results: &Results) -> String {
    let rows = results.findings.iter().map(|(rule, finding)| {
        vec![
            rule.to_string(),
            thousands(finding.checked),
            thousands(finding.broken),
        ]
    });
    let (found, asked) = results.shared_texts;
    let note = format!(
        "\nOf {asked} texts that are not forgotten, the shared cache had {found} vectors at the \
         end: looking them up does find what is there.\n"
    );
    table(&["promise", "checked", "broken"], &rows.collect::<Vec<_>>()) + &note
}

fn operations(results: &Results) -> String {
    let rows = results.operations.iter().map(|it| {
        let count = thousands(it.count);
        let mut row = vec![it.operation.clone(), count];
        row.extend([it.p50, it.p95, it.p99, it.longest].map(time));
        row
    });
    let head = ["", "answered", "p50", "p95", "p99", "longest"];
    table(&head, &rows.collect::<Vec<_>>())
}

fn phases(results: &Results) -> String {
    let cell = |latencies: &Latencies| match latencies.count {
        0 => String::new(),
        _ => format!("{} / {}", time(latencies.p50), time(latencies.p99)),
    };
    let rows = results.phases.iter().map(|phase| {
        vec![
            phase.name.clone(),
            format!("{:.0} s", phase.seconds),
            format!("{:.0}", phase.answered as f64 / phase.seconds.max(1.0)),
            cell(&phase.recall),
            cell(&phase.retain),
            errors(phase),
        ]
    });
    let head = [
        "phase",
        "length",
        "operations/s",
        "recall, p50 / p99",
        "retain, p50 / p99",
        "attempts that failed",
    ];
    table(&head, &rows.collect::<Vec<_>>())
}

fn errors(phase: &Phase) -> String {
    let errors = phase.errors.iter();
    let errors: Vec<String> = errors
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    match errors.is_empty() {
        true => "none".to_owned(),
        false => errors.join(", "),
    }
}

fn counts(results: &Results) -> String {
    let rate = |(hits, misses): (u64, u64)| match hits + misses {
        0 => String::new(),
        all => format!(
            "{:.0} % of {}",
            100.0 * hits as f64 / all as f64,
            thousands(all)
        ),
    };
    let rows = results.counts.iter().map(|(kind, counts)| {
        let Counts {
            memory,
            entity,
            embedding,
            shared,
            replica,
            shared_failures,
        } = counts;
        let mut row = vec![kind.name().to_owned()];
        row.extend([*memory, *entity, *embedding, *shared, *replica].map(rate));
        row.push(thousands(*shared_failures));
        row
    });
    let head = [
        "processes",
        "memory tier, hits",
        "entity tier, hits",
        "embedding tier, hits",
        "shared cache, hits",
        "reads served by the replica",
        "calls of the shared cache that failed",
    ];
    table(&head, &rows.collect::<Vec<_>>())
}

fn statements(results: &Results) -> String {
    let rows = results.statements.iter().map(|it| {
        let each = |count: u64| match it.operations {
            0 => String::new(),
            operations => format!("{:.2}", count as f64 / operations as f64),
        };
        vec![
            it.kind.name().to_owned(),
            thousands(it.operations),
            each(it.primary),
            each(it.standby),
        ]
    });
    let head = [
        "processes",
        "operations",
        "on the primary",
        "on the standby",
    ];
    table(&head, &rows.collect::<Vec<_>>())
}

fn time(micros: u64) -> String {
    duration(micros as f64 * 1_000.0)
}

/// Operations in each second, and 99th percentiles, with a bar below each fault.
fn plot(results: &Results) -> Result<String, Box<dyn Error>> {
    let seconds = &results.seconds;
    let right = seconds.len().max(1) as f64;
    let series = |value: fn(&crate::cluster_load::Second) -> f64| -> Vec<(f64, f64)> {
        let points = seconds.iter().enumerate();
        points
            .map(|(second, it)| (second as f64, value(it)))
            .collect()
    };
    let answered = series(|it| it.answered as f64);
    let recall = series(|it| it.recall_p99 as f64 / 1e3);
    let retain = series(|it| it.retain_p99 as f64 / 1e3);
    let top = |points: &[(f64, f64)]| points.iter().map(|(_, y)| *y).fold(1.0, f64::max) * 1.05;
    // One outage takes longer than all else: what is above this is cut off.
    let limit = top(&recall).max(top(&retain)).min(LATENCY_LIMIT);
    let cut = |points: Vec<(f64, f64)>| -> Vec<(f64, f64)> {
        points.into_iter().map(|(x, y)| (x, y.min(limit))).collect()
    };
    let faults: Vec<(f64, f64)> = results
        .plan
        .faults()
        .iter()
        .map(|fault| (fault.at.as_secs_f64(), fault.lasts.as_secs_f64().max(1.0)))
        .collect();
    render((1_000, LEGEND + 2 * PANEL), |area| {
        let (head, body) = area.split_vertically(LEGEND);
        charts::legend(
            &head,
            &["operations", "recall, p99", "retain, p99", "faults"],
        )?;
        let (upper, lower) = body.split_vertically(PANEL);
        let marks = |height: f64| {
            faults.iter().map(move |(at, lasts)| Line {
                cache: 3,
                points: vec![
                    (*at, 0.0),
                    (*at, height),
                    (at + lasts, height),
                    (at + lasts, 0.0),
                ],
            })
        };
        let frame = Frame {
            title: "operations per second",
            x: "seconds",
            y: "operations",
            right,
            top: top(&answered),
        };
        let mut lines = vec![Line {
            cache: 0,
            points: answered,
        }];
        lines.extend(marks(frame.top * 0.97));
        charts::lines(&upper, &frame, lines)?;
        let frame = Frame {
            title: "99th percentiles",
            x: "seconds",
            y: "ms",
            right,
            top: limit,
        };
        let mut lines = vec![
            Line {
                cache: 1,
                points: cut(recall),
            },
            Line {
                cache: 2,
                points: cut(retain),
            },
        ];
        lines.extend(marks(frame.top * 0.97));
        charts::lines(&lower, &frame, lines)
    })
}

/// The upper end of the plot of latencies, in milliseconds.
const LATENCY_LIMIT: f64 = 1_000.0;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cluster_load::{Finding, Kind, Plan, Rule, STEADY, Second, Statements};
    use crate::machine::Machine;

    #[test]
    fn the_section_and_the_plot_show_every_part() {
        let latencies = Latencies {
            operation: "recall".to_owned(),
            count: 10,
            p50: 1_000,
            ..Latencies::default()
        };
        let results = Results {
            machine: Machine::describe(),
            plan: Plan::new(5.0, Some(20), Some(2_000)),
            fill_seconds: 1.0,
            memories_at_end: 2_345,
            operations: vec![latencies.clone()],
            phases: vec![Phase {
                name: STEADY.to_owned(),
                seconds: 10.0,
                recall: latencies,
                retain: Latencies::default(),
                answered: 100,
                errors: BTreeMap::from([("retain unavailable".to_owned(), 3)]),
            }],
            seconds: vec![
                Second {
                    answered: 10,
                    recall_p99: 5_000,
                    retain_p99: 9_000_000,
                },
                Second::default(),
            ],
            counts: vec![(
                Kind::Recall,
                Counts {
                    entity: (3, 1),
                    ..Counts::default()
                },
            )],
            statements: vec![Statements {
                kind: Kind::Recall,
                operations: 4,
                primary: 6,
                standby: 0,
            }],
            shared_texts: (1, 2),
            findings: vec![(Rule::ReadIsFresh, Finding::default())],
        };
        let text = section(&results);
        for part in [
            "| recall | 10 | 1.00 ms |",
            "| no fault | 10 s | 10 | 1.00 ms / 0.00 ns |  | 3 retain unavailable |",
            "| recall |  | 75 % of 4 |",
            "| recall | 4 | 1.50 | 0.00 |",
            "| a read is no staler than its consistency | 0 | 0 |",
            "2,345 memories at the end",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let svg = plot(&results).unwrap();
        assert!(svg.contains("faults") && !svg.contains("NaN"));
    }
}
