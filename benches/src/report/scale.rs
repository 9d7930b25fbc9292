//! The section of the bench `scale`: a table and a plot by the number of memories.

use std::error::Error;

use plotters::prelude::*;

use super::charts::{self, INK};
use super::format::{bytes, duration, percentiles, records_line, table, thousands};
use super::plots::render;
use crate::records::{Record, RunRecords};

/// Operations with their names, in the order of the table.
const OPERATIONS: [(&str, &str); 19] = [
    ("new_question", "new question"),
    ("new_question_dense_only", "new question, by vectors alone"),
    (
        "new_question_last_hundred",
        "new question, of the last 100 memories",
    ),
    (
        "new_question_one_participant",
        "new question, of one of 200 participants",
    ),
    ("repeated_question", "repeated question"),
    (
        "repeated_question_one_tag",
        "repeated question, one of two tags",
    ),
    ("first_answer", "first question of a process"),
    ("second_answer", "second question of a process"),
    (
        "snapshot_loaded",
        "from the second question until a snapshot answers",
    ),
    (
        "first_answer_before_pages",
        "before there are pages: first question",
    ),
    (
        "second_answer_before_pages",
        "before there are pages: second question",
    ),
    (
        "snapshot_loaded_before_pages",
        "before there are pages: until a snapshot answers",
    ),
    ("insert", "insert, per memory"),
    ("retain_then_recall", "insert one, then recall"),
    ("forget_then_recall", "delete one, then recall"),
    ("ram_per_memory", "RAM, per memory"),
    ("disk_per_memory", "disk, per memory"),
    (
        "agrees_with_exact",
        "of the 20 that an exact scan finds, by vectors alone",
    ),
    ("search_width", "candidates of the graph"),
];

/// The operation of the plot.
const PLOTTED: &str = "new_question";

pub(super) fn section(records: &RunRecords) -> String {
    let sizes = records.sizes();
    let subjects = records.subjects();
    let mut rows = Vec::new();
    for (operation, name) in OPERATIONS {
        for subject in &subjects {
            let cells: Vec<Option<String>> = sizes
                .iter()
                .map(|size| records.find(subject, operation, *size).and_then(cell))
                .collect();
            if cells.iter().any(Option::is_some) {
                let cells = cells.into_iter().map(Option::unwrap_or_default);
                let names = [name.to_owned(), (*subject).to_owned()];
                rows.push(names.into_iter().chain(cells).collect());
            }
        }
    }
    let mut head = vec!["p50 / p95".to_owned(), String::new()];
    head.extend(sizes.iter().map(|size| thousands(*size)));
    records_line(records)
        + "![A new question, by the number of memories](plots/scale.svg)\n\n"
        + &table(&head, &rows)
}

fn cell(record: &Record) -> Option<String> {
    let size = record.get(Record::BYTES).map(bytes);
    let share = record
        .get("share")
        .map(|share| format!("{:.0} %", 100.0 * share));
    let count = record.get("count").map(|count| format!("{count:.0}"));
    percentiles(record).or(size).or(share).or(count)
}

/// Medians of a new question by the number of memories, on logarithmic axes.
pub(super) fn plot(records: &RunRecords) -> Result<String, Box<dyn Error>> {
    let subjects = records.subjects();
    let lines: Vec<Vec<(f64, f64)>> = subjects
        .iter()
        .map(|subject| points(records, subject))
        .collect();
    let all = || lines.iter().flatten();
    let least = |value: fn(&(f64, f64)) -> f64| all().map(value).fold(f64::INFINITY, f64::min);
    let most = |value: fn(&(f64, f64)) -> f64| all().map(value).fold(0.0, f64::max);
    let (left, right) = (least(|p| p.0), most(|p| p.0));
    let (bottom, top) = (least(|p| p.1), most(|p| p.1));
    if all().next().is_none() {
        return Err("no value of the plot was measured".into());
    }
    render((1_000, 430), |area| {
        let (head, body) = area.split_vertically(30);
        charts::legend(&head, &subjects)?;
        let across = (left * 0.9..right * 1.1).log_scale();
        let mut chart = ChartBuilder::on(&body)
            .margin(10)
            .x_label_area_size(38)
            .y_label_area_size(70)
            .build_cartesian_2d(across, (bottom * 0.7..top * 1.4).log_scale())?;
        chart
            .configure_mesh()
            .x_label_formatter(&|count| format!("{count:.0}"))
            .y_label_formatter(&|nanos| duration(*nanos))
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.25))
            .axis_style(INK)
            .label_style(charts::text(12))
            .axis_desc_style(charts::text(12))
            .x_desc("memories of one entity")
            .y_desc("a new question, p50")
            .draw()?;
        for (number, points) in lines.iter().enumerate() {
            let color = charts::color(number);
            let style = color.stroke_width(if number == 0 { 3 } else { 2 });
            chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
            chart.draw_series(points.iter().map(|p| Circle::new(*p, 4, color.filled())))?;
        }
        Ok(())
    })
}

#[expect(clippy::cast_precision_loss, reason = "a position in a plot")]
fn points(records: &RunRecords, subject: &str) -> Vec<(f64, f64)> {
    let sizes = records.sizes().into_iter();
    let points = sizes.filter_map(|size| {
        let median = records.find(subject, PLOTTED, size)?.get(Record::P50)?;
        Some((size as f64, median))
    });
    points.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Run;

    #[test]
    fn the_table_and_the_plot_have_every_subject_and_size() {
        let record = |subject: &str, size| {
            Record::new(subject, PLOTTED, size).with(Record::P50, size as f64 * 1e3)
        };
        let records = RunRecords {
            run: Run::start("scale"),
            records: vec![
                record("memory", 1_000),
                Record::new("memory", "disk_per_memory", 1_000).with(Record::BYTES, 900.0),
                record("exact scan", 1_000),
                record("memory", 10_000),
            ],
            seconds: None,
        };
        let text = section(&records);
        assert!(text.contains("|  | 1,000 | 10,000 |\n"), "{text}");
        assert!(
            text.contains("| new question | memory | 1.00 ms | 10.0 ms |\n"),
            "{text}"
        );
        assert!(
            text.contains("| new question | exact scan | 1.00 ms |  |\n"),
            "{text}"
        );
        assert!(
            text.contains("| disk, per memory | memory | 900 B |  |\n"),
            "{text}"
        );
        let svg = plot(&records).unwrap();
        assert!(svg.contains("exact scan") && !svg.contains("NaN"));
    }
}
