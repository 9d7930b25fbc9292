//! YAML before a Markdown text, between two lines `---`.
//!
//! The YAML is read as events: aliases are not expanded and nesting needs no stack, so
//! fields are not larger than their text.

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

/// How front matter could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As the valid YAML that it is.
    Valid,
    /// Each field on its own, as it is not valid as a whole.
    EachField,
    /// Some fields, as the others are not valid.
    SomeFields,
}

/// Parses front matter, and says how. Where it is not valid YAML, each field is read on its
/// own: one that is not valid takes no other with it.
pub(crate) fn parse(yaml: &str) -> (FrontMatter, Reading) {
    if let Some(matter) = parse_mapping(yaml) {
        return (matter, Reading::Valid);
    }
    let mut matter = FrontMatter::default();
    let mut reading = Reading::EachField;
    for entry in entries(yaml) {
        if let Some(parsed) = parse_mapping(entry) {
            matter.fields.extend(parsed.fields);
        } else if let Some((key, value)) = plain_field(entry) {
            matter.fields.insert(key, Field::Text(value));
        } else {
            reading = Reading::SomeFields;
        }
    }
    (matter, reading)
}

/// Parts that begin with a line that is not indented and is no item of a list: the fields
/// of a mapping as they are usually written.
fn entries(yaml: &str) -> Vec<&str> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in yaml.split_inclusive('\n') {
        let continues = line.trim().is_empty() || line.starts_with([' ', '\t', '-', '#', '}', ']']);
        if !continues || starts.is_empty() {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([yaml.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &yaml[*start..end])
        .collect()
}

/// A field on one line whose value is meant as text and is not valid as it is, such as
/// `title: Coffee: how to brew it`. A value that begins as a list, a quotation or anything
/// else than text is none.
fn plain_field(entry: &str) -> Option<(String, String)> {
    let entry = entry.trim();
    let (key, value) = entry.split_once(": ")?;
    let (key, value) = (key.trim(), value.trim());
    let is_key = key
        .chars()
        .all(|c| c.is_alphanumeric() || "-_ ".contains(c));
    let is_text =
        !entry.contains('\n') && !value.starts_with(['[', '{', '"', '\'', '&', '*', '!', '|', '>']);
    (is_key && is_text && !key.is_empty() && !value.is_empty())
        .then(|| (key.to_owned(), value.to_owned()))
}

/// Parses a mapping; `None` where it is none in valid YAML.
fn parse_mapping(yaml: &str) -> Option<FrontMatter> {
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
        let mut matter = parse_mapping(yaml).unwrap();
        assert_eq!(matter.take_text("title").as_deref(), Some("Coffee"));
        assert_eq!(matter.take_list("tags"), ["a", "b"]);
        assert_eq!(matter.take_list("more"), ["x", "y"]);
        assert_eq!(matter.take_text("date").as_deref(), Some("2026-03-01"));
        assert_eq!(matter.take_text("quoted").as_deref(), Some(""));
        assert_eq!(matter.take_text("nested"), None);
        let others: Vec<&str> = matter.fields.keys().map(String::as_str).collect();
        assert_eq!(others, ["alias", "copy", "lists", "nested"]);
        assert_eq!(matter.fields["alias"], Field::Other);
        assert_eq!(
            parse_mapping("tags: a, b").unwrap().take_list("tags"),
            ["a", "b"]
        );
    }

    #[test]
    fn what_is_no_mapping_is_no_front_matter() {
        for empty in ["", "# comment\n", "~\n"] {
            assert_eq!(
                parse_mapping(empty),
                Some(FrontMatter::default()),
                "{empty:?}"
            );
        }
        for bad in ["- a\n", "text\n", "a: [1\n", "a: b: c\n", "a: \"\n"] {
            assert_eq!(parse_mapping(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_invalid_field_takes_no_other_with_it() {
        let text = |value: &str| Field::Text(value.to_owned());
        for (yaml, expected, expected_reading) in [
            (
                "title: Coffee: how to brew it\r\ntags: [a, b]\r\n\r\ndate: 2026-03-01\r\n",
                vec![
                    ("date", text("2026-03-01")),
                    ("tags", Field::List(vec!["a".to_owned(), "b".to_owned()])),
                    ("title", text("Coffee: how to brew it")),
                ],
                Reading::EachField,
            ),
            (
                "# written by hand\nwho: @tam\ntags:\n- x\n- y\nnested:\n  a: 1\n",
                vec![
                    ("nested", Field::Other),
                    ("tags", Field::List(vec!["x".to_owned(), "y".to_owned()])),
                    ("who", text("@tam")),
                ],
                Reading::EachField,
            ),
            ("a: [1\nb: 2\n", vec![("b", text("2"))], Reading::SomeFields),
            (
                "a: \"x\nb: 'y'\n",
                vec![("b", text("y"))],
                Reading::SomeFields,
            ),
            (
                "b: 2\na:\n  c: d: e\n",
                vec![("b", text("2"))],
                Reading::SomeFields,
            ),
            ("- a\n- b\n", vec![], Reading::SomeFields),
            ("no field\n", vec![], Reading::SomeFields),
        ] {
            let (matter, reading) = parse(yaml);
            let fields: Vec<(&str, Field)> = matter
                .fields
                .iter()
                .map(|(key, field)| (key.as_str(), field.clone()))
                .collect();
            assert_eq!((fields, reading), (expected, expected_reading), "{yaml}");
        }
    }

    #[test]
    fn deep_nesting_and_aliases_cost_no_more_than_their_length() {
        let flow = format!("a: {}", "[".repeat(60_000));
        assert_eq!(parse_mapping(&flow), None);
        let block = format!("a:\n{}", "- ".repeat(10_000));
        let _ = parse(&block);
        let lines = "x: {\n".repeat(10_000);
        assert_eq!(parse(&lines).1, Reading::SomeFields);
        let mut bomb = "a0: &a0 [x, x]\n".to_owned();
        for n in 1..50 {
            bomb.push_str(&format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1));
        }
        assert_eq!(parse_mapping(&bomb).unwrap().fields.len(), 50);
    }
}
