//! YAML before a Markdown text, between two lines `---`.
//!
//! The YAML is read as events: aliases are not expanded and nesting needs no stack, so
//! no input can make a small file large.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// The maximum length of front matter, in bytes. Longer text is no front matter.
const MAX_BYTES: usize = 64 * 1024;

/// A value of front matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// A scalar as text.
    Text(String),
    /// A list of scalars.
    List(Vec<String>),
    /// Anything else, which is not kept.
    Other,
}

/// The fields of front matter; `null` is the same as a missing field.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FrontMatter {
    pub(crate) fields: BTreeMap<String, Field>,
}

impl FrontMatter {
    /// Takes a field that is a text.
    pub(crate) fn take_text(&mut self, key: &str) -> Option<String> {
        match self.fields.remove(key)? {
            Field::Text(text) => Some(text),
            other => {
                self.fields.insert(key.to_owned(), other);
                None
            }
        }
    }

    /// Takes a list, which may also be written as a text with commas.
    pub(crate) fn take_list(&mut self, key: &str) -> Vec<String> {
        match self.fields.remove(key) {
            Some(Field::List(list)) => list,
            Some(Field::Text(text)) => text.split(',').map(|it| it.trim().to_owned()).collect(),
            Some(Field::Other) | None => Vec::new(),
        }
    }
}

/// Splits a text into its front matter, if it has one, and the rest.
pub(crate) fn split(text: &str) -> (Option<&str>, &str) {
    let Some(after) = after_fence(text, 0) else {
        return (None, text);
    };
    let mut at = after;
    loop {
        if at - after > MAX_BYTES {
            return (None, text);
        }
        if let Some(end) = after_fence(text, at) {
            return (Some(&text[after..at]), &text[end..]);
        }
        match text[at..].find('\n') {
            Some(end) => at += end + 1,
            None => return (None, text),
        }
    }
}

/// Where the text continues after the line at `at`, if that is a fence.
fn after_fence(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let line = rest.split('\n').next().unwrap_or(rest);
    let end = (at + line.len() + 1).min(text.len());
    (line.trim_end() == "---").then_some(end)
}

/// Parses front matter; `None` where it is not a mapping in valid YAML.
pub(crate) fn parse(yaml: &str) -> Option<FrontMatter> {
    let mut events = Events(Parser::new_from_str(yaml));
    let mut matter = FrontMatter::default();
    loop {
        match events.next()? {
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::MappingStart(..) => break,
            // Only comments or nothing.
            Event::StreamEnd | Event::DocumentEnd => return Some(matter),
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => {
                return Some(matter);
            }
            _ => return None,
        }
    }
    loop {
        let key = match events.next()? {
            Event::MappingEnd => return Some(matter),
            Event::Scalar(text, ..) => text.into_owned(),
            first => {
                events.skip(&first)?;
                let value = events.next()?;
                events.skip(&value)?;
                continue;
            }
        };
        let field = match events.next()? {
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => continue,
            Event::Scalar(text, ..) => Field::Text(text.into_owned()),
            Event::SequenceStart(..) => events.list()?,
            other => {
                events.skip(&other)?;
                Field::Other
            }
        };
        matter.fields.insert(key, field);
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

struct Events<'a>(Parser<'a, saphyr_parser::StrInput<'a>>);

impl<'a> Events<'a> {
    fn next(&mut self) -> Option<Event<'a>> {
        let (event, _) = self.0.next_event()?.ok()?;
        Some(event)
    }

    /// The scalars of the sequence that has begun.
    fn list(&mut self) -> Option<Field> {
        let mut list = Some(Vec::new());
        loop {
            match self.next()? {
                Event::SequenceEnd => return Some(list.map_or(Field::Other, Field::List)),
                Event::Scalar(text, ..) => {
                    if let Some(list) = &mut list {
                        list.push(text.into_owned());
                    }
                }
                other => {
                    self.skip(&other)?;
                    list = None;
                }
            }
        }
    }

    /// Skips the rest of the node that begins with this event.
    fn skip(&mut self, first: &Event<'a>) -> Option<()> {
        let step = |event: &Event<'_>| match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => 1,
            Event::SequenceEnd | Event::MappingEnd => -1,
            _ => 0,
        };
        let mut depth = step(first);
        while depth > 0 {
            let event = self.next()?;
            if matches!(event, Event::StreamEnd) {
                return None;
            }
            depth += step(&event);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_is_between_two_fences_at_the_beginning() {
        assert_eq!(split("---\na: 1\n---\nText"), (Some("a: 1\n"), "Text"));
        assert_eq!(
            split("---\r\na: 1\r\n---\r\nText"),
            (Some("a: 1\r\n"), "Text")
        );
        assert_eq!(split("---\n---"), (Some(""), ""));
        for none in [
            "",
            "Text",
            "---",
            "---\na: 1\n",
            "\n---\na: 1\n---\n",
            "----\n---\n",
        ] {
            assert_eq!(split(none), (None, none), "{none}");
        }
        let long = format!("---\n{}---\n", "# comment\n".repeat(10_000));
        assert_eq!(split(&long).0, None);
    }

    #[test]
    fn scalars_and_lists_are_kept_and_nested_values_are_named() {
        let yaml = "title: Coffee\ntags: [a, 'b']\nmore:\n  - x\n  - y\nempty:\nquoted: \"\"\n\
                    nested: {a: 1}\nlists: [[1]]\ncopy: &x 1\nalias: *x\n[k]: v\ndate: 2026-03-01\n";
        let mut matter = parse(yaml).unwrap();
        assert_eq!(matter.take_text("title").as_deref(), Some("Coffee"));
        assert_eq!(matter.take_list("tags"), ["a", "b"]);
        assert_eq!(matter.take_list("more"), ["x", "y"]);
        assert_eq!(matter.take_text("date").as_deref(), Some("2026-03-01"));
        assert_eq!(matter.take_text("quoted").as_deref(), Some(""));
        assert_eq!(matter.take_text("nested"), None);
        let others: Vec<&str> = matter.fields.keys().map(String::as_str).collect();
        assert_eq!(others, ["alias", "copy", "lists", "nested"]);
        assert_eq!(matter.fields["alias"], Field::Other);
        assert_eq!(parse("tags: a, b").unwrap().take_list("tags"), ["a", "b"]);
    }

    #[test]
    fn what_is_no_mapping_is_no_front_matter() {
        for empty in ["", "# comment\n", "~\n"] {
            assert_eq!(parse(empty), Some(FrontMatter::default()), "{empty:?}");
        }
        for bad in ["- a\n", "text\n", "a: [1\n", "a: b: c\n", "a: \"\n"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn deep_nesting_and_aliases_cost_no_more_than_their_length() {
        let flow = format!("a: {}", "[".repeat(60_000));
        assert_eq!(parse(&flow), None);
        let block = format!("a:\n{}", "- ".repeat(10_000));
        let _ = parse(&block);
        let mut bomb = "a0: &a0 [x, x]\n".to_owned();
        for n in 1..50 {
            bomb.push_str(&format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1));
        }
        assert_eq!(parse(&bomb).unwrap().fields.len(), 50);
    }
}
