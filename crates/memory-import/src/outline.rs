//! Where headings and blocks of a Markdown text begin.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A heading that is not inside another block, such as a quote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    /// From 1, the highest, to 6.
    pub(crate) level: usize,
    /// Its text without markup.
    pub(crate) title: String,
    /// Where its line begins, in bytes.
    pub(crate) start: usize,
    /// Where the text below it begins.
    pub(crate) end: usize,
}

/// Where headings and blocks of a text begin. Any text is Markdown: one without
/// headings has only blocks.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) headings: Vec<Heading>,
    /// Where paragraphs, lists, tables and other blocks begin, headings included.
    pub(crate) blocks: Vec<usize>,
}

impl Outline {
    pub(crate) fn of(text: &str) -> Self {
        let mut outline = Self::default();
        let mut depth = 0_usize;
        let mut in_heading = false;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(tag) => {
                    if depth == 0 {
                        let start = line_start(text, range.start);
                        outline.blocks.push(start);
                        if let Tag::Heading { level, .. } = tag {
                            in_heading = true;
                            outline.headings.push(Heading {
                                level: level as usize,
                                title: String::new(),
                                start,
                                end: range.end,
                            });
                        }
                    }
                    depth += 1;
                }
                Event::End(tag) => {
                    depth = depth.saturating_sub(1);
                    in_heading &= !matches!(tag, TagEnd::Heading(_));
                }
                Event::Text(part) | Event::Code(part) if in_heading => {
                    if let Some(heading) = outline.headings.last_mut() {
                        heading.title.push_str(&part);
                    }
                }
                _ => {}
            }
        }
        outline
    }
}

/// Where the line begins that `at` is in.
fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Where the lines begin that positions are in. For positions that ascend, as those of a
/// parser, it reads the text once: many of them can be on one long line.
pub(crate) struct LineStarts<'a> {
    text: &'a str,
    /// The last position, and where its line begins.
    last: (usize, usize),
}

impl<'a> LineStarts<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, last: (0, 0) }
    }

    /// Where the line begins that `at` is in.
    pub(crate) fn line_start(&mut self, at: usize) -> usize {
        let (last, start) = self.last;
        let start = match self.text.get(last..at).map(|between| between.rfind('\n')) {
            Some(Some(end)) => last + end + 1,
            Some(None) => start,
            None => line_start(self.text, at),
        };
        self.last = (at, start);
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(text: &str) -> Vec<(usize, String)> {
        let headings = Outline::of(text).headings.into_iter();
        headings.map(|it| (it.level, it.title)).collect()
    }

    #[test]
    fn headings_of_both_styles_are_found_and_code_and_quotes_are_not() {
        let text = "Title *of* `it`\n===\n\n  ## Two ##\n\n```\n# no heading\n```\n\n> # quoted\n\n- # in a list\n\n#no heading\n";
        assert_eq!(
            titles(text),
            [(1, "Title of it".to_owned()), (2, "Two".to_owned())]
        );
    }

    #[test]
    fn beginnings_of_lines_are_found_in_any_order() {
        let text = "ab\nc\n\nd";
        let mut lines = LineStarts::new(text);
        for (at, start) in [
            (0, 0),
            (1, 0),
            (4, 3),
            (5, 5),
            (6, 6),
            (7, 6),
            (1, 0),
            (4, 3),
        ] {
            assert_eq!(lines.line_start(at), start, "{at}");
        }
    }

    #[test]
    fn positions_are_the_beginnings_of_lines() {
        let text = "Intro.\n\n  # One\nBelow.\n\n| a |\n|---|\n| b |\n";
        let outline = Outline::of(text);
        let heading = &outline.headings[0];
        assert!(text[heading.start..].starts_with("  # One\n"));
        assert!(text[heading.end..].trim_start().starts_with("Below."));
        assert_eq!(outline.blocks.len(), 4);
        assert!(text[outline.blocks[3]..].starts_with("| a |"));
    }
}
