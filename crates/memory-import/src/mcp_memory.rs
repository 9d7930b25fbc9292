//! The file of the MCP reference server for memory: a knowledge graph of entities with
//! observations, and relations between entities.
//!
//! Each line is an entity or a relation. What the tool `read_graph` answers, one object
//! with `entities` and `relations`, is read as well.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};

use memory::MemoryKind;
use memory_json::Lines;
use serde_json::{Map, Value};

use crate::document::Occurrences;
use crate::draft::Draft;
use crate::error::ImportError;
use crate::files::{ExportFile, ExportFiles, read_error};
use crate::importer::{Importer, Stop};
use crate::json::{self, HALF_CHARACTERS, json_error};
use crate::surrogates::ReplaceSurrogates;

const ENTITY_FIELDS: &[&str] = &["entityType", "name", "observations", "type"];
const RELATION_FIELDS: &[&str] = &["from", "relationType", "to", "type"];
const EXPECTED: &str =
    "lines of entities and relations, or an object with `entities` and `relations`";

type Object = Map<String, Value>;

pub(crate) fn read(files: &mut ExportFiles, importer: &mut Importer<'_>) -> Result<(), Stop> {
    let selected = files.select(importer)?;
    for file in &selected {
        let outcome = read_file(files, file, importer);
        importer.refuse_file(&file.label(), selected.len(), outcome)?;
    }
    Ok(())
}

fn read_file(
    files: &mut ExportFiles,
    file: &ExportFile,
    importer: &mut Importer<'_>,
) -> Result<(), Stop> {
    let label = file.label();
    let max = files.limits().max_item_bytes;
    let replaced = Cell::new(0);
    let content = ReplaceSurrogates::new(files.open_file(file)?, &replaced);
    let outcome = read_content(BufReader::new(content), &label, max, importer);
    importer.report().skip(HALF_CHARACTERS, replaced.get());
    outcome
}

/// Reads a file whose lines, or whose graph, have at most `max` bytes.
fn read_content(
    mut content: impl BufRead,
    label: &str,
    max: u64,
    importer: &mut Importer<'_>,
) -> Result<(), Stop> {
    let failed = |error| Stop::from(read_error(label, error));
    // The file may be a pipe, which is read once: what decides is kept.
    let mut start = Vec::new();
    read_first_line(&mut content, max, &mut start).map_err(failed)?;
    // An empty graph is an empty file.
    if start.trim_ascii().is_empty() || has_element(&start, max) {
        let content = io::Cursor::new(start).chain(content);
        return read_lines(content, label, max, importer);
    }
    // A file whose first line is damaged may be one of lines all the same, and one whose
    // lines are parts of a graph has none that is an element of its own.
    let rest = max.saturating_add(1).saturating_sub(start.len() as u64);
    let read = content.by_ref().take(rest).read_to_end(&mut start);
    read.map_err(failed)?;
    let graph = match start.len() as u64 > max {
        true => Err(ImportError::ItemTooLarge {
            file: label.to_owned(),
            max,
        }),
        false => parse_graph(&start, label),
    };
    match graph {
        Ok(graph) => read_graph(&graph, label, importer),
        Err(_) if has_element(&start, max) => {
            let content = io::Cursor::new(start).chain(content);
            read_lines(content, label, max, importer)
        }
        Err(error) => Err(error.into()),
    }
}

/// Lines of at most `max` bytes.
fn lines<R: BufRead>(content: R, max: u64) -> io::Result<Lines<R>> {
    Lines::with_max(content, usize::try_from(max).unwrap_or(usize::MAX))
}

/// Reads the first line that is not blank, and those before it, up to one byte more than
/// `max`.
fn read_first_line(content: &mut impl BufRead, max: u64, start: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let before = start.len();
        let rest = max.saturating_add(1).saturating_sub(before as u64);
        let count = content.by_ref().take(rest).read_until(b'\n', start)?;
        if count == 0 || !start[before..].trim_ascii().is_empty() {
            return Ok(());
        }
    }
}

/// Whether any line is an entity or a relation, which is an object with a `type`. A line
/// that cannot be read is none.
fn has_element(text: &[u8], max: u64) -> bool {
    let Ok(mut lines) = lines(text, max) else {
        return false;
    };
    while let Ok(Some(line)) = lines.next_line() {
        let text = line.text.unwrap_or_default();
        let parsed: Option<Value> = serde_json::from_str(text).ok();
        if parsed.is_some_and(|value| value.get("type").is_some()) {
            return true;
        }
    }
    false
}

/// Reads a file of lines. Those that are neither an entity nor a relation are refused.
fn read_lines(
    content: impl BufRead,
    label: &str,
    max: u64,
    importer: &mut Importer<'_>,
) -> Result<(), Stop> {
    let failed = |error| Stop::from(read_error(label, error));
    let mut lines = lines(content, max).map_err(failed)?;
    while let Some(line) = lines.next_line().map_err(failed)? {
        let origin = format!("{label}, line {}", line.number);
        let parsed = match line.text {
            Ok(text) => serde_json::from_str(text),
            Err(reason) => {
                importer.refuse(&origin, reason)?;
                continue;
            }
        };
        let Ok(Value::Object(object)) = parsed else {
            importer.refuse(&origin, "it is not a JSON object")?;
            continue;
        };
        match object.get("type").and_then(Value::as_str) {
            Some("entity") => read_entity(&origin, &object, importer)?,
            Some("relation") => read_relation(&origin, &object, importer)?,
            _ => importer.report().skip("lines of an unknown type", 1),
        }
    }
    Ok(())
}

/// Parses a file that is one object.
fn parse_graph(bytes: &[u8], label: &str) -> Result<Object, ImportError> {
    let graph: Value =
        serde_json::from_slice(bytes).map_err(|error| json_error(label, EXPECTED, error))?;
    let is_graph = |graph: &Object| {
        let mut arrays = ["entities", "relations"].iter();
        arrays.any(|key| graph.get(*key).is_some_and(Value::is_array))
    };
    match graph {
        Value::Object(graph) if is_graph(&graph) => Ok(graph),
        _ => Err(ImportError::UnexpectedShape {
            file: label.to_owned(),
            found: "JSON of another kind".to_owned(),
            expected: EXPECTED,
        }),
    }
}

fn read_graph(graph: &Object, label: &str, importer: &mut Importer<'_>) -> Result<(), Stop> {
    importer.check_fields("graph", graph, &["entities", "relations"]);
    for (index, value) in json::array(graph, "entities").iter().enumerate() {
        let origin = format!("{label}, entity {}", index + 1);
        match value.as_object() {
            Some(entity) => read_entity(&origin, entity, importer)?,
            None => importer.refuse(&origin, "it is not an object")?,
        }
    }
    for (index, value) in json::array(graph, "relations").iter().enumerate() {
        let origin = format!("{label}, relation {}", index + 1);
        match value.as_object() {
            Some(relation) => read_relation(&origin, relation, importer)?,
            None => importer.refuse(&origin, "it is not an object")?,
        }
    }
    Ok(())
}

/// Adds a memory for each observation. An observation does not name its entity, so the
/// name is put before it.
fn read_entity(origin: &str, entity: &Object, importer: &mut Importer<'_>) -> Result<(), Stop> {
    importer.check_fields("entity", entity, ENTITY_FIELDS);
    let Some(name) = json::text(entity, "name") else {
        return importer.refuse(origin, "its `name` is missing, blank or not a string");
    };
    let kind = json::text(entity, "entityType").unwrap_or("entity");
    let draft = |source_id: String, content: String| {
        let mut draft = Draft::new(source_id, MemoryKind::World, content);
        draft.context = Some(name.to_owned());
        draft.participants.push((name.to_owned(), kind.to_owned()));
        draft
    };
    let observations = json::array(entity, "observations");
    if observations.is_empty() {
        let draft = draft(name.to_owned(), format!("{name} ({kind})"));
        importer.add(origin, draft)?;
    }
    // Cut off and counted only where an observation uses it.
    let mut subject: Option<String> = None;
    // Equal observations of an entity are memories of their own.
    let mut occurrences = Occurrences::default();
    for (index, observation) in observations.iter().enumerate() {
        let origin = format!("{origin}, observation {}", index + 1);
        match observation.as_str().map(str::trim) {
            None | Some("") => importer.refuse(&origin, "it is blank or not a string")?,
            Some(text) => {
                let subject = subject.get_or_insert_with(|| importer.fit_subject(name));
                let draft = draft(name.to_owned(), format!("{subject}: {text}"));
                importer.add_part(&origin, draft, &mut occurrences)?;
            }
        }
    }
    Ok(())
}

/// Adds a memory that states the relation.
fn read_relation(origin: &str, relation: &Object, importer: &mut Importer<'_>) -> Result<(), Stop> {
    importer.check_fields("relation", relation, RELATION_FIELDS);
    let fields = ["from", "relationType", "to"].map(|key| json::text(relation, key));
    let [Some(from), Some(kind), Some(to)] = fields else {
        let reason = "`from`, `relationType` or `to` is missing, blank or not a string";
        return importer.refuse(origin, reason);
    };
    importer.add(origin, relation_draft(from, kind, to))?;
    Ok(())
}

/// A memory that states a relation, such as "Tam sells to Mira".
pub(crate) fn relation_draft(from: &str, kind: &str, to: &str) -> Draft {
    // The conventional names of relations are `works_at` and `works-at`.
    let words = kind.replace(['_', '-'], " ");
    let content = format!("{from} {words} {to}");
    let mut draft = Draft::new(format!("{from}/{kind}/{to}"), MemoryKind::World, content);
    draft.context = Some(from.to_owned());
    draft.participants = vec![
        (from.to_owned(), "subject".to_owned()),
        (to.to_owned(), "object".to_owned()),
    ];
    draft
        .metadata
        .insert("relation".to_owned(), kind.to_owned());
    draft
}
