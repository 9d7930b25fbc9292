//! Rows of listings: one line each, or several on a terminal that is too narrow.

use std::fmt::Write as _;

use console::measure_text_width as width;
use memory::Memory;
use memory_json::time;
use unicode_segmentation::UnicodeSegmentation;

use crate::output::single_line;

/// Between the cells of a row, and before its text.
const GAP: &str = "  ";

/// Before every line of a row but the first.
const INDENT: &str = "    ";

/// A row is wrapped as on a terminal of this width where the terminal is narrower.
const MIN_COLUMNS: usize = 20;

/// The text of a row stays on the line of the cells before it if it gets this many
/// columns there. Labels leave as many to the content.
const MIN_TEXT_COLUMNS: usize = 40;

/// Labels are left out rather than cut to fewer columns.
const MIN_LABEL_COLUMNS: usize = 12;

/// A row of a listing: cells of a fixed width, then text of any length.
#[derive(Debug, Default)]
pub(crate) struct Row {
    cells: Vec<Cell>,
    text: Option<Text>,
}

#[derive(Debug)]
struct Cell {
    text: String,
    /// Whether it is written whole, however narrow the terminal is: ids are copied.
    is_whole: bool,
}

#[derive(Debug)]
struct Text {
    content: String,
    /// Written after the content, and cut off before it.
    labels: String,
}

impl Row {
    /// An empty row.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a cell, which is cut off on a terminal that is narrower.
    pub(crate) fn cell(self, text: impl Into<String>) -> Self {
        self.add_cell(text.into(), false)
    }

    /// Adds a cell that is never cut off.
    pub(crate) fn id(self, id: impl ToString) -> Self {
        self.add_cell(format!("{:<36}", id.to_string()), true)
    }

    fn add_cell(mut self, text: String, is_whole: bool) -> Self {
        self.cells.push(Cell { text, is_whole });
        self
    }

    /// Adds the cells time and kind, and the content.
    pub(crate) fn memory(self, memory: &Memory) -> Self {
        self.labeled_memory(memory, String::new())
    }

    /// As [`memory`](Self::memory), with labels after the content.
    pub(crate) fn labeled_memory(self, memory: &Memory, labels: String) -> Self {
        let time = time::format_seconds(memory.timestamp);
        self.columns(&time, memory.kind.as_str(), &memory.content, labels)
    }

    /// The names of what [`memory`](Self::memory) adds.
    pub(crate) fn memory_header(self) -> Self {
        self.columns("time", "kind", "content", String::new())
    }

    fn columns(self, time: &str, kind: &str, content: &str, labels: String) -> Self {
        let content = single_line(content);
        let row = self.cell(format!("{time:<20}")).cell(format!("{kind:<11}"));
        Self {
            text: Some(Text { content, labels }),
            ..row
        }
    }

    /// The row on one line of any length.
    pub(crate) fn to_line(&self) -> String {
        let cells: Vec<&str> = self.cells.iter().map(|cell| cell.text.as_str()).collect();
        let mut line = cells.join(GAP);
        if let Some(Text { content, labels }) = &self.text {
            let _ = write!(line, "{GAP}{content}{labels}");
        }
        line
    }

    /// The lines of the row on a terminal. None is wider than the terminal, apart from a
    /// cell that is never cut off.
    ///
    /// Cells of a fixed width are on the same line and at the same place in all rows.
    pub(crate) fn to_lines(&self, columns: usize) -> Vec<String> {
        let columns = columns.max(MIN_COLUMNS);
        let mut lines = Lines::new(columns);
        for cell in &self.cells {
            lines.add(&show(&cell.text), GAP, cell.is_whole);
        }
        if let Some(text) = &self.text {
            if lines.space(GAP) < MIN_TEXT_COLUMNS {
                lines.start_line();
            }
            let text = text.fit(lines.space(GAP));
            lines.add(&text, GAP, false);
        }
        lines.finish()
    }
}

impl Text {
    /// The content, and as much of the labels as there is space for.
    fn fit(&self, space: usize) -> String {
        let (content, labels) = (show(&self.content), show(&self.labels));
        let for_labels = space.saturating_sub(width(&content).min(MIN_TEXT_COLUMNS));
        let for_labels = match width(&content) < MIN_TEXT_COLUMNS {
            true => for_labels,
            // Long content gets at least half.
            false => for_labels.min(space / 2),
        };
        let labels = match width(&labels) <= for_labels || for_labels >= MIN_LABEL_COLUMNS {
            true => truncate(&labels, for_labels),
            false => String::new(),
        };
        truncate(&content, space - width(&labels)) + &labels
    }
}

/// Parts that follow each other on indented lines, as many on each as fit.
pub(crate) fn wrap(parts: &[String], columns: usize) -> Vec<String> {
    let mut lines = Lines::new(columns.max(MIN_COLUMNS));
    lines.start_line();
    let last = parts.len().saturating_sub(1);
    for (index, part) in parts.iter().enumerate() {
        let comma = if index == last { "" } else { "," };
        lines.add(&format!("{part}{comma}"), " ", false);
    }
    lines.finish()
}

/// The same parts on one line of any length.
pub(crate) fn unwrapped(parts: &[String]) -> String {
    format!("{INDENT}{}", parts.join(", "))
}

/// Lines that are filled from left to right.
struct Lines {
    columns: usize,
    finished: Vec<String>,
    current: String,
    /// Whether the current line has only its indent, or nothing.
    is_fresh: bool,
}

impl Lines {
    fn new(columns: usize) -> Self {
        Self {
            columns,
            finished: Vec::new(),
            current: String::new(),
            is_fresh: true,
        }
    }

    /// The columns that are free on the current line after a gap.
    fn space(&self, gap: &str) -> usize {
        let gap = if self.is_fresh { 0 } else { width(gap) };
        self.columns.saturating_sub(width(&self.current) + gap)
    }

    /// Ends the current line and begins an indented one.
    fn start_line(&mut self) {
        let line = std::mem::replace(&mut self.current, INDENT.to_owned());
        if !self.is_fresh {
            self.finished.push(line.trim_end().to_owned());
        }
        self.is_fresh = true;
    }

    /// Adds text, on a new line where there is no space for it.
    fn add(&mut self, text: &str, gap: &str, is_whole: bool) {
        if width(text) > self.space(gap) && !self.is_fresh {
            self.start_line();
        }
        if !self.is_fresh {
            self.current.push_str(gap);
        }
        // Padding beyond the end of the line is removed with it.
        if is_whole || width(text.trim_end()) <= self.space("") {
            self.current.push_str(text);
        } else {
            let cut = truncate(text, self.space(""));
            self.current.push_str(&cut);
        }
        self.is_fresh = false;
    }

    fn finish(mut self) -> Vec<String> {
        self.start_line();
        self.finished
    }
}

/// Cuts text off so that it fits, at the end of a character as people count them.
fn truncate(text: &str, columns: usize) -> String {
    const CUT: &str = "…";
    let mut kept = String::new();
    // Of the kept text, and of that which leaves space for the sign that it was cut.
    let (mut used, mut end) = (0, 0);
    for character in text.graphemes(true) {
        used += width(character);
        if used > columns {
            kept.truncate(end);
            if columns > 0 {
                kept.push_str(CUT);
            }
            return kept;
        }
        kept.push_str(character);
        if used < columns {
            end = kept.len();
        }
    }
    kept
}

/// Escapes characters that would change the order or the place of what follows them on
/// the line. Control characters were escaped before.
fn show(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2028}' | '\u{2029}' => shown.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(shown, "{}", c.escape_unicode());
            }
            c if c.is_control() => {
                let _ = write!(shown, "{}", c.escape_default());
            }
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use memory::{MemoryBatchItem, MemoryKind};

    use super::*;

    const ID: &str = "0192d3a0-0000-7000-8000-000000000001";
    const WIDTHS: [usize; 8] = [0, 1, 20, 40, 80, 120, 200, 5_000];

    /// A row as `recall` has it.
    fn recalled(content: &str) -> Row {
        let row = Row::new().id(ID).cell("0.934").cell("    0.812");
        row.cell("     0.701").memory(&memory(content))
    }

    /// A row as `list` has it.
    fn listed(content: &str, labels: &str) -> Row {
        let memory = memory(content);
        Row::new().id(ID).labeled_memory(&memory, labels.to_owned())
    }

    fn memory(content: &str) -> Memory {
        let item = MemoryBatchItem::new("mira", MemoryKind::Experience, content);
        let mut memory = item.into_memory(chrono::Utc::now()).unwrap();
        memory.timestamp = chrono::DateTime::UNIX_EPOCH;
        memory
    }

    #[test]
    fn content_is_readable_on_every_terminal() {
        let content = "Tam sold me a lame horse at the market of Lindau.";
        let lines = |columns| recalled(content).to_lines(columns);
        assert_eq!(
            lines(80),
            [
                "0192d3a0-0000-7000-8000-000000000001  0.934      0.812       0.701",
                "    1970-01-01T00:00:00Z  experience   Tam sold me a lame horse at the market o…",
            ]
        );
        assert_eq!(
            lines(40),
            [
                ID,
                "    0.934      0.812       0.701",
                "    1970-01-01T00:00:00Z  experience",
                "    Tam sold me a lame horse at the mar…",
            ]
        );
        let narrow = lines(20);
        assert_eq!(narrow[0], ID);
        assert_eq!(narrow.last().unwrap(), "    Tam sold me a l…");
        assert_eq!(lines(200), [recalled(content).to_line()]);
        let listed = listed(content, "  [market, horse]").to_lines(80);
        assert_eq!(
            listed,
            [
                format!("{ID}  1970-01-01T00:00:00Z  experience"),
                format!("    {content}  [market, horse]"),
            ]
        );
    }

    #[test]
    fn labels_are_cut_before_the_content() {
        let content = "c".repeat(100);
        let tags = format!("  [{}]", "t".repeat(100));
        let line = |content: &str, columns| {
            let lines = listed(content, &tags).to_lines(columns);
            let text = lines.last().unwrap().clone();
            let count = |c| text.chars().filter(|it| *it == c).count();
            (count('c'), count('t'))
        };
        let fits = |columns| line(&content, columns);
        assert_eq!(fits(40), (35, 0));
        let (content_at_80, labels_at_80) = fits(80);
        assert!(content_at_80 >= 39 && labels_at_80 >= 30, "{labels_at_80}");
        // The id, the time and the kind leave 47 columns.
        assert!(fits(120).0 >= 39);
        // Short content leaves the rest to them.
        assert_eq!(line("c", 80).1, 71);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_whatever_it_has() {
        let contents = [
            "水车在河边转动，谷物在仓库里。".repeat(20),
            "👩‍👩‍👧‍👦❤️🇩🇪🌾".repeat(40),
            "e\u{301}\u{302}\u{303}o\u{308}".repeat(100),
            "\u{301}".repeat(9_000),
            "a\tb\nc\r\u{7}\u{8}d".repeat(30),
            "\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2J".repeat(30),
            "\u{202e}backwards\u{2066}x\u{2028}".repeat(30),
            "x".repeat(10_000),
            "x".to_owned(),
        ];
        for content in &contents {
            for labels in ["", "  [tag]", &format!("  [{}]", "標籤".repeat(60))] {
                for columns in WIDTHS {
                    for row in [listed(content, labels), recalled(content)] {
                        let lines = row.to_lines(columns);
                        assert!(lines[0].starts_with(ID), "{columns}: {lines:?}");
                        for line in &lines {
                            let is_fit = width(line) <= columns.max(MIN_COLUMNS) || line == ID;
                            assert!(is_fit, "{columns}: {line}");
                            let raw =
                                |c: char| c.is_control() || ('\u{202a}'..'\u{202f}').contains(&c);
                            assert!(!line.contains(raw), "{columns}: {line:?}");
                        }
                        let text = lines.last().unwrap().trim();
                        assert!(!text.is_empty(), "{columns}: {lines:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_have_their_cells_under_those_of_the_header() {
        let header = Row::new().id("id").cell("score").cell("relevance");
        let header = header.cell("similarity").memory_header();
        let row = recalled("Tam sold me a lame horse.");
        assert_eq!(
            header.to_line(),
            "id                                    score  relevance  similarity  time           \
             \u{20}      kind         content"
        );
        for columns in WIDTHS {
            let (header, row) = (header.to_lines(columns), row.to_lines(columns));
            assert_eq!(header.len(), row.len(), "{columns}");
            let start = |lines: &[String], text| lines.iter().find_map(|line| line.find(text));
            assert_eq!(start(&header, "time"), start(&row, "1970"), "{columns}");
            assert_eq!(start(&header, "content"), start(&row, "Tam"), "{columns}");
        }
    }

    #[test]
    fn parts_are_wrapped_between_them() {
        let parts = ["words 0.100", "date 0.000", "reranker -"].map(str::to_owned);
        assert_eq!(unwrapped(&parts), "    words 0.100, date 0.000, reranker -");
        assert_eq!(wrap(&parts, 80), [unwrapped(&parts)]);
        assert_eq!(
            wrap(&parts, 30),
            ["    words 0.100, date 0.000,", "    reranker -"]
        );
        assert_eq!(wrap(&parts, 0).len(), 3);
        assert_eq!(wrap(&[], 40), [""; 0]);
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(truncate("水车", 4), "水车");
        assert_eq!(truncate("水车", 3), "水…");
        assert_eq!(truncate("水车", 1), "…");
        assert_eq!(truncate("水车", 0), "");
        assert_eq!(truncate("e\u{301}e\u{301}e", 2), "e\u{301}…");
    }
}
