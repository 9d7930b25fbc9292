//! Notes of Basic Memory: Markdown with front matter, in which list items are observations,
//! `- [category] text #tag (context)`, and relations, `- relation [[Target]] (context)`.
//!
//! Each observation and each relation is a memory. What remains of the note is read as
//! Markdown, one memory for each section.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::document::Occurrences;
use crate::files::ExportFiles;
use crate::importer::{Importer, Stop};
use crate::markdown::{Note, for_each_note};
use crate::mcp_memory::relation_draft;
use crate::outline::LineStarts;

pub(crate) fn read(files: &mut ExportFiles, importer: &mut Importer<'_>) -> Result<(), Stop> {
    for_each_note(files, importer, read_note)
}

fn read_note(note: &Note, importer: &mut Importer<'_>) -> Result<(), Stop> {
    let kind = note.metadata.get("type").map_or("note", String::as_str);
    // Cut off and counted only where an item uses it.
    let mut title: Option<String> = None;
    let subject = (note.subject.clone(), kind.to_owned());
    let mut prose = String::with_capacity(note.body.len());
    let mut kept_to = 0;
    let mut number = 0;
    // Neither the category nor what is in parentheses is a part of a content or an id.
    let mut occurrences = Occurrences::default();
    for range in list_items(&note.body) {
        let text = item_text(&note.body[range.clone()]);
        let draft = if let Some(relation) = Relation::parse(&text) {
            let title = title.get_or_insert_with(|| importer.fit_subject(&note.subject));
            let mut draft = relation_draft(title, relation.kind, relation.target);
            draft.source_id = format!("{}#{}", note.path, draft.source_id);
            if let Some(context) = relation.context {
                draft
                    .metadata
                    .insert("relation_context".to_owned(), context.to_owned());
            }
            note.complete(&mut draft);
            draft
        } else if let Some(observation) = Observation::parse(&text) {
            // An observation does not name what it is about: the note's title does.
            let title = title.get_or_insert_with(|| importer.fit_subject(&note.subject));
            let content = format!("{title}: {}", observation.content);
            let mut draft = note.draft(format!("{}#observation", note.path), content);
            draft.participants.push(subject.clone());
            draft.tags.extend(observation.tags());
            let details = [
                ("category", observation.category),
                ("observation_context", observation.context),
            ];
            for (key, value) in details {
                if let Some(value) = value {
                    draft.metadata.insert(key.to_owned(), value.to_owned());
                }
            }
            draft
        } else {
            continue;
        };
        number += 1;
        let origin = format!("{}, item {number}", note.label);
        importer.add_part(&origin, draft, &mut occurrences)?;
        prose.push_str(&note.body[kept_to..range.start]);
        kept_to = range.end;
    }
    prose.push_str(&note.body[kept_to..]);
    note.add_sections(&prose, &[subject], &mut occurrences, importer)
}

/// A list item whose end is not known yet.
struct OpenItem {
    start: usize,
    /// Where its first paragraph ends, if something follows that.
    end: Option<usize>,
    has_paragraph: bool,
}

/// Where list items are, from the beginnings of their lines to the ends of their first
/// paragraphs, in their order. Items in quotes are left out: what begins with a bracket
/// there is a callout of other programs.
fn list_items(body: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    let mut open: Vec<OpenItem> = Vec::new();
    let mut quotes = 0_usize;
    let mut lines = LineStarts::new(body);
    for (event, range) in Parser::new_ext(body, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::Item) => open.push(OpenItem {
                start: lines.line_start(range.start),
                end: None,
                has_paragraph: false,
            }),
            Event::Start(Tag::Paragraph) => {
                if let Some(item) = open.last_mut() {
                    if item.has_paragraph {
                        item.end.get_or_insert(lines.line_start(range.start));
                    }
                    item.has_paragraph = true;
                }
            }
            Event::Start(tag) => {
                if matches!(tag, Tag::BlockQuote(_)) {
                    quotes += 1;
                }
                let is_block = matches!(
                    tag,
                    Tag::List(_)
                        | Tag::CodeBlock(_)
                        | Tag::BlockQuote(_)
                        | Tag::Table(_)
                        | Tag::Heading { .. }
                        | Tag::HtmlBlock
                );
                if let Some(item) = open.last_mut().filter(|_| is_block) {
                    item.end.get_or_insert(lines.line_start(range.start));
                }
            }
            Event::End(TagEnd::BlockQuote(_)) => quotes = quotes.saturating_sub(1),
            Event::End(TagEnd::Item) => {
                let Some(item) = open.pop() else { continue };
                let end = item.end.unwrap_or(range.end);
                if quotes == 0 && item.start < end {
                    items.push(item.start..end);
                }
            }
            _ => {}
        }
    }
    items.sort_by_key(|item| item.start);
    // Two items on one line, `- - a`, have one beginning.
    items.dedup_by(|later, earlier| later.start < earlier.end);
    items
}

/// The text of a list item on one line, without its marker.
fn item_text(item: &str) -> String {
    let text = item.trim_start();
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let text = if digits.len() < text.len() {
        digits.strip_prefix(['.', ')']).unwrap_or(text)
    } else {
        text.strip_prefix(['-', '*', '+']).unwrap_or(text)
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `[category] content #tag (context)`, where all but the content may be missing; without
/// a category, a tag makes it an observation.
#[derive(Debug, PartialEq, Eq)]
struct Observation<'a> {
    category: Option<&'a str>,
    /// With its tags.
    content: &'a str,
    context: Option<&'a str>,
}

impl<'a> Observation<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (category, rest) = match bracketed(text) {
            Some((label, rest)) if is_category(label) => (Some(label), rest),
            // Tasks, times of transcripts.
            Some(_) => return None,
            None => (None, text),
        };
        let (content, context) = split_context(rest);
        let observation = Self {
            category,
            content,
            context,
        };
        let is_observation = category.is_some() || !observation.tags().is_empty();
        (is_observation && !content.is_empty()).then_some(observation)
    }

    fn tags(&self) -> Vec<String> {
        let words = self.content.split_whitespace();
        words
            .filter(|word| word.starts_with('#'))
            .flat_map(|word| word.split('#'))
            .filter(|tag| !tag.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// Splits `[label] rest`.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (label, rest) = text.strip_prefix('[')?.split_once(']')?;
    let is_label = !label.contains(['[', '(', ')']) && rest.starts_with(' ');
    is_label.then(|| (label.trim(), rest.trim()))
}

/// Whether a label is neither the mark of a task, such as `x` and `/`, nor a time of a
/// transcript, such as `00:12`.
fn is_category(label: &str) -> bool {
    let mut chars = label.chars();
    let is_mark = match (chars.next(), chars.next()) {
        (None, _) => true,
        (Some(c), None) => matches!(c, 'x' | 'X') || !c.is_alphanumeric(),
        _ => false,
    };
    let is_time = label.contains(':')
        && label
            .chars()
            .all(|c| c.is_ascii_digit() || ":., -".contains(c));
    !is_mark && !is_time
}

/// Splits `content (context)`.
fn split_context(text: &str) -> (&str, Option<&str>) {
    let inner = text.strip_suffix(')').and_then(|it| it.rsplit_once('('));
    match inner {
        Some((content, context)) if !content.trim().is_empty() => {
            (content.trim(), Some(context.trim()))
        }
        _ => (text, None),
    }
}

/// `kind [[target]] (context)`, where kind is one word or quoted; without a kind, it is
/// `links_to`.
#[derive(Debug, PartialEq, Eq)]
struct Relation<'a> {
    kind: &'a str,
    target: &'a str,
    context: Option<&'a str>,
}

impl<'a> Relation<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (kind, rest) = text.split_once("[[")?;
        let (target, after) = rest.split_once("]]")?;
        // `[[Target|what is shown]]`
        let target = target.split('|').next().unwrap_or(target).trim();
        let kind = kind.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| {
            let inner = kind.strip_prefix(*quote)?.strip_suffix(*quote)?;
            Some(inner.trim())
        });
        let kind = match quoted {
            Some(kind) => kind,
            None if kind.is_empty() => "links_to",
            // A sentence that contains a link.
            None if kind.contains(char::is_whitespace) || kind.starts_with('[') => return None,
            None => kind,
        };
        let context = match after.trim() {
            "" => None,
            after => Some(after.strip_prefix('(')?.strip_suffix(')')?.trim()),
        };
        let is_relation = !kind.is_empty()
            && !target.is_empty()
            && !context.is_some_and(|context| context.contains("[["));
        is_relation.then_some(Self {
            kind,
            target,
            context,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Vec<String> {
        let items = list_items(body).into_iter();
        items.map(|range| item_text(&body[range])).collect()
    }

    #[test]
    fn list_items_end_where_something_else_begins() {
        let body = "# T\n\n- one\n  more\n  - nested\n* two\n\n1. three\n\n   below\n\n> - quoted\n\n```\n- code\n```\n- - double\n";
        assert_eq!(
            texts(body),
            ["one more", "nested", "two", "three", "- double"]
        );
    }

    /// Looking for the beginning of the line from each item would take minutes.
    #[test]
    fn many_items_on_one_line_are_found_in_time() {
        let body = format!("{}a\n", "+ ".repeat(1 << 20));
        let start = std::time::Instant::now();
        assert_eq!(list_items(&body).len(), 1);
        assert!(start.elapsed() < std::time::Duration::from_secs(30));
    }

    #[test]
    fn observations_have_a_category_or_a_tag() {
        let parse = |text| {
            Observation::parse(text).map(|it| (it.category, it.content, it.tags(), it.context))
        };
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            parse("[method] Pour slowly #brewing #slow (from Tam)"),
            Some((
                Some("method"),
                "Pour slowly #brewing #slow",
                tags(&["brewing", "slow"]),
                Some("from Tam")
            ))
        );
        assert_eq!(
            parse("No category #a#b"),
            Some((None, "No category #a#b", tags(&["a", "b"]), None))
        );
        for none in [
            "plain",
            "[ ] a task #tag",
            "[x] done",
            "[/] in progress",
            "[00:12:03] spoken #tag",
            "[text](https://example.org)",
            "[[Target]]",
            "[category]",
            "[] empty",
        ] {
            assert_eq!(parse(none), None, "{none}");
        }
    }

    #[test]
    fn relations_have_one_word_or_a_quoted_kind() {
        let parse = |text| Relation::parse(text).map(|it| (it.kind, it.target, it.context));
        assert_eq!(
            parse("relates_to [[Coffee Beans]]"),
            Some(("relates_to", "Coffee Beans", None))
        );
        assert_eq!(
            parse("\"is part of\" [[Book|shown]] (chapter 2)"),
            Some(("is part of", "Book", Some("chapter 2")))
        );
        assert_eq!(parse("[[Tea]]"), Some(("links_to", "Tea", None)));
        for none in [
            "see also [[Tea]]",
            "uses [[Tea]] for breakfast",
            "uses [[Tea]] (a) and [[Milk]] (b)",
            "[decision] use [[Tea]]",
            "[x] [[Tea]]",
            "uses [[ ]]",
            "uses [[Tea",
        ] {
            assert_eq!(parse(none), None, "{none}");
        }
    }
}
